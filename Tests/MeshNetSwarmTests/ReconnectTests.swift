import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Peers whose channel is in use, under the virtual clock.
@Suite struct ReconnectTests {
    /// Two nodes whose sources tell nothing by themselves, and what they tell is only offered: node 0 wants node 1.
    private func pair(_ seed: UInt64, configure: (inout Configuration) -> Void = { _ in }) -> Simulation {
        let network = Simulation(seed: seed)
        for _ in 0..<2 {
            network.addNode { configuration in
                Self.offer(&configuration)
                configure(&configuration)
            }
        }
        network.want(1, at: 0)
        return network
    }

    private static func offer(_ configuration: inout Configuration) {
        configuration.discovery.modes = [.dns, .headscale, .tailscale]
        configuration.discovery.policy = .offer
    }

    private func meet(_ network: Simulation) {
        #expect(network.run(atMost: .seconds(1)) { $0.isConnected(0, to: 1) && $0.isConnected(1, to: 0) }, "seed \(network.seed)")
    }

    // MARK: - The ladder

    @Test(arguments: 0..<10) func aWantedPeerIsDialledAgainAfterEveryLoss(seed: UInt64) {
        let network = pair(seed)
        meet(network)
        for _ in 0..<5 {
            network.run(for: .seconds(6))
            network.cut(0, 1, .reset)
            #expect(network.run(atMost: .milliseconds(20)) { !$0.isConnected(0, to: 1) })
            // The first delay is under 500 ms, since the connection lasted.
            #expect(network.run(atMost: .milliseconds(600)) { $0.isConnected(0, to: 1) }, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<10) func anHourOfPartitionEndsInOneRound(seed: UInt64) {
        let network = pair(seed)
        meet(network)
        network.partition([0, 1])
        network.run(for: .seconds(3_600))
        #expect(!network.isConnected(0, to: 1))
        #expect(network.gaveUps(0).isEmpty, "silence never looks permanent")
        let status = network.channel(1, at: 0)
        #expect(status.failures.count == 5)
        // Each round takes the 10 s of a dial and up to 10 s of waiting: 15 s in the middle.
        #expect((180...360).contains(status.attempts), "\(status.attempts)")
        network.heal()
        #expect(network.run(atMost: .seconds(21)) { $0.isConnected(0, to: 1) }, "seed \(seed)")
        #expect(network.channel(1, at: 0).state == .connected)
        #expect(network.channel(1, at: 0).attempts == 0)
    }

    /// A peer that hangs up at once is not dialled in a loop: the delays grow until a connection lasted.
    @Test func onlyAConnectionThatLastedResetsTheDelays() {
        let network = pair(1)
        meet(network)
        let dials = network.dials {
            let end = network.now + .seconds(60)
            while network.now < end {
                if network.isConnected(0, to: 1) { network.cut(0, 1, .reset) }
                network.run(for: .milliseconds(10))
            }
        }
        #expect((6...30).contains(dials), "\(dials)")
        #expect(network.nodes[0].swarm?.wanted[network.nodes[1].peer]?.delays.bound == .seconds(10))
        network.run(for: .seconds(20))
        network.cut(0, 1, .reset)
        network.run(for: .milliseconds(20))
        #expect(network.nodes[0].swarm?.wanted[network.nodes[1].peer]?.delays.bound == .seconds(1), "one delay since the reset")
    }

    @Test func theAttemptsCanBeBounded() throws {
        let network = pair(2) {
            $0.messages.reconnect.maximumAttempts = 3
            $0.messages.reconnect.permanentAfter = 0
        }
        meet(network)
        network.kill(1)
        network.cut(0, 1, .reset)
        network.run(for: .seconds(60))
        let events = network.gaveUps(0)
        #expect(events.count == 1)
        #expect(events.first?.attempts == 3)
        #expect(events.first?.failures == [.refused, .refused, .refused])
        #expect(events.first?.retryAfter == nil)
        #expect(network.dials { network.run(for: .seconds(600)) } == 0)
        #expect(network.channel(1, at: 0).state == .gaveUp(retryAfter: nil))
        // A send asks again, as often.
        network.send(1, at: 0)
        network.run(for: .seconds(60))
        #expect(network.gaveUps(0).count == 2)
        network.restart(1)
        network.send(1, at: 0)
        meet(network)
    }

    /// The limit only makes rounds wait: the ladder goes on behind it, and the status tells until when (weakness 3 of ocap-kernel).
    @Test func roundsOfAMinuteCanBeBounded() {
        let network = pair(3) {
            $0.messages.reconnect.dialsPerMinute = 10
            $0.messages.reconnect.permanentAfter = 0
            $0.messages.reconnect.cap = .seconds(1)
        }
        meet(network)
        network.kill(1)
        network.cut(0, 1, .reset)
        network.run(for: .seconds(60))
        for _ in 0..<20 {
            let rounds = network.dials { network.run(for: .seconds(60)) }
            #expect((9...10).contains(rounds), "\(rounds)")
        }
        var sawWait = false
        for _ in 0..<60 {
            network.run(for: .seconds(1))
            if case .waiting(let left) = network.channel(1, at: 0).state, left > .seconds(1) { sawWait = true }
        }
        #expect(sawWait)
        network.restart(1)
        #expect(network.run(atMost: .seconds(61)) { $0.isConnected(0, to: 1) })
    }

    @Test func whoIsNotMissedForADayRests() {
        let network = pair(4) { $0.messages.reconnect.staleAfter = .seconds(3_600) }
        meet(network)
        network.kill(1)
        network.cut(0, 1, .reset)
        network.run(for: .seconds(3_700))
        #expect(network.dials { network.run(for: .seconds(3_600)) } == 0)
        #expect(network.channel(1, at: 0).state == .idle)
        network.restart(1)
        network.send(1, at: 0)
        meet(network)
    }

    // MARK: - What looks permanent

    /// Node 1 is dead and refuses; node 0 has given it up.
    private func givenUp(_ seed: UInt64) -> Simulation {
        let network = pair(seed)
        meet(network)
        network.kill(1)
        network.cut(0, 1, .reset)
        #expect(network.run(atMost: .seconds(60)) { !$0.gaveUps(0).isEmpty }, "seed \(seed)")
        return network
    }

    @Test(arguments: 0..<5) func fiveRefusalsAreReportedOnceAndDialledOnSlowly(seed: UInt64) {
        let network = givenUp(seed)
        let event = network.gaveUps(0)[0]
        #expect(event.attempts == 5)
        #expect(event.failures == [DialError](repeating: .refused, count: 5))
        #expect(event.retryAfter == .seconds(60))
        #expect(network.dials { network.run(for: .seconds(601)) } == 10)
        #expect(network.gaveUps(0).count == 1)
        guard case .gaveUp(let left?) = network.channel(1, at: 0).state else { Issue.record("not given up"); return }
        #expect(left <= .seconds(60))
        #expect(network.channel(1, at: 0).failures.count == 5)
        network.restart(1)
        #expect(network.run(atMost: .seconds(61)) { $0.isConnected(0, to: 1) })
    }

    enum Revival: CaseIterable { case send, wake, newAddress, reconnect, network }

    @Test(arguments: Revival.allCases, 0..<3) func aGivenUpPeerIsRevivedBy(revival: Revival, seed: UInt64) {
        let network = givenUp(seed)
        network.restart(1, port: revival == .newAddress ? 5_001 : nil)
        network.run(for: .seconds(1))
        #expect(!network.isConnected(0, to: 1))
        switch revival {
        case .send: network.send(1, at: 0)
        case .wake: network.with(0) { $0.woke(after: .seconds(100), now: $1) }
        case .newAddress: network.find(1, from: .dns, at: 0)
        case .reconnect: network.want(1, at: 0)
        case .network: network.with(0) { $0.networkChanged(now: $1) }
        }
        #expect(network.run(atMost: .milliseconds(100)) { $0.isConnected(0, to: 1) }, "seed \(seed)")
    }

    /// While it stays dead, a revived peer is not reported again and again.
    @Test func sendingToADeadPeerIsNoLoop() {
        let network = givenUp(1)
        let dials = network.dials {
            for _ in 0..<600 {
                network.send(1, at: 0)
                network.run(for: .milliseconds(100))
            }
        }
        #expect((55...65).contains(dials), "\(dials)")
        #expect(network.gaveUps(0).count == 1)
    }

    // MARK: - Cut short

    /// In the middle of a long wait: node 0 dialled nobody at the address for long, with silence in between so that nothing looks permanent.
    private func waiting(_ seed: UInt64) -> Simulation {
        let network = pair(seed) {
            $0.messages.reconnect.permanentAfter = 0
            $0.messages.reconnect.first = .seconds(1_000)
            $0.messages.reconnect.cap = .seconds(1_000)
        }
        meet(network)
        network.kill(1)
        network.cut(0, 1, .reset)
        #expect(network.run(atMost: .seconds(2_000)) { $0.nodes[0].swarm?.wanted[$0.nodes[1].peer]?.attempts ?? 0 > 0 })
        network.restart(1)
        network.run(for: .seconds(2))
        return network
    }

    enum Cut: CaseIterable { case send, announcement, network, wake }

    @Test(arguments: Cut.allCases) func aWaitIsCutShortBy(cut: Cut) {
        let network = waiting(5)
        guard case .waiting = network.channel(1, at: 0).state else { Issue.record("not waiting"); return }
        switch cut {
        case .send: network.send(1, at: 0)
        case .announcement: network.find(1, from: .tailscale, at: 0)
        case .network: network.with(0) { $0.networkChanged(now: $1) }
        case .wake: network.with(0) { $0.woke(after: .seconds(5), now: $1) }
        }
        #expect(network.run(atMost: .milliseconds(100)) { $0.isConnected(0, to: 1) })
    }

    @Test func manySendsShareOneDialAndOneHandshake() {
        let network = Simulation(seed: 6)
        for _ in 0..<2 { network.addNode() }
        let (peer, address) = (network.nodes[1].peer, network.nodes[1].address.multiaddr)
        let dials = network.dials {
            network.with(0) { swarm, _ in
                swarm.addressBook.add(address, for: peer)
                for _ in 0..<100 { swarm.wantPeer(peer) }
            }
            meet(network)
        }
        #expect(dials == 1)
        #expect(network.nodes[0].connected.count == 1)
    }

    /// A round that asked the network as it was before a sleep does not hold up the one after it.
    @Test func aRoundOfBeforeTheWakeIsBegunAnew() {
        let network = pair(7)
        meet(network)
        network.partition([0, 1])
        network.cut(0, 1, .reset)
        #expect(network.run(atMost: .seconds(30)) { $0.channel(1, at: 0).state == .connecting })
        network.run(for: .milliseconds(100))
        network.heal()
        network.with(0) { $0.woke(after: .seconds(3_600), now: $1) }
        #expect(network.run(atMost: .milliseconds(200)) { $0.isConnected(0, to: 1) })
    }

    @Test func aPeerWithoutAddressWaitsForASource() {
        let network = Simulation(seed: 8)
        for _ in 0..<2 { network.addNode(configure: Self.offer) }
        network.send(1, at: 0)
        network.run(for: .seconds(30))
        #expect(network.gaveUps(0).first?.failures.last == .noAddresses)
        network.find(1, from: .headscale, at: 0)
        #expect(network.run(atMost: .milliseconds(200)) { $0.isConnected(0, to: 1) })
    }

    // MARK: - The network moves

    /// Nothing arrives any more and nobody says so: pings find out, and then it is dialled.
    @Test(arguments: 0..<5) func aForgottenMappingIsFoundByPings(seed: UInt64) {
        let network = pair(seed)
        meet(network)
        network.run(for: .seconds(60))
        network.cut(0, 1, .silent)
        #expect(network.run(atMost: .seconds(36)) { !$0.isConnected(0, to: 1) }, "seed \(seed)")
        #expect(network.disconnects(0) == [.timedOut])
        #expect(network.run(atMost: .seconds(1)) { $0.isConnected(0, to: 1) }, "seed \(seed)")
    }

    @Test(arguments: 0..<5) func aWakeProbesTheLinks(seed: UInt64) {
        let network = pair(seed)
        meet(network)
        network.run(for: .seconds(7))
        network.cut(0, 1, .silent)
        network.with(0) { $0.woke(after: .seconds(3_600), now: $1) }
        #expect(network.run(atMost: .milliseconds(2_010)) { !$0.isConnected(0, to: 1) }, "seed \(seed)")
        #expect(network.run(atMost: .milliseconds(600)) { $0.isConnected(0, to: 1) }, "seed \(seed)")
        #expect(network.wakes(0) == [.seconds(3_600)])
    }

    @Test func aLinkThatStandsOutlivesTheProbe() {
        let network = pair(9)
        meet(network)
        for _ in 0..<10 {
            network.with(0) { $0.woke(after: .seconds(60), now: $1) }
            network.run(for: .seconds(10))
        }
        #expect(network.disconnects(0).isEmpty)
        #expect(network.disconnects(1).isEmpty)
    }

    @Test(arguments: 0..<5) func aPeerThatMovesIsMetAgain(seed: UInt64) {
        let network = pair(seed)
        meet(network)
        network.want(0, at: 1)
        network.run(for: .seconds(10))
        network.move(1, to: [10, 0, 9, 9])
        // The one that moved knows where the other one is.
        #expect(network.run(atMost: .seconds(60)) { $0.isConnected(0, to: 1) && $0.nodes[0].connectedAddress?.contains("10.0.9.9") == true }, "seed \(seed)")
    }

    // MARK: - Closed on purpose

    /// In place of the frame that the channel sends.
    private func hear(_ goodbye: Goodbye, from node: Int, at other: Int, _ network: Simulation) {
        let peer = network.nodes[node].peer
        network.with(other) { swarm, now in
            swarm.now = now
            swarm.goodbyeReceived(from: peer, goodbye)
        }
    }

    @Test(arguments: 0..<3) func nobodyDialsAfterAGoodbye(seed: UInt64) {
        let network = pair(seed)
        network.want(0, at: 1)
        meet(network)
        network.run(for: .seconds(10))
        network.perform(.close(network.nodes[1].peer, reason: "moving out"), at: 0)
        network.run(for: .seconds(1))
        #expect(network.closings(1) == [Closing(byUs: false, reason: "moving out")])
        #expect(network.closings(0).isEmpty, "who closes knows")
        #expect(network.disconnects(0).last == .closedByUs)
        // Whatever happens: nobody dials, also not for what the sources tell.
        let dials = network.dials {
            for (node, other) in [(0, 1), (1, 0)] {
                network.with(node) { $0.woke(after: .seconds(1), now: $1) }
                network.with(node) { $0.networkChanged(now: $1) }
                network.send(other, at: node)
                network.find(other, from: .dns, at: node)
            }
            network.run(for: .seconds(3_600))
        }
        #expect(dials == 0)
        #expect(network.channel(1, at: 0).state == .closed(Closing(byUs: true, reason: "moving out")))
        #expect(network.channel(0, at: 1).state == .closed(Closing(byUs: false, reason: "moving out")))
        network.perform(.reconnect(network.nodes[1].peer, []), at: 0)
        meet(network)
        #expect(network.channel(1, at: 0).state == .connected)
    }

    @Test func onlyWhoClosedMayOpen() {
        let network = pair(1)
        meet(network)
        network.perform(.close(network.nodes[1].peer, reason: ""), at: 0)
        hear(.closed(reason: ""), from: 0, at: 1, network)
        network.run(for: .seconds(1))
        let (closer, closed) = (network.nodes[0].peer, network.nodes[1].peer)
        // The other side asks: it dials, and is not let in.
        network.perform(.reconnect(closer, [network.nodes[0].address.multiaddr]), at: 1)
        meet(network)
        network.with(0) { swarm, _ in
            let mayOpen = swarm.mayOpenChannel(closed)
            #expect(!mayOpen)
        }
        #expect(network.nodes[1].swarm?.closing(of: closer) == nil)
        // The one who closed asks.
        hear(.closed(reason: ""), from: 0, at: 1, network)
        network.perform(.reconnect(closed, []), at: 0)
        network.with(1) { swarm, _ in
            let mayOpen = swarm.mayOpenChannel(closer)
            #expect(mayOpen)
            #expect(swarm.closing(of: closer) == nil)
        }
    }

    /// Both ends without a word, and word of a node that ends: none of them is on purpose.
    @Test(arguments: 0..<3) func nothingElseIsAGoodbye(seed: UInt64) {
        let network = pair(seed)
        meet(network)
        network.run(for: .seconds(10))
        network.perform(.disconnect(network.nodes[0].peer), at: 1)
        network.run(for: .milliseconds(50))
        #expect(network.run(atMost: .seconds(1)) { $0.isConnected(0, to: 1) }, "an end of the stream")
        network.run(for: .seconds(10))
        network.cut(0, 1, .reset)
        network.run(for: .milliseconds(50))
        #expect(network.run(atMost: .seconds(1)) { $0.isConnected(0, to: 1) }, "a reset")
        network.run(for: .seconds(10))
        hear(.shutdown, from: 1, at: 0, network)
        network.with(1) { $0.shutdown(now: $1) }
        network.run(for: .milliseconds(50))
        network.restart(1)
        #expect(network.run(atMost: .seconds(30)) { $0.isConnected(0, to: 1) }, "the end of a node, seed \(seed)")
        #expect(network.closings(0).isEmpty)
    }

    @Test func aConnectionForOtherUsesStays() throws {
        let network = pair(2)
        meet(network)
        network.perform(.close(network.nodes[1].peer, reason: "x"), at: 0)
        network.run(for: .seconds(1))
        network.perform(.connect(try Multiaddr(network.nodes[0].multiaddr)), at: 1)
        meet(network)
        network.run(for: .seconds(60))
        #expect(network.isConnected(0, to: 1))
        #expect(network.channel(1, at: 0).state == .closed(Closing(byUs: true, reason: "x")))
    }

    @Test func closingsOutliveTheProcess() {
        let network = Simulation(seed: 3)
        network.addNode()
        let peers = (1...3).map { KeyPair(secret: [UInt8](repeating: $0, count: 32))!.peerID }
        let address = SocketAddress(ip: [10, 0, 0, 77], port: 1).multiaddr
        var state = StoredState(now: 10_000 * 1_000_000_000)
        state.lastActive = 1_000 * 1_000_000_000
        state.channels = peers.map { StoredState.Channel(peer: $0) }
        state.channels[0].known.closed = Closing(byUs: true, reason: "then")
        for index in 0..<3 { state.channels[index].known.addresses = [address] }
        for index in 0..<2 {
            state.channels[index].outbound = [StoredOutbound(lane: .normal, sequence: 1, kind: .message, body: .bytes([]))]
        }
        network.with(0) { [state] swarm, now in
            swarm.now = now
            swarm.restore(state, now: now)
            var known = StoredPeer()
            swarm.reachability(of: peers[0], in: &known)
            #expect(known.closed == Closing(byUs: true, reason: "then"))
            #expect(known.addresses == [address])
            #expect(swarm.closing(of: peers[0])?.byUs == true)
            #expect(Array(swarm.wanted.keys) == [peers[1]], "only for whom something waits")
        }
        #expect(network.wakes(0) == [.seconds(9_000)])
    }

    @Test func oneCannotCloseOrWantOneself() {
        let network = pair(4)
        let own = network.nodes[0].peer
        for command in [Command.close(own, reason: ""), .reconnect(own, []), .reconnect(network.nodes[1].peer, [try! Multiaddr(network.nodes[0].multiaddr)])] {
            let ticket = network.perform(command, at: 0)
            guard case .failure = network.nodes[0].completions[ticket] else { Issue.record("\(command)"); continue }
        }
    }

    // MARK: - Ours and other dials

    @Test func whomTheApplicationDisconnectedIsDialledWhenItSends() {
        let network = pair(10)
        meet(network)
        network.run(for: .seconds(6))
        network.perform(.disconnect(network.nodes[1].peer), at: 0)
        #expect(network.dials { network.run(for: .seconds(600)) } == 0)
        network.with(0) { $0.woke(after: .seconds(1), now: $1) }
        #expect(network.dials { network.run(for: .seconds(600)) } == 0)
        network.send(1, at: 0)
        meet(network)
    }

    @Test func bothSidesMayWantEachOther() {
        for seed in 0..<10 as Range<UInt64> {
            let network = pair(seed)
            network.want(0, at: 1)
            meet(network)
            for _ in 0..<5 {
                network.run(for: .seconds(10))
                network.cut(0, 1, .reset)
                network.run(for: .milliseconds(20))
                #expect(network.run(atMost: .seconds(1)) { $0.isConnected(0, to: 1) && $0.isConnected(1, to: 0) }, "seed \(seed)")
            }
            network.run(for: .seconds(60))
            #expect(network.nodes[0].swarm?.connectionCount == 1, "seed \(seed)")
        }
    }

    /// Its own schedule goes on: the shorter of the two waits counts.
    @Test func aBootstrapPeerKeepsItsSchedule() {
        let network = Simulation(seed: 11)
        network.addNode()
        let bootstrap = network.nodes[0].multiaddr
        network.addNode(bootstrap: [bootstrap])
        network.want(0, at: 1)
        #expect(network.run(atMost: .seconds(1)) { $0.isConnected(1, to: 0) })
        network.kill(0)
        network.cut(0, 1, .reset)
        network.run(for: .seconds(600))
        #expect(network.gaveUps(1).count == 1)
        let waits = network.table(1).entries.compactMap(\.nextTry)
        #expect(waits.count == 1 && waits[0] <= .seconds(30))
        network.restart(0)
        #expect(network.run(atMost: .seconds(31)) { $0.isConnected(1, to: 0) })
    }

    @Test func wantedPeersAreBounded() {
        let network = Simulation(seed: 12)
        network.addNode { $0.messages.channels = 20 }
        for index in 0..<50 {
            let peer = KeyPair(secret: [UInt8](repeating: UInt8(index + 1), count: 32))!.peerID
            network.perform(.reconnect(peer, []), at: 0)
            network.run(for: .milliseconds(10))
        }
        #expect(network.nodes[0].swarm?.wanted.count == 20)
        network.run(for: .seconds(600))
        #expect(network.nodes[0].swarm?.timers.count ?? 0 < 200)
    }
}

extension Simulation {
    func want(_ target: Int, at node: Int) {
        perform(.reconnect(nodes[target].peer, [nodes[target].address.multiaddr]), at: node)
    }

    /// As a message that finds no connection.
    func send(_ target: Int, at node: Int) {
        let peer = nodes[target].peer
        with(node) { swarm, now in
            swarm.now = now
            swarm.wantPeer(peer)
        }
    }

    func channel(_ target: Int, at node: Int) -> ChannelStatus {
        var status = ChannelStatus(peer: nodes[target].peer)
        with(node) { swarm, now in
            swarm.now = now
            swarm.fillReachability(&status)
        }
        return status
    }

    func gaveUps(_ node: Int) -> [(attempts: Int, failures: [DialError], retryAfter: Duration?)] {
        nodes[node].events.compactMap {
            if case .channel(_, .gaveUp(let attempts, let failures, let retryAfter)) = $0.event { (attempts, failures, retryAfter) } else { nil }
        }
    }

    func closings(_ node: Int) -> [Closing] {
        nodes[node].events.compactMap { if case .channel(_, .closed(let closing)) = $0.event { closing } else { nil } }
    }

    func wakes(_ node: Int) -> [Duration] {
        nodes[node].events.compactMap { if case .woke(let pause) = $0.event { pause } else { nil } }
    }

}

extension SimulatedNode {
    /// Of the last connection, as it was told.
    fileprivate var connectedAddress: String? {
        events.reversed().lazy.compactMap { if case .connected(let connection) = $0.event { connection.address.description } else { nil } }.first
    }
}
