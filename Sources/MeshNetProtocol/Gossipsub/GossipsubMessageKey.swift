import CSodium

/// Stands for a message id of any length: its 128-bit SipHash under a secret of this node, so that nobody can make two ids collide.
struct GossipsubMessageKey: Hashable, Sendable {
    let low: UInt64
    let high: UInt64

    func hash(into hasher: inout Hasher) { hasher.combine(low) }
}

struct GossipsubKeyMaker: Sendable {
    private let secret: [UInt8]
    private let hash = SHA256Context()

    init(random: inout RandomSource) { secret = random.bytes(Int(crypto_shorthash_siphashx24_KEYBYTES)) }

    func key(_ id: UnsafeRawBufferPointer) -> GossipsubMessageKey {
        var result: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &result) { output in
            _ = crypto_shorthash_siphashx24(
                output.baseAddress!.assumingMemoryBound(to: UInt8.self), id.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(id.count), secret)
        }
        return GossipsubMessageKey(low: result.0, high: result.1)
    }

    /// SHA-256: the id of a message by its payload.
    func contentHash(_ payload: UnsafeRawBufferPointer, into id: inout [UInt8]) {
        if id.count != SHA256.byteCount { id = [UInt8](repeating: 0, count: SHA256.byteCount) }
        id.withUnsafeMutableBytes { hash.digest(payload, into: $0) }
    }

    func key(_ id: [UInt8]) -> GossipsubMessageKey { id.withUnsafeBytes { key($0) } }
}
