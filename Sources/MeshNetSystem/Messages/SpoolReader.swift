import CSystem
import Glibc

/// The body of a message that lies in a file. The bytes stay readable as long as this lives, whatever becomes of the file's name.
package final class SpoolReader: Sendable {
    package let byteCount: Int
    private let descriptor: Descriptor

    package init(_ descriptor: Descriptor, byteCount: Int) {
        self.descriptor = descriptor
        self.byteCount = byteCount
    }

    /// Fewer bytes than asked for at the end only. Blocks for the file. Precondition: 0 ≤ offset.
    package func read(offset: Int, into memory: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
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
