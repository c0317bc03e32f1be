import Testing
import TestSupport
@testable import MeshNetProtocol

/// One machine and scripted peers: mesh, gossip, limits and errors.
@Suite struct GossipsubMeshTests {
    private let author = KeyPair.test(101)

    private func message(_ number: UInt64, size: Int = 3, topic: String = "t") -> OwnedRPC.Message {
        .signed([UInt8](repeating: 5, count: size), topic: topic, by: author, sequence: number)
    }

    private func bench(peers: ClosedRange<UInt8>, _ configure: (inout GossipsubConfiguration) -> Void = { _ in }) throws -> GossipBench {
        var bench = GossipBench(configure)
        try bench.subscribe("t")
        for number in peers { bench.add(GossipBench.peer(number), topics: ["t"]) }
        bench.forget()
        return bench
    }

    // MARK: Subscriptions

    @Test func greetingTellsOwnTopics() throws {
        var bench = GossipBench()
        try bench.subscribe("b")
        try bench.subscribe("a")
        let first = try bench.machine.subscribe("a", now: bench.now)
        #expect(!first)
        bench.add(GossipBench.peer(2))
        #expect(bench.sent(to: GossipBench.peer(2)).flatMap(\.subscriptions) == [.init(subscribes: true, topic: "a"), .init(subscribes: true, topic: "b")])
    }

    @Test func leavingTellsEveryoneAndPrunesTheMesh() throws {
        var bench = try bench(peers: 2...4)
        bench.add(GossipBench.peer(5))
        bench.forget()
        let left = bench.machine.unsubscribe("t", now: bench.now), again = bench.machine.unsubscribe("t", now: bench.now)
        bench.drain()
        #expect(left && !again)
        for number in 2...5 as ClosedRange<UInt8> {
            let told = bench.sent(to: GossipBench.peer(number))
            #expect(told.flatMap(\.subscriptions) == [.init(subscribes: false, topic: "t")])
            #expect(told.flatMap(\.prune) == (number < 5 ? [.init(topic: "t", backoff: 10)] : []))
        }
    }

    @Test func newcomersAreGraftedAtOnceUpToD() throws {
        let bench = try bench(peers: 2...20)
        #expect(bench.machine.meshPeers(topic: "t").count == 6)
    }

    @Test func lostControlFramesAreSaidAgain() throws {
        var bench = try bench(peers: 2...2)
        bench.machine.queueFull(GossipBench.peer(2), priority: .control)
        bench.run(.seconds(1))
        let told = bench.sent(to: GossipBench.peer(2))
        #expect(told.flatMap(\.subscriptions) == [.init(subscribes: true, topic: "t")])
        #expect(bench.grafts(to: GossipBench.peer(2)) == 1)
        bench.forget()
        bench.run(.seconds(2))
        #expect(bench.sent.isEmpty)
    }

    // MARK: Mesh maintenance

    private func crowded(outbound: ClosedRange<UInt8>) throws -> GossipBench {
        var bench = GossipBench()
        try bench.subscribe("t")
        for number in 2...14 as ClosedRange<UInt8> {
            bench.add(GossipBench.peer(number), direction: outbound.contains(number) ? .outbound : .inbound)
            bench.receive(from: GossipBench.peer(number)) { $0.graft = ["t"] }
        }
        return bench
    }

    @Test func shrinkingKeepsTheBestAndTheOnesWeDialled() throws {
        var bench = try crowded(outbound: 13...14)
        #expect(bench.machine.meshPeers(topic: "t").count == 13)
        for number in 2...5 as ClosedRange<UInt8> { bench.machine.setApplicationScore(10, of: GossipBench.peer(number)) }
        bench.forget()
        bench.run(.milliseconds(100))
        let mesh = bench.machine.meshPeers(topic: "t")
        #expect(mesh.count == 6)
        for number in [2, 3, 4, 5, 13, 14] as [UInt8] { #expect(mesh.contains(GossipBench.peer(number))) }
        #expect(bench.sent.flatMap(\.rpc.prune).count == 7)
    }

    @Test func outboundQuotaIsFilled() throws {
        var bench = try bench(peers: 2...8)
        for number in 20...22 as ClosedRange<UInt8> { bench.add(GossipBench.peer(number), topics: ["t"], direction: .outbound) }
        bench.run(.seconds(1))
        let dialled = (20...22).filter { bench.machine.meshPeers(topic: "t").contains(GossipBench.peer($0)) }
        #expect(dialled.count == 2)
    }

    @Test func negativeScoresLeaveTheMesh() throws {
        var bench = try bench(peers: 2...4)
        bench.machine.setApplicationScore(-0.5, of: GossipBench.peer(3))
        bench.run(.seconds(1))
        #expect(!bench.machine.meshPeers(topic: "t").contains(GossipBench.peer(3)))
        #expect(bench.prunes(to: GossipBench.peer(3)) == [.init(topic: "t", backoff: 60)])
    }

    @Test func opportunisticGraftingTakesBetterPeers() throws {
        var bench = try bench(peers: 2...10) { $0.opportunisticGraftInterval = .seconds(5) }
        let outside = (2...10).map { GossipBench.peer($0) }.filter { !bench.machine.meshPeers(topic: "t").contains($0) }
        for peer in outside { bench.machine.setApplicationScore(15, of: peer) }
        bench.run(.seconds(6))
        #expect(bench.machine.meshPeers(topic: "t").filter { outside.contains($0) }.count == 2)
    }

    @Test func oldPeersAreNotToldOfBackoffs() throws {
        var bench = GossipBench()
        try bench.subscribe("t")
        bench.add(GossipBench.peer(2), topics: ["t"], protocolID: "/meshsub/1.0.0")
        bench.machine.setApplicationScore(-1, of: GossipBench.peer(2))
        bench.run(.seconds(1))
        #expect(bench.prunes(to: GossipBench.peer(2)) == [.init(topic: "t", backoff: nil)])
        bench.receive(from: GossipBench.peer(2)) { $0.graft = ["t"] }
        #expect(bench.machine.counters.penalties == 0)
    }

    // MARK: Messages

    /// Whoever brings a message while it waits to be forwarded needs none from us; the others do, and what came first keeps its order.
    @Test func whoBringsAMessageMeanwhileIsSparedIt() throws {
        var bench = try bench(peers: 2...4)
        let first = GossipBench.peer(2), second = GossipBench.peer(3), third = GossipBench.peer(4)
        func bring(_ messages: [OwnedRPC.Message], _ peer: PeerID) {
            for message in messages {
                var rpc = OwnedRPC()
                rpc.messages = [message]
                rpc.encoded.withUnsafeBytes { bench.machine.receive($0, from: peer, now: bench.now) }
            }
            while let action = bench.machine.poll(holdingForwards: true) { if case .send = action { Issue.record("it was not held") } }
        }
        let messages = (1...5).map { message(UInt64($0)) }
        bring(messages, first)
        // In order, then out of order.
        bring(Array(messages[..<2]) + [messages[4]], second)
        let hasForwards = bench.machine.hasForwards
        #expect(hasForwards && bench.machine.counters[.duplicate] == 3)
        bench.drain()
        func heard(_ peer: PeerID) -> [[UInt8]?] { bench.sent.filter { $0.peer == peer }.flatMap(\.rpc.messages).map(\.sequence) }
        #expect(heard(first).isEmpty && heard(second) == messages[2..<4].map(\.sequence) && heard(third) == messages.map(\.sequence))
        let stillHasForwards = bench.machine.hasForwards
        #expect(bench.machine.counters.messagesSent == 7 && !stillHasForwards)
    }

    /// What one read brought is looked at together, with the same outcome as one by one.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func readTogetherIsAsReadOneByOne(seed: UInt64) throws {
        var random = RandomSource(testSeed: seed)
        var together = try bench(peers: 2...4), alone = try bench(peers: 2...4)
        let messages = (1...60).map { message(UInt64($0), topic: $0 % 9 == 0 ? "other" : "t") }
        for _ in 0..<20 {
            let peer = GossipBench.peer(2 + UInt8(random.next() % 3))
            var stream: [UInt8] = []
            for _ in 0..<random.next() % 80 {
                var rpc = OwnedRPC()
                for _ in 0..<(random.next() % 8 == 0 ? 3 : 1) { rpc.messages.append(messages[Int(random.next() % 60)]) }
                if random.next() % 60 == 0 { rpc.messages[0].signature = [1] }
                if random.next() % 16 == 0 { rpc.want = [[messages[Int(random.next() % 60)].id]] }
                let bytes = random.next() % 200 == 0 ? [0xff] : rpc.encoded
                stream += Varint.encoded(UInt64(bytes.count)) + bytes
                bytes.withUnsafeBytes { alone.machine.receive($0, from: peer, now: alone.now) }
            }
            stream.withUnsafeBytes { view in
                var rest = view
                together.machine.receive(LengthPrefixedFrames(limit: 1 << 20), &rest, from: peer, now: together.now)
                #expect(rest.isEmpty)
            }
            together.drain()
            alone.drain()
        }
        #expect(together.machine.counters == alone.machine.counters && together.delivered == alone.delivered && together.drops == alone.drops)
        #expect(together.machine.counters.delivered > 30 && together.machine.counters[.duplicate] > 30)
        for number in 2...4 as ClosedRange<UInt8> {
            let peer = GossipBench.peer(number)
            #expect(together.sent.filter { $0.peer == peer }.map(\.frame) == alone.sent.filter { $0.peer == peer }.map(\.frame))
        }
    }

    /// A duplicate is known by its bytes, when it comes in order, or by its id; one that is forgotten is a message again.
    @Test func duplicatesAreKnownInAnyOrderUntilTheyAreForgotten() throws {
        var bench = try bench(peers: 2...3) { $0.seenTTL = .seconds(2) }
        let messages = (1...20).map { message(UInt64($0)) }
        func bring(_ messages: [OwnedRPC.Message], _ number: UInt8) {
            for message in messages { bench.receive(from: GossipBench.peer(number)) { $0.messages = [message] } }
        }
        bring(messages, 2)
        for order in [messages, messages.reversed(), messages] { bring(order, 3) }
        #expect(bench.delivered.count == 20 && bench.machine.counters[.duplicate] == 60)
        bench.run(.seconds(3))
        bring(messages, 3)
        #expect(bench.delivered.count == 40 && bench.machine.counters[.duplicate] == 60)
    }

    @Test func forwardedFrameIsSharedByReference() throws {
        var bench = try bench(peers: 2...6)
        bench.receive(from: GossipBench.peer(2)) { $0.messages = [message(1, size: 2_000)] }
        let frames = bench.sent.filter { !$0.rpc.messages.isEmpty }.map(\.frame)
        let addresses = frames.map { $0.withBytes { UInt(bitPattern: $0.baseAddress) } }
        #expect(addresses.count == 4 && addresses.allSatisfy { $0 == addresses[0] })
        let announcements = bench.sent.filter { !$0.rpc.dontWant.isEmpty }
        #expect(announcements.count == 4 && announcements.allSatisfy { $0.priority == .control && $0.peer != GossipBench.peer(2) })
    }

    @Test func idontwantGoesNeitherToOldPeersNorForOwnMessages() throws {
        var bench = try bench(peers: 2...3)
        bench.add(GossipBench.peer(4), topics: ["t"], protocolID: "/meshsub/1.1.0")
        bench.forget()
        bench.receive(from: GossipBench.peer(2)) { $0.messages = [message(1, size: 1_024), message(2, size: 1_023)] }
        #expect(bench.sent.filter { !$0.rpc.dontWant.isEmpty }.map(\.peer) == [GossipBench.peer(3)])
        bench.forget()
        try bench.machine.publish(topic: "t", data: [UInt8](repeating: 1, count: 5_000), now: bench.now)
        bench.drain()
        #expect(bench.sent.allSatisfy { $0.rpc.dontWant.isEmpty } && bench.sent.count == 3)
    }

    @Test func ownMessagesAreSignedAndNotDeliveredHere() throws {
        var bench = try bench(peers: 2...2)
        try bench.machine.publish(topic: "t", data: [1, 2, 3], now: bench.now)
        bench.drain()
        let own = try #require(bench.sent.first?.rpc.messages.first)
        #expect(bench.delivered.isEmpty && bench.sent.first?.priority == .own)
        #expect(own.key == nil && own.sequence?.count == 8)
        var other = GossipBench(identity: .test(40))
        try other.subscribe("t")
        other.add(GossipBench.peer(1), topics: ["t"])
        other.receive(from: GossipBench.peer(1)) { $0.messages = [own] }
        #expect(other.delivered.map(\.data) == [[1, 2, 3]] && other.delivered.first?.origin == GossipBench.peer(1))
    }

    @Test func messagesOfOtherTopicsAreIgnored() throws {
        var bench = try bench(peers: 2...4)
        bench.receive(from: GossipBench.peer(2)) { $0.messages = [message(1, topic: "other")] }
        #expect(bench.delivered.isEmpty && bench.sent.isEmpty && bench.machine.counters[.notSubscribed] == 1)
    }

    @Test func publishErrorsSayWhatIsWrong() throws {
        var bench = try bench(peers: 2...2) { $0.maximumMessageSize = 1_000 }
        func error(_ topic: String, _ data: [UInt8]) -> GossipsubError? {
            do throws(GossipsubError) { try bench.machine.publish(topic: topic, data: data, now: bench.now) } catch { return error }
            return nil
        }
        #expect(error("", [1]) == .invalidTopic("", limit: 1_024))
        let long = String(repeating: "é", count: 513)
        #expect(error(long, [1]) == .invalidTopic(long, limit: 1_024))
        #expect(error("nobody", [1]) == .noPeersSubscribed(topic: "nobody"))
        guard case .messageTooLarge(1_000, let limit)? = error("t", [UInt8](repeating: 0, count: 1_000)) else { throw GossipsubError.duplicate }
        #expect(error("t", [UInt8](repeating: 0, count: limit + 1)) == .messageTooLarge(size: limit + 1, limit: limit))
        #expect(error("t", [UInt8](repeating: 0, count: limit)) == nil)
        bench.drain()
        #expect(bench.sent.count == 1 && (990...1_002).contains(bench.sent[0].frame.count), "the limit wastes no more than a few bytes")
    }

    @Test func thresholdsDecideWhatGoesToAPeer() throws {
        var bench = try bench(peers: 2...4)
        bench.machine.setApplicationScore(-11, of: GossipBench.peer(2))
        bench.machine.setApplicationScore(-51, of: GossipBench.peer(3))
        bench.machine.setApplicationScore(-81, of: GossipBench.peer(4))
        bench.run(.seconds(1))
        bench.forget()
        try bench.machine.publish(topic: "t", data: [1], now: bench.now)
        bench.drain()
        #expect(bench.sent.map(\.peer) == [GossipBench.peer(2)], "flooded above the publish threshold only")
        bench.forget()
        bench.run(.seconds(1))
        #expect(bench.sent.isEmpty, "no gossip below the gossip threshold")
        bench.receive(from: GossipBench.peer(2)) { $0.have = [.init(topic: "t", ids: [[1]])] }
        #expect(bench.sent.isEmpty && bench.machine.counters[.gossipBelowThreshold] == 1)
        bench.receive(from: GossipBench.peer(4)) { $0.messages = [message(1)] }
        #expect(bench.delivered.isEmpty && bench.machine.counters[.graylisted] == 1)
        bench.receive(from: GossipBench.peer(3)) { $0.messages = [message(1)] }
        #expect(bench.delivered.count == 1)
    }

    @Test func gossipGoesToPeersOutsideOfTheMeshForThreeHeartbeats() throws {
        var bench = try bench(peers: 2...20)
        bench.receive(from: GossipBench.peer(2)) { $0.messages = [message(1)] }
        let mesh = bench.machine.meshPeers(topic: "t")
        var told: [Int] = []
        for _ in 0..<5 {
            bench.forget()
            bench.run(.seconds(1))
            let have = bench.sent.filter { !$0.rpc.have.isEmpty }
            #expect(have.allSatisfy { !mesh.contains($0.peer) && $0.rpc.have == [.init(topic: "t", ids: [message(1).id])] })
            told.append(have.count)
        }
        #expect(told == [6, 6, 6, 0, 0])
    }

    @Test func aMessageIsAskedOfOnePeerAtATime() throws {
        var bench = try bench(peers: 2...4)
        let offer: (inout OwnedRPC) -> Void = { $0.have = [.init(topic: "t", ids: [[9]])] }
        for number in 2...4 as ClosedRange<UInt8> { bench.receive(from: GossipBench.peer(number), offer) }
        #expect(bench.sent.filter { !$0.rpc.want.isEmpty }.map(\.peer) == [GossipBench.peer(2)])
        bench.run(.seconds(1))
        bench.receive(from: GossipBench.peer(3), offer)
        #expect(bench.sent.last?.peer == GossipBench.peer(3) && bench.sent.last?.rpc.want == [[[9]]], "the next after a heartbeat")
    }

    // MARK: Bounds

    @Test func boundsAreReached() throws {
        var bench = try bench(peers: 2...2) {
            $0.limits.ownTopics = 2
            $0.limits.fanoutTopics = 2
            $0.limits.cacheBytes = 3_000
            $0.limits.messageIDLength = 4
            $0.limits.peersPerPrune = 2
            $0.acceptsPeerExchange = true
        }
        let peer = GossipBench.peer(2)
        try bench.subscribe("u")
        #expect(throws: GossipsubError.tooManyTopics(limit: 2)) { try bench.subscribe("v") }
        bench.receive(from: peer) { $0.subscriptions = ["x", "y", "z"].map { .init(subscribes: true, topic: $0) } }
        for topic in ["x", "y", "x", "z"] { try bench.machine.publish(topic: topic, data: [1], now: bench.now) }
        #expect(bench.machine.fanoutTopics == ["x", "z"])
        for number in 0..<10 { bench.receive(from: peer) { $0.messages = [message(UInt64(number), size: 1_000)] } }
        #expect(bench.machine.cache.byteCount <= 3_000 && bench.machine.cache.count == 2)
        bench.forget()
        bench.receive(from: peer) { $0.have = [.init(topic: "t", ids: [[1, 2, 3, 4], [1, 2, 3, 4, 5]])] }
        #expect(bench.sent.flatMap(\.rpc.want) == [[[1, 2, 3, 4]]])
        bench.machine.setApplicationScore(10, of: peer)
        bench.receive(from: peer) { $0.prune = [.init(topic: "t", backoff: 1, peers: (3...9).map { GossipBench.peer($0).multihash })] }
        #expect(bench.offered == [GossipBench.peer(3), GossipBench.peer(4)])
    }

    @Test func slotsAreReusedCleanly() throws {
        var bench = try bench(peers: 2...4)
        for round in 0..<50 {
            let peer = GossipBench.peer(UInt8(50 + round % 3))
            bench.add(peer, topics: ["t", "u"])
            bench.receive(from: peer) { $0.have = [.init(topic: "t", ids: [[UInt8(round)]])] }
            bench.machine.removePeer(peer, now: bench.now)
        }
        #expect(bench.machine.peers.count == 4 && bench.machine.promises.count == 0)
        #expect(bench.machine.topics.count == 1 && bench.machine.peers(topic: "t").count == 3)
    }
}
