import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Allow and deny lists, the policy, and changes of both while the node runs.
@Suite struct DiscoveryRulesTests {
    private func network(_ count: Int, configure: @escaping (inout DiscoveryConfiguration) -> Void = { _ in }) -> Simulation {
        let network = Simulation(seed: 3)
        for index in 0..<count {
            network.addNode { configuration in
                configuration.discovery.modes = [.dns, .tailscale]
                if index == 0 { configure(&configuration.discovery) }
            }
        }
        return network
    }

    private func reconfigure(_ network: Simulation, _ change: (inout DiscoveryConfiguration) -> Void) throws -> Result<Outcome, CallError> {
        var configuration = try #require(network.nodes[0].swarm?.configuration.discovery)
        change(&configuration)
        let ticket = network.perform(.configureDiscovery(configuration), at: 0)
        return try #require(network.nodes[0].completions[ticket])
    }

    private func problems(_ network: Simulation) -> [String] {
        network.nodes[0].events.compactMap { if case .addressProblem(let problem) = $0.event { problem.text } else { nil } }
    }

    // MARK: Lists

    @Test(arguments: [(["10.0.0.3/32"], []), ([], ["10.0.0.2/32"]), (["10.0.0.0/24"], ["10.0.0.0/31", "10.0.0.2"])])
    func networksDecideWhoIsDialled(allowed: [String], denied: [String]) throws {
        let network = network(3) {
            $0.allowedNetworks = allowed
            $0.deniedNetworks = denied
        }
        for target in [1, 2] { network.find(target, from: .dns, at: 0) }
        network.run(for: .seconds(20))
        #expect(network.nodes[0].connected == [network.nodes[2].peer])
        #expect(network.rows(.dns, at: 0).map(\.filter) == [.network, nil])
        #expect(network.rows(.dns, at: 0).map(\.state) == [.filtered, .connected])
        #expect(try network.status(.dns, at: 0).filtered == [.network: 1])
        #expect(problems(network) == [])
    }

    @Test func whatANameStandsForIsFilteredToo() throws {
        let network = network(2) { $0.deniedNetworks = ["10.0.0.0/8"] }
        let name = try Multiaddr("/dns4/node1/tcp/4001")
        network.report(.found(Candidate(key: "k", peer: network.nodes[1].peer, addresses: [name])), from: .dns, at: 0)
        #expect(network.dials { network.run(for: .seconds(20)) } == 0)
        network.perform(.connect(try Multiaddr("/dns4/node1/tcp/4001")), at: 0)
        network.run(for: .seconds(20))
        #expect(network.isConnected(0, to: 1), "the lists are about what is found, not about what the application asks for")
    }

    @Test func anAllowListWithATypingErrorAllowsNothing() {
        let network = network(2) { $0.allowedNetworks = ["10.0.0.0/99"] }
        network.find(1, from: .dns, at: 0)
        #expect(network.dials { network.run(for: .seconds(20)) } == 0)
        #expect(problems(network) == ["10.0.0.0/99"])
    }

    @Test func interfacesDecideWhereAnAnnouncementCounts() throws {
        let network = network(3) {
            $0.allowedInterfaces = ["eth*", "wlan0"]
            $0.deniedInterfaces = ["eth1"]
        }
        for (target, interface) in [(1, "eth1"), (1, "docker0"), (2, "eth0")] {
            var candidate = network.candidate(target)
            candidate.interface = interface
            network.report(.found(candidate), from: .dns, at: 0)
        }
        network.run(for: .seconds(20))
        #expect(network.nodes[0].connected == [network.nodes[2].peer])
        #expect(network.rows(.dns, at: 0).map(\.filter) == [.interface, .interface, nil])
        #expect(try network.status(.dns, at: 0).filtered == [.interface: 2])
    }

    @Test func onlyAllowedPeersAreDialledOrKept() throws {
        let network = Simulation(seed: 4)
        for _ in 0..<3 { network.addNode() }
        let friend = network.nodes[2].peer
        let node = network.addNode {
            $0.discovery.modes = .dns
            $0.discovery.allowedPeers = [friend]
        }
        network.find(0, from: .dns, at: node)
        network.find(1, from: .dns, at: node, isNamed: false)
        network.find(2, from: .dns, at: node, isNamed: false)
        network.run(for: .seconds(100))
        #expect(network.nodes[node].connected == [friend])
        #expect(network.disconnects(node).isEmpty, "the stranger was never a peer")
        #expect(network.rows(.dns, at: node).map(\.filter) == [.peer, .peer, nil])
        #expect(network.dials == 2, "who turned out to be a stranger is not dialled again")
        #expect(network.nodes[1].swarm?.connectionCount == 0)
    }

    @Test func weAreNotDialledByOurselves() throws {
        let network = network(1)
        network.find(0, from: .dns, at: 0)
        network.find(0, from: .tailscale, at: 0, isNamed: false)
        var elsewhere = network.candidate(0, isNamed: false, key: "alias")
        elsewhere.addresses = [try Multiaddr("/ip4/127.0.0.1/tcp/4001"), network.nodes[0].address.multiaddr]
        network.report(.found(elsewhere), from: .tailscale, at: 0)
        #expect(network.dials { network.run(for: .seconds(60)) } == 0)
        #expect(try network.status(.dns, at: 0).filtered == [.own: 1])
        #expect(network.rows(.tailscale, at: 0).map(\.filter) == [.own, .own, .own], "one address that is ours says it of all")
        #expect(network.nodes[0].swarm?.dials.isEmpty == true)
        #expect(network.nodes[0].events.contains { if case .connected = $0.event { true } else { false } } == false)
    }

    @Test func whatASourceFilteredIsCountedAndShown() throws {
        let network = network(2)
        let stranger = network.nodes[1].peer
        network.report(.filtered(.appID, what: stranger.description, interface: "eth0"), from: .dns, at: 0)
        network.report(.filtered(.appID, what: stranger.description, interface: "eth0"), from: .dns, at: 0)
        network.report(.filtered(.offline, what: "some node", interface: nil), from: .dns, at: 0)
        for index in 0..<1_000 {
            let name = "\(index)" + String(repeating: "x", count: 5_000)
            network.report(.filtered(.malformed, what: name, interface: nil), from: .tailscale, at: 0)
        }
        #expect(try network.status(.dns, at: 0).filtered == [.appID: 2, .offline: 1])
        let row = try #require(network.rows(.dns, at: 0).first)
        #expect(network.rows(.dns, at: 0).count == 1)
        #expect(row.filter == .appID && row.peer == stranger && row.interface == "eth0" && row.state == .filtered)
        let kept = try #require(network.nodes[0].swarm?.table[.tailscale].refusals)
        #expect(kept.count == SourceRecord.maximumRefusals)
        #expect((0..<kept.count).allSatisfy { kept[$0].what.utf8.count <= SourceRecord.maximumRefusalLength })
    }

    // MARK: Bounds of the configuration

    @Test func aConfigurationThatCannotBeUsedChangesNothing() throws {
        let network = network(2)
        network.find(1, from: .dns, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
        let wrong: [(inout DiscoveryConfiguration) -> Void] = [
            { $0.interval = .milliseconds(999) }, { $0.interval = .seconds(3_601) }, { $0.appID = "" },
            { $0.appID = String(repeating: "a", count: 65) }, { $0.endpointID = String(repeating: "a", count: 65) },
            { $0.dnsServices = [String](repeating: "a.example:1", count: 33) }, { $0.allowedNetworks = ["nonsense"] }, { $0.deniedNetworks = ["::/129"] },
            { $0.allowedInterfaces = [""] }, { $0.deniedInterfaces = ["a*b"] }, { $0.offerQueue = 0 }, { $0.offerQueue = 1_000_000 },
            { $0.deniedNetworks = [String](repeating: "10.0.0.0/8", count: 1_025) }, { $0.serviceTag = "a..b" },
        ]
        for (index, change) in wrong.enumerated() {
            let result = try reconfigure(network) {
                $0.modes = []
                change(&$0)
            }
            guard case .failure = result else {
                Issue.record("case \(index) was taken")
                continue
            }
        }
        #expect(network.nodes[0].swarm?.configuration.discovery.modes == [.dns, .tailscale])
        #expect(network.rows(.dns, at: 0).count == 1)
        let fine = try reconfigure(network) {
            $0.interval = .seconds(1)
            $0.appID = String(repeating: "a", count: 64)
            $0.dnsServices = [String](repeating: "a.example:1", count: 32)
        }
        guard case .success(.done) = fine else {
            Issue.record("\(fine)")
            return
        }
    }

    // MARK: At run time

    @Test func listsTakeEffectAtOnceAndConnectionsStay() throws {
        let network = network(3)
        network.find(1, from: .dns, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
        _ = try reconfigure(network) { $0.deniedNetworks = ["10.0.0.2/31"] }
        network.find(2, from: .dns, at: 0)
        network.run(for: .seconds(30))
        #expect(network.nodes[0].connected == [network.nodes[1].peer])
        #expect(network.rows(.dns, at: 0).map(\.filter) == [.network, .network])
        _ = try reconfigure(network) { $0.deniedNetworks = [] }
        #expect(network.run(atMost: .seconds(1)) { $0.isConnected(0, to: 2) })
        #expect(network.disconnects(0).isEmpty)
    }

    @Test func aDeniedPeerThatIsBeingDialledIsLeftAlone() throws {
        let network = network(2)
        network.partition([0, 1])
        network.find(1, from: .dns, at: 0)
        network.run(for: .seconds(1))
        #expect(network.nodes[0].swarm?.dials.count == 1)
        _ = try reconfigure(network) { $0.deniedNetworks = ["10.0.0.0/8"] }
        #expect(network.nodes[0].swarm?.dials.isEmpty == true)
        #expect(network.nodes[0].swarm?.discoveryDials == 0)
    }

    @Test func modesSwitchSourcesAndBootstrapGoesOn() throws {
        let network = Simulation(seed: 5)
        for _ in 0..<3 { network.addNode { $0.discovery.modes = .mdns } }
        let node = network.addNode(bootstrap: [network.nodes[0].multiaddr]) { $0.discovery.modes = [] }
        #expect(network.run(atMost: .seconds(2)) { $0.nodes[node].connected.count == 1 })
        network.run(for: .seconds(10))
        #expect(network.nodes[node].connected.count == 1)
        let on = network.perform(.configureDiscovery({ var wanted = DiscoveryConfiguration(); wanted.modes = .mdns; return wanted }()), at: node)
        #expect(network.run(atMost: .seconds(2)) { $0.nodes[node].connected.count == 3 })
        guard case .success(.done) = network.nodes[node].completions[on] else {
            Issue.record("not done")
            return
        }
        #expect(network.sourceEvents(node).map(\.0) == [.mdns])
        let off = DiscoveryConfiguration.none
        network.perform(.configureDiscovery(off), at: node)
        network.run(for: .seconds(30))
        #expect(network.nodes[node].connected.count == 3, "live connections stay")
        #expect(network.rows(.mdns, at: node).isEmpty)
        #expect(network.sourceEvents(node).last?.1 == .off)
        #expect(network.table(node).sources.first { $0.source == .mdns }?.state == .off)
        network.report(.found(network.candidate(1)), from: .mdns, at: node)
        #expect(network.rows(.mdns, at: node).isEmpty, "a late report of a source that is off")
        network.restart(0)
        network.run(for: .milliseconds(100))
        #expect(network.run(atMost: .seconds(5)) { $0.isConnected(node, to: 0) })
    }

    @Test func theDriverIsToldOfEveryConfiguration() throws {
        let siege = Siege { $0.discovery.modes = nil }
        #expect(siege.configurations.map(\.modes) == [[]])
        var wanted = DiscoveryConfiguration()
        wanted.modes = [.dns]
        wanted.dnsServices = ["a.example:4001"]
        siege.perform(.configureDiscovery(wanted))
        #expect(siege.configurations.last == wanted)
    }

    // MARK: Offers

    @Test func foundPeersAreToldOfOnce() {
        let network = network(3)
        for _ in 0..<5 {
            network.find(1, from: .dns, at: 0)
            network.find(1, from: .tailscale, at: 0)
            network.run(for: .seconds(40))
        }
        #expect(network.discoveries(0).map(\.peer) == [network.nodes[1].peer])
        #expect(network.discoveries(0).first?.source == .dns)
        #expect(network.discoveries(0).first?.addresses.map(\.description) == [network.nodes[1].multiaddr])
    }

    @Test func offeredPeersAreLeftToTheApplication() throws {
        let network = network(3) { $0.policy = .offer }
        network.find(1, from: .dns, at: 0)
        network.find(2, from: .dns, at: 0, isNamed: false)
        #expect(network.dials { network.run(for: .seconds(29)) } == 0)
        #expect(network.discoveries(0).map(\.peer) == [network.nodes[1].peer, nil])
        #expect(network.rows(.dns, at: 0).map(\.state) == [.offered, .offered])
        network.run(for: .seconds(35))
        #expect(network.discoveries(0).count >= 4, "offered again every interval")
        network.perform(.connect(try Multiaddr(network.nodes[1].multiaddr)), at: 0)
        network.run(for: .seconds(1))
        let before = network.discoveries(0).count
        network.run(for: .seconds(100))
        #expect(network.discoveries(0).dropFirst(before).allSatisfy { $0.peer == nil }, "who is connected is not offered")
        _ = try reconfigure(network) { $0.policy = .dial }
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 2) })
    }

    /// Ten fit into the queue of the application; every peer comes to it in the end.
    @Test func whatDoesNotFitIntoTheQueueIsOfferedLater() throws {
        let siege = Siege {
            $0.discovery.modes = .dns
            $0.discovery.policy = .offer
        }
        var fakes = FakePeers(seed: 1), seen: Set<PeerID> = [], dropped = 0
        for index in 0..<100 { siege.swarm.receive(.found(try fakes.candidate(index)), from: .dns, now: siege.now) }
        for _ in 0..<40 {
            siege.settle()
            var queue: [Discovery] = []
            for case .discovered(let discovery) in siege.events {
                if queue.count < 10 { queue.append(discovery) } else {
                    dropped += 1
                    siege.swarm.offerDropped(discovery, now: siege.now)
                }
            }
            siege.events = []
            seen.formUnion(queue.compactMap(\.peer))
            siege.pass(.seconds(1))
        }
        #expect(seen.count == 100)
        #expect(dropped >= 90)
        #expect(siege.swarm.discoveryTable.offersDropped == dropped)
        #expect(siege.connects.isEmpty)
    }
}

extension DiscoveryConfiguration {
    fileprivate static var none: DiscoveryConfiguration {
        var configuration = DiscoveryConfiguration()
        configuration.modes = []
        return configuration
    }
}
