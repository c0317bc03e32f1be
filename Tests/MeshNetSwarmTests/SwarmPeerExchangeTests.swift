import MeshNetProtocol
import MeshNetSimulator
import TestSupport
import Testing

@testable import MeshNetSwarm

@Suite struct SwarmPeerExchangeTests {
    /// Each node knows only the one before it.
    private func line(_ count: Int, seed: UInt64, modes: DiscoveryModes = .gossip) -> Simulation {
        let network = Simulation(seed: seed)
        for index in 0..<count {
            network.addNode(bootstrap: index == 0 ? [] : [network.nodes[index - 1].multiaddr]) {
                $0.discovery.modes = modes
                // As in a real node: a record of the next start is newer.
                $0.firstSequenceNumber = UInt64(index + 1) << 32
            }
        }
        return network
    }

    private func isKnown(_ network: Simulation) -> Bool {
        network.nodes.allSatisfy { node in
            network.nodes.allSatisfy { $0.peer == node.peer || node.swarm?.peers[$0.peer] != nil || node.swarm?.exchange?.knows($0.peer) == true }
        }
    }

    private func exchangeStreams(_ network: Simulation, _ node: Int, to other: Int) -> Int {
        let peer = network.nodes[other].peer
        return network.nodes[node].swarm?.connections.ids.reduce(0) { count, id in
            guard network.nodes[node].swarm?.connections[id]?.peer == peer else { return count }
            return count + (network.nodes[node].swarm?.connections[id]?.streams.values.count { $0 == .exchangeOut } ?? 0)
        } ?? 0
    }

    @Test(arguments: 0..<5) func aLineOfTwentyBecomesFullyKnown(seed: UInt64) {
        let network = line(20, seed: seed)
        #expect(network.run(atMost: .seconds(30), until: isKnown), "seed \(seed)")
    }

    @Test(arguments: 0..<3) func aLineOfTwentyBecomesAMesh(seed: UInt64) {
        let network = line(20, seed: seed)
        #expect(network.run(atMost: .seconds(30)) { $0.nodes.allSatisfy { $0.swarm?.peers.count == 19 } }, "seed \(seed)")
    }

    /// A thousand peers that were signed for, and whose host swallows every packet: 10 s each, 16 at once.
    @Test func aThousandDeadPeersDoNotKeepTheLivingOneAway() {
        let network = line(3, seed: 6)
        let silent = network.addNode()
        network.partition([0, 0, 0, 1])
        #expect(network.run(atMost: .seconds(20)) { $0.nodes[1].swarm?.peers.count == 2 })
        var random = RandomSource(testSeed: 8)
        let dead = (0..<1_000).map { _ in
            PeerRecord.sealed(by: KeyPair(random: &random), sequence: 1, addresses: [network.nodes[silent].address.multiaddr])
        }
        let liar = network.nodes[0].peer
        network.with(1) { swarm, now in
            for start in stride(from: 0, to: dead.count, by: 250) {
                var message = PeerExchangeMessage()
                message.records = dead[start..<start + 250].map { .init(envelope: $0, age: 0) }
                message.encoded.withView { swarm.exchange?.receive($0, from: liar, now: now) }
            }
            swarm.pumpExchange()
        }
        network.run(for: .seconds(15))
        #expect((network.nodes[1].swarm?.exchange?.entryCount ?? 0) > 1_000)
        // It knows only node 2, and waits to be found.
        let living = network.addNode(bootstrap: [network.nodes[2].multiaddr])
        network.partition([0, 0, 0, 1, 0])
        #expect(network.run(atMost: .seconds(60)) { $0.nodes[living].connected.contains($0.nodes[1].peer) })
    }

    @Test func aPeerWithoutTheProtocolIsLeftAlone() {
        let network = line(3, seed: 2)
        let vanilla = network.addNode(bootstrap: [network.nodes[0].multiaddr])
        network.run(for: .seconds(20))
        #expect(network.nodes[vanilla].connected.contains(network.nodes[0].peer))
        #expect(exchangeStreams(network, 0, to: vanilla) == 0)
        #expect(exchangeStreams(network, 0, to: 1) == 1)
        let seen = network.nodes[0].events.compactMap { if case .identified(let identity) = $0.event { identity } else { nil } }
        let speaks = Dictionary(seen.map { ($0.peer, $0.protocols.contains(PeerExchangeMessage.protocolID)) }) { $1 }
        #expect(speaks[network.nodes[1].peer] == true && speaks[network.nodes[vanilla].peer] == false)
        // What it says of itself reaches the others all the same.
        #expect(network.nodes[2].swarm?.exchange?.knows(network.nodes[vanilla].peer) == true)
    }

    @Test func itStartsAndStopsAtRunTime() {
        let network = line(3, seed: 3, modes: [])
        network.run(for: .seconds(5))
        #expect(exchangeStreams(network, 0, to: 1) == 0)
        for node in 0..<3 {
            network.with(node) { swarm, now in swarm.configurePeerExchange(.gossip) }
        }
        #expect(network.run(atMost: .seconds(10), until: isKnown))
        #expect(exchangeStreams(network, 0, to: 1) == 1)
        network.with(1) { swarm, now in swarm.configurePeerExchange([]) }
        network.run(for: .seconds(5))
        #expect(exchangeStreams(network, 0, to: 1) == 0)
        #expect(network.nodes[0].connected.contains(network.nodes[1].peer))
    }

    @Test func aNewRecordReplacesTheOldOneEverywhere() {
        let network = line(4, seed: 4)
        #expect(network.run(atMost: .seconds(20), until: isKnown))
        network.run(for: .seconds(20))
        network.kill(3)
        network.nodes[3].configuration.firstSequenceNumber = 9 << 32
        network.restart(3, port: 5_005)
        network.run(for: .seconds(20))
        for node in 0..<3 where network.nodes[node].swarm?.peers[network.nodes[3].peer] == nil {
            let known = network.nodes[node].swarm?.exchange?.addresses(of: network.nodes[3].peer).map(\.description)
            #expect(known == ["/ip4/10.0.0.4/tcp/5005"], "node \(node)")
        }
    }

    @Test func oneSeedGivesOneTrace() {
        func run(_ seed: UInt64) -> Trace {
            let network = line(8, seed: seed)
            network.run(for: .seconds(30))
            return network.trace
        }
        #expect(run(8) == run(8))
        #expect(run(8) != run(9))
    }

    // MARK: Abuse

    private func attacked() throws -> (Siege, SiegePeer) {
        let siege = Siege(seed: 1) { $0.discovery.modes = .gossip }
        let peer = try #require(SiegePeer(dialling: siege))
        siege.pass(.milliseconds(10))
        peer.frames.removeAll()
        return (siege, peer)
    }

    /// A record of somebody made up.
    private func record(_ random: inout RandomSource) -> [UInt8] {
        let address = Multiaddr(ip: [10, 200, UInt8(truncatingIfNeeded: random.next()), UInt8(truncatingIfNeeded: random.next())], tcpPort: 4001)
        return PeerRecord.sealed(by: KeyPair(random: &random), sequence: 1, addresses: address.map { [$0] } ?? [])
    }

    private func frames(_ envelopes: [[UInt8]]) -> [UInt8] {
        stride(from: 0, to: envelopes.count, by: PeerExchangeMessage.maximumRecords).flatMap { start in
            var message = PeerExchangeMessage()
            message.records = envelopes[start..<min(envelopes.count, start + PeerExchangeMessage.maximumRecords)].map { .init(envelope: $0, age: 0) }
            return message.frame
        }
    }

    /// A stream for as many bytes as its first window takes.
    private func tell(_ peer: SiegePeer, _ bytes: [UInt8]) -> UInt32 { peer.open(PeerExchangeMessage.protocolID, bytes) }

    @Test func forgedRecordsSilenceTheirSenderAndNothingElse() throws {
        let (siege, peer) = try attacked()
        var random = RandomSource(testSeed: 5)
        let forged = (0..<1_000).map { _ in
            var envelope = record(&random)
            envelope[envelope.count - 3] ^= 0x40
            return envelope
        }
        let stream = tell(peer, frames(Array(forged.prefix(500))))
        _ = tell(peer, frames(Array(forged.suffix(500))))
        siege.pass(.seconds(1))
        #expect(peer.resets.contains(stream))
        #expect(!peer.isCutOff)
        #expect(siege.swarm.exchange?.entryCount == 0)
        #expect(siege.swarm.exchange?.counters.verified == PeerExchangeLimits().faults)
        // It stays silenced on further streams; another peer is heard.
        let again = tell(peer, frames([record(&random)]))
        siege.pass(.seconds(1))
        #expect(peer.resets.contains(again))
        let honest = try #require(SiegePeer(dialling: siege))
        siege.pass(.milliseconds(10))
        _ = tell(honest, frames([record(&random)]))
        siege.pass(.seconds(1))
        #expect(siege.swarm.exchange?.entryCount == 1)
    }

    @Test func endlessMessagesAreReset() throws {
        let (siege, peer) = try attacked()
        let tooLong = tell(peer, Varint.encoded(UInt64(PeerExchangeMessage.maximumAcceptedByteCount + 1)))
        let garbage = tell(peer, [3, 0x0a, 9, 1])
        siege.pass(.seconds(1))
        #expect(peer.resets.contains(tooLong) && peer.resets.contains(garbage))
        #expect(!peer.isCutOff)
    }

    @Test func aNewStreamTakesThePlaceOfTheOldOne() throws {
        let (siege, peer) = try attacked()
        let streams = (0..<20).map { _ in tell(peer, []) }
        siege.pass(.seconds(1))
        #expect(streams.dropLast().allSatisfy { peer.resets.contains($0) })
        #expect(siege.swarm.connections[peer.connection]?.streams.values.count { $0 == .exchangeIn } == 1)
        siege.end(peer.connection)
        siege.pass(.seconds(60))
        #expect(siege.remains == [])
    }

    @Test func fakePeersFillNoMoreThanTheTable() throws {
        let (siege, peer) = try attacked()
        var random = RandomSource(testSeed: 6)
        for _ in 0..<8 {
            _ = tell(peer, frames((0..<256).map { _ in record(&random) }))
            siege.pass(.seconds(8))
        }
        #expect(siege.swarm.exchange?.entryCount == PeerExchangeLimits().entries)
        #expect(siege.swarm.outboundAttempts <= 16 * siege.swarm.configuration.limits.dialsPerPeer)
        siege.end(peer.connection)
        siege.pass(.seconds(1_900))
        #expect(siege.swarm.exchange?.entryCount == 0)
    }
}
