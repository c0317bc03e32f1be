import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    /// What is done when nothing is ready, by whoever would sleep.
    @Suite(.timeLimit(.minutes(3))) struct IdleTimeTests {
        /// Each side missed one key at first, and has made the next ones by itself.
        @Test func keysAreMadeAheadOnBothSides() throws {
            let pair = try TestPair()
            defer { pair.close() }
            for node in [pair.a, pair.b] {
                #expect(comesTrue { node.engine.helm.inspect { $0.swarm.ephemeralKeys.count } == EphemeralKeys.batch })
                #expect(comesTrue { !node.engine.helm.wantsIdleTime })
            }
        }

        /// Whoever keeps the watch uses the time, so while a caller does, the reactor thread has nothing to do before it sleeps.
        @Test func besideACallerThatSleepsTheReactorSleepsToo() throws {
            let node = try TestNode { $0.limits.handshakeTimeout = .seconds(1) }, silent = try silentListener()
            defer { close(silent.socket) }
            let caller = Guarded<UInt>(0)
            let waiting = TestThread {
                caller.with { $0 = HelmTests.thread }
                // For something that never comes; again where the reactor thread had the watch. The close ends it.
                while true { do { _ = try node.engine.inbox.next(timeout: .seconds(4)) } catch { break } }
            }
            defer {
                node.engine.close()
                waiting.join()
            }
            #expect(comesTrue { caller.with { $0 } != 0 })
            #expect(HelmTests.keepsWatch(caller.with { $0 }, on: node))
            // A handshake without an answer, which a timer of the reactor thread ends; the caller has made the keys of which it missed one.
            let ended = Waiter<Outcome>()
            node.engine.submit(.connect(try Multiaddr("/ip4/127.0.0.1/tcp/\(silent.port)"))) { ended.fulfil($0) }
            #expect(comesTrue { node.engine.helm.inspect { $0.swarm.ephemeralKeys.count } == EphemeralKeys.batch })
            // The next one is missed in a turn of somebody else, while the caller sleeps. One that is just about to makes them first: then once more.
            #expect(try comesTrue {
                _ = node.engine.helm.inspect { loop in while loop.swarm.ephemeralKeys.take() != nil {} }
                _ = try node.engine.call(.peers, timeout: TestNode.patience)
                return node.engine.helm.wantsIdleTime
            })
            #expect(ended.wait(until: Instant.now() + TestNode.patience) != nil)
            let before = node.engine.helm.inspect { $0.turnNumber } ?? 0
            for _ in 0..<20_000 { sched_yield() }
            #expect((node.engine.helm.inspect { $0.turnNumber } ?? .max) - before < 100)
        }

        /// A node that is done sleeps: it does not come back for nothing.
        @Test func afterwardsTheReactorSleeps() throws {
            let pair = try TestPair()
            defer { pair.close() }
            #expect(comesTrue { !pair.a.engine.helm.wantsIdleTime && !pair.b.engine.helm.wantsIdleTime })
            let turns = { [pair.a, pair.b].map { $0.engine.helm.inspect { $0.turnNumber } ?? 0 } }
            // Whatever the handshake still brings comes to an end: two looks with the same numbers and as many chances for a turn in between.
            var before = turns()
            #expect(comesTrue {
                for _ in 0..<10_000 { sched_yield() }
                defer { before = turns() }
                return turns() == before
            })
        }
    }
}
