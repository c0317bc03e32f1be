/// The name of a peer: the multihash of its public key (libp2p specs, peer-ids).
///
/// Identity multihash for keys whose protobuf has at most 42 bytes (Ed25519, secp256k1), SHA-256 for larger ones.
public struct PeerID: Hashable, Comparable, Sendable {
    /// The multihash: 34 bytes for SHA-256, 38 for an Ed25519 key.
    public let multihash: [UInt8]

    /// For multihashes that were checked or made here.
    init(uncheckedMultihash: [UInt8]) { multihash = uncheckedMultihash }

    /// The order of the bytes: both ends of a connection compute it alike.
    public static func < (a: PeerID, b: PeerID) -> Bool { a.multihash.lexicographicallyPrecedes(b.multihash) }
}
