import CSodium

/// An Ed25519 key pair: the identity of a node. Copies share one secret, which is wiped when the last copy goes.
public struct KeyPair: Sendable {
    public static let secretByteCount = 32

    private let secret: SecretKey
    public let publicKey: PublicKey

    /// The pair that belongs to a 32-byte Ed25519 seed; nil for any other length.
    public init?(secret seed: [UInt8]) {
        guard seed.count == Self.secretByteCount else { return nil }
        var publicBytes = [UInt8](repeating: 0, count: Int(crypto_sign_PUBLICKEYBYTES))
        secret = SecretKey { expanded in
            _ = crypto_sign_seed_keypair(&publicBytes, expanded, seed)
        }
        publicKey = PublicKey(type: .ed25519, data: publicBytes)
    }

    package init(random: inout RandomSource) {
        self.init(secret: random.bytes(Self.secretByteCount))!
    }

    public var peerID: PeerID { publicKey.peerID }

    /// The 32-byte seed. Handle with care: it is the node's identity.
    public var secretBytes: [UInt8] { secret.withBytes { Array($0[..<Self.secretByteCount]) } }

    /// A 64-byte Ed25519 signature.
    package func sign(_ message: [UInt8]) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: Int(crypto_sign_BYTES))
        secret.withBytes { expanded in
            _ = crypto_sign_detached(&signature, nil, message, UInt64(message.count), expanded.baseAddress!)
        }
        return signature
    }
}

/// The 64 bytes of an expanded Ed25519 secret, in one place and wiped at the end.
private final class SecretKey: Sendable {
    private nonisolated(unsafe) let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 64)

    init(_ fill: (UnsafeMutablePointer<UInt8>) -> Void) { fill(bytes) }

    func withBytes<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        body(UnsafeBufferPointer(start: bytes, count: 64))
    }

    deinit {
        sodium_memzero(bytes, 64)
        bytes.deallocate()
    }
}
