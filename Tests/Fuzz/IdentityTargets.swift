import MeshNetProtocol

let identityTargets: [FuzzTarget] = [
    FuzzTarget(name: "peer-id-text") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        guard let peer = try? PeerID(text) else { return }
        precondition((try? PeerID(peer.description)) == peer)
        precondition((try? PeerID(peer.base32)) == peer)
        precondition((try? PeerID(peer.base36)) == peer)
        precondition((try? PeerID(multihash: peer.multihash)) == peer)
        if let key = peer.publicKey { precondition(key.peerID == peer) }
    },
    FuzzTarget(name: "multibase") { bytes in
        guard let value = Multibase.decode(bytes) else { return }
        for base in Multibase.allCases where value.count <= 128 {
            precondition(Multibase.decode(base.encode(value).utf8) == value)
        }
    },
    FuzzTarget(name: "public-key") { bytes in
        // The first byte says where a signature ends and the key begins, so that verification is reached too.
        guard let first = bytes.first.map({ Int($0) }), bytes.count > first else { return }
        let signature = UnsafeRawBufferPointer(rebasing: bytes[1..<1 + min(first, bytes.count - 1)])
        let encoded = UnsafeRawBufferPointer(rebasing: bytes[(1 + signature.count)...])
        guard let key = try? PublicKey(protobuf: encoded) else { return }
        precondition(key.protobuf.elementsEqual(encoded))
        precondition((try? PeerID(multihash: key.peerID.multihash)) == key.peerID)
        _ = key.verify(signature: signature, of: encoded)
    },
    FuzzTarget(name: "key-files") { bytes in
        if let pair = try? KeyPair(protobuf: [UInt8](bytes)) { precondition((try? KeyPair(protobuf: pair.protobuf))?.peerID == pair.peerID) }
        if let key = try? PreSharedKey(keyFile: [UInt8](bytes)) { precondition((try? PreSharedKey(keyFile: key.keyFile)) == key) }
    },
    FuzzTarget(name: "envelope") { bytes in
        // Random bytes hold no good signature: the record inside is fuzzed by itself, and sealed again.
        _ = try? PeerRecord(envelope: [UInt8](bytes))
        guard let record = try? PeerRecord(payload: [UInt8](bytes)) else { return }
        precondition((try? PeerRecord(payload: record.payload)) == record)
    },
    FuzzTarget(name: "identify") { bytes in
        guard let cut = bytes.first.map({ Int($0) + 1 }) else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        let message = identify(rest, cut: cut)
        precondition(message == identify(rest, cut: rest.count + 1))
        guard let message else { return }
        precondition(message.protocols.count <= IdentifyMessage.maximumProtocols)
        precondition(message.listenAddresses.count <= IdentifyMessage.maximumAddresses)
        _ = message.frames
    },
]

let addressTargets: [FuzzTarget] = [
    FuzzTarget(name: "multiaddr-text") { bytes in
        guard let address = try? Multiaddr(String(decoding: bytes, as: UTF8.self)) else { return }
        checkRoundTrip(address)
    },
    FuzzTarget(name: "multiaddr-bytes") { bytes in
        guard let address = try? Multiaddr(bytes: [UInt8](bytes)) else { return }
        precondition(address.bytes.elementsEqual(bytes))
        checkRoundTrip(address)
    },
    FuzzTarget(name: "bootstrap-address") { bytes in
        switch BootstrapAddress(parsing: String(decoding: bytes, as: UTF8.self)) {
        case .address(let address): checkRoundTrip(address)
        case .reinterpreted(let address, let reason):
            checkRoundTrip(address)
            checkReason(reason)
        case .unusable(let reason): checkReason(reason)
        }
    },
]

private func checkRoundTrip(_ address: Multiaddr) {
    precondition((try? Multiaddr(address.description)) == address)
    precondition((try? Multiaddr(bytes: address.bytes)) == address)
    precondition(Multiaddr(address.components) == address)
    precondition(address.decapsulating(address) == nil)
    if let peer = address.peerID, let rest = address.withoutPeerID, rest != address { precondition(rest.appending(peer) == address) }
}

/// One short sentence on one line, whatever was typed.
private func checkReason(_ reason: String) {
    precondition(reason.utf8.count < 4_096 && reason.hasSuffix("."))
    precondition(!reason.utf8.contains(UInt8(ascii: "\n")))
}

private func identify(_ bytes: UnsafeRawBufferPointer, cut: Int) -> IdentifyMessage? {
    var reader = IdentifyReader(), start = 0
    while start < bytes.count {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + cut, bytes.count)])
        start += piece.count
        do { try reader.receive(piece) } catch { return nil }
    }
    return try? reader.finish()
}
