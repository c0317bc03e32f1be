import MeshNetProtocol

let protocolTargets: [FuzzTarget] = [
    FuzzTarget(name: "multistream") { bytes in
        // The first byte says how the rest is cut; the outcome must not depend on it.
        guard let cut = bytes.first.map({ Int($0) + 1 }) else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        let protocols = ["/meshsub/1.2.0", "/noise"]
        for start in [
            MultistreamNegotiation(listenerFor: protocols), MultistreamNegotiation(dialerFor: protocols, lazy: false),
            MultistreamNegotiation(dialerFor: [protocols[0]], lazy: true),
        ] {
            precondition(negotiate(start, rest, cut: cut) == negotiate(start, rest, cut: rest.count + 1))
        }
    },
    FuzzTarget(name: "yamux") { bytes in
        guard let cut = bytes.first.map({ Int($0) + 1 }) else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        for role in [YamuxRole.client, .server] { runYamux(role, rest, cut: cut) }
    },
    FuzzTarget(name: "gossipsub") { bytes in
        var router = Gossipsub(
            configuration: GossipsubConfiguration(), identity: identities[0], random: RandomSource(testSeed: 1), now: .zero)
        for identity in identities.dropFirst() {
            router.addPeer(identity.peerID, protocolID: "/meshsub/1.2.0", direction: .inbound, address: [10, 0, 0, 1], now: .zero)
        }
        _ = try? router.subscribe("foobar", now: .zero)
        router.receive(bytes, from: identities[1].peerID, now: .zero)
        drain(&router)
        // A backoff or a promise may do its harm only at a later heartbeat (CVE-2026-34219).
        for second in 1...3 {
            router.handleTimeout(now: .zero + .seconds(second))
            drain(&router)
        }
        router.removePeer(identities[1].peerID, now: .zero + .seconds(4))
        drain(&router)
    },
    FuzzTarget(name: "noise-handshake") { bytes in
        var random = RandomSource(testSeed: 2)
        for role in [NoiseHandshake.Role.initiator, .responder] {
            var handshake = NoiseHandshake(role: role, identity: identities[0], muxers: ["/yamux/1.0.0"], expectedPeer: nil, random: &random)
            while handshake.poll() != nil {}
            guard (try? handshake.receive(bytes)) != nil else { continue }
            while handshake.poll() != nil {}
            _ = try? handshake.receive(bytes)
            precondition(handshake.finish() == nil, "a handshake cannot end with bytes that were made without its keys")
        }
    },
]

private let identities: [KeyPair] = (1...3).compactMap { KeyPair(secret: [UInt8](repeating: $0, count: KeyPair.secretByteCount)) }

private struct Negotiated: Equatable {
    var output: [UInt8] = []
    var outcomes: [MultistreamAction] = []
    var taken = 0
    var failed = false
}

private func negotiate(_ start: MultistreamNegotiation, _ bytes: UnsafeRawBufferPointer, cut: Int) -> Negotiated {
    var negotiation = start, seen = Negotiated()
    func drain() {
        while let action = negotiation.poll() {
            if case .send(let bytes) = action { seen.output += bytes } else { seen.outcomes.append(action) }
        }
    }
    drain()
    while seen.taken < bytes.count, !negotiation.isFinished, !seen.failed {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[seen.taken..<min(seen.taken + cut, bytes.count)])
        do {
            let taken = try negotiation.receive(piece)
            precondition(taken <= piece.count && (taken == piece.count || negotiation.isFinished))
            seen.taken += taken
        } catch {
            // How much of a bad input was taken depends on the cut.
            seen.failed = true
            seen.taken = bytes.count
        }
        drain()
    }
    return seen
}

private func runYamux(_ role: YamuxRole, _ bytes: UnsafeRawBufferPointer, cut: Int) {
    var session = YamuxSession(role: role), now = Instant.zero, start = 0
    let limits = YamuxLimits()
    let region = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_024, alignment: 8)
    defer { region.deallocate() }
    _ = try? session.open(now: now)
    while start < bytes.count, !session.isOver {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + cut, bytes.count)])
        start += piece.count
        now = now + .milliseconds(10)
        session.receive(piece, now: now)
        while let action = session.poll() {
            switch action {
            case .data(let stream, let view):
                precondition(!view.isEmpty)
                session.consumed(stream, view.count, now: now)
            case .writable(let stream): _ = session.write(stream, UnsafeRawBufferPointer(region), into: region)
            case .ended(let stream): session.closeWrite(stream)
            case .opened, .reset, .closed, .finished: break
            }
        }
        precondition(session.inboundStreamCount <= limits.inboundStreams && session.outboundStreamCount <= limits.outboundStreams)
        // A peer that reads slowly: one region for each piece.
        precondition(session.writeControl(into: region, now: now) <= region.count)
    }
    while session.hasControl { precondition(session.writeControl(into: region, now: now) > 0) }
}

private func drain(_ router: inout Gossipsub) {
    while router.poll() != nil {}
}
