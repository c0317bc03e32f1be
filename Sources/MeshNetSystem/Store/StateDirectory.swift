import CSystem
import Glibc
package import MeshNetSwarm

/// The directory with the state of one node, held by one process as long as this object lives.
package final class StateDirectory: Sendable {
    /// Damaged stores that are kept; the last number is given again.
    package static let maximumSetAside = 16
    /// What SQLite may have beside a file: its log, and the index of the log when another program opened it.
    static let companions = ["-wal", "-shm"]

    package let path: String
    private let lock: Descriptor
    private let identity: FileIdentity

    private struct FileIdentity: Hashable {
        let device: UInt
        let inode: UInt
    }

    /// Locks of the kernel are between processes; this is for nodes of one process.
    private static let held = Guarded<Set<FileIdentity>>([])

    package var databasePath: String { path + "/messages.db" }
    package var spoolPath: String { path + "/spool" }

    /// Makes the directory, and those above it, with mode 0700 where they are missing. Throws `.inUse`, `.full` and `.failed`.
    package init(_ path: String) throws(StorageProblem) {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw .failed(path: path, reason: "this is no path") }
        self.path = path
        try Self.make(path)
        try Self.make(path + "/spool")
        let file = path + "/lock"
        let number = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw .of(errno, "open", file) }
        let lock = Descriptor(owning: number)
        var status = stat()
        guard fstat(number, &status) == 0 else { throw .of(errno, "fstat", file) }
        let identity = FileIdentity(device: UInt(status.st_dev), inode: UInt(status.st_ino))
        try Self.hold(lock, identity, file)
        self.lock = lock
        self.identity = identity
    }

    deinit {
        // In a child after fork the lock is the parent's, and so is the mutex.
        guard !Self.held.ownerProcessIsGone else { return }
        Self.held.with { _ = $0.remove(identity) }
    }

    /// A lock of fcntl(2), because a child after `fork` has no part in it: it ends with this process, however that ends. Closing any descriptor of the
    /// file gives it up, so that a second node of this process must not get to lock it.
    private static func hold(_ lock: Descriptor, _ identity: FileIdentity, _ file: String) throws(StorageProblem) {
        let isChild = held.ownerProcessIsGone
        if !isChild, !held.with({ $0.insert(identity).inserted }) { throw .inUse(path: file) }
        var request = flock()
        request.l_type = Int16(F_WRLCK)
        request.l_whence = Int16(SEEK_SET)
        guard fcntl(lock.number, F_SETLK, &request) != 0 else { return }
        let code = errno
        if !isChild { held.with { _ = $0.remove(identity) } }
        if code == EACCES || code == EAGAIN { throw .inUse(path: file) }
        throw .of(code, "fcntl", file)
    }

    private static func make(_ path: String) throws(StorageProblem) {
        if mkdir(path, 0o700) == 0 { return }
        if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try make(String(path[..<slash]))
            if mkdir(path, 0o700) == 0 { return }
        }
        let code = errno
        guard code == EEXIST else { throw .of(code, "mkdir", path) }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { throw .of(ENOTDIR, "mkdir", path) }
    }

    // MARK: The database

    var hasDatabase: Bool { access(databasePath, F_OK) == 0 }
    var canWriteDatabase: Bool { access(databasePath, W_OK) == 0 && access(path, W_OK) == 0 }
    /// A log without its file would be taken for the log of the next one.
    var hasStrayLog: Bool { !hasDatabase && access(databasePath + "-wal", F_OK) == 0 }

    /// An empty file with mode 0600 under another name, which `publish` gives its own: what is there under that is always whole.
    func makeDatabase() throws(StorageProblem) -> String {
        let temporary = databasePath + ".new"
        for name in [temporary] + Self.companions.map({ temporary + $0 }) { unlink(name) }
        let number = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw .of(errno, "open", temporary) }
        _ = Descriptor(owning: number)
        return temporary
    }

    func publishDatabase() throws(StorageProblem) {
        guard rename(databasePath + ".new", databasePath) == 0 else { throw .of(errno, "rename", databasePath) }
    }

    /// Renames the database and what is beside it; gives the new name.
    func setDatabaseAside() throws(StorageProblem) -> String {
        let free = (1..<Self.maximumSetAside).first { number in
            ([""] + Self.companions).allSatisfy { access("\(databasePath).damaged-\(number)\($0)", F_OK) != 0 }
        }
        let aside = "\(databasePath).damaged-\(free ?? Self.maximumSetAside)"
        for companion in [""] + Self.companions {
            unlink(aside + companion)
            guard rename(databasePath + companion, aside + companion) == 0 || errno == ENOENT else { throw .of(errno, "rename", databasePath + companion) }
        }
        return aside
    }
}

extension StorageProblem {
    static func of(_ code: Int32, _ call: String, _ path: String) -> StorageProblem {
        if code == ENOSPC || code == EDQUOT { return .full(path: path) }
        return .failed(path: path, reason: "\(call): \(describe(errno: code))")
    }

    static func of(_ failure: DatabaseFailure, _ path: String) -> StorageProblem {
        if failure.isFull { return .full(path: path) }
        if failure.isBusy { return .inUse(path: path) }
        return .failed(path: path, reason: failure.reason)
    }
}
