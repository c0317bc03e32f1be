import MeshNetProtocol
import MeshNetSimulator
import Testing

@testable import MeshNetSwarm

/// Connections, processes and disks that go away under a channel.
@Suite struct MessageRestartTests {
    private func changes(_ network: Simulation, at index: Int) -> [ChannelChange] {
        network.nodes[index].events.compactMap { if case .channel(_, let change) = $0.event { change } else { nil } }
    }

    private func restarts(_ network: Simulation, at index: Int) -> [Int] {
        changes(network, at: index).compactMap { if case .peerRestarted(let failed) = $0 { failed } else { nil } }
    }

    @Test func aLostConnectionIsResumedAtOnceFromTheFirstUnacknowledged() {
        let network = messagePair(1)
        network.send([0], from: 0, to: 1)
        network.run(for: .seconds(1))
        network.partition([0, 1])
        let tickets = (1..<100).map { network.send([UInt8($0)], from: 0, to: 1) }
        network.run(for: .milliseconds(200))
        network.perform(.disconnect(network.nodes[1].peer), at: 0)
        network.run(for: .seconds(60))
        network.heal()
        network.run(for: .seconds(30))
        #expect(network.holds((0..<100).map { [UInt8($0)] }, at: 1))
        #expect(tickets.allSatisfy { network.isDone($0, at: 0) })
        #expect(changes(network, at: 0).contains(.resumed(resent: 99)))
        #expect(network.status(of: 0, at: 1)?.duplicates == 0)
    }

    @Test func aPeerThatLostItsStateIsTold() {
        let network = messagePair(2)
        let before = network.send([1], from: 0, to: 1)
        network.run(for: .seconds(1))
        network.kill(1)
        let lost = network.send([2], from: 0, to: 1), request = network.send([3], from: 0, to: 1, kind: .request, options: SendOptions(deadline: .seconds(900)))
        network.restart(1)
        network.run(for: .seconds(60))
        let peer = network.nodes[1].peer
        #expect(network.isDone(before, at: 0))
        #expect(network.failure(lost, at: 0) == .peerRestarted(peer) && network.failure(request, at: 0) == .peerRestarted(peer))
        #expect(restarts(network, at: 0) == [2])
        let fresh = network.send([4], from: 0, to: 1), back = network.send([5], from: 1, to: 0)
        network.run(for: .seconds(2))
        #expect(network.isDone(fresh, at: 0) && network.isDone(back, at: 1))
        #expect(network.holds([[1], [4]], at: 1) && network.holds([[5]], at: 0))
        #expect(network.nodes[1].inbox.deliveries.last?.message.sequence == 1)
    }

    @Test func aSenderThatLostItsStateStartsAnew() {
        let network = messagePair(3)
        for number in 0..<5 { network.send([UInt8(number)], from: 0, to: 1) }
        network.run(for: .seconds(1))
        network.kill(0)
        network.restart(0)
        network.run(for: .seconds(60))
        let ticket = network.send([9], from: 0, to: 1)
        network.run(for: .seconds(2))
        #expect(network.isDone(ticket, at: 0) && network.bodies(at: 1).last == [9])
        #expect(restarts(network, at: 1) == [0])
    }

    @Test(arguments: [0, 1]) func withAStoreNothingIsLostOrDoubled(killed: Int) {
        let network = messagePair(4, isStored: true)
        var sent: [[UInt8]] = []
        for round in 0..<6 {
            for number in 0..<20 {
                sent.append([UInt8(round), UInt8(number)])
                network.send([UInt8(round), UInt8(number)], from: 0, to: 1)
            }
            network.run(for: .milliseconds(Int64(1 + round)))
            network.kill(killed)
            network.run(for: .milliseconds(100))
            network.restart(killed)
            network.run(for: .milliseconds(Int64(500 * round)))
        }
        network.run(for: .seconds(60))
        let once = network.nodes[1].inbox.deliveries.filter { !$0.message.isRedelivered }.map(\.body)
        #expect(once == sent)
        #expect(network.nodes[0].store?.outboundCount == 0 && network.nodes[1].store?.inboundCount == 0)
        #expect(restarts(network, at: 0).isEmpty && restarts(network, at: 1).isEmpty)
    }

    @Test func whatTheApplicationDidNotSettleComesAgain() {
        let network = messagePair(5, isStored: true)
        network.nodes[1].inbox.policy = .never
        let ticket = network.send([1], from: 0, to: 1)
        network.run(for: .seconds(1))
        #expect(network.isDone(ticket, at: 0))
        network.kill(1)
        network.restart(1)
        let deliveries = network.nodes[1].inbox.deliveries
        #expect(deliveries.map(\.body) == [[1], [1]])
        #expect(deliveries.map(\.message.isRedelivered) == [false, true])
        network.settle(at: 1)
        network.kill(1)
        network.restart(1)
        #expect(network.nodes[1].inbox.deliveries.count == 2)
    }

    /// The process dies in place of a commit: nothing of that turn was told to anybody.
    @Test(arguments: 0..<12) func aProcessThatDiesBeforeACommitPromisedNothing(commit: Int) {
        let network = messagePair(6, isStored: true)
        for index in 0..<2 {
            let commits = network.nodes[index].store?.commits ?? 0
            network.nodes[index].store?.diesAtCommit = commits + commit / 2
        }
        var sent: [[UInt8]] = []
        for number in 0..<10 {
            network.send([UInt8(number)], from: 0, to: 1)
            sent.append([UInt8(number)])
            network.run(for: .milliseconds(20))
            for index in 0..<2 where network.nodes[index].swarm == nil { network.restart(index) }
        }
        for _ in 0..<60 {
            network.run(for: .seconds(1))
            for index in 0..<2 where network.nodes[index].swarm == nil { network.restart(index) }
        }
        let accepted = Set(network.nodes[0].inbox.accepted.map(\.rawValue))
        let got = network.nodes[1].inbox.deliveries.filter { !$0.message.isRedelivered }.map(\.body)
        // Those whose commit did not come were never accepted, and did not arrive.
        #expect(got.count == accepted.count || got.count == accepted.count + 1)
        #expect(Set(got).count == got.count && got == sent.filter { got.contains($0) })
    }

    @Test func aFullDiskEndsWhatIsSentAndHoldsBackWhatArrives() {
        let network = messagePair(7, isStored: true)
        network.send([1], from: 0, to: 1)
        network.run(for: .seconds(1))
        let full = StorageProblem.full(path: "store")
        network.nodes[0].store?.problem = full
        let refused = network.send([2], from: 0, to: 1)
        #expect(network.failure(refused, at: 0) == .storage(full))
        #expect(!network.nodes[0].inbox.accepted.contains(refused))
        let arriving = network.send([3], from: 1, to: 0)
        network.run(for: .seconds(5))
        #expect(network.nodes[1].completions[arriving] == nil && network.nodes[0].inbox.deliveries.isEmpty)
        network.nodes[0].store?.problem = nil
        let kept = network.send([4], from: 0, to: 1)
        network.run(for: .seconds(15))
        #expect(network.isDone(arriving, at: 1) && network.holds([[3]], at: 0))
        #expect(network.isDone(kept, at: 0) && network.holds([[1], [4]], at: 1))
        #expect(network.nodes[1].inbox.deliveries.map(\.message.sequence) == [1, 2])
        #expect(network.nodes[0].events.contains { $0.event == .storage(full) })
    }

    @Test func aLargeBodyGoesOnWhereItWasCut() {
        let network = messagePair(8) { $0.messages.spoolThreshold = 100_000 }
        let body = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let ticket = network.sendSpooled(body, from: 0, to: 1, options: SendOptions(lane: .bulk))
        for cut in 1...4 {
            #expect(network.run(atMost: .seconds(10)) { $0.nodes[1].inbox.fileBytes >= cut * 300_000 })
            #expect(network.nodes[1].inbox.fileBytes < body.count)
            network.perform(.disconnect(network.nodes[1].peer), at: 0)
        }
        network.run(for: .seconds(20))
        #expect(network.isDone(ticket, at: 0) && network.holds([body], at: 1))
        // One file at a time, never begun anew.
        #expect(network.nodes[1].inbox.fileBytes == body.count && network.nodes[1].inbox.files.isEmpty)
    }

    @Test func filesThatFailEndTheMessage() {
        let network = messagePair(9)
        network.nodes[0].inbox.fileProblem = .failed(path: "file", reason: "gone")
        let ticket = network.sendSpooled([UInt8](repeating: 1, count: 2_000_000), from: 0, to: 1), next = network.send([2], from: 0, to: 1)
        network.run(for: .seconds(5))
        #expect(network.failure(ticket, at: 0) == .storage(.failed(path: "file", reason: "gone")))
        #expect(network.isDone(next, at: 0) && network.holds([[2]], at: 1))
    }

    @Test func bulkDoesNotDelayControl() {
        let network = messagePair(10) { $0.messages.queueBytes = 64 << 20 }
        for _ in 0..<20 { network.send([UInt8](repeating: 1, count: 1_000_000), from: 0, to: 1, options: SendOptions(lane: .bulk)) }
        network.run(for: .milliseconds(50))
        network.nodes[1].inbox.answers = { $0 }
        let start = network.now, request = network.send([1], from: 0, to: 1, kind: .request, options: SendOptions(lane: .control))
        #expect(network.run(atMost: .seconds(5)) { $0.nodes[0].completions[request] != nil })
        // Two frames of the connection and the socket's buffer lie before it, and each piece takes its time.
        #expect(network.now - start < .milliseconds(150))
        #expect(network.status(of: 1, at: 0).map { $0.queuedMessages[2] > 0 } == true, "bulk was through before control")
        network.run(for: .seconds(20))
        #expect(network.nodes[1].inbox.deliveries.count == 21)
    }

    @Test func aPeerWithoutTheProtocolIsToldApart() {
        let network = messagePair(11)
        network.with(1) { swarm, _ in
            for id in swarm.connections.ids { swarm.connections[id]?.pipeline?.setProtocols(["/ipfs/ping/1.0.0"]) }
        }
        let ticket = network.send([1], from: 0, to: 1)
        network.run(for: .seconds(2))
        #expect(network.failure(ticket, at: 0) == .protocolNotSupported([MessageFrame.protocolID]))
    }

    @Test func everyTicketEndsWithTheNode() {
        let network = messagePair(12) { $0.messages.queueMessages = 2 }
        network.partition([0, 1])
        let tickets = [
            network.send([1], from: 0, to: 1), network.send([2], from: 0, to: 1, kind: .request), network.send([3], from: 0, to: 1),
        ]
        network.with(0) { swarm, now in swarm.shutdown(now: now) }
        for ticket in tickets { #expect(network.failure(ticket, at: 0) == .closed) }
    }
}
