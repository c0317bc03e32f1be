/// Assembles frames with an unsigned-varint length prefix from bytes cut anywhere.
///
/// Memory follows the bytes that arrived, never the announced length: at most twice the bytes of the frame in hand, and never beyond the limit.
package struct LengthPrefixedFrames: Sendable {
    /// First allocation for a frame in bytes: most control messages fit, and an announced length alone costs no more.
    private static let firstCapacity = 1_024

    /// Longest frame in bytes, without its prefix.
    package let limit: Int

    private var prefix: UInt64 = 0
    private var prefixBytes = 0
    private var announced: Int?
    private var frame: [UInt8] = []

    /// Precondition: `limit` is not negative.
    package init(limit: Int) {
        precondition(limit >= 0, "a frame has no negative length")
        self.limit = limit
    }

    /// True between two frames: the stream may end here.
    package var isBetweenFrames: Bool { announced == nil && prefixBytes == 0 }

    /// Bytes held for the frame in hand.
    package var bufferedByteCount: Int { frame.count }

    /// Bytes allocated for it.
    package var capacity: Int { frame.capacity }

    /// Takes bytes until a frame is complete and returns it, leaving the rest in `bytes`; nil when more are needed.
    ///
    /// Call until nil. After an error the stream cannot be read on: reset it.
    package mutating func next(_ bytes: inout UnsafeRawBufferPointer) throws(WireError) -> [UInt8]? {
        while announced == nil {
            guard let byte = bytes.first else { return nil }
            bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
            try takePrefix(byte)
        }
        guard let announced else { return nil }
        let take = min(announced - frame.count, bytes.count)
        reserve(frame.count + take, of: announced)
        frame.append(contentsOf: bytes.prefix(take))
        bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(take))
        guard frame.count == announced else { return nil }
        defer {
            self.announced = nil
            frame = []
        }
        return frame
    }

    /// The next frame where it lies, if it lies whole in `bytes` and none is in hand; then `bytes` begins behind it. nil: `next` knows more.
    package func nextInPlace(_ bytes: inout UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard isBetweenFrames else { return nil }
        var reader = ByteReader(bytes)
        guard let length = try? reader.readVarint(), length <= UInt64(min(limit, reader.remaining)) else { return nil }
        let start = reader.offset, end = start + Int(length)
        defer { bytes = UnsafeRawBufferPointer(rebasing: bytes[end...]) }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    private mutating func takePrefix(_ byte: UInt8) throws(WireError) {
        prefix |= UInt64(byte & 0x7f) << UInt64(7 * prefixBytes)
        prefixBytes += 1
        if byte & 0x80 != 0 {
            guard prefixBytes < Varint.maximumByteCount else { throw .varintTooLong }
            return
        }
        if byte == 0, prefixBytes > 1 { throw .varintNotMinimal }
        guard let length = Int(exactly: prefix), length <= limit else { throw .tooLarge(announced: prefix, limit: limit) }
        announced = length
        prefix = 0
        prefixBytes = 0
    }

    private mutating func reserve(_ needed: Int, of announced: Int) {
        guard needed > frame.capacity else { return }
        frame.reserveCapacity(min(announced, max(needed, 2 * frame.capacity, Self.firstCapacity)))
    }
}
