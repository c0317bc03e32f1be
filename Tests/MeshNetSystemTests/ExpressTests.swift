import Glibc
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Synchronization
import Testing

extension SystemTests {
    /// What a message of the control lane waits for in its node.
    @Suite(.timeLimit(.minutes(2))) struct ExpressTests {
        @Test func turnsAreShortForAMomentOnly() {
            var express = Express()
            let start = Instant(nanoseconds: 5)
            #expect(!express.isUnderWay(now: start))
            express.passed(now: start)
            #expect(express.isUnderWay(now: start + (Express.span - .nanoseconds(1))))
            #expect(!express.isUnderWay(now: start + Express.span))
            #expect(express.isCourteous(now: start + (Express.courtesy - .nanoseconds(1))))
            #expect(!express.isCourteous(now: start + Express.courtesy))
        }

        @Test func aLookIsWorthItBesideBulkOnly() {
            var express = Express()
            let start = Instant(nanoseconds: 5)
            express.moved(Express.bulk, isWithinHost: false)
            #expect(!express.isBesideBulk(now: start))
            express.passed(now: start)
            #expect(express.isBesideBulk(now: start))
            express.turnBegins()
            express.moved(Express.bulk - 1, isWithinHost: false)
            #expect(!express.isBesideBulk(now: start))
        }

        @Test func aLookIsWorthItInBulkWithinTheHostOnly() {
            var express = Express()
            let start = Instant(nanoseconds: 5)
            express.moved(100 * Express.bulkWithinHost, isWithinHost: false)
            express.moved(Express.bulkWithinHost - 1, isWithinHost: true)
            #expect(!express.isBesideBulk(now: start))
            express.moved(1, isWithinHost: true)
            #expect(express.isBesideBulk(now: start))
            express.turnBegins()
            #expect(!express.isBesideBulk(now: start))
        }

        private func send(_ body: [UInt8], _ message: OutboundMessage, _ node: TestNode) throws {
            let report = node.engine.sendBlocking(message, .bytes(body), until: .accepted, timeout: TestNode.patience)
            if let failure = report.failure { throw failure }
        }

        /// What the sockets of a node are asked while both have something to read, and whether a message waited for the application by then.
        private struct Reads {
            var isHeld = false
            /// From the next turn on.
            var isReleased = false
            var held: Set<Int32> = []
            var ofTurn: Set<Int32> = []
            var inbox: Inbox?
            var found: [Int] = []
            var asked: [Int] = []
        }

        private func watching(_ reads: Guarded<Reads>) -> SystemCalls {
            var system = SystemCalls.kernel
            system.wait = { epoll, events, timeout in
                reads.with { reads in
                    reads.ofTurn = []
                    if reads.isReleased { (reads.isHeld, reads.isReleased) = (false, false) }
                }
                return SystemCalls.kernel.wait(epoll, events, timeout)
            }
            system.receive = { socket, memory in
                let isHeld = reads.with { reads in
                    if reads.isHeld {
                        reads.held.insert(socket)
                    } else if reads.ofTurn.insert(socket).inserted, reads.ofTurn.count == 2 {
                        reads.asked.append(memory.count)
                        reads.found.append(reads.inbox?.count ?? 0)
                    }
                    return reads.isHeld
                }
                return isHeld ? -Int(EAGAIN) : SystemCalls.kernel.receive(socket, memory)
            }
            return system
        }

        /// A turn reads two sockets, one after the other. What the first brought is there before the second is read, of which less is read then.
        @Test func aControlMessageDoesNotWaitForTheEndOfTheTurn() throws {
            let reads = Guarded(Reads()), far = try TestNode(system: watching(reads)), near = try [TestNode(), TestNode()], rounds = 20
            defer {
                reads.with { $0.inbox = nil }
                for node in near + [far] { node.engine.close() }
            }
            for node in near { try node.connect(to: far) }
            let message = OutboundMessage(peer: far.engine.localPeer, options: SendOptions(lane: .control)), inbox = far.engine.inbox
            reads.with { $0.inbox = inbox }
            for round in 0..<rounds {
                reads.with { ($0.isHeld, $0.held) = (round > 0, []) }
                for node in near { try send([1], message, node) }
                // The first round opens the streams.
                if round > 0 { #expect(comesTrue { reads.with { $0.held.count } == near.count }) }
                reads.with { $0.isReleased = $0.isHeld }
                // Nobody takes the first before the second is read.
                #expect(comesTrue { inbox.count == near.count })
                for _ in near { inbox.settlements.settle(try #require(try inbox.next(timeout: .zero))) }
                if round == 0 { reads.with { ($0.found, $0.asked) = ([], []) } }
            }
            let (found, asked) = reads.with { ($0.found, $0.asked) }
            #expect(found.count { $0 > 0 } >= rounds - 1, "\(found)")
            #expect(asked.contains(Express.bytesPerRead), "\(asked)")
        }

        /// Who read bulk beside control messages looks before it sleeps, and offers the processor meanwhile; who read a little bulk alone sleeps at once.
        @Test func whoServesControlMessagesBesideBulkLooks() throws {
            let yields = Atomic(0), rounds = 20
            var system = SystemCalls.kernel
            system.yield = { if $0 { yields.wrappingAdd(1, ordering: .relaxed) } }
            let near = try TestNode(), far = try TestNode(system: system)
            defer { near.engine.close(); far.engine.close() }
            try near.connect(to: far)
            let reactor = try LifecycleTests.ReactorTask(of: far.engine)
            func yieldsWhile(sending lanes: [Lane]) throws -> Int {
                let before = yields.load(ordering: .relaxed)
                for _ in 0..<rounds {
                    for lane in lanes {
                        let message = OutboundMessage(peer: far.engine.localPeer, options: SendOptions(lane: lane))
                        let body = [UInt8](repeating: 1, count: lane == .control ? 8 : 4 * Express.bulk)
                        try send(body, message, near)
                        // Whoever waited in a call would serve the node in place of the reactor.
                        #expect(comesTrue { far.engine.inbox.count > 0 })
                        let delivery = try #require(try far.engine.inbox.next(timeout: .zero))
                        far.engine.inbox.settlements.settle(delivery)
                    }
                    #expect(reactor.fallsAsleep)
                }
                return yields.load(ordering: .relaxed) - before
            }
            let alone = try yieldsWhile(sending: [.bulk]), beside = try yieldsWhile(sending: [.control, .bulk])
            #expect(beside > alone + rounds, "alone \(alone), beside \(beside)")
        }

        /// Its sender is at work on the next of it, on another processor.
        @Test func whoReadsMuchWithinTheHostLooksForMore() throws {
            let yields = Atomic(0)
            var system = SystemCalls.kernel
            system.yield = { isLooking in
                if isLooking { yields.wrappingAdd(1, ordering: .relaxed) }
                SystemCalls.kernel.yield(isLooking)
            }
            let near = try TestNode(), far = try TestNode(system: system)
            defer { near.engine.close(); far.engine.close() }
            try near.connect(to: far)
            #expect(try LifecycleTests.ReactorTask(of: far.engine).fallsAsleep)
            let before = yields.load(ordering: .relaxed)
            _ = try near.engine.call(.perf(far.engine.localPeer, upload: 256 << 20, download: 0), timeout: TestNode.patience)
            #expect(yields.load(ordering: .relaxed) > before)
        }
    }
}
