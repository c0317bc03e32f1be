import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

@Suite struct SwarmRetainedTests {
    private static let topic = "t"
    private static let clock: UInt64 = 1_700_000_000_000_000_000

    /// Each node bootstraps to the ones named.
    private func network(_ seed: UInt64, _ known: [[Int]], policy: GossipsubSignaturePolicy = .strictSign) -> Simulation {
        let network = Simulation(seed: seed)
        for bootstrap in known { add(to: network, bootstrap, policy: policy) }
        return network
    }

    @discardableResult
    private func add(to network: Simulation, _ bootstrap: [Int], policy: GossipsubSignaturePolicy = .strictSign) -> Int {
        let clock = Self.clock + UInt64(network.now.nanoseconds)
        return network.addNode(bootstrap: bootstrap.map { network.nodes[$0].multiaddr }) {
            $0.firstSequenceNumber = clock
            $0.gossipsub.signaturePolicy = policy
        }
    }

    private func retain(_ text: String, at node: Int, in network: Simulation) {
        let ticket = network.perform(.publishRetained(topic: Self.topic, data: Array(text.utf8)), at: node)
        let result = network.nodes[node].completions[ticket]
        if case .success? = result {} else { Issue.record("publishing failed: \(String(describing: result))") }
    }

    private func heard(_ network: Simulation, _ node: Int) -> [String] {
        network.nodes[node].messages.map { ($0.isRetained ? "kept " : "") + String(decoding: $0.data, as: UTF8.self) }
    }

    private func follow(_ nodes: Int..., in network: Simulation) {
        for node in nodes { network.perform(.subscribe(Self.topic), at: node) }
    }

    // MARK: - Late joiners

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func aLateJoinerGetsTheLastValueOnce(seed: UInt64) {
        let network = network(seed, [[], [0], [0, 1]])
        follow(0, 1, 2, in: network)
        network.run(for: .seconds(2))
        for text in ["one", "two", "three"] { retain(text, at: 0, in: network); network.run(for: .seconds(1)) }
        #expect(heard(network, 1) == ["one", "two", "three"] && heard(network, 2) == ["one", "two", "three"], "those who were there, seed \(seed)")
        let late = add(to: network, [0, 1, 2])
        follow(late, in: network)
        network.run(for: .seconds(10))
        #expect(heard(network, late) == ["kept three"], "seed \(seed)")
        #expect(network.nodes[late].messages.first?.origin == network.nodes[0].peer)
        retain("four", at: 1, in: network)
        network.run(for: .seconds(5))
        #expect(heard(network, late) == ["kept three", "four"], "seed \(seed)")
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>) func anyHolderWillDo(seed: UInt64) {
        let network = network(seed, [[], [0], [1]])
        follow(0, 1, 2, in: network)
        network.run(for: .seconds(2))
        retain("one", at: 0, in: network)
        network.run(for: .seconds(2))
        network.kill(0)
        network.kill(1)
        let late = add(to: network, [2])
        follow(late, in: network)
        network.run(for: .seconds(10))
        #expect(heard(network, late) == ["kept one"], "seed \(seed)")
    }

    @Test func aHolderThatDiesInTheMiddleIsReplaced() {
        let network = network(4, [[], [0], [0, 1]])
        follow(0, 1, 2, in: network)
        network.run(for: .seconds(2))
        let large = String(repeating: "x", count: 1_000_000)
        retain(large, at: 0, in: network)
        network.run(for: .seconds(3))
        let late = add(to: network, [1, 2])
        follow(late, in: network)
        #expect(network.run(atMost: .seconds(10)) { ($0.nodes[late].swarm?.retained.asking ?? 0) > 0 })
        let asked = network.nodes[late].swarm?.retained.topics[Self.topic]?.fetch?.askedPeer
        let holder = network.nodes[1].peer == asked ? 1 : 2
        network.kill(holder)
        #expect(network.run(atMost: .seconds(60)) { !$0.nodes[late].messages.isEmpty })
        #expect(heard(network, late) == ["kept " + large])
    }

    @Test func whoSubscribesLaterGetsItWithoutAnotherConnection() {
        let network = network(5, [[], [0]])
        follow(0, in: network)
        network.run(for: .seconds(2))
        retain("one", at: 0, in: network)
        network.run(for: .seconds(30))
        #expect(heard(network, 1).isEmpty)
        follow(1, in: network)
        network.run(for: .seconds(2))
        #expect(heard(network, 1) == ["kept one"])
        network.perform(.unsubscribe(Self.topic), at: 1)
        network.run(for: .seconds(2))
        follow(1, in: network)
        network.run(for: .seconds(2))
        #expect(heard(network, 1) == ["kept one", "kept one"], "once for each time it follows the topic")
    }

    @Test func aValueBeforeAnybodyFollowsIsKeptByItsPublisher() {
        let network = network(6, [[], [0]])
        network.run(for: .seconds(1))
        retain("early", at: 0, in: network)
        follow(1, in: network)
        network.run(for: .seconds(2))
        #expect(heard(network, 1) == ["kept early"])
    }

    @Test func aPublisherThatLostItsMemoryLearnsWhatItSaid() {
        let network = network(7, [[], [0]])
        follow(0, 1, in: network)
        network.run(for: .seconds(2))
        retain("mine", at: 0, in: network)
        network.run(for: .seconds(2))
        network.nodes[0].configuration.firstSequenceNumber = Self.clock + UInt64(network.now.nanoseconds)
        network.restart(0)
        follow(0, in: network)
        network.run(for: .seconds(40))
        #expect(heard(network, 0) == ["kept mine"])
        retain("again", at: 0, in: network)
        network.run(for: .seconds(2))
        #expect(heard(network, 1) == ["mine", "again"])
    }

    @Test func plainMessagesAreNotKept() {
        let network = network(8, [[], [0]])
        follow(0, 1, in: network)
        network.run(for: .seconds(2))
        network.perform(.publish(topic: Self.topic, data: [1]), at: 0)
        network.run(for: .seconds(2))
        let late = add(to: network, [0, 1])
        follow(late, in: network)
        network.run(for: .seconds(5))
        #expect(network.nodes[late].messages.isEmpty)
    }

    @Test func withoutSignaturesToo() {
        let network = network(9, [[], [0]], policy: .strictNoSign)
        follow(0, 1, in: network)
        network.run(for: .seconds(2))
        for text in ["one", "two"] { retain(text, at: 0, in: network); network.run(for: .seconds(1)) }
        let late = add(to: network, [1], policy: .strictNoSign)
        follow(late, in: network)
        network.run(for: .seconds(5))
        #expect(heard(network, 1) == ["one", "two"])
        #expect(heard(network, late) == ["kept two"])
        #expect(network.nodes[late].messages.first?.origin == nil)
    }

    // MARK: - Several publishers

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func twoPublishersAgreeOnTheLast(seed: UInt64) {
        let network = network(seed, [[], [0], [0, 1], [1, 2]])
        follow(0, 1, 2, 3, in: network)
        network.run(for: .seconds(2))
        for round in 0..<10 {
            retain("a\(round)", at: 0, in: network)
            retain("b\(round)", at: 3, in: network)
            network.run(for: .milliseconds(3))
        }
        network.run(for: .seconds(5))
        let values = network.nodes.map { $0.swarm?.retained.value(of: Self.topic)?.data }
        #expect(Set(values).count == 1 && values[0] != nil, "seed \(seed)")
        for node in [1, 2] {
            #expect(network.nodes[node].messages.count == 20, "everything came by gossip, once; seed \(seed)")
            #expect(!network.nodes[node].messages.contains { $0.isRetained }, "seed \(seed)")
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>) func aPartitionHealsToTheNewestValue(seed: UInt64) {
        let network = network(seed, [[], [0], [0, 1], [0, 1, 2]])
        follow(0, 1, 2, 3, in: network)
        network.run(for: .seconds(3))
        network.partition([0, 0, 1, 1])
        network.run(for: .seconds(60))
        retain("left", at: 0, in: network)
        network.run(for: .seconds(1))
        retain("right", at: 3, in: network)
        network.run(for: .seconds(60))
        network.heal()
        network.run(for: .seconds(90))
        for node in 0..<4 {
            #expect(network.nodes[node].swarm?.retained.value(of: Self.topic)?.data == Array("right".utf8), "node \(node), seed \(seed)")
            let texts = heard(network, node)
            #expect(Set(texts).count == texts.count, "nothing twice: \(texts), node \(node), seed \(seed)")
            if let right = texts.firstIndex(where: { $0.hasSuffix("right") }) { #expect(!texts[right...].contains { $0.hasSuffix("kept left") }) }
        }
        #expect(heard(network, 0).contains { $0.hasSuffix("right") })
    }

    @Test func sameSeedSameTrace() {
        func trace() -> Trace {
            let network = network(12, [[], [0], [0, 1], [1]])
            follow(0, 1, 2, 3, in: network)
            network.run(for: .seconds(2))
            for index in 0..<5 { retain("\(index)", at: index % 4, in: network) }
            network.run(for: .seconds(5))
            let late = add(to: network, [0, 1, 2])
            follow(late, in: network)
            network.run(for: .seconds(5))
            return network.trace
        }
        #expect(trace() == trace())
    }

    // MARK: - Others

    /// A holder that says things about the topic that are not so, to a node that follows it.
    @Test func liesOfAHolderReachNobody() {
        let network = network(13, [[], [0], [0, 1]])
        follow(0, 1, in: network)
        network.run(for: .seconds(2))
        retain("true", at: 0, in: network)
        network.run(for: .seconds(2))
        let liar = network.nodes[2].peer
        network.with(1) { swarm, now in
            guard let header = swarm.retained.value(of: Self.topic)?.header else { Issue.record("no value"); return }
            for lie in 0..<40 {
                var message = RetainedMessage(), forged = header
                forged.sequence += UInt64(lie + 1)
                message.have = [forged]
                message.part = .init(name: .init(topic: Self.topic, hash: forged.hash), offset: 0, bytes: Array("lie".utf8))
                swarm.retained.connected(liar, now: now)
                message.encoded.withView { swarm.retained.receive($0, from: liar, now: now) }
                swarm.pumpRetained()
            }
        }
        network.run(for: .seconds(10))
        #expect(heard(network, 1) == ["true"])
        #expect(network.nodes[1].swarm?.retained.value(of: Self.topic)?.data == Array("true".utf8))
        #expect(network.nodes[1].swarm?.retained.isSilenced(liar) == true)
        #expect(network.nodes[1].connected.contains(liar), "its connection stays")
    }

    @Test func whoDoesNotKeepValuesOpensNoStream() {
        let network = network(14, [[], [0]])
        follow(0, 1, in: network)
        network.run(for: .seconds(5))
        network.perform(.publish(topic: Self.topic, data: [1]), at: 0)
        network.run(for: .seconds(5))
        for node in network.nodes {
            let uses = node.swarm?.connections.ids.flatMap { node.swarm?.connections[$0]?.streams.values.map { $0 } ?? [] } ?? []
            #expect(!uses.contains(.retainedOut) && !uses.contains(.retainedIn))
        }
    }

    @Test func aValueTooLargeIsTheCallersError() {
        let network = network(15, [[]])
        let ticket = network.perform(.publishRetained(topic: Self.topic, data: [UInt8](repeating: 0, count: 1 << 20 + 1)), at: 0)
        guard case .failure(.messageTooLarge(size: 1_048_577, limit: 1_048_576))? = network.nodes[0].completions[ticket] else {
            Issue.record("\(String(describing: network.nodes[0].completions[ticket]))")
            return
        }
    }

    // MARK: - Members, and waiting for them

    @Test func membersComeOnSubscribeBeforeAnySubscription() {
        let network = network(16, [[], [0], [0, 1]])
        follow(0, 1, in: network)
        network.run(for: .seconds(3))
        let before = network.nodes[2].events.count
        follow(2, in: network)
        network.run(for: .seconds(1))
        network.perform(.unsubscribe(Self.topic), at: 1)
        network.run(for: .seconds(1))
        let events = network.nodes[2].events[before...].map(\.event).filter {
            switch $0 {
            case .members, .subscription: true
            default: false
            }
        }
        let expected = [network.nodes[0].peer, network.nodes[1].peer].sorted()
        #expect(events == [.members(topic: Self.topic, peers: expected), .subscription(peer: network.nodes[1].peer, topic: Self.topic, subscribed: false)])
        network.perform(.subscribe(Self.topic), at: 2)
        #expect(network.nodes[2].events.count { if case .members = $0.event { true } else { false } } == 1, "it was followed already")
    }

    private func answer(_ network: Simulation, _ node: Int, _ ticket: Ticket) -> Result<[PeerID], CallError>? {
        switch network.nodes[node].completions[ticket] {
        case .success(.topicPeers(let peers)): .success(peers)
        case .failure(let error): .failure(error)
        default: nil
        }
    }

    @Test func waitingEndsWithTheLastOneThatWasMissing() {
        let network = network(17, [[], [0], [0]])
        network.run(for: .seconds(2))
        let none = network.perform(.waitForPeers(0, topic: Self.topic), at: 0)
        let one = network.perform(.waitForPeers(1, topic: Self.topic), at: 0), two = network.perform(.waitForPeers(2, topic: Self.topic), at: 0)
        #expect(answer(network, 0, none) == .success([]))
        network.run(for: .seconds(60))
        #expect(answer(network, 0, one) == nil)
        follow(1, in: network)
        network.run(for: .seconds(1))
        #expect(answer(network, 0, one) == .success([network.nodes[1].peer]))
        #expect(answer(network, 0, two) == nil)
        follow(2, in: network)
        network.run(for: .seconds(1))
        #expect(answer(network, 0, two) == .success([network.nodes[1].peer, network.nodes[2].peer].sorted()))
        #expect(network.nodes[0].swarm?.topicWaits.isEmpty == true)
    }

    @Test func waitingCanBeCancelledAndEndsWithTheNode() {
        let network = network(18, [[]])
        let first = network.perform(.waitForPeers(1, topic: Self.topic), at: 0), second = network.perform(.waitForPeers(1, topic: Self.topic), at: 0)
        network.with(0) { swarm, now in
            swarm.cancelWait(first, now: now)
            swarm.cancelWait(Ticket(rawValue: 999), now: now)
        }
        #expect(answer(network, 0, first) == .failure(.cancelled))
        #expect(answer(network, 0, second) == nil)
        network.with(0) { swarm, now in swarm.shutdown(now: now) }
        #expect(answer(network, 0, second) == .failure(.closed))
    }

    @Test func callsThatWaitAreBounded() {
        let network = network(19, [[]])
        for _ in 0..<TopicWait.maximum { network.perform(.waitForPeers(1, topic: Self.topic), at: 0) }
        let ticket = network.perform(.waitForPeers(1, topic: Self.topic), at: 0)
        guard case .failure(.limitReached)? = network.nodes[0].completions[ticket] else { Issue.record("no bound was met"); return }
    }
}
