import CSystem
import Glibc

/// Files of the application that are sent, or that messages are saved in. On the caller's thread.
package enum MessageFiles {
    /// Bytes that are copied at once.
    private static let pieceByteCount = 262_144

    /// The next bytes of a file or a pipe, at most `limit`; fewer at its end only.
    static func read(_ source: Descriptor, upTo limit: Int) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let before = bytes.count, wanted = min(pieceByteCount, limit - before)
            bytes.append(contentsOf: repeatElement(0, count: wanted))
            let count = bytes.withUnsafeMutableBytes { Glibc.read(source.number, $0.baseAddress! + before, wanted) }
            let code = errno
            bytes.removeLast(wanted - max(0, count))
            if count < 0, code == EINTR { continue }
            guard count >= 0 else { throw .failed(call: "read", errno: code) }
            if count == 0 { break }
        }
        return bytes
    }

    /// Writes a message into a file with mode 0600 that is complete or not there; one that exists is replaced. `progress` is told how many bytes
    /// are written.
    package static func save(_ body: Delivery.Body, _ path: String, progress: ((Int) -> Void)? = nil) throws(SystemError) {
        let suffix = Entropy.bytes(8).map { String($0, radix: 16) }.joined()
        let temporary = "\(path).\(suffix).tmp"
        let target = try open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC)
        do throws(SystemError) {
            try copy(body, to: target, progress)
            guard rename(temporary, path) == 0 else { throw .failed(call: "rename", errno: errno) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private static func copy(_ body: Delivery.Body, to target: Descriptor, _ progress: ((Int) -> Void)?) throws(SystemError) {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceByteCount, alignment: 16)
        defer { piece.deallocate() }
        var offset = 0
        while offset < body.byteCount {
            let count = try body.read(offset: offset, into: piece)
            guard count > 0 else { throw .failed(call: "read", errno: EIO) }
            try write(UnsafeRawBufferPointer(rebasing: piece[..<count]), to: target)
            offset += count
            progress?(offset)
        }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to target: Descriptor) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(target.number, bytes.baseAddress! + done, bytes.count - done)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .failed(call: "write", errno: errno) }
            done += count
        }
    }

    static func open(_ path: String, _ flags: Int32) throws(SystemError) -> Descriptor {
        // The kernel would take a NUL for the end of the name.
        guard !path.utf8.contains(0) else { throw .failed(call: "open", errno: EINVAL) }
        while true {
            let number = Glibc.open(path, flags, 0o600)
            if number >= 0 { return Descriptor(owning: number) }
            guard errno == EINTR else { throw .failed(call: "open", errno: errno) }
        }
    }
}

extension Delivery.Body {
    /// At most `count` bytes from `offset` on, copied. Precondition: 0 ≤ offset.
    package func bytes(from offset: Int = 0, upTo count: Int = .max) throws(SystemError) -> [UInt8] {
        if case .bytes(let bytes) = self, offset == 0, count >= bytes.count { return bytes }
        let wanted = max(0, min(count, byteCount - offset))
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
            do throws(SystemError) { filled = try read(offset: offset, into: UnsafeMutableRawBufferPointer(buffer)) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Copies from `offset` on; fewer bytes than asked for at the end only. Blocks where the message lies in a file. Precondition: 0 ≤ offset.
    package func read(offset: Int, into memory: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        let count = min(memory.count, max(0, byteCount - offset))
        guard count > 0 else { return 0 }
        switch self {
        case .block(let block, let start, _): memory.copyMemory(from: block.bytes(start + offset, count))
        case .bytes(let bytes): bytes.withUnsafeBytes { memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
        case .file(let reader): return try reader.read(offset: offset, into: memory)
        }
        return count
    }
}
