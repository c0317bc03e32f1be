import CSystem
import Glibc

/// The body of a message that lies in a file.
package final class SpoolReader: Sendable {
    private enum Source {
        /// As long as this lives the bytes can be read, whatever becomes of the file's name.
        case descriptor(Descriptor)
        /// Opened for each read: as many messages may wait as there is room on the disk, and descriptors are few. The name stays until the message is
        /// settled.
        case path(String)
    }

    package let byteCount: Int
    private let source: Source

    init(_ descriptor: Descriptor, byteCount: Int) {
        source = .descriptor(descriptor)
        self.byteCount = byteCount
    }

    init(path: String, byteCount: Int) {
        source = .path(path)
        self.byteCount = byteCount
    }

    /// Fewer bytes than asked for at the end only. Blocks for the file. Precondition: 0 ≤ offset.
    package func read(offset: Int, into memory: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        let descriptor = switch source {
        case .descriptor(let descriptor): descriptor
        case .path(let path): try MessageFiles.open(path, O_RDONLY | O_CLOEXEC)
        }
        let wanted = min(memory.count, max(0, byteCount - offset))
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
