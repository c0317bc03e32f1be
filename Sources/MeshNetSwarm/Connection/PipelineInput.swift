import MeshNetProtocol

/// The received bytes of one connection that are not used up: at most one pooled buffer, none while nothing waits.
///
/// Bytes are decrypted where they lie, and only the unfinished frame at the end is ever moved, to the front, before the next read. During a bulk transfer
/// a read asks for as many bytes as end with a full frame, so that mostly nothing is left to move.
struct PipelineInput {
    /// A read that brought so many bytes is part of a bulk transfer: the next one gets a bulk buffer. Bytes.
    static let bulkThreshold = 61_440
    /// A read that brought fewer ends the bulk transfer. Between the two nothing changes, so that sizes do not flap. Bytes.
    static let quietThreshold = 16_384
    /// Smallest space offered to a read. Bytes.
    static let smallestSpace = 65_536

    private let pool: BufferPool
    private var buffer: PooledBuffer?
    private var start = 0
    private var end = 0
    private var isBulk = false

    init(pool: BufferPool) { self.pool = pool }

    /// Received and not used up.
    var unread: UnsafeMutableRawBufferPointer {
        guard let buffer else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        return UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[start..<end])
    }

    mutating func space() -> UnsafeMutableRawBufferPointer {
        let rest = unread
        let wanted: BufferPool.Size = isBulk || rest.count + Self.smallestSpace > BufferPool.Size.frame.byteCount ? .bulk : .frame
        if let current = buffer, current.size == wanted || current.size == .bulk {
            if start > 0, !rest.isEmpty { current.bytes.copyMemory(from: UnsafeRawBufferPointer(rest)) }
            (start, end) = (0, rest.count)
            return room(in: current)
        }
        let larger = pool.take(wanted)
        larger.bytes.copyMemory(from: UnsafeRawBufferPointer(rest))
        if let buffer { pool.recycle(buffer) }
        buffer = larger
        (start, end) = (0, rest.count)
        return room(in: larger)
    }

    /// What is behind the bytes that are there, up to the end of the last full frame that fits.
    private func room(in buffer: PooledBuffer) -> UnsafeMutableRawBufferPointer {
        let behind = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[end...])
        guard isBulk, end != 1 else { return behind }
        let length = end == 0 ? 0 : NoiseFrame.lengthPrefix + Int(UInt16(bigEndian: buffer.bytes.loadUnaligned(as: UInt16.self)))
        let missing = length - end, full = NoiseFrame.lengthPrefix + NoiseFrame.maximumMessage
        guard missing >= 0, missing < behind.count else { return behind }
        return UnsafeMutableRawBufferPointer(rebasing: behind[..<(missing + (behind.count - missing) / full * full)])
    }

    /// The new bytes. Precondition: no more than the space last given.
    mutating func received(_ count: Int) -> UnsafeMutableRawBufferPointer {
        guard let buffer, count > 0 else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        precondition(count <= buffer.count - end, "more bytes than the space had")
        if count >= Self.bulkThreshold { isBulk = true }
        if count < Self.quietThreshold { isBulk = false }
        defer { end += count }
        return UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[end..<end + count])
    }

    mutating func consume(_ count: Int) { start += count }

    mutating func discard() { start = end }

    /// Gives the buffer back when nothing in it waits; views into it end here.
    mutating func releaseIfEmpty() {
        guard start == end, let buffer else { return }
        pool.recycle(buffer)
        self.buffer = nil
        (start, end) = (0, 0)
    }
}
