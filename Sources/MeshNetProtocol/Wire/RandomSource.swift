import CSodium

/// Randomness as a value: a ChaCha20 key stream from a 32-byte seed.
///
/// Seeded from the kernel by the driver it is fit for keys; seeded by a test it replays bit for bit.
/// Each 512-byte refill replaces the key first, so that a later look at the memory does not tell earlier output.
package struct RandomSource: RandomNumberGenerator, Sendable {
    package static let seedByteCount = 32
    private static let blockByteCount = 512

    private var key: [UInt8]
    private var block: [UInt8] = []
    private var used = 0

    /// Precondition: the seed has 32 bytes.
    package init(seed: [UInt8]) {
        precondition(seed.count == Self.seedByteCount, "a random source is seeded with 32 bytes")
        key = seed
    }

    /// A source for tests and simulations, told apart by a number.
    package init(testSeed: UInt64) {
        var seed = [UInt8](repeating: 0, count: Self.seedByteCount)
        for index in 0..<8 { seed[index] = UInt8(truncatingIfNeeded: testSeed >> UInt64(8 * index)) }
        self.init(seed: seed)
    }

    package mutating func next() -> UInt64 {
        var value: UInt64 = 0
        for byte in bytes(8) { value = value << 8 | UInt64(byte) }
        return value
    }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(count)
        while output.count < count {
            if used == block.count { refill() }
            let take = min(count - output.count, block.count - used)
            output.append(contentsOf: block[used..<used + take])
            for index in used..<used + take { block[index] = 0 }
            used += take
        }
        return output
    }

    /// An independent source, so that one part's use of randomness does not shift another's.
    package mutating func fork() -> RandomSource { RandomSource(seed: bytes(Self.seedByteCount)) }

    private mutating func refill() {
        var stream = [UInt8](repeating: 0, count: Self.seedByteCount + Self.blockByteCount)
        let nonce = [UInt8](repeating: 0, count: Int(crypto_stream_chacha20_NONCEBYTES))
        _ = crypto_stream_chacha20(&stream, UInt64(stream.count), nonce, key)
        key = Array(stream[..<Self.seedByteCount])
        block = Array(stream[Self.seedByteCount...])
        used = 0
    }
}
