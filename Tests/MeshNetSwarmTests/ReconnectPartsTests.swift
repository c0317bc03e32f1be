import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// The values that decide when a wanted peer is dialled.
@Suite struct ReconnectPartsTests {
    @Test func theLadderIsThatOfOcapKernel() {
        var delays = FullJitter(ReconnectConfiguration()), random = RandomSource(testSeed: 1)
        var bounds: [Duration] = []
        for _ in 0..<8 {
            bounds.append(delays.bound)
            _ = delays.next(&random)
        }
        #expect(bounds == [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000].map { Duration.milliseconds($0) })
        delays.reset()
        #expect(delays.bound == .milliseconds(500))
        #expect(delays.attempts == 0)
    }

    /// Uniform from nothing to all: the lower half as often as the upper one.
    @Test(arguments: 0..<5) func theJitterIsFull(seed: UInt64) {
        var random = RandomSource(testSeed: seed), low = 0, sum = Duration.zero
        for _ in 0..<1_000 {
            var delays = FullJitter(ReconnectConfiguration())
            let delay = delays.next(&random)
            #expect(delay >= .zero && delay < .milliseconds(500), "seed \(seed)")
            if delay < .milliseconds(250) { low += 1 }
            sum += delay
        }
        #expect((400...600).contains(low), "seed \(seed)")
        #expect((.milliseconds(220_000)...(.milliseconds(280_000))).contains(sum), "seed \(seed)")
    }

    @Test func noConfigurationTraps() {
        for (first, factor, cap) in [
            (Duration.zero, 2.0, Duration.zero), (.seconds(-1), -3, .seconds(-1)), (.seconds(1), .nan, .seconds(9)),
            (.seconds(Int64.max), .infinity, .seconds(Int64.max)), (.nanoseconds(1), 1e300, .seconds(10)),
        ] {
            var configuration = ReconnectConfiguration(), random = RandomSource(testSeed: 1)
            (configuration.first, configuration.factor, configuration.cap) = (first, factor, cap)
            var delays = FullJitter(configuration)
            for _ in 0..<100 {
                let delay = delays.next(&random)
                #expect(delay >= .zero)
            }
        }
    }

    private static let peer = KeyPair(secret: [UInt8](repeating: 1, count: 32))!.peerID
    private static let permanent: [DialError] = [
        .refused, .unreachable(errno: 113), .unresolved(host: "a", reason: "b"), .wrongPeer(expected: peer, actual: peer), .otherNetwork(.otherKey),
    ]

    @Test(arguments: permanent) func fiveOfOneKindLookPermanent(error: DialError) {
        var pattern = FailurePattern()
        for round in 1...7 {
            let stands = pattern.add(FailureClass(round: [error, error]), after: 5)
            #expect(stands == (round >= 5))
        }
    }

    /// Another kind begins anew, silence does too, and what was not tried counts for nothing.
    @Test func mixedFailuresNeverLookPermanent() {
        func stands(_ rounds: Int, after: Int = 5, _ failures: (Int) -> [DialError]) -> Bool {
            var pattern = FailurePattern(), stood = false
            for round in 0..<rounds where pattern.add(FailureClass(round: failures(round)), after: after) { stood = true }
            return stood
        }
        #expect(!stands(40) { [Self.permanent[$0 % 5]] })
        #expect(!stands(40) { [$0 % 5 == 4 ? .timedOut(after: .seconds(10)) : .refused] })
        #expect(!stands(40) { _ in [.refused, .timedOut(after: .seconds(1))] })
        #expect(!stands(40) { _ in [.timedOut(after: .seconds(1))] })
        #expect(!stands(40) { _ in [.limitReached("x")] })
        #expect(!stands(8) { [$0 % 2 == 0 ? .refused : .limitReached("x")] })
        #expect(stands(9) { [$0 % 2 == 0 ? .refused : .limitReached("x")] })
        #expect(!stands(100, after: 0) { _ in [.refused] })
    }

    @Test func theHistoryIsShort() {
        var wanted = WantedPeer(ReconnectConfiguration(), now: .zero)
        for round in 0..<20 {
            _ = wanted.roundFailed([.unreachable(errno: Int32(round))], verdict: .unreachable(errno: Int32(round)), after: 5, now: .zero)
        }
        #expect(wanted.failures == (15..<20).map { .unreachable(errno: $0) })
        #expect(wanted.attempts == 20)
        wanted.reached()
        #expect(wanted.failures.isEmpty)
    }

    /// Only what peers closed makes room: what the application closed stays.
    @Test func closingsAreBounded() {
        var closings = Closings(maximum: 3)
        func set(_ closing: Closing, of peer: PeerID) -> Bool { closings.set(closing, of: peer) }
        let peers = (1...6).map { KeyPair(secret: [UInt8](repeating: $0, count: 32))!.peerID }
        #expect(set(Closing(byUs: true, reason: "1"), of: peers[0]))
        for peer in peers[1...4] { #expect(set(Closing(byUs: false, reason: "2"), of: peer)) }
        #expect(closings.count == 3)
        #expect(closings[peers[0]]?.reason == "1")
        #expect(closings[peers[1]] == nil)
        #expect(closings[peers[4]]?.reason == "2")
        #expect(set(Closing(byUs: true, reason: "3"), of: peers[3]))
        #expect(set(Closing(byUs: true, reason: "3"), of: peers[4]))
        #expect(!set(Closing(byUs: false, reason: "4"), of: peers[5]))
        #expect(set(Closing(byUs: true, reason: "5"), of: peers[0]))
        closings.remove(peers[0])
        #expect(closings[peers[0]] == nil)
        #expect(set(Closing(byUs: false, reason: "6"), of: peers[5]))
    }

    @Test func aReasonIsCutAtACharacter() {
        #expect(Closings.cut("done") == "done")
        #expect(Closings.cut(String(repeating: "ä", count: 300)) == String(repeating: "ä", count: 128))
        #expect(Closings.cut("a" + String(repeating: "€", count: 300)).utf8.count == 256)
    }
}
