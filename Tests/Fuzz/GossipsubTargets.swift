import MeshNetProtocol

let gossipsubTargets: [FuzzTarget] = [
    FuzzTarget(name: "gossipsub-signed") { bytes in
        gossip(bytes, policy: .strictSign)
    },
    FuzzTarget(name: "gossipsub-unsigned") { bytes in
        // Without signatures made-up messages pass, and reach the mesh, the caches and the gossip behind them.
        gossip(bytes, policy: .strictNoSign)
    },
]

private struct Neighbours {
    let identity: KeyPair
    let peers: [PeerID]

    init() {
        var random = RandomSource(testSeed: 5)
        identity = KeyPair(random: &random)
        peers = (0..<4).map { _ in KeyPair(random: &random).peerID }
    }
}

private let neighbours = Neighbours()
private let versions = ["/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0", "/floodsub/1.0.0"]

/// The input is a sequence: a byte that says who and what, then the length of an RPC, then the RPC.
private func gossip(_ bytes: UnsafeRawBufferPointer, policy: GossipsubSignaturePolicy) {
    var configuration = GossipsubConfiguration()
    configuration.signaturePolicy = policy
    configuration.maximumMessageSize = 16_384
    var now = Instant.zero
    var router = Gossipsub(configuration: configuration, identity: neighbours.identity, random: RandomSource(testSeed: 6), now: now)
    for (index, peer) in neighbours.peers.enumerated() {
        router.addPeer(peer, protocolID: versions[index], direction: index % 2 == 0 ? .inbound : .outbound, address: [127, 0, 0, 1], now: now)
    }
    _ = try? router.subscribe("t", now: now)
    drain(&router, holdingForwards: false)

    var reader = ByteReader(bytes)
    while let step = try? reader.readByte() {
        let peer = neighbours.peers[Int(step & 3)]
        switch step >> 2 & 7 {
        case 0:
            now = now + .milliseconds(250 * Int(step >> 5) + 1)
            if let due = router.deadline, due <= now { router.handleTimeout(now: now) }
        case 1: try? router.publish(topic: "t", data: [step], now: now)
        case 2: router.queueFull(peer)
        case 3:
            router.removePeer(peer, now: now)
            router.addPeer(peer, protocolID: versions[Int(step >> 5) % versions.count], direction: .inbound, address: [127, 0, 0, 1], now: now)
        case 4:
            // Several together, as a read brings them.
            let length = Int((try? reader.readByte()) ?? 0)
            var rest = (try? reader.readView(length)) ?? reader.readRest()
            router.receive(LengthPrefixedFrames(limit: 16_384), &rest, from: peer, now: now)
        default:
            let length = Int((try? reader.readByte()) ?? 0)
            router.receive((try? reader.readView(length)) ?? reader.readRest(), from: peer, now: now)
        }
        drain(&router, holdingForwards: step & 0x10 != 0)
    }
}

private func drain(_ router: inout Gossipsub, holdingForwards: Bool) {
    while let action = router.poll(holdingForwards: holdingForwards) {
        guard case .send(_, let frames, _) = action else { continue }
        precondition(frames.each.count == frames.count, "frames are counted right")
        // What we send must be what a peer can read: length-prefixed RPCs within the limit.
        for frame in frames.each {
            frame.withBytes { bytes in
                var reader = ByteReader(bytes)
                let length = try? reader.readLength(limit: 16_384)
                precondition(length == reader.remaining, "a frame with a wrong length")
            }
        }
    }
}
