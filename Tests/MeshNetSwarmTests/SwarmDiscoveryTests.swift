import MeshNetProtocol
import MeshNetSimulator
import TestSupport
import Testing

@testable import MeshNetSwarm

@Suite struct SwarmDiscoveryTests {
    private func network(_ count: Int, seed: UInt64, loss: Int = 0, configure: (inout Configuration) -> Void = { _ in }) -> Simulation {
        let network = Simulation(seed: seed)
        network.conditions.multicastLossPercent = loss
        for _ in 0..<count {
            network.addNode { configuration in
                configuration.discovery.modes = .mdns
                configure(&configuration)
            }
        }
        return network
    }

    private func isFullMesh(_ network: Simulation) -> Bool {
        let swarms = network.nodes.compactMap(\.swarm)
        return swarms.allSatisfy { $0.peers.count == swarms.count - 1 }
    }

    private func isSuspended(_ peer: PeerID, at node: Int, _ network: Simulation) -> Bool? {
        guard let table = network.nodes[node].swarm?.table, let target = table.target(.peer(peer)) else { return nil }
        return table[target]?.isSuspended
    }

    private func dials(_ network: Simulation, _ body: () -> Void) -> Int {
        let before = network.dials
        body()
        return network.dials - before
    }

    @Test(arguments: 0..<10) func twoNodesMeetInHalfASecond(seed: UInt64) {
        let network = network(2, seed: seed)
        #expect(network.run(atMost: .milliseconds(500), until: isFullMesh), "seed \(seed)")
    }

    @Test(arguments: 0..<20) func tenNodesMeetThoughAFifthOfThePacketsIsLost(seed: UInt64) {
        let network = network(10, seed: seed, loss: 20)
        #expect(network.run(atMost: .seconds(5), until: isFullMesh), "seed \(seed)")
    }

    @Test func whoIsConnectedIsNotDialled() {
        let network = network(4, seed: 11, loss: 20)
        network.run(for: .seconds(20))
        #expect(isFullMesh(network))
        #expect(dials(network) { network.run(for: .seconds(200)) } == 0)
        #expect(isFullMesh(network))
    }

    @Test(arguments: 0..<5) func aNewPortReplacesTheOldOneAtOnce(seed: UInt64) {
        let network = network(4, seed: seed, loss: 20)
        #expect(network.run(atMost: .seconds(5), until: isFullMesh))
        network.run(for: .seconds(70))
        network.kill(1)
        network.run(for: .milliseconds(100))
        network.restart(1, port: 5_001)
        network.run(for: .milliseconds(50))
        #expect(network.run(atMost: .seconds(5), until: isFullMesh), "seed \(seed)")
        network.run(for: .seconds(10))
        for node in [0, 2, 3] {
            let known = network.nodes[node].swarm?.mdns?.addresses(of: network.nodes[1].peer).map(\.description)
            #expect(known == ["/ip4/10.0.0.2/tcp/5001/p2p/\(network.nodes[1].peer)"], "seed \(seed)")
        }
    }

    @Test func aLostConnectionComesBack() {
        let network = network(2, seed: 1)
        #expect(network.run(atMost: .seconds(1), until: isFullMesh))
        network.run(for: .seconds(100))
        network.restart(0)
        network.run(for: .milliseconds(50))
        #expect(network.run(atMost: .seconds(3), until: isFullMesh))
    }

    @Test func whoGoesAndSaysSoIsNotDialled() {
        let network = network(2, seed: 2)
        #expect(network.run(atMost: .seconds(1), until: isFullMesh))
        network.run(for: .seconds(20))
        network.with(0) { $0.shutdown(now: $1) }
        network.run(for: .seconds(1))
        #expect(network.nodes[1].connected.isEmpty)
        #expect(network.nodes[1].swarm?.table.targets.isEmpty == true)
        #expect(dials(network) { network.run(for: .seconds(300)) } == 0)
    }

    @Test func whoVanishesIsTriedUntilItExpires() {
        let network = network(2, seed: 3)
        #expect(network.run(atMost: .seconds(1), until: isFullMesh))
        network.kill(0)
        network.run(for: .seconds(300))
        #expect(network.nodes[1].swarm?.table.targets.count == 1)
        network.run(for: .seconds(400))
        #expect(network.nodes[1].swarm?.table.targets.isEmpty == true)
        #expect(dials(network) { network.run(for: .seconds(300)) } == 0)
        network.restart(0)
        #expect(network.run(atMost: .seconds(2), until: isFullMesh))
    }

    @Test func thePeerThatTheApplicationDisconnectedStaysAway() throws {
        let network = network(2, seed: 4)
        #expect(network.run(atMost: .seconds(1), until: isFullMesh))
        network.run(for: .seconds(5))
        network.perform(.disconnect(network.nodes[1].peer), at: 0)
        network.run(for: .milliseconds(20))
        #expect(isSuspended(network.nodes[1].peer, at: 0, network) == true)
        let ticket = network.perform(.connect(try Multiaddr(network.nodes[1].multiaddr)), at: 0)
        network.run(for: .seconds(5))
        #expect(network.nodes[0].completions[ticket] != nil)
        #expect(isSuspended(network.nodes[1].peer, at: 0, network) == false)
    }

    @Test func tagsAndPrivateNetworksKeepApart() {
        let network = Simulation(seed: 5)
        let key = PreSharedKey(bytes: [UInt8](repeating: 3, count: 32))
        for kind in 0..<6 {
            network.addNode { configuration in
                configuration.discovery.modes = kind % 3 == 0 ? [] : .mdns
                if kind % 3 == 1 { configuration.discovery.serviceTag = "CHORUS-peer-discovery" }
                if kind % 3 == 2 { configuration.preSharedKey = key }
            }
        }
        network.run(for: .seconds(60))
        for (node, friends) in [(0, []), (1, [4]), (2, [5]), (3, []), (4, [1]), (5, [2])] {
            #expect(network.nodes[node].connected == friends.map { network.nodes[$0].peer }, "node \(node)")
            #expect(!network.nodes[node].events.contains { if case .dialFailed = $0.event { true } else { false } }, "node \(node)")
        }
    }

    @Test func aBadTagIsReported() {
        let network = Simulation(seed: 6)
        let node = network.addNode {
            $0.discovery.modes = .mdns
            $0.discovery.serviceTag = "a..b"
        }
        network.run(for: .seconds(10))
        #expect(network.multicasts == 0)
        #expect(network.nodes[node].events.contains { if case .addressProblem(let problem) = $0.event { problem.text == "a..b" } else { false } })
    }

    @Test func aThousandFakePeersDoNotKeepTheRealOneAway() {
        let network = network(2, seed: 7)
        var random = RandomSource(testSeed: 7)
        network.partition([0, 1])
        let service = DNSName("_p2p._udp.local")!
        for index in 0..<1_200 {
            guard let fake = try? PeerID(multihash: [0x12, 0x20] + random.bytes(32)), let instance = DNSName(label: "fake\(index)", in: service)
            else { continue }
            var message = DNSMessage(isResponse: true)
            let texts = (1...12).map { Array("dnsaddr=/ip4/10.9.\(index % 250).\($0)/tcp/1/p2p/\(fake)".utf8) }
            message.answers = [DNSRecord(name: service, timeToLive: .max, flushesCache: false, content: .pointer(instance))]
            message.additionals = [DNSRecord(name: instance, timeToLive: .max, flushesCache: true, content: .text(texts))]
            network.with(1) { swarm, now in message.encoded().withView { swarm.receivedMulticast($0, interface: 1, now: now) } }
            if index % 250 == 249 { network.run(for: .seconds(1)) }
            let swarm = network.nodes[1].swarm
            #expect((swarm?.discoveryDials ?? 0) <= Swarm.maximumDiscoveryDials)
            #expect((swarm?.outboundAttempts ?? 0) <= 8 * Swarm.maximumDiscoveryDials)
        }
        #expect((network.nodes[1].swarm?.table.sightingCount ?? 0) <= MDNSLimits().entries)
        network.heal()
        #expect(network.run(atMost: .seconds(70)) { $0.isConnected(1, to: 0) })
    }

    @Test func oneSeedGivesOneTrace() {
        func run(_ seed: UInt64) -> Trace {
            let network = network(6, seed: seed, loss: 20)
            network.run(for: .seconds(30))
            return network.trace
        }
        #expect(run(8) == run(8))
        #expect(run(8) != run(9))
    }
}
