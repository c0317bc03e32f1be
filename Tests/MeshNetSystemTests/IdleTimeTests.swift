import Glibc
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    /// What is done when nothing is ready, by whoever would sleep.
    @Suite(.timeLimit(.minutes(3))) struct IdleTimeTests {
        /// Each side missed one key at first, and has made the next by itself.
        @Test func keysAreMadeAheadOnBothSides() throws {
            let pair = try TestPair()
            defer { pair.close() }
            for node in [pair.a, pair.b] {
                #expect(comesTrue { node.engine.helm.inspect { $0.swarm.ephemeralKeys.count } == 1 })
                #expect(comesTrue { !node.engine.helm.wantsIdleTime })
            }
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
