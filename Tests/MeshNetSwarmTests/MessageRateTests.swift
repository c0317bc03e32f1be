import MeshNetProtocol
import MeshNetSimulator
import Testing

@testable import MeshNetSwarm

/// What one peer may be sent, and may send: what is more waits, and nothing else does.
@Suite struct MessageRateTests {
    /// Node 0 sends to node 1; one of them holds to a rate.
    enum Side: CaseIterable { case sender, receiver }

    private func pair(_ seed: UInt64, _ side: Side, messages: Int = 0, bytes: Int = 0) -> Simulation {
        let network = Simulation(seed: seed)
        var rate = RateLimit()
        rate.messagesPerSecond = messages
        rate.bytesPerSecond = bytes
        network.addNode { if side == .sender { $0.messages.sendRate = rate } }
        network.addNode(bootstrap: [network.nodes[0].multiaddr]) { if side == .receiver { $0.messages.receiveRate = rate } }
        network.run(for: .seconds(3))
        return network
    }

    /// When each message arrived, since the first could.
    private func arrivals(_ network: Simulation, since start: Instant) -> [Duration] { network.nodes[1].inbox.deliveries.map { $0.at - start } }

    private func limits(_ network: Simulation, at index: Int) -> [ChannelChange] {
        network.changes(index).filter { if case .limited = $0 { true } else { false } }
    }

    /// A second's worth at once, then one in 10 ms: never more, and hardly less.
    @Test(arguments: Side.allCases) func messagesPassAtTheirRate(_ side: Side) {
        let network = pair(1, side, messages: 100)
        let start = network.now
        let tickets = (0..<700).map { network.send($0, from: 0, to: 1) }
        network.run(for: .seconds(2))
        let status = side == .sender ? network.status(of: 1, at: 0) : network.status(of: 0, at: 1)
        #expect(status?.isSendingLimited == (side == .sender) && status?.isReceivingLimited == (side == .receiver))
        network.run(for: .seconds(6))
        #expect(network.numbers(at: 1) == Array(0..<700))
        #expect(network.areDelivered(tickets, at: 0))
        for (number, after) in arrivals(network, since: start).enumerated() {
            let due = Duration.milliseconds(10) * (number - 100)
            #expect(after >= due && after <= max(.zero, due) + .milliseconds(300), "message \(number) after \(after)")
        }
        let said = ChannelChange.limited(inbound: side == .receiver, limit: "100 messages per second")
        #expect(limits(network, at: side == .sender ? 0 : 1) == [said])
        #expect(limits(network, at: side == .sender ? 1 : 0) == [])
        #expect(network.status(of: 1, at: 0)?.isSendingLimited == false && network.status(of: 0, at: 1)?.isReceivingLimited == false)
    }

    /// Bytes with their frames, over the lanes together.
    @Test(arguments: Side.allCases) func bytesPassAtTheirRate(_ side: Side) {
        let network = pair(2, side, bytes: 100_000)
        let start = network.now
        for number in 0..<600 { network.send(number, count: 1_000, from: 0, to: 1, lane: number % 2 == 0 ? .normal : .bulk) }
        network.run(for: .seconds(8))
        let after = arrivals(network, since: start)
        #expect(after.count == 600)
        for (count, after) in after.enumerated() {
            // The gate lets the one pass that goes beyond the burst.
            let due = Duration.milliseconds(10) * (count - 101)
            #expect(after >= due && after <= max(.zero, due) * 1.05 + .milliseconds(400), "message \(count) after \(after)")
        }
        for remainder in 0..<2 { #expect(network.numbers(at: 1).filter { $0 % 2 == remainder } == Array(stride(from: remainder, to: 600, by: 2))) }
    }

    /// A body in pieces, in memory and in a file, is held to the rate as well.
    @Test(arguments: Side.allCases, [500_000, 3_000_000]) func largeBodiesPassAtTheirRate(_ side: Side, _ size: Int) {
        let network = pair(3, side, bytes: 250_000)
        let start = network.now
        let first = network.send(0, count: size, from: 0, to: 1), next = network.send(1, from: 0, to: 1)
        network.run(for: .seconds(20))
        #expect(network.areDelivered([first, next], at: 0))
        #expect(network.numbers(at: 1) == [0, 1])
        let last = arrivals(network, since: start).last ?? .zero
        // What fits into memory passes in one go at the sender, and is paid for by the next.
        let due = Duration.milliseconds(1_000 * size / 250_000 - 1_000)
        #expect(last >= due - .milliseconds(600) && last <= due + .milliseconds(1_500), "after \(last)")
    }

    /// Control first, then normal, then bulk, whenever there is room.
    @Test(arguments: Side.allCases) func moreImportantLanesPassFirst(_ side: Side) {
        let network = pair(4, side, messages: 20)
        for number in 0..<200 { network.send(number, from: 0, to: 1, lane: .bulk) }
        network.run(for: .seconds(2))
        let start = network.now
        for number in 0..<20 { network.send(2_000 + number, from: 0, to: 1, lane: .normal) }
        for number in 0..<20 { network.send(1_000 + number, from: 0, to: 1, lane: .control) }
        network.run(for: .seconds(12))
        let late = network.nodes[1].inbox.deliveries.filter { $0.at > start + .milliseconds(100) }
        let lanes = late.map(\.message.lane), held = lanes.dropLast(lanes.reversed().prefix { $0 == .bulk }.count)
        #expect(held.elementsEqual(held.filter { $0 == .control } + held.filter { $0 == .normal }), "\(held)")
        #expect(held.count >= 35, "they passed before they could be held")
        let last = network.nodes[1].inbox.deliveries.last { $0.message.lane == .control }
        #expect(last.map { $0.at - start <= .milliseconds(1_300) } == true)
        #expect(network.nodes[1].inbox.deliveries.count == 240)
        #expect(network.numbers(at: 1).filter { $0 < 1_000 } == Array(0..<200))
    }

    /// Neither messages of others, nor the other direction, nor other streams of the same connection.
    @Test(arguments: Side.allCases) func nothingElseIsDelayed(_ side: Side) {
        let network = pair(5, side, messages: 5)
        let third = network.addNode(bootstrap: [network.nodes[0].multiaddr, network.nodes[1].multiaddr])
        network.run(for: .seconds(3))
        for number in 0..<500 { network.send(number, from: 0, to: 1) }
        network.run(for: .seconds(3))
        let tickets = [(0, third), (third, 1), (third, 0), (1, 0)].map { (from, to) in (from, network.send([9], from: from, to: to)) }
        let ping = network.perform(.ping(network.nodes[1].peer), at: 0)
        network.run(for: .milliseconds(500))
        for (from, ticket) in tickets { #expect(network.isDone(ticket, at: from), "from \(from)") }
        guard case .success(.roundTrip)? = network.nodes[0].completions[ping] else {
            Issue.record("no answer to the ping: \(String(describing: network.nodes[0].completions[ping]))")
            return
        }
        #expect(network.numbers(at: 1).count < 30)
    }

    /// Connections come and go, and so do the streams: the rate is the peer's, and every message arrives once.
    @Test(arguments: Side.allCases, [UInt64](10..<15)) func aLostConnectionChangesNothing(_ side: Side, seed: UInt64) {
        let network = pair(seed, side, messages: 50)
        let start = network.now
        let tickets = (0..<400).map { network.send($0, count: 100, from: 0, to: 1, lane: Lane(rawValue: UInt8($0 % 3)) ?? .normal) }
        for _ in 0..<4 {
            network.run(for: .milliseconds(1_300 + 7 * Int64(seed)))
            network.perform(.disconnect(network.nodes[1].peer), at: 0)
            network.perform(.reconnect(network.nodes[1].peer, []), at: 0)
        }
        network.run(for: .seconds(30))
        #expect(network.areDelivered(tickets, at: 0), "seed \(seed)")
        for lane in 0..<3 { #expect(network.numbers(at: 1).filter { $0 % 3 == lane } == Array(stride(from: lane, to: 400, by: 3)), "seed \(seed)") }
        for (number, after) in arrivals(network, since: start).enumerated() {
            #expect(after >= .milliseconds(20) * (number - 50), "message \(number) after \(after), seed \(seed)")
        }
    }

    /// Held back for minutes: told once in each.
    @Test(arguments: Side.allCases) func itIsToldOnceAMinute(_ side: Side) {
        let network = pair(6, side, messages: 10)
        for number in 0..<1_500 { network.send(number, from: 0, to: 1) }
        network.run(for: .seconds(145))
        #expect(limits(network, at: side == .sender ? 0 : 1).count == 3)
        #expect(network.nodes[1].inbox.deliveries.count < 1_465)
        network.run(for: .seconds(10))
        #expect(network.nodes[1].inbox.deliveries.count == 1_500)
    }

    /// Who sends more than may be sent fills the windows of the lanes, and nothing else.
    @Test func aFloodCostsNoMemory() {
        let network = pair(7, .receiver, bytes: 5_000)
        for lane in Lane.allCases {
            for number in 0..<2_000 { network.send(number, count: 5_000, from: 0, to: 1, lane: lane) }
        }
        var most = 0
        for _ in 0..<30 {
            network.run(for: .seconds(1))
            most = max(most, network.nodes[1].swarm?.pool.outstanding ?? .max)
        }
        let window = 262_144
        #expect(most >= 3, "nothing was held: \(most)")
        #expect(most <= 3 * (window / BufferPool.Size.frame.byteCount + 2) + 4, "\(most) buffers")
        #expect(network.nodes[1].inbox.deliveries.count <= 32)
        #expect(network.nodes[1].connected.count == 1)
    }

    /// A deadline passes while the rate holds the message: it ends, and those behind it go on.
    @Test func whatIsHeldExpires() {
        let network = pair(8, .sender, messages: 10)
        let kept = (0..<30).map { network.send($0, from: 0, to: 1) }
        let lost = (0..<5).map { network.send(100 + $0, from: 0, to: 1, deadline: .milliseconds(500)) }
        let next = network.send(200, from: 0, to: 1)
        network.run(for: .seconds(5))
        for ticket in lost { #expect(network.failure(ticket, at: 0) == .expired) }
        #expect(network.areDelivered(kept + [next], at: 0))
        #expect(network.numbers(at: 1) == Array(0..<30) + [200])
    }
}
