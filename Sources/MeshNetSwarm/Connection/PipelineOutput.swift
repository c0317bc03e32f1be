import MeshNetProtocol

/// The bytes of one connection on their way to the socket: pooled buffers with sealed Noise frames, the last of which may still be filled.
///
/// What is written to `space` lies where it is sealed and sent from: the 2-byte length goes before, the tag behind it. Bytes that complete a frame are
/// never copied: sealing moves them there.
struct PipelineOutput {
    /// An open frame with less room is sealed rather than given another small piece. Bytes.
    static let smallestPiece = 512

    private struct Chunk {
        let buffer: PooledBuffer
        /// Sent up to here.
        var head = 0
        /// Sealed up to here; the open frame's length prefix comes next.
        var tail = 0

        /// Plaintext bytes that a frame behind the tail can have.
        var frameCapacity: Int {
            min(NoiseFrame.maximumPlaintext, buffer.count - tail - NoiseFrame.lengthPrefix - NoiseFrame.tag)
        }
    }

    private let pool: BufferPool
    private var chunks = Fifo<Chunk>()
    /// Plaintext bytes in the open frame, in the last chunk.
    private var openCount = 0
    /// Bytes that the socket may have.
    private(set) var sealedBytes = 0
    /// Sealing failed: nothing can be sent any more.
    private(set) var failure: NoiseError?

    /// From the end of the handshake on.
    var cipher: NoiseCipher?
    /// From the sent nonce on, in a private network.
    var privateNetwork: PrivateNetworkCipher?

    init(pool: BufferPool) { self.pool = pool }

    var hasOpenFrame: Bool { openCount > 0 }
    var queuedBytes: Int { sealedBytes + openCount }

    // MARK: Writing

    /// Room in the open frame: `wanted` bytes if a frame can have as many and a new one is begun, else at least `smallestPiece` or `wanted`.
    mutating func space(for wanted: Int) -> UnsafeMutableRawBufferPointer {
        if openCount > 0 {
            if last.frameCapacity - openCount >= min(wanted, Self.smallestPiece) { return openSpace }
            seal()
        }
        if chunks.isEmpty || last.frameCapacity < min(wanted, NoiseFrame.maximumPlaintext) {
            chunks.append(Chunk(buffer: pool.take(.frame)))
        }
        return openSpace
    }

    /// So many bytes of the space are filled, and `rest` follows them: copied, or sealed from where it lies if it completes the frame.
    mutating func commit(_ count: Int, then rest: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)) {
        openCount += count
        // No further piece fits behind a header.
        if last.frameCapacity - openCount - rest.count < YamuxHeader.byteCount { return seal(then: rest) }
        openSpace.copyMemory(from: rest)
        openCount += rest.count
    }

    mutating func seal(then rest: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)) {
        guard openCount > 0 else { return }
        let count = openCount
        openCount = 0
        let size = NoiseFrame.lengthPrefix + count + rest.count + NoiseFrame.tag
        let frame = UnsafeMutableRawBufferPointer(rebasing: last.buffer.bytes[last.tail..<last.tail + size])
        frame.storeBytes(of: UInt16(size - NoiseFrame.lengthPrefix).bigEndian, as: UInt16.self)
        do throws(NoiseError) {
            try cipher?.seal(UnsafeMutableRawBufferPointer(rebasing: frame[NoiseFrame.lengthPrefix...]), count: count, then: rest)
        } catch {
            failure = error
            return
        }
        finish(frame)
    }

    /// Bytes of the handshake, outside of Noise frames.
    mutating func append(_ bytes: [UInt8]) {
        precondition(openCount == 0 && bytes.count <= BufferPool.Size.frame.byteCount, "handshake messages fit a buffer")
        if chunks.isEmpty || last.buffer.count - last.tail < bytes.count { chunks.append(Chunk(buffer: pool.take(.frame))) }
        let region = UnsafeMutableRawBufferPointer(rebasing: last.buffer.bytes[last.tail..<last.tail + bytes.count])
        region.copyBytes(from: bytes)
        finish(region)
    }

    private mutating func finish(_ region: UnsafeMutableRawBufferPointer) {
        privateNetwork?.apply(region)
        chunks[chunks.count - 1].tail += region.count
        sealedBytes += region.count
    }

    private var last: Chunk { chunks[chunks.count - 1] }

    private var openSpace: UnsafeMutableRawBufferPointer {
        let from = last.tail + NoiseFrame.lengthPrefix + openCount
        return UnsafeMutableRawBufferPointer(rebasing: last.buffer.bytes[from..<from + last.frameCapacity - openCount])
    }

    // MARK: Sending

    func transmitBuffers<R>(_ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> R) -> R {
        withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: ConnectionPipeline.maximumTransmitBuffers) { list in
            var count = 0
            while count < chunks.count, count < list.count {
                let chunk = chunks[count]
                guard chunk.head < chunk.tail else { break }
                list.initializeElement(at: count, to: UnsafeRawBufferPointer(rebasing: chunk.buffer.bytes[chunk.head..<chunk.tail]))
                count += 1
            }
            return body(UnsafeBufferPointer(rebasing: list[..<count]))
        }
    }

    mutating func didTransmit(_ count: Int) {
        precondition(count >= 0 && count <= sealedBytes, "no more was sent than there was")
        sealedBytes -= count
        var rest = count
        while !chunks.isEmpty {
            let sent = min(rest, chunks[0].tail - chunks[0].head)
            chunks[0].head += sent
            rest -= sent
            let isUsed = chunks[0].head < chunks[0].tail || (chunks.count == 1 && openCount > 0)
            if isUsed { break }
            if let chunk = chunks.popFirst() { pool.recycle(chunk.buffer) }
        }
    }

    /// Drops everything and gives the buffers back.
    mutating func discard() {
        while let chunk = chunks.popFirst() { pool.recycle(chunk.buffer) }
        openCount = 0
        sealedBytes = 0
    }
}
