import MeshNetProtocol
import MeshNetSimulator
import Testing

@testable import MeshNetSwarm

/// Two nodes, the second of which dials the first.
func messagePair(_ seed: UInt64, isStored: Bool = false, configure: (inout Configuration) -> Void = { _ in }) -> Simulation {
    let network = Simulation(seed: seed)
    network.addNode(isStored: isStored, configure: configure)
    network.addNode(bootstrap: [network.nodes[0].multiaddr], isStored: isStored, configure: configure)
    network.run(for: .seconds(3))
    return network
}

extension Simulation {
    /// What a node got, in the order in which it did.
    func bodies(at index: Int) -> [[UInt8]] { nodes[index].inbox.deliveries.map(\.body) }

    /// Without writing a large body out where it differs.
    func holds(_ expected: [[UInt8]], at index: Int) -> Bool { bodies(at: index) == expected }

    func isDone(_ ticket: Ticket, at index: Int) -> Bool {
        if case .success(.done)? = nodes[index].completions[ticket] { true } else { false }
    }

    func failure(_ ticket: Ticket, at index: Int) -> CallError? {
        if case .failure(let error)? = nodes[index].completions[ticket] { error } else { nil }
    }

    func status(of target: Int, at index: Int) -> ChannelStatus? {
        let ticket = perform(.channels(nodes[target].peer), at: index)
        guard case .success(.channels(let found))? = nodes[index].completions[ticket] else { return nil }
        return found.first
    }
}

@Suite struct MessageTests {
    @Test(arguments: [false, true]) func aMessageArrivesAndIsAcknowledged(isStored: Bool) {
        let network = messagePair(1, isStored: isStored)
        let there = network.send([1, 2, 3], from: 0, to: 1), back = network.send([4], from: 1, to: 0)
        #expect(network.nodes[0].inbox.accepted == [there])
        network.run(for: .seconds(1))
        #expect(network.bodies(at: 1) == [[1, 2, 3]])
        #expect(network.bodies(at: 0) == [[4]])
        #expect(network.isDone(there, at: 0) && network.isDone(back, at: 1))
        #expect(network.status(of: 1, at: 0)?.delivered == 1)
    }

    @Test func manyArriveInOrderOnEachLane() {
        let network = messagePair(2)
        var tickets: [Ticket] = []
        for number in 0..<3_000 {
            let lane = Lane(rawValue: UInt8(number % 3)) ?? .normal
            let body = Array("\(number)".utf8) + [UInt8](repeating: 7, count: number % 700)
            tickets.append(network.send(body, from: 1, to: 0, options: SendOptions(lane: lane)))
        }
        network.run(for: .seconds(5))
        #expect(tickets.allSatisfy { network.isDone($0, at: 1) })
        #expect(network.nodes[0].inbox.deliveries.count == 3_000)
        for lane in Lane.allCases {
            let sequences = network.nodes[0].inbox.deliveries.filter { $0.message.lane == lane }.map(\.message.sequence)
            #expect(sequences == Array(1...1_000))
        }
    }

    @Test(arguments: [65_535, 65_536, 65_537, 200_000, 1_048_576]) func aLargeMessageArrives(size: Int) {
        let network = messagePair(3)
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let ticket = network.send(body, from: 0, to: 1)
        network.run(for: .seconds(5))
        #expect(network.holds([body], at: 1))
        #expect(network.isDone(ticket, at: 0))
    }

    @Test(arguments: [false, true]) func aMessageFromAFileArrivesInAFile(isStored: Bool) {
        let network = messagePair(4, isStored: isStored)
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let ticket = network.sendSpooled(body, from: 0, to: 1)
        network.run(for: .seconds(5))
        #expect(network.holds([body], at: 1))
        #expect(network.nodes[1].inbox.deliveries.first?.isSpooled == true)
        #expect(network.isDone(ticket, at: 0))
        #expect(network.nodes[0].inbox.files.isEmpty && network.nodes[1].inbox.files.isEmpty)
    }

    @Test func aRequestIsReplied() {
        let network = messagePair(5)
        network.nodes[1].inbox.answers = { $0.reversed() }
        let ticket = network.send([1, 2, 3], from: 0, to: 1, kind: .request)
        network.run(for: .seconds(1))
        guard case .success(.reply(.bytes(let reply)))? = network.nodes[0].completions[ticket] else {
            Issue.record("no reply: \(String(describing: network.nodes[0].completions[ticket]))")
            return
        }
        #expect(reply == [3, 2, 1])
        #expect(network.nodes[0].inbox.deliveries.isEmpty)
    }
}
