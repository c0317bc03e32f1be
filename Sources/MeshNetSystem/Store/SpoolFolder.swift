import CSystem
import Glibc
package import MeshNetSwarm

/// Where the files with large messages lie: with a state directory under names there, else in a directory for temporary files, without names, so that
/// nothing is left of them whatever happens to the process. From any thread.
package struct SpoolFolder: Sendable {
    /// nil: files have no names.
    package let directory: String?
    private let path: String

    /// - Parameter directory: it must exist; nil: TMPDIR, or else /var/tmp, which is on a disk where /tmp may be memory.
    package init(directory: String?) {
        self.directory = directory
        path = directory ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
    }

    func name(of spool: SpoolID) -> String { "\(path)/\(String(spool.rawValue, radix: 16))" }

    /// An empty file for a message that shall be sent. Blocks for the disk. Throws `.full` and `.failed`.
    package func makeFile() throws(StorageProblem) -> OutgoingFile {
        let number = Glibc.open(path, Self.unnamed | O_RDWR | O_CLOEXEC, 0o600)
        // Giving a name to such a file later goes by /proc.
        if number >= 0, directory == nil || access("/proc/self/fd/\(number)", F_OK) == 0 { return OutgoingFile(Descriptor(owning: number), name: nil, path) }
        let code = errno
        if number >= 0 { close(number) }
        guard number >= 0 || Self.cannot.contains(code) else { throw .of(code, "open", path) }
        return try makeNamed()
    }

    /// For file systems that have no files without names. One that is left behind has no number, and goes at the next start.
    private func makeNamed() throws(StorageProblem) -> OutgoingFile {
        let name = path + "/new-" + Entropy.bytes(8).map { String($0, radix: 16) }.joined(separator: ".")
        let number = Glibc.open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw .of(errno, "open", name) }
        guard directory == nil else { return OutgoingFile(Descriptor(owning: number), name: name, path) }
        unlink(name)
        return OutgoingFile(Descriptor(owning: number), name: nil, path)
    }

    /// Names and sizes of what lies in the directory; other names than numbers are deleted.
    func scan() throws(StorageProblem) -> [SpoolID: Int] {
        guard let directory else { return [:] }
        guard let stream = opendir(directory) else { throw .of(errno, "opendir", directory) }
        defer { closedir(stream) }
        var files: [SpoolID: Int] = [:]
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            let file = "\(directory)/\(name)"
            var status = stat()
            if let number = UInt64(name, radix: 16), stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
                files[SpoolID(rawValue: number)] = Int(status.st_size)
            } else {
                unlink(file)
            }
        }
        return files
    }

    /// O_TMPFILE, which the Glibc module leaves out: __O_TMPFILE with O_DIRECTORY.
    private static let unnamed: Int32 = 0o20_000_000 | O_DIRECTORY
    /// The errors of file systems and kernels that do not know it (open(2)).
    private static let cannot: [Int32] = [EOPNOTSUPP, EISDIR, ENOENT, EINVAL, ENOSYS]
}

/// A file that becomes the body of a message: made and filled on the caller's thread, then handed to the reactor. One that is never handed over
/// vanishes with this.
package final class OutgoingFile: @unchecked Sendable {
    package let descriptor: Descriptor
    package private(set) var byteCount = 0
    private let folder: String
    /// nil: it has none, or `SpoolFiles` has it.
    private(set) var name: String?

    init(_ descriptor: Descriptor, name: String?, _ folder: String) {
        self.descriptor = descriptor
        self.name = name
        self.folder = folder
    }

    deinit { if let name { unlink(name) } }

    /// Blocks for the disk. Throws `.full` and `.failed`; then the file is of no use.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(StorageProblem) {
        try writeAll(descriptor.number, bytes, at: byteCount, folder)
        byteCount += bytes.count
    }

    /// All of another file from its current position on, at most `limit` bytes of it; returns how many. Where the file system can share blocks, no byte
    /// is copied. Throws `.full`, and `.failed` also when the other one cannot be read.
    package func append(from other: Int32, limit: Int) throws(StorageProblem) -> Int {
        let before = byteCount
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceByteCount, alignment: 16)
        defer { memory.deallocate() }
        while byteCount - before < limit {
            let wanted = min(limit - (byteCount - before), memory.count)
            let count = read(other, memory.baseAddress, wanted)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .of(errno, "read", folder) }
            if count == 0 { break }
            try append(UnsafeRawBufferPointer(rebasing: memory[..<count]))
        }
        return byteCount - before
    }

    private static let pieceByteCount = 1 << 20

    /// Gives the file this name, for good.
    func publish(as target: String) throws(StorageProblem) {
        if let name {
            guard rename(name, target) == 0 else { throw .of(errno, "rename", target) }
            self.name = nil
            return
        }
        unlink(target)
        guard linkat(AT_FDCWD, "/proc/self/fd/\(descriptor.number)", AT_FDCWD, target, AT_SYMLINK_FOLLOW) == 0 else {
            throw .of(errno, "linkat", target)
        }
    }
}

/// Throws `.full` and `.failed` with the path.
func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int, _ path: String) throws(StorageProblem) {
    var done = 0
    while done < bytes.count {
        let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw .of(errno, "pwrite", path) }
        done += count
    }
}
