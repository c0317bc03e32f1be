import MeshNetProtocol
import MeshNetSimulator
import Testing

@testable import MeshNetSwarm

/// Bounds, policies and deadlines: what happens at each of them is visible.
@Suite struct MessageQueueTests {
    /// The second node cannot be reached.
    private func apart(_ seed: UInt64, configure: (inout Configuration) -> Void = { _ in }) -> Simulation {
        let network = messagePair(seed, configure: configure)
        network.partition([0, 1])
        network.perform(.disconnect(network.nodes[1].peer), at: 0)
        network.run(for: .seconds(1))
        return network
    }

    @Test func aFullQueueFailsAtOnceOrMakesCallersWait() {
        let network = apart(1) { $0.messages.queueMessages = 200 }
        let tickets = (0..<200).map { network.send([UInt8($0)], from: 0, to: 1, options: SendOptions(whenFull: .fail)) }
        #expect(network.nodes[0].inbox.accepted == tickets)
        let refused = network.send([1], from: 0, to: 1, options: SendOptions(whenFull: .fail))
        #expect(network.failure(refused, at: 0) == .queueFull(network.nodes[1].peer, "queueMessages: 200"))
        let waiting = network.send([2], from: 0, to: 1)
        #expect(network.nodes[0].completions[waiting] == nil && network.nodes[0].inbox.accepted.count == 200)
        network.heal()
        network.run(for: .seconds(30))
        #expect((tickets + [waiting]).allSatisfy { network.isDone($0, at: 0) })
        #expect(network.nodes[0].inbox.accepted.last == waiting)
        #expect(network.holds((0..<200).map { [UInt8($0)] } + [[2]], at: 1))
    }

    private func bodies(_ numbers: Range<Int>) -> [[UInt8]] { numbers.map { [UInt8($0)] } }

    /// What there is room for is queued, the rest waits together, and nobody overtakes it.
    @Test func ofMessagesSentTogetherTheRestWaits() {
        let network = apart(31) { $0.messages.queueMessages = 100 }
        let first = network.sendRun(bodies(0..<70), from: 0, to: 1), second = network.sendRun(bodies(70..<120), from: 0, to: 1)
        let third = network.sendRun(bodies(120..<170), from: 0, to: 1)
        let single = network.send([170], from: 0, to: 1)
        let inbox = { network.nodes[0].inbox.acceptedRuns }
        #expect(inbox() == [first: 70, second: 30] && network.nodes[0].inbox.accepted.isEmpty)
        let refused = network.sendRun(bodies(0..<50), from: 0, to: 1)
        #expect(network.failure(refused, at: 0) == .queueFull(network.nodes[1].peer, "messages that wait for room: 71"))
        let failing = network.sendRun(bodies(0..<1), from: 0, to: 1, options: SendOptions(whenFull: .fail))
        #expect(network.failure(failing, at: 0) == .queueFull(network.nodes[1].peer, "queueMessages: 100"))
        network.heal()
        network.run(for: .seconds(30))
        #expect(inbox() == [first: 70, second: 50, third: 50] && network.nodes[0].inbox.accepted == [single])
        #expect(network.isDone(single, at: 0) && network.nodes[0].completions[second] == nil)
        #expect(network.holds(bodies(0..<171), at: 1))
        let channel = network.channel(0, to: 1)
        #expect(channel?.queuedMessages == [0, 0, 0] && channel?.queuedBytes == [0, 0, 0] && channel?.delivered == 171)
    }

    @Test func ofMessagesSentTogetherThoseWithoutRoomFailOrDisplaceOthers() {
        let network = apart(32) { $0.messages.queueMessages = 100 }
        let failing = network.sendRun(bodies(0..<120), from: 0, to: 1, options: SendOptions(whenFull: .fail))
        #expect(network.nodes[0].inbox.acceptedRuns == [failing: 100])
        #expect(network.failure(failing, at: 0) == .queueFull(network.nodes[1].peer, "queueMessages: 100"))
        let displacing = network.sendRun(bodies(120..<150), from: 0, to: 1, options: SendOptions(whenFull: .dropOldest))
        #expect(network.nodes[0].inbox.acceptedRuns == [failing: 100, displacing: 30] && network.nodes[0].completions[displacing] == nil)
        #expect(network.channel(0, to: 1)?.displaced == 30)
        network.heal()
        network.run(for: .seconds(30))
        #expect(network.holds(bodies(30..<100) + bodies(120..<150), at: 1))
    }

    @Test func theRestOfMessagesSentTogetherIsTakenBack() {
        let network = apart(33) { $0.messages.queueMessages = 100 }
        let run = network.sendRun(bodies(0..<130), from: 0, to: 1), behind = network.sendRun(bodies(130..<140), from: 0, to: 1)
        network.with(0) { swarm, now in swarm.cancelMessage(run, now: now) }
        #expect(network.failure(run, at: 0) == .cancelled && network.nodes[0].inbox.acceptedRuns == [run: 100])
        #expect(network.channel(0, to: 1)?.failed == 30)
        network.heal()
        network.run(for: .seconds(30))
        #expect(network.nodes[0].inbox.acceptedRuns == [run: 100, behind: 10])
        #expect(network.holds(bodies(0..<100) + bodies(130..<140), at: 1))
    }

    @Test func oneTooLargeEndsThoseSentWithIt() {
        let network = apart(34) {
            $0.messages.queueBytes = 100_000
            $0.messages.maximumMessageSize = 50_000
        }
        let large = [UInt8](repeating: 1, count: 40_000), run = network.sendRun([[1], large, [2], large + large, [3]], from: 0, to: 1)
        #expect(network.failure(run, at: 0) == .messageTooLarge(size: 80_000, limit: 50_000))
        network.heal()
        network.run(for: .seconds(30))
        #expect(network.nodes[0].inbox.acceptedRuns == [run: 3] && network.holds([[1], large, [2]], at: 1))
        let late = network.sendRun(bodies(4..<9), from: 0, to: 1)
        network.run(for: .seconds(1))
        #expect(network.nodes[0].inbox.acceptedRuns[late] == 5 && network.nodes[0].completions[late] == nil)
    }

    /// A small message has room where a large one waits, and must not pass it.
    @Test func aSendThatFailsAtOnceDoesNotOvertakeOneThatWaits() {
        let network = apart(12) { $0.messages.queueBytes = 10_000 }
        network.send([UInt8](repeating: 1, count: 9_000), from: 0, to: 1)
        let waiting = network.send([UInt8](repeating: 2, count: 5_000), from: 0, to: 1)
        let small = network.send([3], from: 0, to: 1, options: SendOptions(whenFull: .fail))
        guard case .queueFull? = network.failure(small, at: 0) else { return #expect(Bool(false), "it was taken before one that waits") }
        let other = network.send([4], from: 0, to: 1, options: SendOptions(lane: .control, whenFull: .fail))
        network.heal()
        network.run(for: .seconds(30))
        #expect(network.isDone(waiting, at: 0) && network.isDone(other, at: 0))
    }

    @Test func theBoundInBytesHoldsForThePeerAndForTheNode() {
        let network = apart(2) {
            $0.messages.queueBytes = 10_000
            $0.messages.totalQueueBytes = 15_000
        }
        let other = network.addNode()
        let first = network.send([UInt8](repeating: 1, count: 9_000), from: 0, to: 1, options: SendOptions(whenFull: .fail))
        let second = network.send([UInt8](repeating: 1, count: 900), from: 0, to: 1, options: SendOptions(whenFull: .fail))
        #expect(network.nodes[0].completions[first] == nil)
        #expect(network.failure(second, at: 0) == .queueFull(network.nodes[1].peer, "queueBytes: 10000"))
        let third = network.send([UInt8](repeating: 1, count: 7_000), from: 0, to: other, options: SendOptions(whenFull: .fail))
        #expect(network.failure(third, at: 0) == .queueFull(network.nodes[other].peer, "totalQueueBytes: 15000"))
        let large = network.send([UInt8](repeating: 1, count: 9_990), from: 0, to: 1)
        #expect(network.failure(large, at: 0) == .messageTooLarge(size: 9_990, limit: 9_936))
    }

    @Test func theOldestGiveWayAndAreCounted() {
        let network = apart(3) { $0.messages.queueMessages = 10 }
        let tickets = (0..<15).map { network.send([UInt8($0)], from: 0, to: 1, options: SendOptions(whenFull: .dropOldest)) }
        for ticket in tickets[..<5] { #expect(network.failure(ticket, at: 0) == .displaced) }
        #expect(network.status(of: 1, at: 0)?.displaced == 5)
        network.heal()
        network.run(for: .seconds(30))
        #expect(network.holds((5..<15).map { [UInt8($0)] }, at: 1))
        #expect(tickets[5...].allSatisfy { network.isDone($0, at: 0) })
    }

    @Test func controlHasRoomWhereBulkFilledTheQueue() {
        let network = apart(4) { $0.messages.queueMessages = 80 }
        for _ in 0..<80 { network.send([1], from: 0, to: 1, options: SendOptions(lane: .bulk, whenFull: .fail)) }
        let control = (0..<11).map { _ in network.send([2], from: 0, to: 1, options: SendOptions(lane: .control, whenFull: .fail)) }
        for ticket in control[..<10] { #expect(network.nodes[0].completions[ticket] == nil) }
        #expect(network.failure(control[10], at: 0) == .queueFull(network.nodes[1].peer, "queueMessages: 80"))
    }

    @Test func aMessageExpiresAndIsPassed() {
        let network = apart(5)
        let lost = network.send([1], from: 0, to: 1, options: SendOptions(deadline: .seconds(2)))
        let kept = network.send([2], from: 0, to: 1)
        network.run(for: .milliseconds(1_998))
        #expect(network.nodes[0].completions[lost] == nil)
        network.run(for: .milliseconds(3))
        #expect(network.failure(lost, at: 0) == .expired)
        network.heal()
        network.run(for: .seconds(30))
        #expect(network.holds([[2]], at: 1) && network.isDone(kept, at: 0))
        #expect(network.nodes[1].inbox.deliveries.first?.message.sequence == 2)
        #expect(network.status(of: 1, at: 0)?.expired == 1)
    }

    @Test func aMessageIsTakenBack() {
        let network = apart(6)
        let ticket = network.send([1], from: 0, to: 1), kept = network.send([2], from: 0, to: 1)
        network.with(0) { swarm, now in swarm.cancelMessage(ticket, now: now) }
        #expect(network.failure(ticket, at: 0) == .cancelled)
        network.heal()
        network.run(for: .seconds(30))
        #expect(network.holds([[2]], at: 1) && network.isDone(kept, at: 0))
    }

    @Test func aRequestWithoutReplyTimesOut() {
        let network = messagePair(7) { $0.messages.requestsPerPeer = 2 }
        let request = network.send([1], from: 0, to: 1, kind: .request, options: SendOptions(deadline: .seconds(3)))
        network.send([1], from: 0, to: 1, kind: .request)
        let tooMany = network.send([1], from: 0, to: 1, kind: .request)
        #expect(network.failure(tooMany, at: 0) == .limitReached("requestsPerPeer: 2"))
        network.run(for: .seconds(4))
        #expect(network.failure(request, at: 0) == .timedOut)
        #expect(network.nodes[1].inbox.deliveries.first?.message.request != nil)
    }

    /// The receiver takes no more than its budget and one message, and what it holds in raw form is a window at most; the sender keeps the rest.
    @Test func aReaderThatDoesNotSettleHoldsTheSenderBack() {
        let budget = 20_000
        let network = messagePair(8) { $0.messages.receiveBytes = budget }
        network.nodes[1].inbox.policy = .never
        let tickets = (0..<2_000).map { _ in network.send([UInt8](repeating: 1, count: 1_000), from: 0, to: 1) }
        network.run(for: .seconds(10))
        let status = network.status(of: 0, at: 1)
        #expect(status.map { $0.unsettledBytes <= budget + 1_064 && $0.unsettledBytes >= budget } == true)
        #expect(network.nodes[1].swarm?.pool.outstanding ?? .max <= 300_000 / 69_632 + 4)
        #expect(network.status(of: 1, at: 0).map { $0.queuedMessages[1] >= 1_500 } == true)
        // Another lane goes on.
        let control = network.send([7], from: 0, to: 1, options: SendOptions(lane: .control))
        network.run(for: .seconds(1))
        #expect(network.isDone(control, at: 0))
        network.nodes[1].inbox.policy = .settlesAtOnce
        network.settle(at: 1)
        network.run(for: .seconds(20))
        #expect(tickets.allSatisfy { network.isDone($0, at: 0) })
        #expect(network.nodes[1].inbox.deliveries.count == 2_001)
    }

    @Test func aMessageLargerThanThePeerTakesFails() {
        let network = Simulation(seed: 9)
        network.addNode()
        network.addNode(bootstrap: [network.nodes[0].multiaddr]) { $0.messages.maximumMessageSize = 100_000 }
        network.run(for: .seconds(3))
        let large = network.sendSpooled([UInt8](repeating: 1, count: 500_000), from: 0, to: 1), next = network.send([2], from: 0, to: 1)
        let own = network.send([UInt8](repeating: 1, count: 100_001), from: 1, to: 0)
        network.run(for: .seconds(20))
        #expect(network.failure(large, at: 0) == .messageTooLarge(size: 500_000, limit: 100_000))
        #expect(network.failure(own, at: 1) == .messageTooLarge(size: 100_001, limit: 100_000))
        #expect(network.isDone(next, at: 0) && network.holds([[2]], at: 1))
        #expect(network.nodes[0].inbox.files.isEmpty)
    }

    @Test func filesOfMessagesHaveABound() {
        let network = messagePair(10) {
            $0.messages.spoolThreshold = 50_000
            $0.messages.spoolBytes = 250_000
        }
        network.nodes[1].inbox.policy = .never
        let tickets = (0..<4).map { network.sendSpooled([UInt8](repeating: UInt8($0), count: 100_000), from: 0, to: 1) }
        network.run(for: .seconds(5))
        #expect(network.nodes[1].inbox.deliveries.count == 2)
        network.nodes[1].inbox.policy = .settlesAtOnce
        network.settle(at: 1)
        network.run(for: .seconds(5))
        #expect(tickets.allSatisfy { network.isDone($0, at: 0) })
        #expect(network.nodes[1].inbox.fileBytes <= 250_000 && network.nodes[1].inbox.files.isEmpty)
    }

    @Test func theChannelIdleForLongestIsForgotten() {
        let network = Simulation(seed: 11)
        network.addNode { $0.messages.channels = 2 }
        for _ in 0..<3 { network.addNode(bootstrap: [network.nodes[0].multiaddr]) }
        network.run(for: .seconds(3))
        network.send([1], from: 0, to: 1)
        network.run(for: .seconds(1))
        network.kill(1)
        network.run(for: .seconds(60))
        network.send([2], from: 0, to: 2)
        let third = network.send([3], from: 0, to: 3)
        network.run(for: .seconds(1))
        #expect(network.isDone(third, at: 0))
        #expect(network.status(of: 1, at: 0) == nil && network.status(of: 2, at: 0) != nil)
        // Connected channels stay: there is no room for one more.
        let fourth = network.addNode()
        let refused = network.send([4], from: 0, to: fourth)
        #expect(network.failure(refused, at: 0) == .limitReached("channels: 2"))
    }

    @Test func nothingIsLostBetweenPeersThatForgot() throws {
        let network = Simulation(seed: 12)
        network.addNode { $0.messages.channels = 1 }
        for _ in 0..<2 { network.addNode() }
        func exchange(_ number: UInt8, with peer: Int) throws {
            network.perform(.connect(try Multiaddr(network.nodes[peer].multiaddr)), at: 0)
            network.run(for: .seconds(1))
            let ticket = network.send([number], from: 0, to: peer)
            network.run(for: .seconds(1))
            #expect(network.isDone(ticket, at: 0))
            network.perform(.disconnect(network.nodes[peer].peer), at: 0)
            network.run(for: .seconds(1))
        }
        for number in 0..<6 { try exchange(UInt8(number), with: 1 + number % 2) }
        #expect(network.holds([[0], [2], [4]], at: 1) && network.holds([[1], [3], [5]], at: 2))
    }
}
