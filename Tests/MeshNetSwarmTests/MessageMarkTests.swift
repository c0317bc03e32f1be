import MeshNetProtocol
import Testing

@testable import MeshNetSimulator
@testable import MeshNetSwarm

/// Stores that know less than the peer does: what waits is neither taken for what the peer has, nor sent twice.
@Suite struct MessageMarkTests {
    private func bodies(_ numbers: Range<Int>) -> [[UInt8]] { numbers.map { [UInt8($0)] } }

    /// Four messages arrive, and the disk of the sender loses them: a power failure. The network is cut.
    private func forgetful(_ seed: UInt64, configure: (inout Configuration) -> Void = { _ in }) -> Simulation {
        let network = messagePair(seed, isStored: true, configure: configure)
        let earlier = network.nodes[0].store
        for body in bodies(0..<4) { network.send(body, from: 0, to: 1) }
        network.run(for: .seconds(1))
        #expect(network.holds(bodies(0..<4), at: 1))
        network.partition([0, 1])
        network.kill(0)
        network.nodes[0].store = earlier
        network.restart(0)
        return network
    }

    private func settles(_ network: Simulation, with expected: [[UInt8]]) {
        network.heal()
        network.run(for: .seconds(60))
        #expect(network.holds(expected, at: 1))
        #expect(network.nodes[0].store?.outboundCount == 0)
    }

    @Test func processesThatNeverReachedThePeerLeaveNothingForSent() {
        let network = forgetful(1)
        for process in 0..<3 {
            for body in bodies(4 + 3 * process..<7 + 3 * process) { network.send(body, from: 0, to: 1) }
            network.run(for: .seconds(5))
            network.kill(0)
            network.restart(0)
        }
        settles(network, with: bodies(0..<13))
    }

    @Test func aChannelThatWasForgottenLosesNothing() {
        let network = forgetful(2)
        // All that the store had of the peer is gone, as if other channels had taken its place.
        network.kill(0)
        let peer = network.nodes[1].peer
        network.nodes[0].store?.peers[peer] = nil
        network.restart(0)
        for body in bodies(4..<8) { network.send(body, from: 0, to: 1) }
        network.run(for: .seconds(1))
        network.kill(0)
        network.restart(0)
        settles(network, with: bodies(0..<8))
    }

    /// The mark goes with the last commit that the disk has, whichever that is: after it nothing is lost, before it nothing had been said.
    @Test(arguments: 0..<10) func killedAtAnyCommitOfItsFirstStream(commit: Int) {
        let network = forgetful(3)
        let commits = network.nodes[0].store?.commits ?? 0
        network.nodes[0].store?.diesAtCommit = commits + commit
        network.nodes[0].store?.diesAfterwards = commit % 2 == 0
        network.heal()
        var accepted = bodies(0..<4)
        for number in 4..<12 {
            if network.nodes[0].swarm == nil { network.restart(0) }
            let stored = network.nodes[0].store?.outboundCount ?? 0
            network.send([UInt8(number)], from: 0, to: 1)
            if network.nodes[0].swarm != nil || network.nodes[0].store?.outboundCount != stored { accepted.append([UInt8(number)]) }
            network.run(for: .milliseconds(30))
        }
        for _ in 0..<60 {
            if network.nodes[0].swarm == nil { network.restart(0) }
            network.run(for: .seconds(1))
        }
        #expect(network.holds(accepted, at: 1))
        #expect(network.nodes[0].store?.outboundCount == 0)
    }

    @Test func nothingFlowsUntilTheMarkIsLiftedOnTheDisk() {
        let network = messagePair(4, isStored: true)
        network.send([0], from: 0, to: 1)
        network.partition([0, 1])
        network.run(for: .seconds(30))
        network.nodes[0].store?.problem = .full(path: "store")
        network.heal()
        network.run(for: .seconds(20))
        #expect(network.nodes[1].inbox.deliveries.isEmpty)
        #expect(network.nodes[0].events.contains { $0.event == .storage(.full(path: "store")) })
        network.nodes[0].store?.problem = nil
        network.run(for: .seconds(5))
        #expect(network.holds([[0]], at: 1))
        #expect(network.nodes[0].store?.peers[network.nodes[1].peer]?.sentBelow == [nil, nil, nil])
    }

    /// The power fails between the lifting and the acknowledgement: what went out is not sent again.
    @Test func whatWentOutAfterTheLiftingIsNotSentTwice() {
        let network = messagePair(5, isStored: true)
        network.nodes[1].inbox.policy = .never
        for body in bodies(0..<4) { network.send(body, from: 0, to: 1) }
        #expect(network.run(atMost: .seconds(5)) { $0.nodes[1].inbox.deliveries.count == 4 })
        network.kill(0)
        #expect(network.nodes[0].store?.outboundCount == 4)
        network.restart(0)
        for body in bodies(4..<6) { network.send(body, from: 0, to: 1) }
        network.nodes[1].inbox.policy = .settlesAtOnce
        network.settle(at: 1)
        settles(network, with: bodies(0..<6))
    }

    @Test func aLaneMarksItsFirstMessageOnlyAndIsLiftedOnce() {
        let network = messagePair(6, isStored: true)
        let peer = network.nodes[1].peer
        network.partition([0, 1])
        network.run(for: .seconds(30))
        for body in bodies(0..<3) { network.send(body, from: 0, to: 1) }
        network.send([9], from: 0, to: 1, options: SendOptions(lane: .bulk))
        #expect(network.nodes[0].store?.peers[peer]?.sentBelow == [nil, 1, 1])
        network.heal()
        network.run(for: .seconds(20))
        #expect(network.nodes[0].store?.peers[peer]?.sentBelow == [nil, nil, nil])
        network.partition([0, 1])
        network.run(for: .seconds(30))
        network.send([3], from: 0, to: 1)
        #expect(network.nodes[0].store?.peers[peer]?.sentBelow == [nil, nil, nil])
        network.heal()
        network.run(for: .seconds(20))
        #expect(network.bodies(at: 1).count == 5 && network.bodies(at: 1).last == [3])
    }

    /// The peer holds the beginning of a body under a number that our store gives again, to another body.
    @Test func theRestOfABodyIsNotPutBehindTheBeginningOfAnother() {
        let network = messagePair(7, isStored: true) { $0.messages.spoolThreshold = 100_000 }
        let earlier = network.nodes[0].store
        network.sendSpooled([UInt8](repeating: 1, count: 3_000_000), from: 0, to: 1)
        #expect(network.run(atMost: .seconds(10)) { $0.nodes[1].inbox.fileBytes >= 600_000 })
        network.partition([0, 1])
        network.kill(0)
        network.nodes[0].store = earlier
        network.restart(0)
        let body = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
        network.sendSpooled(body, from: 0, to: 1)
        network.heal()
        network.run(for: .seconds(60))
        #expect(network.holds([body], at: 1))
    }

    /// A power failure took the latest commits: numbers that the peer has seen are given again, and what waits gets those behind them.
    @Test(arguments: 0..<12) func aStoreThatWentBackInTimeLosesNothingThatWaits(commit: Int) {
        let network = messagePair(14, isStored: true) { $0.messages.receiveBytes = 65_536 }
        let earlier = network.nodes[0].store
        let first = (0..<4).map { [UInt8($0)] }, second = (4..<12).map { [UInt8](repeating: UInt8($0), count: 30_000) }
        for body in first { network.send(body, from: 0, to: 1) }
        network.run(for: .seconds(1))
        #expect(network.holds(first, at: 1))
        network.nodes[1].inbox.policy = .never
        network.partition([0, 1])
        network.kill(0)
        network.nodes[0].store = earlier
        network.restart(0)
        for body in second { network.send(body, from: 0, to: 1) }
        let commits = network.nodes[0].store?.commits ?? 0
        network.nodes[0].store?.diesAtCommit = commits + commit
        network.nodes[0].store?.diesAfterwards = commit % 2 == 1
        network.heal()
        func run(_ seconds: Int) {
            for _ in 0..<seconds {
                network.run(for: .seconds(1))
                if network.nodes[0].swarm == nil { network.restart(0) }
            }
        }
        run(120)
        // The receiver takes no more until its application does: the others wait, under their new numbers.
        #expect(network.nodes[1].inbox.deliveries.count < 12)
        network.kill(0)
        network.restart(0)
        network.nodes[1].inbox.policy = .settlesAtOnce
        network.settle(at: 1)
        run(120)
        #expect(network.holds(first + second, at: 1))
        #expect(network.nodes[1].inbox.deliveries.map(\.message.sequence) == Array(1...12))
        #expect(network.nodes[0].store?.outboundCount == 0)
    }

    /// The change of numbers itself meets a full disk.
    @Test func newNumbersThatCannotBeWrittenAreWrittenLater() {
        let network = messagePair(15, isStored: true) { $0.messages.receiveBytes = 65_536 }
        let earlier = network.nodes[0].store
        for number in 0..<4 { network.send([UInt8(number)], from: 0, to: 1) }
        network.run(for: .seconds(1))
        network.nodes[1].inbox.policy = .never
        network.partition([0, 1])
        network.kill(0)
        network.nodes[0].store = earlier
        network.restart(0)
        let bodies = (4..<12).map { [UInt8](repeating: UInt8($0), count: 30_000) }
        for body in bodies { network.send(body, from: 0, to: 1) }
        network.nodes[0].store?.problem = .full(path: "store")
        network.heal()
        network.run(for: .seconds(120))
        #expect(network.nodes[0].swarm?.messages.channels.first?.out[.normal].sender.waiting.last == 12)
        network.nodes[0].store?.problem = nil
        network.kill(0)
        network.restart(0)
        network.nodes[1].inbox.policy = .settlesAtOnce
        network.settle(at: 1)
        network.run(for: .seconds(120))
        #expect(network.bodies(at: 1) == (0..<4).map { [UInt8($0)] } + bodies)
        #expect(network.nodes[0].store?.outboundCount == 0)
    }
}
