import Glibc
package import MeshNetSwarm

/// The files with the bodies of large messages, by number. Reactor thread only; every call may wait for the disk.
package final class SpoolFiles {
    /// Files that are open at once; the one unused for longest is closed, and opened again when it is needed.
    package static let maximumOpen = 64
    /// Without a state directory files have no names and stay open: so many large messages on the way at once, both ways.
    package static let maximumUnnamed = 256

    private struct File {
        /// Of an inbound message: what was reserved for it. Outbound ones are bounded by the queues.
        var reserved = 0
        var byteCount = 0
        var descriptor: Descriptor?
        var lastUse: UInt64 = 0
    }

    package let folder: SpoolFolder
    /// Bytes for messages that arrive, over all peers.
    private let byteLimit: Int
    private var files: [SpoolID: File] = [:]
    private var open: [SpoolID] = []
    private var uses: UInt64 = 0
    private var lastNumber = SpoolID.driverBit
    /// Discarded, and still named by the store until its next commit.
    private var doomed: [SpoolID] = []
    private(set) package var reserved = 0

    package init(folder: SpoolFolder, byteLimit: Int) {
        self.folder = folder
        self.byteLimit = byteLimit
    }

    package var count: Int { files.count }
    package var openCount: Int { open.count }

    private var path: String { folder.directory ?? "large messages" }

    // MARK: The start

    /// Takes over the files that restored messages name, and deletes the others.
    package func restore(_ found: [SpoolID: Int], _ state: StoredState) {
        for case .spooled(let spool, let byteCount) in state.channels.lazy.flatMap(\.outbound).map(\.body) { files[spool] = File(byteCount: byteCount) }
        for case .spooled(let spool, let byteCount) in state.inbound.lazy.map(\.body) {
            files[spool] = File(reserved: byteCount, byteCount: byteCount)
            reserved += byteCount
        }
        for spool in found.keys where files[spool] == nil { unlink(folder.name(of: spool)) }
        lastNumber = files.keys.reduce(lastNumber) { max($0, $1.rawValue) }
    }

    // MARK: For the swarm

    /// An empty file for a message of so many bytes. Throws `.full`, also at the bound of bytes, and `.failed`.
    package func begin(_ spool: SpoolID, byteCount: Int) throws(StorageProblem) {
        guard byteCount >= 0, byteCount <= byteLimit - reserved else { throw .full(path: path) }
        let descriptor: Descriptor
        if folder.directory == nil {
            try checkUnnamed()
            descriptor = try folder.makeFile().descriptor
        } else {
            descriptor = try openFile(spool, O_RDWR | O_CREAT | O_TRUNC)
        }
        files[spool] = File(reserved: byteCount)
        reserved += byteCount
        use(spool, descriptor)
    }

    /// At the end. Throws `.full` and `.failed`.
    package func append(_ spool: SpoolID, _ bytes: UnsafeRawBufferPointer) throws(StorageProblem) {
        let descriptor = try descriptor(of: spool)
        try writeAll(descriptor.number, bytes, at: files[spool]?.byteCount ?? 0, path)
        files[spool]?.byteCount += bytes.count
    }

    /// Fewer bytes than there is room for at the end only.
    package func read(_ spool: SpoolID, offset: Int, into memory: UnsafeMutableRawBufferPointer) throws(StorageProblem) -> Int {
        let descriptor = try descriptor(of: spool)
        let wanted = min(memory.count, max(0, (files[spool]?.byteCount ?? 0) - max(offset, 0)))
        var done = 0
        while done < wanted {
            let count = pread(descriptor.number, memory.baseAddress! + done, wanted - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .of(count == 0 ? EIO : errno, "pread", path) }
            done += count
        }
        return done
    }

    /// Of a number that is not there any more nothing happens. The file itself goes with `deleteDiscarded`.
    package func discard(_ spool: SpoolID) {
        guard let file = files.removeValue(forKey: spool) else { return }
        reserved -= file.reserved
        open.removeAll { $0 == spool }
        if folder.directory != nil { doomed.append(spool) }
    }

    package func holds(_ spool: SpoolID) -> Bool { files[spool] != nil }

    /// Once no row of the store names them.
    package func deleteDiscarded() {
        for spool in doomed { unlink(folder.name(of: spool)) }
        doomed.removeAll()
    }

    /// Waits until the bytes are on the disk: for a store that does.
    package func synchronize(_ spool: SpoolID) throws(StorageProblem) {
        let descriptor = try descriptor(of: spool)
        guard fdatasync(descriptor.number) == 0 else { throw .of(errno, "fdatasync", path) }
    }

    // MARK: For the faces

    /// A message of the application, as a body of a number of ours. Throws `.full` and `.failed`.
    package func adopt(_ file: OutgoingFile) throws(StorageProblem) -> SpoolID {
        if folder.directory == nil { try checkUnnamed() }
        lastNumber += 1
        let spool = SpoolID(rawValue: lastNumber)
        if folder.directory != nil { try file.publish(as: folder.name(of: spool)) }
        files[spool] = File(byteCount: file.byteCount)
        use(spool, file.descriptor)
        return spool
    }

    /// To read from on any thread, as long as it is held: also when the file was discarded.
    package func descriptor(of spool: SpoolID) throws(StorageProblem) -> Descriptor {
        guard let file = files[spool] else { throw .failed(path: path, reason: "there is no file \(String(spool.rawValue, radix: 16))") }
        if let descriptor = file.descriptor {
            uses += 1
            files[spool]?.lastUse = uses
            return descriptor
        }
        let descriptor = try openFile(spool, O_RDWR)
        use(spool, descriptor)
        return descriptor
    }

    /// For the application: what it takes its time with holds no descriptor where the file has a name.
    func reader(of spool: SpoolID, byteCount: Int) throws(StorageProblem) -> SpoolReader {
        if folder.directory != nil, holds(spool) { return SpoolReader(path: folder.name(of: spool), byteCount: byteCount) }
        return SpoolReader(try descriptor(of: spool), byteCount: byteCount)
    }

    /// Gives a file away: it is readable as long as the reader lives, and vanishes with it. Throws as `descriptor`; then it is discarded as well.
    func release(_ spool: SpoolID, byteCount: Int) throws(StorageProblem) -> SpoolReader {
        defer { discard(spool) }
        return SpoolReader(try descriptor(of: spool), byteCount: byteCount)
    }

    // MARK: Descriptors

    private func checkUnnamed() throws(StorageProblem) {
        guard files.count < Self.maximumUnnamed else {
            throw .failed(path: path, reason: "without a state directory at most \(Self.maximumUnnamed) large messages are on the way at once")
        }
    }

    private func openFile(_ spool: SpoolID, _ flags: Int32) throws(StorageProblem) -> Descriptor {
        let name = folder.name(of: spool), number = Glibc.open(name, flags | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw .of(errno, "open", name) }
        return Descriptor(owning: number)
    }

    private func use(_ spool: SpoolID, _ descriptor: Descriptor) {
        uses += 1
        files[spool]?.descriptor = descriptor
        files[spool]?.lastUse = uses
        guard folder.directory != nil else { return }
        open.append(spool)
        guard open.count > Self.maximumOpen, let oldest = open.indices.min(by: { lastUse(open[$0]) < lastUse(open[$1]) }) else { return }
        files[open.remove(at: oldest)]?.descriptor = nil
    }

    private func lastUse(_ spool: SpoolID) -> UInt64 { files[spool]?.lastUse ?? 0 }
}
