import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Of the seventeen weaknesses of ocap-kernel those about reaching peers; see `OcapWeaknessTests`.
@Suite struct OcapReachTests {
    /// A peer that is wanted and away, and a message that waits for it.
    private func separated(seed: UInt64, configure: (inout Configuration) -> Void = { _ in }) -> (Simulation, Ticket) {
        let network = Simulation.pair(seed: seed, configure: configure)
        network.send(0, from: 1, to: 0)
        network.run(for: .seconds(10))
        network.partition([0, 1])
        return (network, network.send(1, from: 1, to: 0))
    }

    /// 3. There 10 dials a minute are allowed and the delays need more: after half a minute the reconnection stands still.
    @Test(arguments: [0, 10]) func ocapWeakness03NoLimitStallsTheReconnection(dialsPerMinute: Int) {
        let (network, ticket) = separated(seed: 3) { $0.messages.reconnect.dialsPerMinute = dialsPerMinute }
        network.run(for: .seconds(300))
        let failed = network.failedDials(1)
        #expect(failed.count >= 12)
        // The time of a dial, the longest delay, and where there is a limit its share of a minute.
        let longest = Duration.seconds(10) + .seconds(10) + (dialsPerMinute == 0 ? .zero : .seconds(60) / dialsPerMinute) + .seconds(1)
        for (earlier, later) in zip(failed, failed.dropFirst()) { #expect(later - earlier <= longest) }
        network.heal()
        #expect(network.run(atMost: longest) { $0.isDelivered(ticket, at: 1) })
    }

    /// 8. There a sweep removes a peer that has been away for an hour: nobody tries any longer, and its addresses are gone.
    @Test func ocapWeakness08APeerThatIsAwayForHoursIsStillTried() {
        let (network, ticket) = separated(seed: 8)
        network.run(for: .seconds(10_800))
        network.heal()
        #expect(network.run(atMost: .seconds(21)) { $0.isDelivered(ticket, at: 1) })
    }

    /// 9. There a relay that is away for some minutes is given up for good, and no wake revives it. There is no relay here: the entry to the network is the
    /// bootstrap peer.
    @Test func ocapWeakness09ABootstrapPeerIsTriedForEverAndAtOnceAfterAWake() {
        let network = Simulation(seed: 9)
        let a = network.addNode()
        network.kill(a)
        let b = network.addNode(bootstrap: [network.nodes[a].multiaddr])
        network.run(for: .seconds(3_600))
        network.restart(a)
        #expect(network.run(atMost: .seconds(31)) { $0.isConnected(b, to: a) })

        network.kill(a)
        network.run(for: .seconds(3_600))
        network.restart(a)
        network.with(b) { $0.woke(after: .seconds(60), now: $1) }
        #expect(network.run(atMost: .milliseconds(500)) { $0.isConnected(b, to: a) })
    }

    /// 10. There the timeout of a dial, which is what happens after a wake, counts as permanent, and the peer is given up.
    @Test func ocapWeakness10ADialWithoutAnswerIsNoReasonToGiveUp() {
        let (network, ticket) = separated(seed: 10)
        network.run(for: .seconds(600))
        #expect(!network.changes(1).contains { if case .gaveUp = $0 { true } else { false } })
        #expect(network.channel(1, to: 0)?.failures.allSatisfy { if case .timedOut = $0 { true } else { false } } == true)
        network.heal()
        #expect(network.run(atMost: .seconds(21)) { $0.isDelivered(ticket, at: 1) })
    }

    /// 11. There one address that swallows packets uses up the time of all the others, and a shutdown waits for the dial.
    @Test func ocapWeakness11ADeadAddressDelaysNoOtherAndNoShutdown() throws {
        let network = Simulation(seed: 11)
        network.conditions.swallowsUnknown = true
        let a = network.addNode(), b = network.addNode()
        let dead = try (0..<7).map { try Multiaddr("/ip4/10.0.9.\($0 + 1)/tcp/4001") }
        network.perform(.reconnect(network.nodes[a].peer, dead + [network.nodes[a].address.multiaddr]), at: b)
        let ticket = network.send(1, from: b, to: a)
        #expect(network.run(atMost: .seconds(3)) { $0.isDelivered(ticket, at: b) })

        network.kill(a)
        network.partition([0, 1])
        network.cut(a, b, .reset)
        network.run(for: .seconds(1))
        let hanging = network.send(2, from: b, to: a)
        network.run(for: .seconds(1))
        network.with(b) { $0.shutdown(now: $1) }
        #expect(network.run(atMost: .seconds(2)) { $0.nodes[b].swarm?.connectionCount == 0 })
        #expect(network.ending(of: hanging, at: b) == .closed)
    }

    /// 12. There nothing bounds what comes in: not the rate, not unfinished handshakes, not one address.
    @Test func ocapWeakness12InboundConnectionsAreBounded() {
        let network = Simulation(seed: 12)
        let a = network.addNode()
        let to = network.nodes[a].address
        var accepted = 0, fromOne = 0
        network.with(a) { swarm, now in
            for port in 1...100 as ClosedRange<UInt16> where swarm.accepted(from: SocketAddress(ip: [10, 0, 7, 7], port: port), to: to, now: now) != nil {
                fromOne += 1
            }
            for host in 1...250 as ClosedRange<UInt8> where swarm.accepted(from: SocketAddress(ip: [10, 0, 8, host], port: 9), to: to, now: now) != nil {
                accepted += 1
            }
        }
        #expect(fromOne == Limits().inboundConnectionsPerAddress)
        #expect(accepted + fromOne == Limits().pendingInboundConnections)
    }

    /// 15. There an idle link is torn down every 120 s.
    @Test func ocapWeakness15AnIdleLinkStays() {
        let network = Simulation.pair(seed: 15)
        let first = network.send(0, from: 1, to: 0)
        network.run(for: .seconds(5))
        #expect(network.isDelivered(first, at: 1))
        let dials = network.dials { network.run(for: .seconds(10_800)) }
        #expect(dials == 0)
        #expect(network.disconnects(0).isEmpty && network.disconnects(1).isEmpty)
        let start = network.now, second = network.send(1, from: 1, to: 0)
        #expect(network.run(atMost: .seconds(1)) { $0.isDelivered(second, at: 1) })
        #expect(network.now - start < .milliseconds(200))
    }

    /// 16. There nothing tells whether a peer can be reached.
    @Test func ocapWeakness16TheStateOfAChannelIsToldAndCanBeAsked() throws {
        let network = Simulation.pair(seed: 16)
        network.send(0, from: 1, to: 0)
        network.run(for: .seconds(2))
        let connected = try #require(network.channel(1, to: 0))
        #expect(connected.state == .connected)
        #expect(connected.delivered == 1 && connected.incarnation != nil && connected.silence != nil)
        #expect(network.channel(0, to: 1)?.received == 1)

        network.kill(0)
        network.send(1, from: 1, to: 0)
        network.cut(0, 1, .reset)
        // Refused each time: five in a row look permanent.
        network.run(for: .seconds(60))
        let away = try #require(network.channel(1, to: 0))
        guard case .gaveUp = away.state else {
            Issue.record("\(away.state)")
            return
        }
        #expect(away.attempts >= 5 && away.failures == Array(repeating: .refused, count: 5))
        #expect(away.queuedMessages == [0, 1, 0])
        #expect(network.changes(1).contains { if case .gaveUp(_, let failures, let retryAfter) = $0 { !failures.isEmpty && retryAfter != nil } else { false } })
        network.restart(0)
        network.send(2, from: 1, to: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isConnected(1, to: 0) })
    }
}
