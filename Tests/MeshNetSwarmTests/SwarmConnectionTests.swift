import MeshNetSimulator
import TestSupport
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

@Suite struct SwarmConnectionTests {
    @Test func aBootstrapPeerIsConnectedOnBothSides() {
        let network = Simulation(seed: 1)
        let a = network.addNode()
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
        #expect(network.run(atMost: .seconds(2)) { $0.nodes[a].connected == [$0.nodes[b].peer] && $0.nodes[b].connected == [$0.nodes[a].peer] })
        guard case .connected(let seen)? = network.nodes[b].events.map(\.event).first(where: { if case .connected = $0 { true } else { false } }) else {
            Issue.record("no connected event")
            return
        }
        #expect(seen.direction == .outbound)
        #expect(seen.address == network.nodes[a].address.multiaddr)
    }

    @Test func aBootstrapAddressWithoutPeerIDIsLearnedAndNotDialledAgain() {
        let network = Simulation(seed: 2)
        let a = network.addNode()
        let b = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001"])
        network.run(for: .seconds(120))
        #expect(network.nodes[b].connected == [network.nodes[a].peer])
        #expect(network.dials == 1)
    }

    @Test(arguments: 0..<20) func mutualBootstrapSettlesOnOneConnectionWithoutAGap(seed: UInt64) {
        let network = Simulation(seed: seed)
        let a = network.addNode(bootstrap: ["/ip4/10.0.0.2/tcp/4001"])
        let b = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001"])
        network.run(for: .seconds(60))
        for (node, other) in [(a, b), (b, a)] {
            #expect(network.nodes[node].connected == [network.nodes[other].peer], "seed \(seed)")
            #expect(!network.nodes[node].events.contains { if case .disconnected = $0.event { true } else { false } }, "seed \(seed)")
            #expect(network.nodes[node].swarm?.connectionCount == 1, "seed \(seed)")
        }
    }

    @Test func aRefusedBootstrapPeerIsRetriedForEverWithGrowingJitteredDelays() {
        let network = Simulation(seed: 3)
        let a = network.addNode()
        network.kill(a)
        let b = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001"])
        network.run(for: .seconds(600))
        let delays = network.nodes[b].events.compactMap { entry -> Duration? in
            if case .dialFailed(let failure) = entry.event { failure.retryAfter } else { nil }
        }
        #expect(delays.count > 20)
        #expect(delays.first.map { $0 <= .milliseconds(500) } == true)
        #expect(delays.allSatisfy { $0 <= .seconds(30) })
        #expect(delays.suffix(10).allSatisfy { $0 >= .seconds(15) })
        #expect(Set(delays.suffix(10)).count > 5, "jitter")
        network.restart(a)
        #expect(network.run(atMost: .seconds(40)) { $0.nodes[b].connected.count == 1 })
    }

    @Test func aRestartedPeerIsConnectedAgain() {
        let network = Simulation(seed: 4)
        let a = network.addNode()
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.run(for: .seconds(20))
        network.kill(a)
        network.run(for: .seconds(5))
        network.restart(a)
        #expect(network.run(atMost: .seconds(10)) { $0.nodes[b].connected.count == 1 && $0.nodes[a].swarm?.connectionCount == 1 })
    }

    @Test func aSilentPeerIsNoticedByPings() {
        let network = Simulation(seed: 5)
        let a = network.addNode()
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.run(for: .seconds(5))
        network.kill(a)
        #expect(network.run(atMost: .seconds(40)) { $0.nodes[b].connected.isEmpty })
        let cause = network.nodes[b].events.compactMap { entry -> DisconnectCause? in
            if case .disconnected(_, let cause) = entry.event { cause } else { nil }
        }.last
        #expect(cause == .timedOut)
    }

    @Test func aSelfDialIsRecognisedAndNotRepeated() {
        let network = Simulation(seed: 6)
        let a = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001"])
        network.run(for: .seconds(60))
        let failures = network.nodes[a].events.compactMap { entry -> DialFailure? in
            if case .dialFailed(let failure) = entry.event { failure } else { nil }
        }
        #expect(failures.map(\.cause) == [.selfDial])
        #expect(failures.first?.retryAfter == nil)
        #expect(network.nodes[a].swarm?.connectionCount == 0)
    }

    @Test func theWrongPeerIsNamed() {
        let network = Simulation(seed: 7)
        let a = network.addNode()
        let b = network.addNode()
        let stranger = KeyPair(secret: [UInt8](repeating: 9, count: 32))!.peerID
        let address = network.nodes[a].address.multiaddr.appending(stranger)
        let ticket = network.perform(.connect(address), at: b)
        network.run(for: .seconds(5))
        guard case .failure(.dial(.wrongPeer(let expected, let actual), _)) = network.nodes[b].completions[ticket] else {
            Issue.record("\(String(describing: network.nodes[b].completions[ticket]))")
            return
        }
        #expect(expected == stranger)
        #expect(actual == network.nodes[a].peer)
    }

    /// On both sides, and at once. By what the dialler finds.
    @Test(arguments: OtherNetwork.allCases) func anotherNetworkIsRecognised(atDialler: OtherNetwork) throws {
        let listener: UInt8? = atDialler == .peerInNone ? nil : 1, dialler: UInt8? = atDialler == .peerInPrivate ? nil : 2
        let atListener: OtherNetwork = switch atDialler {
        case .otherKey: .otherKey
        case .peerInNone: .peerInPrivate
        case .peerInPrivate: .peerInNone
        }
        let network = Simulation(seed: 8)
        let a = network.addNode { $0.preSharedKey = listener.flatMap { PreSharedKey(bytes: [UInt8](repeating: $0, count: 32)) } }
        let b = network.addNode { $0.preSharedKey = dialler.flatMap { PreSharedKey(bytes: [UInt8](repeating: $0, count: 32)) } }
        let ticket = network.perform(.connect(network.nodes[a].address.multiaddr), at: b)
        network.run(for: .seconds(1))
        guard case .failure(.dial(.otherNetwork(atDialler), _)) = network.nodes[b].completions[ticket] else {
            Issue.record("\(String(describing: network.nodes[b].completions[ticket]))")
            return
        }
        let refused = try #require(network.nodes[a].swarm?.refusedHandshakes.newestFirst.first)
        #expect(refused.failure == .otherNetwork(atListener))
        #expect(network.nodes[a].connected.isEmpty)
        #expect(network.nodes[a].swarm?.connectionCount == 0)
    }

    @Test func theLastRefusedHandshakesAreKept() {
        var refused = RefusedHandshakes()
        for port in 1...UInt16(100) {
            let address = SocketAddress(ip: [10, 0, 0, 1], port: port).multiaddr
            refused.add(RefusedHandshake(address: address, failure: .otherNetwork(.otherKey), at: .zero))
        }
        #expect(refused.newestFirst.count == RefusedHandshakes.kept && refused.total == 100)
        #expect(refused.newestFirst.first?.address == SocketAddress(ip: [10, 0, 0, 1], port: 100).multiaddr)
    }

    @Test func aCommonPrivateNetworkKeyConnects() {
        let network = Simulation(seed: 9)
        let key = PreSharedKey(bytes: [UInt8](repeating: 1, count: 32))
        let a = network.addNode { $0.preSharedKey = key }
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr]) { $0.preSharedKey = key }
        #expect(network.run(atMost: .seconds(2)) { $0.nodes[b].connected.count == 1 })
    }

    @Test func aNameIsResolvedAnewAtEveryAttempt() {
        let network = Simulation(seed: 10)
        let a = network.addNode()
        network.kill(a)
        let b = network.addNode(bootstrap: ["/dns4/node0/tcp/4001"])
        network.run(for: .seconds(30))
        #expect(network.lookups > 3)
        network.restart(a)
        #expect(network.run(atMost: .seconds(40)) { $0.nodes[b].connected.count == 1 })
    }

    @Test func unusableBootstrapEntriesAreReportedAndTheOthersWork() {
        let network = Simulation(seed: 11)
        let a = network.addNode()
        let b = network.addNode(bootstrap: ["nonsense", "", network.nodes[a].multiaddr, "/ip4/node0/tcp/4001"])
        network.run(for: .seconds(5))
        #expect(network.nodes[b].connected == [network.nodes[a].peer])
        let problems = network.nodes[b].events.compactMap { entry -> AddressProblem? in
            if case .addressProblem(let problem) = entry.event { problem } else { nil }
        }
        #expect(problems.map(\.text).contains("nonsense"))
        #expect(problems.contains { $0.text == "/ip4/node0/tcp/4001" && $0.usedInstead?.description == "/dns4/node0/tcp/4001" })
    }

    /// A first address that does not answer costs 250 ms and not its whole timeout: the candidates of a peer race.
    @Test func addressesOfOnePeerAreDialledInParallel() {
        let network = Simulation(seed: 17)
        let a = network.addNode(), silent = network.addNode()
        network.partition([0, 1])
        let addresses = [network.nodes[silent].address, network.nodes[a].address].map { "\($0.multiaddr)/p2p/\(network.nodes[a].peer)" }
        let b = network.addNode(bootstrap: addresses)
        let start = network.now
        #expect(network.run(atMost: .seconds(2)) { $0.nodes[b].connected == [$0.nodes[a].peer] })
        #expect(network.now - start >= .milliseconds(250))
        #expect(network.now - start < .milliseconds(400))
    }

    @Test func callsToOnePeerShareItsDial() {
        let network = Simulation(seed: 18)
        let a = network.addNode(), b = network.addNode()
        let address = try! Multiaddr(network.nodes[a].multiaddr)
        let tickets = (0..<10).map { _ in network.perform(.connect(address), at: b) }
        network.run(for: .seconds(2))
        #expect(network.dials == 1)
        for ticket in tickets {
            guard case .success(.peer(let connection)) = network.nodes[b].completions[ticket] else {
                Issue.record("\(String(describing: network.nodes[b].completions[ticket]))")
                continue
            }
            #expect(connection.peer == network.nodes[a].peer)
        }
    }

    @Test func connectionsOfOneAddressAreLimited() {
        let network = Simulation(seed: 12)
        let a = network.addNode { $0.limits.inboundConnectionsPerAddress = 2 }
        let swarm = network.nodes[a].swarm
        var copy = try! #require(swarm)
        let from = SocketAddress(ip: [10, 9, 9, 9], port: 1)
        let ids = (0..<5).map { _ in copy.accepted(from: from, to: network.nodes[a].address, now: network.now) }
        #expect(ids.compactMap { $0 }.count == 2)
    }

    /// Two processes of one machine come to what has arrived later than two machines do, so more of it may be under way.
    @Test func connectionsThatDoNotLeaveTheHostAreKnown() throws {
        let network = Simulation(seed: 12)
        let a = network.addNode()
        var swarm = try #require(network.nodes[a].swarm)
        func slack(from remote: [UInt8], to local: [UInt8]) -> [Duration] {
            let id = swarm.accepted(from: SocketAddress(ip: remote, port: 7), to: SocketAddress(ip: local, port: 8), now: network.now)
            let limits = id.flatMap { swarm.connections[$0]?.pipeline?.session.limits }
            return limits.map { [$0.shortSlack, $0.calmSlack] } ?? []
        }
        let within = [YamuxLimits.shortSlackWithinHost, YamuxLimits.calmSlackWithinHost]
        let between = [YamuxLimits().shortSlack, YamuxLimits().shortSlack]
        #expect(between[0] < within[0] && within[0] < within[1])
        #expect(slack(from: [127, 0, 0, 2], to: [127, 0, 0, 1]) == within)
        #expect(slack(from: [UInt8](repeating: 0, count: 15) + [1], to: [UInt8](repeating: 0, count: 15) + [1]) == within)
        #expect(slack(from: [10, 0, 0, 1], to: [10, 0, 0, 1]) == within)
        #expect(slack(from: [10, 0, 0, 2], to: [10, 0, 0, 1]) == between)
        #expect(slack(from: [1, 2, 3, 127], to: [10, 0, 0, 1]) == between)
    }

    @Test func disconnectEndsTheConnectionAndIsNotUndoneByBootstrap() {
        let network = Simulation(seed: 13)
        let a = network.addNode()
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.run(for: .seconds(3))
        network.perform(.disconnect(network.nodes[a].peer), at: b)
        network.run(for: .seconds(90))
        #expect(network.nodes[b].connected.isEmpty)
        #expect(network.nodes[a].connected.isEmpty)
        network.perform(.connect(try! Multiaddr(network.nodes[a].multiaddr)), at: b)
        #expect(network.run(atMost: .seconds(3)) { $0.nodes[b].connected.count == 1 })
    }

    @Test func identifyTellsAgentProtocolsAndAddresses() {
        let network = Simulation(seed: 14)
        let a = network.addNode { $0.agentVersion = "agent-a" }
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.run(for: .seconds(3))
        let identities = network.nodes[b].events.compactMap { entry -> PeerIdentity? in
            if case .identified(let identity) = entry.event { identity } else { nil }
        }
        #expect(identities.first?.agentVersion == "agent-a")
        #expect(identities.first?.protocols.contains("/meshsub/1.2.0") == true)
        #expect(identities.first?.listenAddresses == [network.nodes[a].address.multiaddr])
    }

    @Test func aNewProtocolIsPushedToPeers() {
        let network = Simulation(seed: 15)
        let a = network.addNode()
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.run(for: .seconds(3))
        network.perform(.accept("/chat/1.0.0"), at: a)
        network.run(for: .seconds(3))
        let identities = network.nodes[b].events.compactMap { entry -> PeerIdentity? in
            if case .identified(let identity) = entry.event { identity } else { nil }
        }
        #expect(identities.last?.protocols.contains("/chat/1.0.0") == true)
    }

    /// Whenever it comes: also between our answer to the peer's query and the peer's answer to ours, when we do not know yet what it understands.
    @Test func aProtocolThatComesWhileIdentifyIsUnderWayReachesThePeer() {
        for offset in 0..<60 {
            let network = Simulation(seed: 150)
            network.conditions.delay = .milliseconds(10)...(.milliseconds(10))
            let a = network.addNode()
            let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
            network.run(for: .milliseconds(2 * offset))
            network.perform(.accept("/chat/1.0.0"), at: a)
            network.run(for: .seconds(3))
            let identities = network.nodes[b].events.compactMap { entry -> PeerIdentity? in
                if case .identified(let identity) = entry.event { identity } else { nil }
            }
            #expect(identities.last?.protocols.contains("/chat/1.0.0") == true, "accepted after \(2 * offset) ms")
        }
    }

    @Test func pingTellsTheRoundTrip() {
        let network = Simulation(seed: 16)
        network.conditions.delay = .milliseconds(10)...(.milliseconds(10))
        let a = network.addNode()
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.run(for: .seconds(3))
        let ticket = network.perform(.ping(network.nodes[a].peer), at: b)
        network.run(for: .seconds(1))
        guard case .success(.roundTrip(let time)) = network.nodes[b].completions[ticket] else {
            Issue.record("\(String(describing: network.nodes[b].completions[ticket]))")
            return
        }
        #expect(time == .milliseconds(20))
    }

    @Test func sameSeedSameTrace() {
        func run(_ seed: UInt64) -> Trace {
            let network = Simulation(seed: seed)
            let first = network.addNode()
            for _ in 0..<6 { network.addNode(bootstrap: [network.nodes[first].multiaddr]) }
            for index in network.nodes.indices { network.perform(.subscribe("t"), at: index) }
            network.run(for: .seconds(5))
            network.perform(.publish(topic: "t", data: [1, 2, 3]), at: 3)
            network.kill(2)
            network.run(for: .seconds(40))
            return network.trace
        }
        #expect(run(77) == run(77))
        #expect(run(77) != run(78))
        #expect(run(77).count > 100)
    }
}
