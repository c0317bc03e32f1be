import MeshNetProtocol
import MeshNetSimulator
import TestSupport
import Testing

@testable import MeshNetSwarm

/// Two live nodes with one identity: both are told, and a node that meets itself is not.
@Suite struct CloneTests {
    @Test(arguments: 0..<10) func bothAreToldOfADialledClone(seed: UInt64) {
        let network = Simulation(seed: seed)
        let a = network.addNode()
        let identity = network.nodes[a].configuration.identity
        let b = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001"]) { $0.identity = identity }
        network.run(for: .seconds(5))
        #expect(network.clones(seenBy: a).map(\.ip) == [network.nodes[b].address.ip], "seed \(seed)")
        #expect(network.clones(seenBy: b).map(\.ip) == [network.nodes[a].address.ip], "seed \(seed)")
        #expect(network.nodes[a].connected.isEmpty && network.nodes[b].connected.isEmpty)
    }

    @Test func aBootstrapAddressWithOurOwnPeerIDIsTriedOnceAtAnotherHost() {
        let network = Simulation(seed: 1)
        let a = network.addNode()
        let identity = network.nodes[a].configuration.identity
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr]) { $0.identity = identity }
        network.run(for: .seconds(5))
        #expect(network.clones(seenBy: a).count == 1 && network.clones(seenBy: b).count == 1)
    }

    @Test(arguments: 0..<10) func aClonedNodeInTheLocalNetworkIsTold(seed: UInt64) {
        let network = Simulation(seed: seed)
        let a = network.addNode { $0.discovery.modes = .mdns }
        let identity = network.nodes[a].configuration.identity
        let b = network.addNode {
            $0.identity = identity
            $0.discovery.modes = .mdns
        }
        network.run(for: .seconds(10))
        #expect(network.clones(seenBy: a).count == 1 && network.clones(seenBy: b).count == 1, "seed \(seed)")
    }

    /// Every announcement is heard, and at most one event a minute comes of it.
    @Test func atMostOneEventAMinute() {
        let network = Simulation(seed: 3)
        let a = network.addNode { $0.discovery.modes = .mdns }
        let identity = network.nodes[a].configuration.identity
        let b = network.addNode {
            $0.identity = identity
            $0.discovery.modes = .mdns
        }
        network.run(for: .seconds(600))
        for node in [a, b] {
            let times = network.nodes[node].events.compactMap { if case .duplicateIdentity = $0.event { $0.at } else { nil } }
            #expect((2...10).contains(times.count), "\(times.count) events")
            for (first, second) in zip(times, times.dropFirst()) { #expect(second - first >= .seconds(60)) }
        }
    }

    /// Its own address, also under a name and with its own peer id; its old announcements.
    @Test func aNodeThatMeetsItselfIsNoClone() throws {
        let network = Simulation(seed: 4)
        let a = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001", "/dns4/node0/tcp/4001"]) { $0.discovery.modes = .mdns }
        network.perform(.addBootstrap(try Multiaddr(network.nodes[a].multiaddr)), at: a)
        network.run(for: .seconds(30))
        #expect(network.dials > 0)
        network.restart(a, port: 4002)
        network.run(for: .seconds(120))
        #expect(network.clones(seenBy: a).isEmpty)
    }

    /// Asked for another peer, one's own identity answers: the address is tried again with the right question.
    @Test func aCloneAtTheAddressOfAnotherPeerIsTold() {
        let network = Simulation(seed: 5)
        let a = network.addNode()
        let identity = network.nodes[a].configuration.identity
        let other = network.addNode()
        let stale = "/ip4/10.0.0.1/tcp/4001/p2p/\(network.nodes[other].peer)"
        let b = network.addNode(bootstrap: [stale]) { $0.identity = identity }
        network.run(for: .seconds(5))
        #expect(network.clones(seenBy: b).count == 1)
    }

    @Test func whatIsRememberedOfClonesIsBounded() {
        var clones = Clones()
        for index in 0..<UInt8(100) {
            let address = SocketAddress(ip: [10, 1, 0, index], port: 1).multiaddr
            let handshake = Clones.Handshake(hash: [index], direction: .inbound, address: address, dueAt: Instant(nanoseconds: 5))
            let isNew = clones.add(handshake), isTold = clones.tell(address, ip: [10, 1, 0, index], now: .zero)
            let isProbed = clones.probe(SocketAddress(ip: [10, 1, 0, index], port: 1), now: .zero)
            #expect(isNew && isTold && isProbed == (index < Clones.kept))
        }
        #expect(clones.waiting.count == Clones.kept && clones.told.count == Clones.kept)
        let isProbedLater = clones.probe(SocketAddress(ip: [10, 1, 0, 99], port: 1), now: Instant.zero + Clones.quietTime)
        #expect(isProbedLater)
    }
}

extension Simulation {
    fileprivate func clones(seenBy node: Int) -> [SocketAddress] {
        nodes[node].events.compactMap { entry in
            guard case .duplicateIdentity(let clone) = entry.event, case .socket(let socket) = DialTarget(clone.address) else { return nil }
            return socket
        }
    }
}
