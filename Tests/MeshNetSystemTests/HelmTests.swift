import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Synchronization
import Testing

extension SystemTests {
    /// Who runs the loop: a caller that waits, or the reactor thread.
    @Suite(.timeLimit(.minutes(3))) struct HelmTests {
        static var thread: UInt { UInt(pthread_self()) }
        /// A caller that comes while the reactor thread has the watch sleeps for this call, and gets it with a later one: so calls are short here.
        static let shortly: Duration = .milliseconds(50)

        /// Until the thread waits for the descriptors of the node itself; false when it never does.
        static func keepsWatch(_ thread: UInt, on node: TestNode) -> Bool {
            let limit = Instant.now() + TestNode.patience
            while node.engine.helm.keeper != thread {
                guard Instant.now() < limit else { return false }
                sched_yield()
            }
            return true
        }

        /// The threads that received from sockets.
        final class Receivers: Sendable {
            let threads = Guarded<[UInt]>([])

            var system: SystemCalls {
                var system = SystemCalls.kernel
                system.receive = { [threads] socket, memory in
                    let count = SystemCalls.kernel.receive(socket, memory)
                    if count > 0 { threads.with { $0.append(HelmTests.thread) } }
                    return count
                }
                return system
            }
        }

        /// nil when nothing comes.
        static func read(_ node: TestNode, _ stream: StreamID) -> [UInt8]? {
            let limit = Instant.now() + TestNode.patience
            while Instant.now() < limit {
                do { return try node.read(stream, 16, timeout: shortly) } catch CallError.timedOut { continue } catch { return nil }
            }
            return nil
        }

        @Test func whoWaitsReceivesItself() throws {
            let receivers = Receivers(), far = try TestNode(), near = try TestNode(system: receivers.system)
            defer { near.engine.close() }
            defer { far.engine.close() }
            _ = try far.engine.call(.accept("/echo/1"), timeout: TestNode.patience)
            try near.connect(to: far)
            let stream = try near.openStream(to: far)
            try near.write(stream, [0])
            let accepted = try far.acceptStream(), rounds = 50
            let caller = Guarded<UInt>(0), got = Guarded<[UInt8]>([])
            let reader = TestThread {
                caller.with { $0 = Self.thread }
                for _ in 0..<rounds {
                    guard let bytes = Self.read(near, stream) else { return }
                    got.with { $0 += bytes }
                }
            }
            while caller.with({ $0 }) == 0 { sched_yield() }
            let thread = caller.with { $0 }
            var byCaller = 0
            for round in 0..<rounds {
                guard Self.keepsWatch(thread, on: near) else {
                    #expect(Bool(false), "round \(round): nobody keeps the watch")
                    break
                }
                receivers.threads.with { $0 = [] }
                try far.write(accepted, [UInt8(round)])
                let limit = Instant.now() + TestNode.patience
                while got.with({ $0.count }) <= round, Instant.now() < limit { sched_yield() }
                if Set(receivers.threads.with { $0 }) == [thread] { byCaller += 1 }
            }
            reader.join()
            #expect(byCaller > rounds / 2, "few are between two calls when the bytes come")
            #expect(got.with { $0 } == (0..<rounds).map { UInt8($0) })
        }

        /// A loop that looks before it sleeps: it serves what comes, for a moment, and leaves the rest to the reactor thread.
        @Test func whoLooksServesAndGoesAway() throws {
            let receivers = Receivers(), far = try TestNode(), near = try TestNode(system: receivers.system)
            defer { near.engine.close() }
            defer { far.engine.close() }
            try near.connect(to: far)
            let limit = Instant.now() + TestNode.patience, peer = far.engine.localPeer
            var pings = 0, served = 0
            while served < 10, Instant.now() < limit {
                _ = try near.engine.submit(.ping(peer))
                while try !near.engine.look(), Instant.now() < limit {}
                while let item = try near.engine.queue.next(timeout: .zero) { if case .completion(_, .success) = item { pings += 1 } }
                let threads = receivers.threads.with { threads in
                    defer { threads = [] }
                    return threads
                }
                if threads.contains(Self.thread) { served += 1 }
            }
            #expect(served == 10)
            #expect(pings > 0)
            #expect(near.engine.helm.keeper != Self.thread)
            _ = try near.engine.call(.ping(peer), timeout: TestNode.patience)
            near.engine.close()
            #expect(try near.engine.look(), "a closed node has something to say")
        }

        @Test func twoThatWaitAreBothServed() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let streams = [try pair.stream(), try pair.stream()], b = pair.b, rounds = 200
            let echoes = streams.map { _, far in
                TestThread {
                    for _ in 0..<rounds {
                        guard let bytes = try? b.readExactly(far, 8) else { return }
                        try? b.write(far, bytes)
                    }
                }
            }
            let failures = Atomic(0), a = pair.a
            let callers = streams.enumerated().map { index, stream in
                TestThread {
                    for round in 0..<rounds {
                        let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round + index), count: 8)
                        try? a.write(stream.0, bytes)
                        if (try? a.readExactly(stream.0, 8)) != bytes { failures.wrappingAdd(1, ordering: .relaxed) }
                    }
                }
            }
            for thread in callers + echoes { thread.join() }
            #expect(failures.load(ordering: .relaxed) == 0)
        }

        /// What it waits for may come from a thread that runs no loop at all.
        @Test func whoKeepsTheWatchIsWoken() throws {
            let node = try TestNode(), caller = Guarded<UInt>(0), taken = Guarded(0)
            defer { node.engine.close() }
            let reader = TestThread {
                caller.with { $0 = Self.thread }
                let limit = Instant.now() + TestNode.patience
                while taken.with({ $0 }) < 20, Instant.now() < limit {
                    if case .completion? = (try? node.engine.queue.next(timeout: Self.shortly)) { taken.with { $0 += 1 } }
                }
            }
            while caller.with({ $0 }) == 0 { sched_yield() }
            for index in 0..<20 {
                guard Self.keepsWatch(caller.with { $0 }, on: node) else { return #expect(Bool(false), "nobody keeps the watch for the item \(index)") }
                node.engine.queue.post(Ticket(rawValue: UInt64(index) << 40), .success(.done))
                let limit = Instant.now() + TestNode.patience
                while taken.with({ $0 }) <= index, Instant.now() < limit { sched_yield() }
            }
            reader.join()
            #expect(taken.with { $0 } == 20)
        }

        /// A peer that accepts and says nothing: only a timer ends the handshake.
        @Test func timersRunWhileACallerKeepsTheWatch() throws {
            let silent = try silentListener()
            defer { close(silent.socket) }
            let node = try TestNode { $0.limits.handshakeTimeout = .milliseconds(200) }
            defer { node.engine.close() }
            let caller = Guarded<UInt>(0)
            let keeper = TestThread {
                caller.with { $0 = Self.thread }
                while true { do { _ = try node.engine.queue.next(timeout: Self.shortly) } catch { break } }
            }
            while caller.with({ $0 }) == 0 { sched_yield() }
            #expect(Self.keepsWatch(caller.with { $0 }, on: node))
            let ended = Waiter<Outcome>()
            node.engine.submit(.connect(try Multiaddr("/ip4/127.0.0.1/tcp/\(silent.port)"))) { ended.fulfil($0) }
            let result = ended.wait(until: Instant.now() + TestNode.patience)
            guard case .failure? = result else { return #expect(Bool(false), "\(String(describing: result))") }
            node.engine.close()
            keeper.join()
        }
    }
}
