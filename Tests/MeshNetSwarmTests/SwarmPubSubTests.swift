import MeshNetProtocol
import MeshNetSimulator
import Testing

@testable import MeshNetSwarm

@Suite struct SwarmPubSubTests {
    /// Every node but the first bootstraps to a few earlier ones; all subscribe.
    private func cluster(_ count: Int, seed: UInt64) -> Simulation {
        let network = Simulation(seed: seed)
        for index in 0..<count {
            let known = [index / 2, index - 1, index / 3].filter { $0 >= 0 && $0 < index }
            network.addNode(bootstrap: Array(Set(known)).sorted().map { network.nodes[$0].multiaddr })
        }
        for index in 0..<count { network.perform(.subscribe("t"), at: index) }
        return network
    }

    private func publish(_ text: String, at node: Int, in network: Simulation) {
        network.perform(.publish(topic: "t", data: Array(text.utf8)), at: node)
    }

    /// How often each text reached each application.
    private func counts(_ network: Simulation, _ node: Int) -> [String: Int] {
        network.nodes[node].messages.reduce(into: [:]) { $0[String(decoding: $1.data, as: UTF8.self), default: 0] += 1 }
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func thirtyNodesHearEveryMessageOnce(seed: UInt64) {
        let network = cluster(30, seed: seed)
        network.run(for: .seconds(10))
        for round in 0..<20 { publish("m\(round)", at: (round * 7) % 30, in: network); network.run(for: .milliseconds(200)) }
        network.run(for: .seconds(10))
        for node in 0..<30 {
            let expected = (0..<20).filter { ($0 * 7) % 30 != node }
            #expect(counts(network, node) == Dictionary(uniqueKeysWithValues: expected.map { ("m\($0)", 1) }), "node \(node), seed \(seed)")
        }
    }

    @Test(arguments: [11, 12] as [UInt64]) func aPartitionHealsAndNothingComesTwice(seed: UInt64) {
        let network = cluster(30, seed: seed)
        network.run(for: .seconds(10))
        network.partition((0..<30).map { $0 % 2 })
        network.run(for: .seconds(60))
        network.heal()
        network.run(for: .seconds(60))
        for round in 0..<10 { publish("after\(round)", at: round, in: network); network.run(for: .milliseconds(500)) }
        network.run(for: .seconds(20))
        for node in 0..<30 {
            let seen = counts(network, node)
            #expect(seen.values.allSatisfy { $0 == 1 }, "node \(node), seed \(seed)")
            for round in 0..<10 where round != node { #expect(seen["after\(round)"] == 1, "node \(node), message \(round), seed \(seed)") }
        }
    }

    @Test(arguments: [21, 22] as [UInt64]) func churnDoesNotLoseMessagesBetweenThoseWhoStay(seed: UInt64) {
        let network = cluster(30, seed: seed)
        network.run(for: .seconds(10))
        for round in 0..<10 {
            let victim = 20 + round
            network.kill(victim)
            network.run(for: .seconds(2))
            publish("churn\(round)", at: round, in: network)
            network.run(for: .seconds(3))
            network.restart(victim)
            network.perform(.subscribe("t"), at: victim)
            network.run(for: .seconds(5))
        }
        network.run(for: .seconds(60))
        for node in 0..<20 {
            let seen = counts(network, node)
            for round in 0..<10 where round != node { #expect(seen["churn\(round)"] == 1, "node \(node), message \(round), seed \(seed)") }
        }
        publish("end", at: 29, in: network)
        network.run(for: .seconds(10))
        for node in 0..<29 { #expect(counts(network, node)["end"] == 1, "node \(node), seed \(seed)") }
    }

    @Test func publishWithoutSubscribersIsAnError() {
        let network = Simulation(seed: 31)
        let a = network.addNode()
        let ticket = network.perform(.publish(topic: "t", data: [1]), at: a)
        guard case .failure(.noPeersSubscribed(let topic)) = network.nodes[a].completions[ticket] else {
            Issue.record("\(String(describing: network.nodes[a].completions[ticket]))")
            return
        }
        #expect(topic == "t")
    }

    @Test func aMessageAboveTheLimitIsRefusedWithTheFigures() {
        let network = Simulation(seed: 32)
        let a = network.addNode { $0.gossipsub.maximumMessageSize = 1_000 }
        network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.perform(.subscribe("t"), at: 1)
        network.run(for: .seconds(3))
        let ticket = network.perform(.publish(topic: "t", data: [UInt8](repeating: 0, count: 2_000)), at: a)
        guard case .failure(.messageTooLarge(let size, let limit)) = network.nodes[a].completions[ticket] else {
            Issue.record("\(String(describing: network.nodes[a].completions[ticket]))")
            return
        }
        #expect(size >= 2_000 && limit <= 1_000)
    }

    @Test func messagesOfSeveralMegabytesArriveWhole() {
        let network = Simulation(seed: 33)
        let a = network.addNode()
        network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.perform(.subscribe("t"), at: 1)
        network.run(for: .seconds(3))
        var random = RandomSource(testSeed: 33)
        let data = random.bytes(6 << 20)
        network.perform(.publish(topic: "t", data: data), at: a)
        network.run(for: .seconds(20))
        #expect(network.nodes[1].messages.map(\.data) == [data])
        #expect(network.nodes[1].messages.first?.origin == network.nodes[a].peer)
    }

    /// Publishes texts by one call.
    private func publish(run bodies: [[UInt8]], at node: Int, in network: Simulation) -> (count: Int, failure: CallError?) {
        var report = (count: 0, failure: CallError?.none)
        let joined = bodies.flatMap { $0 }
        joined.withUnsafeBytes { view in
            var run: [UnsafeRawBufferPointer] = [], start = 0
            for body in bodies {
                run.append(UnsafeRawBufferPointer(rebasing: view[start..<start + body.count]))
                start += body.count
            }
            network.with(node) { swarm, now in report = swarm.publish("t", run: run, now: now) }
        }
        return report
    }

    private func pair(seed: UInt64, configure: (inout Configuration) -> Void) -> Simulation {
        let network = Simulation(seed: seed)
        network.addNode(configure: configure)
        network.addNode(bootstrap: [network.nodes[0].multiaddr], configure: configure)
        network.perform(.subscribe("t"), at: 1)
        network.run(for: .seconds(3))
        return network
    }

    @Test func aRunArrivesInOrderUpToTheFirstThatCannotBePublished() {
        let network = pair(seed: 35) { $0.gossipsub.maximumMessageSize = 1_000 }
        let bodies = (0..<600).map { Array("message \($0)".utf8) }
        let report = publish(run: bodies + [[UInt8](repeating: 0, count: 2_000), [1]], at: 0, in: network)
        guard case .messageTooLarge(2_000, _) = report.failure else {
            Issue.record("\(String(describing: report.failure))")
            return
        }
        network.run(for: .seconds(10))
        #expect(report.count == 600 && network.nodes[1].messages.map(\.data) == bodies)
    }

    /// Without signatures another try of a message that was published counts as a duplicate: so what finds no room must not be.
    @Test func aRunIsPublishedAsFarAsThereIsRoomAndTheRestLater() {
        let network = pair(seed: 36) { $0.gossipsub.signaturePolicy = .strictNoSign }
        let bodies = (0..<6_000).map { Array("message \($0)".utf8) + [UInt8](repeating: 1, count: 200) }
        var published = publish(run: bodies, at: 0, in: network)
        #expect(published.count == PubSubLink.maximumQueuedMessages)
        guard case .allQueuesFull = published.failure else {
            Issue.record("\(String(describing: published.failure))")
            return
        }
        network.run(for: .seconds(10))
        published = publish(run: Array(bodies[PubSubLink.maximumQueuedMessages...]), at: 0, in: network)
        #expect(published.failure == nil)
        network.run(for: .seconds(10))
        #expect(network.nodes[1].messages.map(\.data) == bodies)
    }

    /// The stream ends in the middle of what was written together: what was not sent whole goes on the next one, once.
    @Test func framesThatWereCutGoOnTheNextStream() {
        var link = PubSubLink()
        let frames = [1, 2, 200, 3].map { SharedBytes(Varint.encoded(UInt64($0)) + [UInt8](repeating: UInt8($0), count: $0)) }
        let taken = frames.reduce(0) { $0 + link.enqueue(GossipsubFrames($1), .own) }, hasAll = link.hasMore
        #expect(taken == 4 && hasAll && link.current == SharedBytes(joining: frames))
        // Two whole ones and a part of the third.
        link.written = 2 + 3 + 50
        link.detach()
        let hasRest = link.hasMore
        #expect(hasRest && link.current == SharedBytes(joining: Array(frames[2...])) && link.written == 0)
        link.written = 202 + 4
        link.detach()
        let hasMore = link.hasMore
        #expect(!hasMore && link.queuedBytes == 0)
    }

    /// Joined frames are taken apart where there is no room for all of them.
    @Test func ofJoinedFramesThoseAreTakenThatFindRoom() throws {
        var random = RandomSource(testSeed: 1)
        let identity = KeyPair(random: &random), peer = KeyPair(random: &random).peerID
        var router = Gossipsub(configuration: GossipsubConfiguration(), identity: identity, random: random, now: .zero)
        router.addPeer(peer, protocolID: Gossipsub.protocols[0], direction: .inbound, address: [], now: .zero)
        // It follows "t".
        Array<UInt8>([10, 5, 8, 1, 18, 1, 0x74]).withUnsafeBytes { router.receive($0, from: peer, now: .zero) }
        let payloads = (0..<100).map { [UInt8($0)] }
        for _ in 0..<60 {
            let all = payloads.flatMap { $0 }
            all.withUnsafeBytes { view in
                _ = router.publish(topic: "t", run: payloads.indices.map { UnsafeRawBufferPointer(rebasing: view[$0..<$0 + 1]) }, now: .zero)
            }
        }
        var link = PubSubLink(), taken: [Int] = []
        for _ in 0..<30 { _ = link.enqueue(GossipsubFrames(SharedBytes([0])), .forward) }
        while let action = router.poll() {
            guard case .send(_, let frames, .own) = action else { continue }
            try #require(frames.count == 100 && frames.each.count == 100)
            taken.append(link.enqueue(frames, .own))
        }
        #expect(taken == [Int](repeating: 100, count: 49) + [70] + [Int](repeating: 0, count: 10) && link.room == 0)
        while link.hasMore { link.written = link.current?.count ?? 0 }
        #expect(link.room == PubSubLink.maximumQueuedMessages && link.queuedBytes == 0)
    }

    @Test func theDuplicateConnectionCarriesGossipOn() {
        let network = Simulation(seed: 34)
        let a = network.addNode(bootstrap: ["/ip4/10.0.0.2/tcp/4001"])
        let b = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001"])
        for node in [a, b] { network.perform(.subscribe("t"), at: node) }
        for round in 0..<50 {
            network.run(for: .milliseconds(100))
            publish("a\(round)", at: a, in: network)
            publish("b\(round)", at: b, in: network)
        }
        network.run(for: .seconds(5))
        #expect((10..<50).allSatisfy { counts(network, b)["a\($0)"] == 1 && counts(network, a)["b\($0)"] == 1 })
    }
}
