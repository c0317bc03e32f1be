import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Synchronization
import Testing

extension SystemTests {
    /// How the reactor thread shares a processor.
    @Suite(.timeLimit(.minutes(2))) struct CourtesyTests {
        private final class Count: Sendable { let value = Atomic(0) }

        private func counting(_ count: Count) -> SystemCalls {
            var system = SystemCalls.kernel
            system.yield = { isLooking in
                if !isLooking { count.value.wrappingAdd(1, ordering: .relaxed) }
                SystemCalls.kernel.yield(isLooking)
            }
            return system
        }

        /// Whoever always finds more to do offers the processor in between, as long as somebody may be in a hurry.
        @Test(.disabled(if: LifecycleTests.isThreadSanitized, "with ThreadSanitizer each wait takes as long as a sleep; the suite system runs it"))
        func aBusyReactorYieldsWhileControlMessagesPass() throws {
            let yields = Count(), far = try TestNode(system: counting(yields)), near = try TestNode()
            defer { near.engine.close(); far.engine.close() }
            try near.connect(to: far)
            #expect(try flood(far, from: near, whilst: { yields.value.load(ordering: .relaxed) == 0 }) == 64 << 20)
            #expect(yields.value.load(ordering: .relaxed) == 0, "nobody is in a hurry")
            try sendUrgent(far, from: near)
            _ = try flood(far, from: near, upTo: .max, whilst: { yields.value.load(ordering: .relaxed) == 0 })
            #expect(yields.value.load(ordering: .relaxed) > 0)
        }

        private func sendUrgent(_ far: TestNode, from near: TestNode) throws {
            let urgent = OutboundMessage(peer: far.engine.localPeer, options: SendOptions(lane: .control))
            let report = near.engine.sendBlocking(urgent, .bytes([1]), until: .accepted, timeout: TestNode.patience)
            #expect(report.failure == nil)
            // Whoever waits in a call serves the node meanwhile, in place of its reactor.
            #expect(comesTrue { far.engine.inbox.count > 0 })
            far.engine.inbox.settlements.settle(try #require(try far.engine.inbox.next(timeout: .zero)))
        }

        /// Returns how many bytes were read: 64 MiB are written each time the condition holds, and not more than the limit.
        private func flood(_ far: TestNode, from near: TestNode, upTo limit: Int = 64 << 20, whilst isWanted: @escaping @Sendable () -> Bool) throws -> Int {
            _ = try far.engine.call(.accept("/echo/1"), timeout: TestNode.patience)
            let stream = try near.openStream(to: far), block = [UInt8](repeating: 7, count: 1 << 20)
            let writer = TestThread {
                let end = Instant.now() + TestNode.patience
                var written = 0
                while written < limit, isWanted(), Instant.now() < end {
                    for _ in 0..<64 {
                        guard (try? near.write(stream, block)) != nil else { return }
                        written += block.count
                    }
                }
                near.engine.closeWrite(stream)
            }
            let accepted = try far.acceptStream()
            var count = 0
            while true {
                let bytes = try far.read(accepted, 1 << 20)
                if bytes.isEmpty { break }
                count += bytes.count
            }
            writer.join()
            return count
        }

        /// Who sleeps between two turns has nothing to offer.
        @Test func aReactorThatSleepsInBetweenDoesNot() throws {
            let yields = Count(), node = try TestNode(system: counting(yields)), near = try TestNode(), rounds = 50
            defer { near.engine.close(); node.engine.close() }
            try near.connect(to: node)
            try sendUrgent(node, from: near)
            let reactor = try LifecycleTests.ReactorTask(of: node.engine), before = yields.value.load(ordering: .relaxed)
            for _ in 0..<rounds {
                #expect(reactor.fallsAsleep)
                let done = Waiter<Int>()
                node.engine.submit(.peers) { _ in done.fulfil(.success(1)) }
                #expect(done.wait(until: Instant.now() + TestNode.patience) == .success(1))
            }
            // A sleep that is cut short by the scheduler counts as none.
            #expect(yields.value.load(ordering: .relaxed) - before < rounds / 2)
        }

        private static let takesSlices: Bool = {
            var name = utsname()
            guard uname(&name) == 0 else { return false }
            let release = withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            let parts = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
            return parts.count == 2 && (parts[0], parts[1]) >= (6, 12)
        }()

        /// Of the calling thread, in nanoseconds.
        private static func slice() -> UInt64? {
            var attributes = meshnet_sched_attributes()
            return meshnet_sched_getattr(&attributes) == 0 ? attributes.runtime : nil
        }

        @Test(.enabled(if: takesSlices, "slices are taken from Linux 6.12 on")) func slicesAreShortWhileWantedForThatThreadOnly() throws {
            let own = Self.slice(), seen = Waiter<[UInt64?]>()
            let thread = TestThread {
                var courtesy = Courtesy()
                let slices = [Self.slice()] + [true, false].map { wanted in
                    courtesy.isWanted = wanted
                    return Self.slice()
                }
                seen.fulfil(.success(slices))
            }
            #expect(try seen.wait(until: Instant.now() + TestNode.patience)?.get() == [own, 100_000, own])
            thread.join()
            #expect(Self.slice() == own && own != 100_000)
        }

        @Test(.enabled(if: takesSlices, "slices are taken from Linux 6.12 on")) func theReactorHasShortSlicesAfterAControlMessage() throws {
            let far = try TestNode(), near = try TestNode()
            defer { near.engine.close(); far.engine.close() }
            func sliceOfReactor() throws -> UInt64? {
                let found = Waiter<UInt64?>()
                far.engine.submit(.peers) { _ in found.fulfil(.success(Self.slice())) }
                return try found.wait(until: Instant.now() + TestNode.patience)?.get() ?? nil
            }
            try near.connect(to: far)
            #expect(try sliceOfReactor() == Self.slice())
            try sendUrgent(far, from: near)
            #expect(try comesTrue { try sliceOfReactor() == 100_000 })
        }
    }
}
