import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Many invented peers: what they cost is bounded, and the real ones are reached all the same.
@Suite struct DiscoveryLoadTests {
    private static let modes: DiscoveryModes = [.dns, .tailscale, .headscale, .tailscale]

    private func network(seed: UInt64) -> Simulation {
        let network = Simulation(seed: seed)
        for _ in 0..<2 { network.addNode { $0.discovery.modes = Self.modes } }
        network.conditions.swallowsUnknown = true
        return network
    }

    /// Ten thousand addresses that swallow every packet, and one peer that announces itself now and then, from the same source.
    @Test(arguments: 0..<3) func tenThousandFakesDoNotKeepTheRealPeerAway(seed: UInt64) throws {
        let network = network(seed: seed)
        var fakes = FakePeers(seed: seed)
        for index in 0..<10_000 { network.report(.found(try fakes.candidate(index)), from: .tailscale, at: 0) }
        for _ in 0..<6 {
            network.find(1, from: .tailscale, at: 0)
            if network.run(atMost: .seconds(10), until: { $0.isConnected(0, to: 1) }) { break }
        }
        #expect(network.isConnected(0, to: 1), "seed \(seed)")
        let swarm = try #require(network.nodes[0].swarm)
        #expect(swarm.table.sightingCount <= PeerTable.maximumSightings)
        #expect(swarm.discoveryDials <= Swarm.maximumDiscoveryDials)
        #expect(swarm.outboundAttempts <= Swarm.maximumDiscoveryDials)
        #expect(swarm.timers.count < 20_000)
        #expect(try network.status(.tailscale, at: 0).filtered[.limit] == 10_001 - PeerTable.maximumSightings)
    }

    @Test(arguments: 0..<3) func aSourceWithTenThousandFakesDoesNotKeepAnotherSourceWaiting(seed: UInt64) throws {
        let network = network(seed: seed)
        var fakes = FakePeers(seed: seed)
        network.report(.replaced(try (0..<10_000).map { try fakes.candidate($0) }), from: .headscale, at: 0)
        network.run(for: .seconds(3))
        network.find(1, from: .dns, at: 0)
        #expect(network.run(atMost: .seconds(15)) { $0.isConnected(0, to: 1) }, "one dial time and the next turn, seed \(seed)")
    }

    @Test func whoWasConnectedBeforeComesFirst() throws {
        let network = network(seed: 7)
        network.find(1, from: .headscale, at: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(0, to: 1) })
        network.run(for: .seconds(20))
        var fakes = FakePeers(seed: 7)
        for index in 0..<10_000 { network.report(.found(try fakes.candidate(index)), from: .headscale, at: 0) }
        #expect(network.rows(.headscale, at: 0).contains { $0.peer == network.nodes[1].peer }, "what is connected is not pushed out")
        network.restart(1)
        network.run(for: .milliseconds(100))
        #expect(network.run(atMost: .seconds(15)) { $0.isConnected(0, to: 1) })
    }

    @Test func oneSourceLeavesRoomForTheOthers() throws {
        let siege = Siege { $0.discovery.modes = [.mdns, .dns, .tailscale] }
        var fakes = FakePeers(seed: 1)
        for index in 0..<5_000 { siege.swarm.receive(.found(try fakes.candidate(index)), from: .mdns, now: siege.now) }
        #expect(siege.swarm.table.count(of: .mdns) == PeerTable.maximumLocalSightings)
        for index in 0..<5_000 { siege.swarm.receive(.found(try fakes.candidate(index)), from: .tailscale, now: siege.now) }
        #expect(siege.swarm.table.sightingCount == PeerTable.maximumSightings)
        for index in 0..<500 { siege.swarm.receive(.found(try fakes.candidate(index)), from: .dns, now: siege.now) }
        #expect(siege.swarm.table.count(of: .dns) == 500, "the source that has most makes room")
        #expect(siege.swarm.table.count(of: .mdns) == PeerTable.maximumLocalSightings)
        #expect(siege.swarm.table.sightingCount == PeerTable.maximumSightings)
        siege.settle()
        #expect(siege.swarm.discoveryTable.entries.count <= Swarm.maximumTableRows)
        siege.swarm.receive(.stopped, from: .tailscale, now: siege.now)
        siege.swarm.receive(.replaced([]), from: .dns, now: siege.now)
        siege.swarm.receive(.stopped, from: .mdns, now: siege.now)
        siege.settle()
        #expect(siege.swarm.table.sightingCount == 0)
        #expect(siege.swarm.table.targets.isEmpty)
        #expect(siege.swarm.table.lines.count == 0)
        #expect(siege.remains == [])
    }

    /// Who changes his announcement with every packet is dialled as often as a port that was found a second ago: three times in that second.
    @Test func aRestlessAnnouncementDoesNotDialWithoutEnd() throws {
        let siege = Siege { $0.discovery.modes = .dns }
        var fakes = FakePeers(seed: 1)
        let peer = try fakes.peer()
        var dialled = 0
        for index in 0..<3_000 {
            let address = try Multiaddr("/ip4/10.9.\(index / 250).\(index % 250)/tcp/1")
            siege.swarm.receive(.found(Candidate(key: "k", peer: peer, addresses: [address])), from: .dns, now: siege.now)
            siege.settle()
            while !siege.connects.isEmpty {
                dialled += 1
                siege.swarm.connectFailed(siege.connects.removeFirst().id, errno: 111, now: siege.now)
                siege.settle()
            }
            siege.pass(.milliseconds(10))
        }
        #expect(dialled >= 20)
        #expect(dialled <= 120, "\(dialled) dials in 30 s")
        #expect(try #require(siege.swarm.table.targets.values.first).histories.count <= PeerTable.maximumAddresses)
    }

    @Test func theLinesAreServedInTurn() throws {
        var lines = TargetLines()
        for number in 0..<100 { _ = lines.join(TargetID(rawValue: UInt64(number)), source: .tailscale, as: .untried) }
        let real = lines.join(TargetID(rawValue: 1_000), source: .dns, as: .untried)
        let again = lines.join(TargetID(rawValue: 1_001), source: .tailscale, as: .heardAgain)
        #expect(real != again)
        let first = (0..<4).compactMap { _ in lines.next()?.rawValue }
        #expect(first.contains(1_000))
        #expect(first.contains(1_001))
        let place = lines.join(TargetID(rawValue: 7), source: .tailscale, as: .failed)
        lines.left(place)
        var rest: [UInt64] = []
        while let id = lines.next() { rest.append(id.rawValue) }
        #expect(rest.count == 98)
        #expect(Set(rest + first).count == 102)
        #expect(lines.count == 0)
    }

    /// Coming and going leaves nothing behind in the lines.
    @Test func placesThatWereGivenUpAreSwept() {
        var lines = TargetLines()
        for number in 0..<100_000 {
            let place = lines.join(TargetID(rawValue: UInt64(number)), source: .tailscale, as: .untried)
            lines.left(place)
        }
        #expect(lines.storedCount <= 65)
    }
}
