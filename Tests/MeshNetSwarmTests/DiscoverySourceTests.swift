import MeshNetSimulator
import TestSupport
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// What sources outside the swarm tell, and what becomes of it.
@Suite struct DiscoverySourceTests {
    private let failure = SourceFailure(.serverError, detail: "502", hint: "Look at the server.")

    private func network(_ count: Int, seed: UInt64 = 1, configure: (inout Configuration) -> Void = { _ in }) -> Simulation {
        let network = Simulation(seed: seed)
        for _ in 0..<count {
            network.addNode { configuration in
                configuration.discovery.modes = [.dns, .tailscale, .headscale]
                configure(&configuration)
            }
        }
        return network
    }

    /// So many seeds because in one of forty the sides see two connections established in different order, and each would close the other's.
    @Test(arguments: 0..<300) func severalSourcesThatNameOnePeerMakeOneConnection(seed: UInt64) throws {
        let network = network(2, seed: seed) {
            $0.discovery.modes?.insert(.mdns)
            $0.discovery.mdnsBackend = .avahi
        }
        network.find(1, from: .dns, at: 0, isNamed: false)
        network.find(1, from: .headscale, at: 0, isNamed: false, key: "node/7")
        network.find(1, from: .tailscale, at: 0)
        network.find(1, from: .avahi, at: 0)
        network.run(for: .seconds(120))
        #expect(network.nodes[0].connected == [network.nodes[1].peer], "seed \(seed)")
        #expect(network.nodes[0].swarm?.connectionCount == 1, "seed \(seed)")
        #expect(network.dials <= 2, "one for the name, at most one for the address: \(network.dials), seed \(seed)")
        #expect(network.nodes[0].events.allSatisfy { if case .disconnected = $0.event { false } else { true } }, "seed \(seed)")
        for source in [DiscoverySource.dns, .headscale, .tailscale] {
            let rows = network.rows(source, at: 0)
            #expect(rows.map(\.state) == [.connected], "\(source), seed \(seed)")
            #expect(rows.map(\.peer) == [network.nodes[1].peer], "the handshake told who it is: \(source), seed \(seed)")
        }
    }

    @Test func besideOurOwnResponderAvahiIsOffUntilItsDaemonAnswers() {
        for (backend, state) in [(MDNSBackend.auto, SourceState.off), (.avahi, .starting), (.embedded, .off)] {
            let network = network(1) {
                $0.discovery.modes = .mdns
                $0.discovery.mdnsBackend = backend
            }
            network.run(for: .seconds(1))
            #expect(network.table(0).sources.first { $0.source == .avahi }?.state ?? .off == state, "\(backend)")
        }
    }

    @Test func aNamelessAddressThatAConnectionOfOursLeadsToIsNotDialled() {
        let network = network(2)
        network.find(1, from: .tailscale, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
        #expect(network.dials { network.find(1, from: .dns, at: 0, isNamed: false) ; network.run(for: .seconds(100)) } == 0)
        #expect(network.rows(.dns, at: 0).map(\.state) == [.connected])
    }

    @Test func aNamelessPeerIsLearnedAndDialledAgainWhenItIsGone() {
        let network = network(2)
        network.find(1, from: .dns, at: 0, isNamed: false)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
        network.run(for: .seconds(100))
        #expect(network.dials == 1)
        network.restart(1)
        network.run(for: .milliseconds(50))
        #expect(network.run(atMost: .seconds(3)) { $0.isConnected(0, to: 1) })
    }

    @Test func aFailingSourceKeepsWhatItKnewAndDisturbsNobody() throws {
        let network = network(3)
        network.report(.running, from: .headscale, at: 0)
        network.report(.replaced([network.candidate(1)]), from: .headscale, at: 0)
        network.report(.running, from: .dns, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
        network.run(for: .seconds(20))
        for _ in 0..<5 { network.report(.failed(failure, retryAfter: .seconds(5)), from: .headscale, at: 0) }
        network.find(2, from: .dns, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 2) && $0.isConnected(0, to: 1) })
        #expect(try network.status(.headscale, at: 0).state == .failed(failure, retryAfter: .seconds(5)))
        #expect(try network.status(.dns, at: 0).state == .running)
        network.restart(1)
        network.run(for: .milliseconds(50))
        #expect(network.run(atMost: .seconds(3)) { $0.isConnected(0, to: 1) }, "the last list holds on")
        network.report(.running, from: .headscale, at: 0)
        let told = network.sourceEvents(0).filter { $0.0 == .headscale }.map(\.1)
        #expect(told == [.running, .failed(failure, retryAfter: .seconds(5)), .running], "told at changes only")
    }

    @Test func aPodThatVanishesIsLetGoWhenItIsDisconnected() {
        let network = network(3)
        network.report(.replaced([network.candidate(1), network.candidate(2)]), from: .dns, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) && $0.isConnected(0, to: 2) })
        network.run(for: .seconds(20))
        network.report(.replaced([network.candidate(2)]), from: .dns, at: 0)
        network.run(for: .seconds(20))
        #expect(network.isConnected(0, to: 1), "a live connection stays")
        network.kill(1)
        network.restart(1)
        network.run(for: .seconds(1))
        #expect(network.dials { network.run(for: .seconds(200)) } == 0)
        #expect(!network.isConnected(0, to: 1))
        #expect(network.isConnected(0, to: 2))
        network.report(.replaced([network.candidate(1), network.candidate(2)]), from: .dns, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
    }

    @Test func aVanishedPodIsNoLongerDialledNorIsItsDialGoneOnWith() {
        let network = network(2)
        network.partition([0, 1])
        network.find(1, from: .dns, at: 0)
        network.run(for: .seconds(3))
        #expect(network.nodes[0].swarm?.dials.count == 1)
        network.report(.lost(key: "key1"), from: .dns, at: 0)
        #expect(network.nodes[0].swarm?.dials.isEmpty == true)
        #expect(network.nodes[0].swarm?.outboundAttempts == 0)
        #expect(network.nodes[0].swarm?.discoveryDials == 0)
        network.heal()
        #expect(network.dials { network.run(for: .seconds(100)) } == 0)
        #expect(network.table(0).entries.isEmpty)
        #expect(network.nodes[0].swarm?.table.targets.isEmpty == true)
    }

    @Test func aSourceThatStopsForgetsAndConnectionsStay() throws {
        let network = network(2)
        network.report(.running, from: .dns, at: 0)
        network.find(1, from: .dns, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
        network.report(.stopped, from: .dns, at: 0)
        network.run(for: .seconds(60))
        #expect(network.isConnected(0, to: 1))
        #expect(network.rows(.dns, at: 0).isEmpty)
        #expect(try network.status(.dns, at: 0).state == .starting, "it is still wanted")
    }

    @Test(arguments: 0..<5) func aNewPortReplacesTheOldOneAtOnce(seed: UInt64) throws {
        let network = network(2, seed: seed)
        network.find(1, from: .headscale, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
        network.run(for: .seconds(20))
        network.kill(1)
        network.run(for: .seconds(100))
        #expect(!network.isConnected(0, to: 1))
        network.restart(1, port: 5_001)
        network.find(1, from: .headscale, at: 0)
        #expect(network.run(atMost: .seconds(1)) { $0.isConnected(0, to: 1) }, "no backoff of the old port counts, seed \(seed)")
        let rows = network.rows(.headscale, at: 0)
        #expect(rows.map(\.address.description) == ["/ip4/10.0.0.2/tcp/5001"], "seed \(seed)")
        #expect(rows.map(\.attempts) == [1], "seed \(seed)")
    }

    /// The address book knows the old port from identify: it is tried a few times, not for ever.
    @Test func theAddressBookGivesADeadPortUp() throws {
        let siege = Siege { $0.discovery.modes = .dns }
        let peer = KeyPair(random: &siege.random)
        let address = try Multiaddr("/ip4/9.9.9.9/tcp/1")
        siege.swarm.receive(.found(Candidate(key: "k", peer: peer.peerID, addresses: [address])), from: .dns, now: siege.now)
        siege.settle()
        let first = try #require(SiegePeer(answering: siege, identity: peer))
        siege.end(first.connection)
        let renewed = Candidate(key: "k", peer: peer.peerID, addresses: [try Multiaddr("/ip4/9.9.9.9/tcp/2")])
        siege.swarm.receive(.found(renewed), from: .dns, now: siege.now)
        siege.settle()
        var dialled: [UInt16] = []
        for _ in 0..<600 {
            siege.pass(.milliseconds(100))
            while !siege.connects.isEmpty {
                let (id, to) = siege.connects.removeFirst()
                dialled.append(to.port)
                siege.swarm.connectFailed(id, errno: 111, now: siege.now)
                siege.settle()
            }
        }
        #expect(dialled.filter { $0 == 1 }.count <= AddressBook.toleratedFailures)
        #expect(dialled.filter { $0 == 2 }.count > AddressBook.toleratedFailures)
    }

    @Test func anEntryExpiresUnlessItsPeerLives() {
        let network = network(3)
        network.find(1, from: .tailscale, at: 0, lifetime: .seconds(30))
        network.partition([0, 0, 1])
        network.find(2, from: .tailscale, at: 0, lifetime: .seconds(30))
        network.run(for: .seconds(29))
        #expect(network.rows(.tailscale, at: 0).count == 2)
        network.run(for: .seconds(100))
        #expect(network.rows(.tailscale, at: 0).map(\.peer) == [network.nodes[1].peer], "a connection is a sign of life")
        #expect(network.nodes[0].swarm?.dials.isEmpty == true)
        network.kill(1)
        network.run(for: .seconds(100))
        #expect(network.rows(.tailscale, at: 0).isEmpty)
    }

    @Test func theTableSaysWhatWasTriedAndWhy() throws {
        let network = network(2)
        network.kill(1)
        network.find(1, from: .headscale, at: 0)
        network.run(for: .seconds(10))
        let row = try #require(network.rows(.headscale, at: 0).first)
        #expect(row.lastFailure == .refused)
        #expect(row.attempts >= 3)
        #expect(row.state == .waiting)
        #expect(try #require(row.nextTry) > .zero)
        #expect(row.heard == .seconds(10))
        #expect(row.expires == nil)
        let status = try network.status(.headscale, at: 0)
        #expect(status.heard == 1)
        #expect(status.dialled == row.attempts)
        #expect(status.failed == [.refused: row.attempts])
        #expect(status.succeeded == 0)
        #expect(status.lastHeard == .seconds(10))
        #expect(status.lastSuccess == nil)
        network.restart(1)
        #expect(network.run(atMost: .seconds(31)) { $0.isConnected(0, to: 1) })
        network.run(for: .seconds(5))
        let later = try network.status(.headscale, at: 0)
        #expect(later.succeeded == 1)
        #expect(try #require(later.lastSuccess) >= .seconds(5))
    }

    /// A cable that is plugged in again is no reason to wait for the end of a backoff.
    @Test func otherInterfacesAreAReasonToTryAgainAtOnce() throws {
        let network = network(3)
        for node in [1, 2] { network.kill(node) }
        network.find(1, from: .headscale, at: 0)
        network.perform(.addBootstrap(try Multiaddr(network.nodes[2].multiaddr)), at: 0)
        network.run(for: .seconds(200))
        for node in [1, 2] { network.restart(node) }
        let prefix = try #require(NetworkPrefix(parsing: "10.0.0.1/16"))
        network.with(0) { $0.setInterfaces([NetworkInterface(name: "eth7", addresses: [prefix])], now: $1) }
        #expect(network.run(atMost: .milliseconds(200)) { $0.isConnected(0, to: 1) && $0.isConnected(0, to: 2) })
        #expect(network.dials { network.with(0) { $0.setInterfaces([NetworkInterface(name: "eth7", addresses: [prefix])], now: $1) } } == 0)
    }

    @Test func trafficOfInterfacesIsCounted() throws {
        let network = network(1) { $0.discovery.modes = .mdns }
        network.report(.traffic(interface: "eth0", sent: 2, heard: 3, failure: nil), from: .mdns, at: 0)
        network.report(.traffic(interface: "eth1", sent: 1, heard: 0, failure: failure), from: .mdns, at: 0)
        network.report(.traffic(interface: "eth0", sent: 5, heard: .max, failure: failure), from: .mdns, at: 0)
        network.report(.traffic(interface: "eth0", sent: 1, heard: -1, failure: nil), from: .mdns, at: 0)
        for index in 0..<1_000 { network.report(.traffic(interface: "veth\(index)", sent: 1, heard: 1, failure: nil), from: .mdns, at: 0) }
        let interfaces = try network.status(.mdns, at: 0).interfaces
        #expect(interfaces.count == SourceRecord.maximumInterfaces)
        #expect(interfaces[0].name == "eth0")
        #expect(interfaces[0].sent == 8)
        #expect(interfaces[0].heard == .max)
        #expect(interfaces[0].failure == nil)
        #expect(interfaces[1].failure == failure)
    }

    @Test func nonsenseFromASourceIsCountedAndKeptOut() throws {
        let network = network(2)
        let node = network.nodes[1]
        network.report(.found(Candidate(key: String(repeating: "k", count: 257), addresses: [node.address.multiaddr])), from: .dns, at: 0)
        network.report(.found(Candidate(key: "none", addresses: [])), from: .dns, at: 0)
        let alien = node.address.multiaddr.appending(network.nodes[0].peer)
        network.report(.found(Candidate(key: "alien", peer: node.peer, addresses: [alien])), from: .dns, at: 0)
        #expect(try network.status(.dns, at: 0).filtered == [.malformed: 3])
        let unusable = try Multiaddr("/ip4/10.0.0.2/udp/1/quic-v1")
        network.report(.found(Candidate(key: "quic", peer: node.peer, addresses: [unusable])), from: .dns, at: 0)
        let many = try (1...40).map { try Multiaddr("/ip4/10.7.0.\($0)/tcp/1") }
        network.report(.found(Candidate(key: "many", addresses: many)), from: .dns, at: 0)
        let status = try network.status(.dns, at: 0)
        #expect(status.filtered == [.malformed: 3, .noAddress: 1, .limit: 1])
        #expect(network.rows(.dns, at: 0).count == 1 + PeerTable.maximumAddresses)
        #expect(network.rows(.dns, at: 0).first?.filter == .noAddress)
        #expect(network.rows(.dns, at: 0).first?.state == .filtered)
    }

    @Test func oneSeedGivesOneTrace() {
        func run(_ seed: UInt64) -> Trace {
            let network = network(6, seed: seed)
            for node in 0..<6 {
                for target in 0..<6 where target != node {
                    network.find(target, from: target % 2 == 0 ? .dns : .tailscale, at: node, isNamed: target % 3 != 0, lifetime: .seconds(20))
                }
            }
            network.kill(2)
            network.run(for: .seconds(60))
            return network.trace
        }
        #expect(run(8) == run(8))
        #expect(run(8) != run(9))
    }
}
