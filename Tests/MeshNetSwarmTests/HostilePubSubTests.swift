import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Abuse of the pubsub streams; what gossip itself makes of bad messages is tested with it.
@Suite struct HostilePubSubTests {
    private func subscription(_ topics: [String]) -> [UInt8] {
        var writer = ProtobufWriter()
        for topic in topics {
            var one = ProtobufWriter()
            one.integer(1, 1)
            one.text(2, topic)
            writer.bytes(1, one.bytes)
        }
        return Varint.encoded(UInt64(writer.bytes.count)) + writer.bytes
    }

    private func member(_ siege: Siege, topic: String = "t") throws -> SiegePeer {
        let peer = try #require(SiegePeer(dialling: siege))
        siege.pass(.milliseconds(1))
        peer.agreeToPubSub()
        peer.open("/meshsub/1.2.0", subscription([topic]))
        siege.pass(.milliseconds(1))
        return peer
    }

    @Test func hugeFramesAreRefusedByTheirLength() throws {
        let siege = Siege()
        let peer = try #require(SiegePeer(dialling: siege))
        for length in [UInt64(8 << 20) + 1, UInt64(UInt32.max), UInt64(Int64.max)] {
            peer.frames.removeAll()
            let id = peer.open("/meshsub/1.1.0", Varint.encoded(length))
            siege.pass(.milliseconds(1))
            #expect(peer.resets == [id])
            #expect(siege.swarm.connections[peer.connection]?.pubsubInput == nil)
        }
        let id = peer.open("/meshsub/1.1.0", [UInt8](repeating: 0xff, count: 10))
        siege.pass(.milliseconds(1))
        #expect(peer.resets.last == id)
    }

    @Test func anAnnouncedFrameTakesNoMemoryBeforeItsBytesCome() throws {
        let siege = Siege()
        let peer = try #require(SiegePeer(dialling: siege))
        peer.open("/meshsub/1.1.0", Varint.encoded(8 << 20) + [1, 2, 3])
        #expect(try #require(siege.swarm.connections[peer.connection]?.pubsubInput).frames.capacity <= 2_048)
    }

    @Test func aSecondPubSubStreamTakesThePlaceOfTheFirst() throws {
        let siege = Siege()
        let peer = try #require(SiegePeer(dialling: siege))
        let ids = (0..<50).map { _ in peer.open("/meshsub/1.1.0") }
        siege.pass(.milliseconds(1))
        #expect(peer.resets == Array(ids.dropLast()))
        #expect(siege.swarm.connections[peer.connection]?.streams.values.filter { $0 == .pubsubIn }.count == 1)
    }

    /// js-libp2p CVE-2026-46679: 349,525 topics in one frame, kept after the peer had gone.
    @Test func subscriptionFloodsAreBoundedAndFreedWithThePeer_CVE_2026_46679() throws {
        let siege = Siege()
        siege.perform(.subscribe("t"))
        let peer = try member(siege)
        let topics = (0..<60_000).map { "x\($0)" }
        let frame = subscription(topics)
        for start in stride(from: 0, to: frame.count, by: 60_000) {
            guard let id = siege.swarm.connections[peer.connection]?.pubsubInput?.stream.rawValue else { break }
            peer.seal(SiegePeer.data(id, Array(frame[start..<min(frame.count, start + 60_000)])))
        }
        for start in stride(from: 0, to: topics.count, by: 90) {
            guard let id = siege.swarm.connections[peer.connection]?.pubsubInput?.stream.rawValue else { break }
            peer.seal(SiegePeer.data(id, subscription(Array(topics[start..<min(topics.count, start + 90)]))))
        }
        let subscriptions = siege.events.filter { if case .subscription = $0 { true } else { false } }
        #expect(subscriptions.count <= 2 * siege.swarm.configuration.limits.topics)
        siege.end(peer.connection)
        siege.pass(.seconds(5))
        #expect(siege.remains == [])
        let ticket = siege.perform(.topicPeers("t"))
        guard case .success(.topicPeers(let left))? = siege.completions[ticket]?.first else {
            Issue.record("no answer")
            return
        }
        #expect(left.isEmpty)
    }

    /// A peer that never reads: its queue fills, the others hear everything in time, and it is let go.
    @Test func aPeerThatNeverReadsDelaysNobody() throws {
        let siege = Siege { $0.gossipsub.maximumMessageSize = 1 << 20 }
        siege.perform(.subscribe("t"))
        let good = try member(siege), bad = try member(siege)
        bad.reads = false
        siege.pass(.seconds(3))
        var sent = 0
        for round in 0..<60 {
            siege.perform(.publish(topic: "t", data: [UInt8(round)] + [UInt8](repeating: 0, count: 900_000)))
            good.grantCredit()
            for _ in 0..<6 {
                siege.pass(.milliseconds(10))
                good.grantCredit()
            }
            sent += 1
        }
        let heard = good.frames.filter { $0.header.type == .data }.reduce(0) { $0 + $1.body.count }
        #expect(heard > sent * 900_000, "\(heard)")
        let link = try #require(siege.swarm.peers[bad.peer]?.pubsub)
        #expect(link.queuedBytes <= PubSubLink.maximumQueuedBytes)
        #expect(link.queuedMessages <= PubSubLink.maximumQueuedMessages)
        #expect(siege.swarm.pool.outstanding < 32)
        siege.pass(.seconds(60))
        #expect(bad.isCutOff)
    }

    @Test func queuesAreBoundedInFramesAndBytes() {
        var link = PubSubLink()
        let large = GossipsubFrames(SharedBytes([UInt8](repeating: 0, count: 1 << 20)))
        var frames = 0
        while link.enqueue(large, .forward) == 1 { frames += 1 }
        #expect(frames == 32)
        var control = PubSubLink()
        let ids = GossipsubFrames(SharedBytes([UInt8](repeating: 0, count: 60_000)))
        var taken = 0
        while control.enqueue(ids, .control) == 1 { taken += 1 }
        #expect(taken * 60_000 <= PubSubLink.maximumQueuedControlBytes)
        #expect(taken > 10)
        // Control does not take the room of messages, nor the other way round.
        let ownFits = control.enqueue(large, .own), controlFits = link.enqueue(GossipsubFrames(SharedBytes([1])), .control)
        #expect(ownFits == 1 && controlFits == 1)
        while control.hasMore { control.written = control.current?.count ?? 0 }
        #expect(control.queuedBytes == 0 && control.queuedControlBytes == 0)
    }

    /// A peer that resets our stream again and again and opens its own anew gets no queue that nothing empties.
    @Test func framesAreNotQueuedForAPeerThatTakesNoStream() throws {
        let siege = Siege()
        siege.perform(.subscribe("t"))
        let peer = try #require(SiegePeer(dialling: siege))
        for _ in 0..<40 {
            siege.pass(.milliseconds(5))
            for (header, body) in peer.frames where header.streamID % 2 == 0 && String(decoding: body, as: UTF8.self).contains("/meshsub/1.2.0") {
                peer.seal(SiegePeer.data(header.streamID, [], .rst))
            }
            peer.frames.removeAll()
            peer.open("/meshsub/1.2.0", subscription(["t"]))
        }
        let link = try #require(siege.swarm.peers[peer.peer]?.pubsub)
        for round in 0..<100 { siege.perform(.publish(topic: "t", data: [UInt8(round)] + [UInt8](repeating: 1, count: 10_000))) }
        #expect(link.reopenings <= PubSubLink.maximumReopenings)
        #expect(try #require(siege.swarm.peers[peer.peer]?.pubsub).queuedBytes == 0)
        #expect(siege.swarm.peers[peer.peer]?.pubsub.isAdded == false)
    }

    @Test(arguments: 0..<40) func garbageOnThePubSubStreamTrapsNothing(seed: UInt64) throws {
        let siege = Siege(seed: seed)
        siege.perform(.subscribe("t"))
        let peer = try member(siege)
        var random = RandomSource(testSeed: seed)
        for _ in 0..<50 {
            guard let id = siege.swarm.connections[peer.connection]?.pubsubInput?.stream.rawValue else { break }
            let body = random.bytes(Int.random(in: 0...300, using: &random))
            peer.seal(SiegePeer.data(id, Varint.encoded(UInt64(body.count)) + body))
        }
        siege.pass(.seconds(5))
        siege.end(peer.connection)
        siege.pass(.seconds(5))
        #expect(siege.remains == [], "seed \(seed)")
    }
}

extension SiegePeer {
    /// Opens the window of every stream of the victim again.
    func grantCredit() {
        let streams = Set(frames.filter { $0.header.streamID % 2 == 0 && $0.header.type == .data }.map(\.header.streamID))
        seal(streams.sorted().flatMap { Self.encode(YamuxHeader(.windowUpdate, [], stream: $0, length: 1 << 20)) })
    }
}
