import MeshNetProtocol
import MeshNetSimulator
import Testing

@testable import MeshNetSwarm

/// What a node does while nobody asks anything of it.
@Suite struct IdleTests {
    /// A node with so many peers, none of which began when another did.
    private func star(_ peers: Int) -> Simulation {
        let network = Simulation(seed: UInt64(peers))
        network.addNode()
        for _ in 0..<peers {
            network.run(for: .milliseconds(137))
            network.addNode(bootstrap: [network.nodes[0].multiaddr])
        }
        network.run(for: .seconds(60))
        return network
    }

    /// Its timers woke the node so often in five minutes.
    private func wakes(with peers: Int) -> Int {
        let network = star(peers), before = network.nodes[0].wakes
        #expect(network.nodes[0].swarm?.peers.count == peers)
        network.run(for: .seconds(300))
        #expect(network.nodes[0].swarm?.peers.count == peers)
        return network.nodes[0].wakes - before
    }

    @Test func peersDoNotAddToHowOftenANodeWakes() {
        let few = wakes(with: 2), many = wakes(with: 60)
        // Pings of 60 peers at times of their own would be 1,200 more.
        #expect(many <= few + few / 4, "\(few) wakes with 2 peers, \(many) with 60")
        #expect(few <= 310, "a beat a second, and little else")
    }

    @Test func everyConnectionIsPingedWithinTheInterval() {
        let network = star(8)
        for _ in 0..<50 {
            network.run(for: .seconds(1))
            for id in network.nodes[0].swarm?.connections.ids ?? [] {
                guard let ping = network.nodes[0].swarm?.connections[id]?.ping, let last = ping.lastAnswer else { continue }
                #expect(network.now - last <= .seconds(16))
                #expect(ping.nextPing - network.now <= .seconds(15))
            }
        }
    }
}
