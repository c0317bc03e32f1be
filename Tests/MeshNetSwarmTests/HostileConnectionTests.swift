import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Who floods the door, never finishes, or comes and goes.
@Suite struct HostileConnectionTests {
    // MARK: Floods (CVE-2022-23486, -23487, -23492)

    @Test func connectionsOfTheNodeAreBounded() {
        let siege = Siege { $0.limits.connections = 40; $0.limits.inboundConnectionsPerAddress = 1_000 }
        let attackers = (0..<200).compactMap { SiegePeer(dialling: siege, from: [1, 2, 3, UInt8($0 % 250)]) }
        #expect(siege.swarm.connections.count <= 40)
        #expect(attackers.count <= 40)
        #expect(attackers.filter(\.isEstablished).count == attackers.count)
    }

    @Test func inboundFloodsLeaveRoomForOurOwnDials() throws {
        let siege = Siege { $0.limits.connections = 40; $0.limits.inboundConnectionsPerAddress = 1_000 }
        for index in 0..<200 { _ = SiegePeer(dialling: siege, from: [1, 2, 3, UInt8(index)]) }
        siege.perform(.connect(try Multiaddr("/ip4/9.9.9.9/tcp/1")))
        #expect(siege.connects.count == 1)
    }

    @Test func unfinishedHandshakesAreBoundedAndFreed() {
        let siege = Siege { $0.limits.pendingInboundConnections = 16 }
        let admitted = (0..<1_000).compactMap { siege.accept(from: [1, 2, UInt8($0 / 250), UInt8($0 % 250)]) }
        #expect(admitted.count == 16)
        siege.pass(.seconds(16))
        #expect(siege.remains == [])
        #expect(siege.closedSockets == Set(admitted))
        #expect(siege.accept(from: [1, 2, 3, 4]) != nil)
    }

    @Test func oneAddressHasFewConnections() {
        let siege = Siege()
        #expect((0..<100).compactMap { _ in siege.accept(from: [7, 7, 7, 7]) }.count == 8)
        // One IPv6 /56, and the same IPv4 address in its IPv6 form.
        #expect((0..<100).compactMap { siege.accept(from: [0x20, 1, 2, 3, 4, 5, 6, UInt8($0)] + [UInt8](repeating: 9, count: 8)) }.count == 8)
        #expect(siege.accept(from: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 7, 7, 7, 7]) == nil)
        siege.pass(.seconds(16))
        #expect(siege.remains == [])
    }

    /// litep2p had no time limit in its Noise handshake.
    @Test(arguments: 0..<6) func handshakesThatStopAnywhereAreEnded(stage: Int) throws {
        let siege = Siege(seed: UInt64(stage))
        let id = try #require(siege.accept(from: [1, 1, 1, 1]))
        let hello = Array("\u{13}/multistream/1.0.0\n\u{7}/noise\n".utf8)
        siege.feed(id, [[], [19], hello, hello + [0], hello + [0, 32], hello + [0, 32] + siege.random.bytes(32)][stage])
        siege.pass(.seconds(14))
        #expect(siege.swarm.connections.count == 1)
        siege.pass(.seconds(2))
        #expect(siege.remains == [])
    }

    // MARK: Garbage (py-libp2p #417: the listener died on bad input)

    @Test(arguments: 0..<64) func garbageEndsOneConnectionAndNothingElse(seed: UInt64) throws {
        let siege = Siege(seed: seed) { if seed % 3 == 0 { $0.preSharedKey = PreSharedKey(bytes: [UInt8](repeating: 1, count: 32)) } }
        let id = try #require(siege.accept(from: [1, 1, 1, 1]))
        let hello: [[UInt8]] = [[], Array("\u{13}/multistream/1.0.0\n".utf8), Array("\u{13}/multistream/1.0.0\n\u{7}/noise\n".utf8)]
        siege.feed(id, hello[Int(seed) % 3] + siege.random.bytes(Int.random(in: 1...70_000, using: &siege.random)))
        siege.pass(.seconds(20))
        #expect(siege.remains == [], "seed \(seed)")
        #expect(siege.accept(from: [1, 1, 1, 1]) != nil, "seed \(seed)")
    }

    @Test(arguments: 0..<64) func garbageInsideTheChannelEndsOneConnection(seed: UInt64) throws {
        let siege = Siege(seed: seed)
        let good = try #require(SiegePeer(dialling: siege)), bad = try #require(SiegePeer(dialling: siege))
        #expect(good.isEstablished && bad.isEstablished)
        if seed % 2 == 0 {
            bad.seal(siege.random.bytes(Int.random(in: 1...20_000, using: &siege.random)), frame: Int.random(in: 1...3_000, using: &siege.random))
        } else {
            bad.send(siege.random.bytes(70_000))
        }
        siege.pass(.seconds(2))
        #expect(!good.isCutOff, "seed \(seed)")
        #expect(siege.connected.contains(good.peer), "seed \(seed)")
        if seed % 2 == 1 { #expect(bad.isCutOff, "seed \(seed)") }
    }

    // MARK: Coming and going (webtransport-go CVE-2026-21438, litep2p connection counters)

    @Test func tenThousandConnectionsLeaveNothingBehind() throws {
        // The rate would turn most of them away.
        let siege = Siege { $0.limits.inboundRatePerAddress = 0 }
        siege.keepsHistory = false
        let identities = (0..<8).map { _ in KeyPair(random: &siege.random) }
        for round in 0..<10_000 {
            // Every twentieth comes as far as a peer, the others stop before.
            if round % 20 == 0 {
                let peer = try #require(SiegePeer(dialling: siege, identity: identities[round / 20 % 8]))
                #expect(peer.isEstablished)
                siege.end(peer.connection, round % 40 == 0 ? .endOfStream : .failed(errno: 104))
            } else {
                let id = try #require(siege.accept(from: [1, 2, UInt8(round % 250), 4]))
                if round % 2 == 0 { siege.feed(id, [19]) }
                siege.end(id)
            }
        }
        #expect(siege.swarm.timers.count < 4_096, "\(siege.swarm.timers.count) timers")
        siege.pass(.seconds(60))
        #expect(siege.remains == [])
        #expect(siege.swarm.timers.count < 16, "\(siege.swarm.timers.count) timers")
    }

    @Test func pingStormsDoNotFillTheTimerQueue() throws {
        let siege = Siege()
        let peer = try #require(SiegePeer(dialling: siege))
        siege.pass(.milliseconds(10))
        for _ in 0..<2_000 {
            let ticket = siege.perform(.ping(peer.peer))
            siege.pass(.microseconds(10))
            peer.echoPings()
            siege.pass(.microseconds(10))
            guard case .success(.roundTrip)? = siege.completions[ticket]?.first else {
                Issue.record("no answer to a ping")
                return
            }
        }
        #expect(siege.swarm.timers.count < 100, "\(siege.swarm.timers.count) timers")
    }

    // MARK: One identity, many connections

    @Test func connectionsOfOnePeerAreBounded() throws {
        let siege = Siege()
        let identity = KeyPair(random: &siege.random)
        for _ in 0..<50 { _ = try #require(SiegePeer(dialling: siege, identity: identity)) }
        #expect(try #require(siege.swarm.peers[identity.peerID]).connections.count <= 8)
        siege.pass(.seconds(3))
        #expect(siege.swarm.connections.count == 1)
        #expect(siege.connected == [identity.peerID])
        #expect(siege.swarm.connections[try #require(siege.swarm.peers[identity.peerID]).primary]?.phase == .established)
    }

    @Test func aPeerWithOneConnectionAllowedKeepsOne() throws {
        let siege = Siege { $0.limits.connectionsPerPeer = 1 }
        let identity = KeyPair(random: &siege.random)
        for _ in 0..<5 {
            _ = try #require(SiegePeer(dialling: siege, identity: identity))
            let primary = try #require(siege.swarm.peers[identity.peerID]).primary
            #expect(siege.swarm.connections[primary]?.phase == .established)
        }
        siege.pass(.seconds(5))
        #expect(siege.connected == [identity.peerID])
    }

    /// The end of a session that overflows in the same turn in which its connection is given up for a newer one was never read, and the next bytes
    /// from the socket met a precondition.
    @Test func aDuplicateThatDoesNotReadIsClosedWithoutATrap() throws {
        let siege = Siege { $0.limits.streamsPerConnection = 8 }
        // Of two connections in both directions the smaller id's dial is kept: ours.
        var identity = KeyPair(random: &siege.random)
        while identity.peerID < siege.swarm.localPeer { identity = KeyPair(random: &siege.random) }
        siege.perform(.connect(try Multiaddr("/ip4/9.9.9.9/tcp/1")))
        let first = try #require(SiegePeer(answering: siege, identity: identity))
        siege.pass(.milliseconds(1))
        first.agreeToPubSub()
        siege.perform(.ping(identity.peerID))
        siege.pass(.milliseconds(1))
        first.echoPings()
        first.reads = false
        first.fillControlQueue()
        #expect(siege.swarm.connections[first.connection]?.pipeline?.session.control.count == 4_096)
        siege.pass(.milliseconds(1))
        let second = try #require(SiegePeer(dialling: siege, identity: identity))
        siege.pass(.milliseconds(2_100))
        #expect(siege.swarm.peers[identity.peerID]?.primary == second.connection)
        first.send([0])
        siege.pass(.seconds(2))
        #expect(first.isCutOff && !second.isCutOff)
    }

    // MARK: Peers that neither read nor leave

    @Test func aPeerThatStopsReadingIsLetGo() throws {
        let siege = Siege { $0.pingInterval = .zero }
        let peer = try #require(SiegePeer(dialling: siege))
        siege.pass(.milliseconds(10))
        peer.reads = false
        for _ in 0..<200 { peer.open("/ipfs/id/1.0.0", ends: true) }
        #expect(siege.swarm.pool.outstanding < 16)
        siege.pass(.seconds(60))
        #expect(peer.isCutOff)
        #expect(siege.remains == [])
    }

    @Test func aPeerThatIsCutOffButNeverReadsIsForgotten() throws {
        let siege = Siege { $0.pingInterval = .zero }
        let peer = try #require(SiegePeer(dialling: siege))
        // Until every timer of the connection's youth is gone.
        siege.pass(.seconds(200))
        peer.reads = false
        peer.fillOutput()
        // The greeting of a negotiation, owed at the end of the turn, is what does not fit any more.
        peer.seal(SiegePeer.data(peer.newStream(), [], .syn))
        siege.pass(.seconds(60))
        #expect(peer.isCutOff)
        #expect(siege.remains == [])
    }
}

extension SiegePeer {
    /// Sends back what the victim pings with.
    func echoPings() {
        let hello = line("/multistream/1.0.0") + line("/ipfs/ping/1.0.0")
        let seen = frames
        frames.removeAll()
        for (header, body) in seen where header.type == .data && !body.isEmpty {
            // The proposal is its own answer, and what comes behind it is echoed.
            if body.starts(with: hello) { pingStreams.insert(header.streamID) }
            if pingStreams.contains(header.streamID) { seal(Self.data(header.streamID, body)) }
        }
    }

    /// Streams beyond a limit of eight, each answered with a reset, until no further control frame fits.
    func fillControlQueue() {
        for _ in 0..<8 { open("/ipfs/id/1.0.0") }
        fillOutput()
        for _ in 0..<400 where !isCutOff {
            let waiting = siege.swarm.connections[connection]?.pipeline?.session.control.count ?? 0
            guard waiting < 4_096 else { return }
            let count = min(4_096 - waiting, 1_000)
            seal((0..<count).flatMap { _ in Self.encode(YamuxHeader(.windowUpdate, .syn, stream: newStream(), length: 0)) })
        }
    }

    /// Asks for yamux pongs until the victim's send buffer and its reserve are full.
    func fillOutput() {
        for _ in 0..<1_500 {
            let queued = siege.swarm.connections[connection]?.pipeline?.output.queuedBytes ?? .max
            guard queued < siege.swarm.configuration.limits.sendBuffer + ConnectionPipeline.sendReserve else { return }
            seal((0..<32).flatMap { Self.encode(YamuxHeader(.ping, .syn, stream: 0, length: UInt32($0))) })
        }
    }

    /// Agrees to the victim's pubsub stream.
    func agreeToPubSub() {
        for (header, body) in frames where String(decoding: body, as: UTF8.self).contains("/meshsub/1.2.0") {
            seal(Self.data(header.streamID, line("/multistream/1.0.0") + line("/meshsub/1.2.0")))
        }
    }
}
