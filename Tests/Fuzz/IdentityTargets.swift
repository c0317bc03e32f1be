import MeshNetProtocol

/// Whoever takes bytes as one thing must write the same bytes for it, or two peers could disagree on an identity.
let identityTargets: [FuzzTarget] = [
    FuzzTarget(name: "public-key") { bytes in
        guard let key = try? PublicKey(protobuf: bytes) else { return }
        precondition(key.protobuf.elementsEqual(bytes))
        _ = key.verify(signature: [UInt8](bytes.suffix(64)), of: [UInt8](bytes.prefix(32)))
    },
    FuzzTarget(name: "key-file") { bytes in
        guard let pair = try? KeyPair(protobuf: [UInt8](bytes)) else { return }
        guard let again = try? KeyPair(protobuf: pair.protobuf) else { preconditionFailure("our own key file is refused") }
        precondition(again.peerID == pair.peerID)
    },
    FuzzTarget(name: "peer-id-bytes") { bytes in
        guard let peer = try? PeerID(multihash: bytes) else { return }
        precondition(peer.multihash.elementsEqual(bytes))
        precondition((try? PeerID(peer.description)) == peer)
    },
    FuzzTarget(name: "peer-id-text") { bytes in
        guard let peer = try? PeerID(String(decoding: bytes, as: UTF8.self)) else { return }
        precondition((try? PeerID(peer.description)) == peer)
        precondition((try? PeerID(multihash: peer.multihash)) == peer)
    },
    FuzzTarget(name: "multiaddr-bytes") { bytes in
        guard let address = try? Multiaddr(bytes: bytes) else { return }
        precondition(address.bytes.elementsEqual(bytes))
        precondition((try? Multiaddr(address.description)) == address)
    },
    FuzzTarget(name: "multiaddr-text") { bytes in
        guard let address = try? Multiaddr(String(decoding: bytes, as: UTF8.self)) else { return }
        precondition((try? Multiaddr(address.description)) == address)
        precondition((try? Multiaddr(bytes: address.bytes)) == address)
        _ = address.components
    },
]
