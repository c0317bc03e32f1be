import Testing
import TestSupport
@testable import MeshNetProtocol

/// What a hostile peer may try: after the spam tests of go-libp2p-pubsub, and the advisories of others.
@Suite struct GossipsubAttackTests {
    private let attacker = GossipBench.peer(100)
    private let author = KeyPair.test(101)

    private func bench(_ configure: (inout GossipsubConfiguration) -> Void = { _ in }) throws -> GossipBench {
        var bench = GossipBench(configure)
        try bench.subscribe("t")
        bench.add(attacker, topics: ["t"])
        bench.forget()
        return bench
    }

    private func ids(_ range: Range<Int>) -> [[UInt8]] { range.map { [UInt8($0 >> 16), UInt8($0 >> 8 & 255), UInt8($0 & 255)] } }

    @Test func iwantSpamIsServedThreeTimes() throws {
        var bench = try bench()
        let message = OwnedRPC.Message.signed([1, 2, 3], topic: "t", by: author, sequence: 1)
        let other = GossipBench.peer(50)
        bench.add(other)
        bench.receive(from: other) { $0.messages = [message] }
        bench.forget()
        for _ in 0..<50 { bench.receive(from: attacker) { $0.want = [[message.id]] } }
        #expect(bench.messages(to: attacker) == 3)
        #expect(bench.machine.counters[.excessIWant] == 47)
    }

    @Test func ihaveSpamIsBoundedAndBrokenPromisesCount() throws {
        var bench = try bench()
        for round in 0..<20 { bench.receive(from: attacker) { $0.have = [.init(topic: "t", ids: ids(round * 900..<round * 900 + 900))] } }
        let asked = bench.sent(to: attacker).flatMap(\.want).reduce(0) { $0 + $1.count }
        #expect(asked == 5_000)
        #expect(bench.machine.counters[.excessIHave] > 0)
        #expect(bench.machine.promises.count == 5_000)
        bench.run(.seconds(4))
        #expect(bench.machine.counters.brokenPromises >= 5)
        #expect(bench.machine.score(of: attacker) < 0)
        #expect(!bench.machine.meshPeers(topic: "t").contains(attacker))
        #expect(bench.machine.promises.count == 0)
    }

    @Test func tenIHAVEsPerHeartbeatAreRead() throws {
        var bench = try bench()
        for round in 0..<12 { bench.receive(from: attacker) { $0.have = [.init(topic: "t", ids: ids(round..<round + 1))] } }
        #expect(bench.sent(to: attacker).flatMap(\.want).count == 10)
        bench.run(.seconds(1))
        bench.forget()
        bench.receive(from: attacker) { $0.have = [.init(topic: "t", ids: ids(500..<501))] }
        #expect(bench.sent(to: attacker).flatMap(\.want).count == 1)
    }

    @Test func promisesTrackedAreBounded() throws {
        var bench = try bench { $0.limits.promises = 100 }
        bench.receive(from: attacker) { $0.have = [.init(topic: "t", ids: ids(0..<500))] }
        #expect(bench.machine.promises.count == 100)
    }

    @Test func graftOfUnknownTopicsGetsNoAnswer() throws {
        var bench = try bench()
        bench.receive(from: attacker) { $0.graft = (0..<1_000).map { "unknown \($0)" } }
        #expect(bench.sent.isEmpty && bench.machine.topics.count == 1)
        #expect(bench.machine.counters[.graftUnknownTopic] == 1_000)
    }

    /// go: GRAFT in backoff costs one penalty, another one within the flood threshold, and is answered by a PRUNE each time.
    @Test func graftDuringBackoff() throws {
        var bench = try bench { $0.score.behaviourThreshold = 0 }
        bench.receive(from: attacker) { $0.prune = [.init(topic: "t", backoff: 60)] }
        bench.receive(from: attacker) { $0.graft = ["t"] }
        #expect(bench.prunes(to: attacker) == [.init(topic: "t", backoff: 60)])
        #expect(bench.machine.counters.penalties == 2)
        #expect(bench.machine.score(of: attacker) == -40)
        bench.run(.seconds(30))
        #expect(bench.machine.score(of: attacker) == 0)
        bench.receive(from: attacker) { $0.graft = ["t"] }
        #expect(bench.machine.counters.penalties == 3, "outside of the flood threshold it counts once")
        for _ in 0..<10 { bench.receive(from: attacker) { $0.graft = ["t"] } }
        #expect(bench.machine.score(of: attacker) < -80)
        bench.forget()
        bench.receive(from: attacker) { $0.graft = ["t"] }
        #expect(bench.sent.isEmpty && bench.machine.counters[.graylisted] > 0, "graylisted: no answer any more")
        #expect(!bench.machine.meshPeers(topic: "t").contains(attacker))
        bench.run(.seconds(91))
        bench.receive(from: attacker) { $0.graft = ["t"] }
        #expect(bench.machine.meshPeers(topic: "t").contains(attacker), "when the backoff is over it may come back")
    }

    @Test func graftWithNegativeScoreIsPruned() throws {
        var bench = try bench()
        bench.receive(from: attacker) { $0.prune = [.init(topic: "t", backoff: 1)] }
        bench.machine.setApplicationScore(-1, of: attacker)
        bench.run(.seconds(5))
        bench.forget()
        bench.receive(from: attacker) { $0.graft = ["t"] }
        #expect(bench.prunes(to: attacker) == [.init(topic: "t", backoff: 60)])
        #expect(bench.machine.counters[.graftNegativeScore] == 1)
    }

    @Test func fullMeshTakesOnlyPeersThatWeDialled() throws {
        var bench = GossipBench()
        try bench.subscribe("t")
        for number in 1...14 {
            bench.add(GossipBench.peer(UInt8(100 + number)))
            bench.receive(from: GossipBench.peer(UInt8(100 + number))) { $0.graft = ["t"] }
        }
        #expect(bench.machine.meshPeers(topic: "t").count == 12)
        #expect(bench.machine.counters[.graftMeshFull] == 2)
        bench.add(GossipBench.peer(200), direction: .outbound)
        bench.receive(from: GossipBench.peer(200)) { $0.graft = ["t"] }
        #expect(bench.machine.meshPeers(topic: "t").count == 13)
    }

    @Test func invalidMessageSpamIsGraylisted() throws {
        var bench = try bench()
        for number in 0..<20 {
            var message = OwnedRPC.Message.signed([7], topic: "t", by: author, sequence: UInt64(number))
            message.data = [8]
            bench.receive(from: attacker) { $0.messages = [message] }
        }
        #expect(bench.delivered.isEmpty)
        #expect(bench.machine.counters[.invalidSignature] == 3, "the third takes the score to -90, below -80")
        #expect(bench.machine.counters[.graylisted] == 17)
        bench.run(.seconds(1))
        #expect(!bench.machine.meshPeers(topic: "t").contains(attacker))
    }

    @Test func invalidMessageDoesNotShadowTheTrueOne() throws {
        var bench = try bench()
        let good = OwnedRPC.Message.signed([7], topic: "t", by: author, sequence: 1)
        var bad = good
        bad.data = [8]
        bench.receive(from: attacker) { $0.messages = [bad, good] }
        #expect(bench.delivered.map(\.data) == [[7]])
    }

    @Test func idontwantSpamIsBounded() throws {
        var bench = try bench()
        for round in 0..<1_100 { bench.receive(from: attacker) { $0.dontWant = [ids(round * 20..<round * 20 + 20)] } }
        let slot = try #require(bench.machine.slots[attacker])
        #expect(bench.machine.peers[slot]!.unwanted.count == 10_000)
        #expect(bench.machine.counters[.excessIDontWant] == 1_100)
    }

    @Test func idontwantIsForgottenAfterThreeHeartbeats() throws {
        var bench = try bench()
        let slot = try #require(bench.machine.slots[attacker])
        bench.receive(from: attacker) { $0.dontWant = [ids(0..<3)] }
        bench.run(.seconds(2))
        #expect(bench.machine.peers[slot]!.unwanted.count == 3)
        bench.run(.seconds(2))
        #expect(bench.machine.peers[slot]!.unwanted.isEmpty)
    }

    @Test func idontwantSparesTheForward() throws {
        var bench = try bench()
        let other = GossipBench.peer(50)
        bench.add(other, topics: ["t"])
        bench.forget()
        let message = OwnedRPC.Message.signed([1], topic: "t", by: author, sequence: 1)
        bench.receive(from: attacker) { $0.dontWant = [[message.id]] }
        bench.receive(from: other) { $0.messages = [message] }
        #expect(bench.messages(to: attacker) == 0 && bench.delivered.count == 1)
        bench.receive(from: attacker) { $0.want = [[message.id]] }
        #expect(bench.messages(to: attacker) == 0)
    }

    // MARK: Advisories

    /// CVE-2026-33040 and CVE-2026-34219: backoffs near the largest numbers overflowed when stored, or at the next heartbeat.
    @Test(arguments: [UInt64.max, 9_223_372_036_854_674_580, UInt64(Int64.max), 1 << 63, 9_223_372_037, 18_446_744_074, 3_601])
    func hugeBackoffsAreCapped(seconds: UInt64) throws {
        var bench = try bench()
        bench.receive(from: attacker) { $0.prune = [.init(topic: "t", backoff: seconds)] }
        #expect(bench.machine.backoffs.end("t", attacker) == bench.now + .seconds(3_600))
        bench.run(.seconds(20))
        #expect(!bench.machine.meshPeers(topic: "t").contains(attacker))
        bench.run(.seconds(3_600))
        #expect(bench.machine.meshPeers(topic: "t").contains(attacker), "and they end")
    }

    /// CVE-2026-46679: one frame with 349,525 subscriptions took 22 times its size, and was not freed on disconnect.
    @Test func subscriptionFloodIsBoundedAndFreed() throws {
        var bench = try bench()
        var rpc: [UInt8] = []
        for index in 0..<349_525 { rpc += [0x0a, 0x0a, 0x08, 0x01, 0x12, 0x06] + Array(String(100_000 + index).utf8) }
        bench.receive(rpc, from: attacker)
        #expect(bench.machine.topics.count == 1, "the control limit refuses it whole")
        for start in stride(from: 0, to: rpc.count, by: 12_000) {
            guard bench.machine.score(of: attacker) >= -80 else { break }
            bench.receive(Array(rpc[start..<min(start + 12_000, rpc.count)]), from: attacker)
        }
        let slot = try #require(bench.machine.slots[attacker])
        #expect(bench.machine.peers[slot]!.topics.count == 1_024)
        #expect(bench.machine.topics.count == 1_024)
        bench.machine.removePeer(attacker, now: bench.now)
        #expect(bench.machine.topics.count == 1 && bench.machine.slots.isEmpty)
    }

    @Test func bytesOfTopicNamesAreBounded() throws {
        var bench = try bench()
        for index in 0..<200 {
            let topic = String(repeating: "x", count: 1_000) + "\(index)"
            bench.receive(from: attacker) { $0.subscriptions = [.init(subscribes: true, topic: topic)] }
        }
        let slot = try #require(bench.machine.slots[attacker])
        #expect(bench.machine.peers[slot]!.topicBytes <= 64 << 10 && bench.machine.peers[slot]!.topics.count > 60)
        #expect(bench.machine.counters[.excessTopics] > 0)
    }

    /// py-libp2p #413.
    @Test func ownOriginFromOthersIsRefusedWithoutPunishingTheMessenger() throws {
        var bench = try bench()
        bench.receive(from: attacker) { $0.messages = [.signed([1], topic: "t", by: .test(1), sequence: 99)] }
        #expect(bench.delivered.isEmpty && bench.machine.counters[.ownOrigin] == 1)
        #expect(bench.machine.score(of: attacker) >= 0)
    }

    /// js #3569, #3575, #3578.
    @Test func keyMustBelongToTheAuthor() throws {
        var bench = try bench()
        let stranger = KeyPair.test(60)
        var message = OwnedRPC.Message.signed([1], topic: "t", by: author, sequence: 1)
        var bare = message
        bare.signature = nil
        message.signature = stranger.sign(Array("libp2p-pubsub:".utf8) + bare.encoded)
        message.key = stranger.publicKey.protobuf
        bench.receive(from: attacker) { $0.messages = [message] }
        #expect(bench.delivered.isEmpty && bench.machine.counters[.keyMismatch] == 1)
        message.key = [1, 2, 3]
        bench.receive(from: attacker) { $0.messages = [message] }
        #expect(bench.machine.counters[.malformedKey] == 1)
    }

    /// go-libp2p-pubsub #528: ids were never forgotten.
    @Test func seenIDsAreForgottenAndBounded() throws {
        var bench = try bench { $0.limits.seenMessages = 100 }
        for number in 0..<300 { bench.receive(from: attacker) { $0.messages = [.signed([1], topic: "t", by: author, sequence: UInt64(number))] } }
        #expect(bench.machine.seen.count == 100)
        bench.run(.seconds(121))
        #expect(bench.machine.seen.count == 0 && bench.machine.cache.count == 0 && bench.machine.cache.byteCount == 0)
    }

    @Test func backoffsAreBounded() {
        var backoffs = GossipsubBackoffs(limit: 64, slack: .seconds(2))
        for number in 0..<1_000 { backoffs.set("t \(number)", attacker, end: .zero + .seconds(number), now: .zero) }
        #expect(backoffs.count <= 64)
        #expect(backoffs.end("t 999", attacker) != nil, "the one that ends first goes")
    }

    @Test func retainedScoresAreBoundedAndEnd() {
        var retained = GossipsubRetainedScores(limit: 16)
        var bad = GossipsubPeerScore()
        bad.penalise(9)
        for number in 0..<200 { retained.keep(bad, of: GossipBench.peer(UInt8(number)), until: .zero + .seconds(10 + number), now: .zero) }
        #expect(retained.count <= 16)
        #expect(retained.take(GossipBench.peer(199), now: .zero) != nil)
        retained.sweep(.zero + .seconds(1_000))
        #expect(retained.count == 0)
    }

    @Test func leavingDoesNotWashAScoreClean() throws {
        var bench = try bench()
        for number in 0..<3 {
            var message = OwnedRPC.Message.signed([7], topic: "t", by: author, sequence: UInt64(number))
            message.signature![0] ^= 1
            bench.receive(from: attacker) { $0.messages = [message] }
        }
        let before = bench.machine.score(of: attacker)
        bench.machine.removePeer(attacker, now: bench.now)
        bench.add(attacker, topics: ["t"])
        #expect(before < -80 && bench.machine.score(of: attacker) == before)
    }

    /// CVE-2022-47547, with our parameters: neither time in the mesh nor what is brought in one topic buys any number of faults.
    @Test func noMeritOutweighsMisbehaviour() {
        let parameters = GossipsubScoreParameters()
        var score = GossipsubPeerScore()
        for topic in 0..<50 {
            score.graft("topic \(topic)", now: .zero)
            for _ in 0..<1_000 { score.firstDelivery("topic \(topic)", parameters) }
        }
        for topic in 0..<50 { _ = topic; score.decay(parameters, now: .zero + .seconds(100_000)) }
        for topic in 0..<50 { for _ in 0..<1_000 { score.firstDelivery("topic \(topic)", parameters) } }
        #expect(score.value(parameters) == parameters.topicScoreCap)
        for _ in 0..<6 { score.penalise(1) }
        #expect(score.value(parameters) < parameters.graylistThreshold)
        let byTimeAlone = parameters.defaultTopic.timeInMeshCap * parameters.defaultTopic.timeInMeshWeight
        #expect(byTimeAlone < parameters.opportunisticGraftThreshold, "a mesh of silent peers is replaced by opportunistic grafting")
    }

    @Test func peerExchangeIsIgnoredUnlessAskedForAndEarned() throws {
        let offer: (inout OwnedRPC) -> Void = { $0.prune = [.init(topic: "t", backoff: 1, peers: [GossipBench.peer(9).multihash])] }
        var closed = try bench()
        closed.receive(from: attacker, offer)
        #expect(closed.offered.isEmpty && closed.machine.counters[.peerExchangeIgnored] == 1)
        var open = try bench { $0.acceptsPeerExchange = true }
        open.receive(from: attacker, offer)
        #expect(open.offered.isEmpty, "its score is below acceptPX")
        open.machine.setApplicationScore(10, of: attacker)
        open.receive(from: attacker, offer)
        #expect(open.offered == [GossipBench.peer(9)])
    }

    @Test func offeredRecordsMustBeThePeersOwn() throws {
        var bench = try bench { $0.acceptsPeerExchange = true }
        bench.machine.setApplicationScore(10, of: attacker)
        func prune(_ peer: PeerID, _ record: [UInt8]) -> [UInt8] {
            var writer = ProtobufWriter()
            writer.message(3) {
                $0.message(4) {
                    $0.text(1, "t")
                    $0.message(2) {
                        $0.bytes(1, peer.multihash)
                        $0.bytes(2, record)
                    }
                }
            }
            return writer.bytes
        }
        let record = PeerRecord.sealed(by: .test(9), sequence: 1, addresses: [])
        bench.receive(prune(GossipBench.peer(10), record), from: attacker)
        bench.receive(prune(GossipBench.peer(9), Array(record.dropLast())), from: attacker)
        #expect(bench.offered.isEmpty && bench.machine.counters[.peerExchangeIgnored] == 2)
        bench.receive(prune(GossipBench.peer(9), record), from: attacker)
        #expect(bench.offered == [GossipBench.peer(9)])
    }

    @Test func strangersAndOversizedRPCsAreRefused() throws {
        var bench = try bench { $0.maximumMessageSize = 1_000 }
        bench.receive([UInt8](repeating: 0, count: 1_001), from: attacker)
        #expect(bench.drops == [.tooLargeRPC])
        bench.receive(from: GossipBench.peer(3)) { $0.graft = ["t"] }
        #expect(bench.machine.counters[.unknownPeer] == 1)
    }
}
