import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// The seventeen weaknesses that a reading of ocap-kernel's remote communications found, each as what it must not come to here.
/// Those about the way of a message are here, those about reaching peers in `OcapReachTests`.
@Suite struct OcapWeaknessTests {
    /// 1. There each of several first sends runs a handshake of its own on the shared stream, and the second one destroys the channel.
    @Test(arguments: 1...5 as ClosedRange<UInt64>) func ocapWeakness01FirstSendsShareOneDialAndOneHandshake(seed: UInt64) {
        let network = Simulation(seed: seed)
        let a = network.addNode(), b = network.addNode()
        network.perform(.reconnect(network.nodes[a].peer, [network.nodes[a].address.multiaddr]), at: b)
        let tickets = (0..<60).map { network.send($0, from: b, to: a, lane: Lane.allCases[$0 % 3]) }
        #expect(network.run(atMost: .seconds(5)) { $0.areDelivered(tickets, at: b) }, "seed \(seed)")
        #expect(network.dials == 1, "seed \(seed)")
        #expect(network.numbers(at: a).sorted() == Array(0..<60), "seed \(seed)")
        for lane in 0..<3 { #expect(network.numbers(at: a).filter { $0 % 3 == lane } == (0..<60).filter { $0 % 3 == lane }, "seed \(seed)") }
    }

    /// 2. There each of these sends uses up one of the dials allowed in a minute, though one dial is made.
    @Test func ocapWeakness02ASendThatSharesADialUsesUpNoDial() {
        let network = Simulation(seed: 2)
        let a = network.addNode(), b = network.addNode { $0.messages.reconnect.dialsPerMinute = 2 }
        network.perform(.reconnect(network.nodes[a].peer, [network.nodes[a].address.multiaddr]), at: b)
        let tickets = (0..<50).map { network.send($0, from: b, to: a) }
        #expect(network.run(atMost: .seconds(5)) { $0.areDelivered(tickets, at: b) })
        #expect(network.dials == 1)
        // The other one is still there when it is needed.
        network.cut(a, b, .reset)
        let late = network.send(50, from: b, to: a)
        #expect(network.run(atMost: .seconds(5)) { $0.isDelivered(late, at: b) })
    }

    /// 4. There the reader of a replaced channel tears down the new one, and nothing decides between two connections that cross.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func ocapWeakness04ConnectionsThatCrossLoseNothing(seed: UInt64) {
        let network = Simulation(seed: seed)
        let a = network.addNode(bootstrap: ["/ip4/10.0.0.2/tcp/4001"]), b = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001"])
        var forth: [Ticket] = [], back: [Ticket] = []
        for number in 0..<30 {
            network.at(network.now + .milliseconds(number)) {
                forth.append(network.send(number, from: a, to: b))
                back.append(network.send(number, from: b, to: a))
            }
        }
        #expect(network.run(atMost: .seconds(10)) { _ in
            forth.count == 30 && back.count == 30 && network.areDelivered(forth, at: a) && network.areDelivered(back, at: b)
        }, "seed \(seed)")
        network.run(for: .seconds(60))
        for node in [a, b] {
            #expect(network.numbers(at: node) == Array(0..<30), "seed \(seed)")
            #expect(network.nodes[node].swarm?.connectionCount == 1, "seed \(seed)")
            #expect(network.disconnects(node).isEmpty, "seed \(seed)")
        }
    }

    /// 5. There a message whose send failed is passed over: the next one's acknowledgement counts for both.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func ocapWeakness05ALostMessageIsNotPassedOver(seed: UInt64) {
        let network = Simulation.pair(seed: seed)
        network.conditions.delay = .milliseconds(1)...(.milliseconds(40))
        var tickets: [Ticket] = []
        for number in 0..<200 {
            network.at(network.now + .milliseconds(5 * number)) {
                tickets.append(network.send(number, count: 100, from: 1, to: 0))
                if number % 17 == Int(seed % 17) { network.cut(0, 1, .reset) }
            }
        }
        #expect(network.run(atMost: .seconds(120)) { _ in tickets.count == 200 && network.areDelivered(tickets, at: 1) }, "seed \(seed)")
        #expect(network.numbers(at: 0) == Array(0..<200), "seed \(seed)")
    }

    /// 6. There nothing is sent again when a connection comes back, until the timer of 10 s runs out.
    @Test func ocapWeakness06WhatWasNotAcknowledgedIsSentAsSoonAsTheConnectionIsBack() throws {
        let network = Simulation.pair(seed: 6)
        let first = network.send(100, from: 1, to: 0)
        #expect(network.run(atMost: .seconds(2)) { $0.isDelivered(first, at: 1) })
        let tickets = (0..<100).map { network.send($0, count: 1_000, from: 1, to: 0) }
        // All of it was on its way.
        network.cut(0, 1, .silent)
        network.noticeSilence(0, 1, after: .milliseconds(20))
        #expect(network.run(atMost: .seconds(30)) { $0.areDelivered(tickets, at: 1) })
        let back = try #require(network.lastConnected(1)), last = try #require(network.nodes[0].inbox.deliveries.last)
        #expect(last.at - back < .milliseconds(100))
        #expect(network.changes(1).contains { if case .resumed(let resent) = $0 { resent > 0 } else { false } })
    }

    /// 7. There messages are given up after 40 s, though the reconnection goes on for ever.
    @Test func ocapWeakness07AMessageOutlivesAnOutageOfAnHour() {
        let network = Simulation.pair(seed: 7)
        network.partition([0, 1])
        let tickets = (0..<10).map { network.send($0, from: 1, to: 0) } + (10..<20).map { network.send($0, from: 0, to: 1) }
        network.run(for: .seconds(3_600))
        #expect(tickets.prefix(10).allSatisfy { network.nodes[1].completions[$0] == nil })
        network.heal()
        #expect(network.run(atMost: .seconds(30)) { $0.areDelivered(Array(tickets.prefix(10)), at: 1) && $0.areDelivered(Array(tickets.suffix(10)), at: 0) })
        #expect(network.numbers(at: 0) == Array(0..<10))
        #expect(network.numbers(at: 1) == Array(10..<20))
    }

    /// 13. There `closeConnection` leaves the stream open, and the other side never hears of it.
    @Test func ocapWeakness13TheOtherSideHearsOfACloseAndBothKeepApart() {
        let network = Simulation.pair(seed: 13)
        network.send(1, from: 1, to: 0)
        network.run(for: .seconds(1))
        network.perform(.close(network.nodes[0].peer, reason: "we are done"), at: 1)
        #expect(network.run(atMost: .seconds(2)) { $0.nodes[0].swarm?.connectionCount == 0 && $0.nodes[1].swarm?.connectionCount == 0 })
        #expect(network.changes(0).contains(.closed(Closing(byUs: false, reason: "we are done"))))
        let refused = network.send(2, from: 1, to: 0)
        guard case .peerClosed? = network.ending(of: refused, at: 1) else {
            Issue.record("\(String(describing: network.nodes[1].completions[refused]))")
            return
        }
        let dials = network.dials { network.run(for: .seconds(600)) }
        #expect(dials == 0)
        network.perform(.reconnect(network.nodes[0].peer, [network.nodes[0].address.multiaddr]), at: 1)
        let late = network.send(3, from: 1, to: 0)
        #expect(network.run(atMost: .seconds(30)) { $0.isDelivered(late, at: 1) })
    }

    /// 14. There an intentional close, and what waits, do not outlive the process.
    @Test func ocapWeakness14WhatWaitsAndWhatWasClosedOutliveTheProcess() {
        let network = Simulation.pair(seed: 14, isStored: true)
        let c = network.addNode(isStored: true)
        network.perform(.reconnect(network.nodes[c].peer, [network.nodes[c].address.multiaddr]), at: 1)
        network.send(0, from: 1, to: 0)
        network.send(0, from: 1, to: c)
        network.run(for: .seconds(2))
        network.perform(.close(network.nodes[c].peer, reason: "enough"), at: 1)
        network.run(for: .seconds(2))
        network.partition([0, 1, 0])
        for number in 1...20 { network.send(number, from: 1, to: 0, lane: .bulk) }
        network.run(for: .seconds(1))
        network.kill(1)
        network.restart(1)
        network.heal()
        #expect(network.run(atMost: .seconds(60)) { $0.numbers(at: 0) == Array(0...20) })
        guard case .peerClosed? = network.ending(of: network.send(1, from: 1, to: c), at: 1) else {
            Issue.record("the close is forgotten")
            return
        }
    }

    /// 17. There every message has the same importance and no deadline, is text, at most 1 MiB, and waits for those before it.
    @Test func ocapWeakness17BulkDelaysNoControlAndDeadlinesHold() throws {
        let network = Simulation.pair(seed: 17) { $0.messages.queueBytes = 32 << 20 }
        let idle = network.send(1, from: 1, to: 0, lane: .control)
        let start = network.now
        #expect(network.run(atMost: .seconds(5)) { $0.isDelivered(idle, at: 1) })
        let idleTime = network.now - start
        let large = network.send(2, count: 12 << 20, from: 1, to: 0, lane: .bulk)
        network.run(for: .milliseconds(20))
        let busyStart = network.now
        let urgent = network.send(3, from: 1, to: 0, lane: .control)
        #expect(network.run(atMost: .seconds(5)) { $0.isDelivered(urgent, at: 1) })
        #expect(!network.isDelivered(large, at: 1))
        #expect(network.now - busyStart < idleTime + .milliseconds(60))
        #expect(network.run(atMost: .seconds(300)) { $0.isDelivered(large, at: 1) })
        let body = try #require(network.nodes[0].inbox.deliveries.first { $0.body.count == 12 << 20 })
        #expect(body.message.lane == .bulk)

        // What is on its way cannot be taken back.
        network.partition([0, 1])
        network.cut(0, 1, .reset)
        network.run(for: .milliseconds(50))
        let brief = network.send(4, from: 1, to: 0, deadline: .seconds(3)), patient = network.send(5, from: 1, to: 0)
        network.run(for: .seconds(4))
        #expect(network.ending(of: brief, at: 1) == .expired)
        network.heal()
        #expect(network.run(atMost: .seconds(60)) { $0.isDelivered(patient, at: 1) })
        #expect(network.numbers(at: 0).last == 5 && !network.numbers(at: 0).contains(4))
    }
}
