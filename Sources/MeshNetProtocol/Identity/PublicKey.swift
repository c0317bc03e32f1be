import CSodium

/// A peer's public key of any type that libp2p peers may have (libp2p specs, peer-ids, "Keys").
public struct PublicKey: Hashable, Sendable {
    public enum KeyType: UInt8, Sendable, CaseIterable {
        case rsa = 0, ed25519 = 1, secp256k1 = 2, ecdsa = 3
    }

    public let type: KeyType
    /// The key in the form of its type: 32 raw bytes for Ed25519, 33 compressed for secp256k1, DER for RSA and ECDSA.
    public let data: [UInt8]

    init(type: KeyType, data: [UInt8]) {
        self.type = type
        self.data = data
    }

    /// The canonical protobuf: `{type = 1, data = 2}`.
    package var protobuf: [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: data.count + 8)
        writer.integer(1, UInt64(type.rawValue))
        writer.bytes(2, data)
        return writer.bytes
    }

    public var peerID: PeerID {
        let encoded = protobuf
        if encoded.count <= 42 { return PeerID(uncheckedMultihash: [0x00, UInt8(encoded.count)] + encoded) }
        var digest = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_BYTES))
        _ = crypto_hash_sha256(&digest, encoded, UInt64(encoded.count))
        return PeerID(uncheckedMultihash: [0x12, 0x20] + digest)
    }
}
