import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Many peers are trimmed to fewer, and which ones stay.
@Suite struct ConnectionManagerTests {
    private func network(_ count: Int, seed: UInt64 = 1, low: Int = 4, high: Int = 8, bootstrap: [String] = []) -> Simulation {
        let network = Simulation(seed: seed)
        for _ in 0..<count { network.addNode() }
        network.addNode(bootstrap: bootstrap) {
            $0.discovery.modes = .dns
            $0.connectionManager.lowWater = low
            $0.connectionManager.highWater = high
            $0.limits.inboundConnectionsPerAddress = 100
        }
        return network
    }

    private func join(_ network: Simulation, _ nodes: Range<Int>) throws {
        let center = try Multiaddr(network.nodes[network.nodes.count - 1].multiaddr)
        for node in nodes { network.perform(.connect(center), at: node) }
        network.run(for: .seconds(1))
    }

    private func isTrim(_ cause: DisconnectCause) -> Bool {
        if case .limitReached(let text) = cause { text.hasPrefix("connections: ") } else { false }
    }

    @Test func aboveTheHighWaterMarkTheIdlestGoDownToTheLowOne() throws {
        let network = network(9)
        try join(network, 0..<8)
        network.run(for: .seconds(90))
        #expect(network.nodes[9].connected.count == 8, "at the mark nothing happens")
        network.perform(.openStream(network.nodes[9].peer, protocols: ["/x"]), at: 3)
        network.perform(.accept("/x"), at: 9)
        network.perform(.openStream(network.nodes[9].peer, protocols: ["/x"]), at: 5)
        network.run(for: .seconds(1))
        try join(network, 8..<9)
        let left = network.nodes[9].connected
        #expect(left.count == 4)
        #expect(left.contains(network.nodes[5].peer), "it carries a stream")
        #expect(left.contains(network.nodes[8].peer), "it is young")
        #expect(network.disconnects(9).count == 5)
        #expect(network.disconnects(9).allSatisfy(isTrim))
    }

    @Test func protectedPeersStay() throws {
        let network = network(9)
        let center = network.nodes[9].peer
        try join(network, 0..<6)
        for node in 0..<6 { network.perform(.protect(network.nodes[node].peer), at: 9) }
        let again = network.perform(.protect(network.nodes[0].peer), at: 9)
        let never = network.perform(.unprotect(network.nodes[8].peer), at: 9)
        for (ticket, changed) in [(again, false), (never, false), (network.perform(.unprotect(network.nodes[5].peer), at: 9), true)] {
            guard case .success(.changed(changed)) = network.nodes[9].completions[ticket] else {
                Issue.record("ticket \(ticket.rawValue)")
                continue
            }
        }
        network.run(for: .seconds(61))
        try join(network, 6..<9)
        #expect(Set(network.nodes[9].connected) == Set([0, 1, 2, 3, 4, 6, 7, 8].map { network.nodes[$0].peer }), "one was past its grace and unprotected")
        #expect(network.nodes[5].events.contains { if case .disconnected(let peer, _) = $0.event { peer.peer == center } else { false } })
    }

    @Test func bootstrapPeersStay() throws {
        let network = Simulation(seed: 2)
        for _ in 0..<4 { network.addNode() }
        let addresses = (0..<2).map { network.nodes[$0].multiaddr } + ["/ip4/10.0.0.3/tcp/4001"]
        let node = network.addNode(bootstrap: addresses) {
            $0.connectionManager.lowWater = 1
            $0.connectionManager.highWater = 3
        }
        network.run(for: .seconds(70))
        network.perform(.connect(try Multiaddr(network.nodes[3].multiaddr)), at: node)
        network.run(for: .seconds(70))
        #expect(Set(network.nodes[node].connected) == Set((0..<3).map { network.nodes[$0].peer }))
        #expect(network.disconnects(node).count == 1)
    }

    @Test func youngConnectionsAreLeftAloneUntilTheyAreNot() throws {
        let network = network(12)
        try join(network, 0..<12)
        network.run(for: .seconds(50))
        #expect(network.nodes[12].connected.count == 12)
        #expect(network.run(atMost: .seconds(12)) { $0.nodes[12].connected.count == 4 })
    }

    @Test func aTrimIsNotUndoneByDiscovery() throws {
        let network = network(12)
        for target in 0..<6 { network.find(target, from: .dns, at: 12) }
        network.run(for: .seconds(70))
        #expect(network.nodes[12].connected.count == 6)
        try join(network, 6..<9)
        #expect(network.nodes[12].connected.count == 4)
        #expect(network.dials { network.run(for: .seconds(300)) } == 0)
        #expect(network.nodes[12].connected.count == 4)
        // With fewer than the low water mark, discovery is welcome again.
        network.kill(6)
        network.kill(7)
        #expect(network.run(atMost: .seconds(100)) { $0.dials > 9 })
    }

    @Test func foundPeersAreDialledUpToTheHighWaterMark() {
        let network = network(12)
        for target in 0..<12 { network.find(target, from: .dns, at: 12) }
        network.run(for: .seconds(200))
        #expect(network.nodes[12].connected.count == 8)
        #expect(network.disconnects(12).isEmpty)
    }

    @Test func protectionIsBounded() throws {
        let siege = Siege()
        var fakes = FakePeers(seed: 1)
        for _ in 0..<Swarm.maximumProtectedPeers { siege.perform(.protect(try fakes.peer())) }
        let ticket = siege.perform(.protect(try fakes.peer()))
        guard case .failure(.limitReached) = siege.completions[ticket]?.first else {
            Issue.record("\(String(describing: siege.completions[ticket]))")
            return
        }
        #expect(siege.swarm.protectedPeers.count == Swarm.maximumProtectedPeers)
    }
}
