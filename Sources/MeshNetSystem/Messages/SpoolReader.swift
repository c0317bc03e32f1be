import CSystem
import Glibc

/// The body of a message that lies in a file.
package final class SpoolReader: Sendable {
    private enum Source: Sendable {
        /// Readable as long as this lives.
        case descriptor(Descriptor)
        /// Readable until the message is settled. Thousands may wait in an inbox: they hold no descriptors.
        case path(String)
    }

    package let byteCount: Int
    private let source: Source

    package init(_ descriptor: Descriptor, byteCount: Int) {
        source = .descriptor(descriptor)
        self.byteCount = byteCount
    }

    init(path: String, byteCount: Int) {
        source = .path(path)
        self.byteCount = byteCount
    }

    private func open() throws(SystemError) -> Descriptor {
        switch source {
        case .descriptor(let descriptor): return descriptor
        case .path(let path):
            let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
            guard number >= 0 else { throw .failed(call: "open", errno: errno) }
            return Descriptor(owning: number)
        }
    }

    /// Fewer bytes than asked for at the end only. Blocks for the file. Precondition: 0 ≤ offset.
    package func read(offset: Int, into memory: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        let wanted = min(memory.count, max(0, byteCount - offset))
        guard wanted > 0 else { return 0 }
        let descriptor = try open()
        var done = 0
        while done < wanted {
            let count = pread(descriptor.number, memory.baseAddress! + done, wanted - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .failed(call: "pread", errno: errno) }
            // The file is shorter than it was said to be: somebody else cut it.
            guard count > 0 else { throw .failed(call: "pread", errno: EIO) }
            done += count
        }
        return done
    }
}
