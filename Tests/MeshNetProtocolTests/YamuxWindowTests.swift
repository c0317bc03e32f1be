import Testing
@testable import MeshNetProtocol

/// How receive windows follow the bandwidth-delay product.
@Suite struct YamuxWindowTests {
    /// A sender that always fills the window, over a path of so much round trip, read at once. Returns the window sizes seen.
    private func transfer(rounds: Int, roundTrip: Duration, between: Duration, limits: YamuxLimits = YamuxLimits()) -> [Int] {
        var us = YamuxHarness(role: .server, limits: limits)
        us.feed(YamuxHeader(.data, .syn, stream: 1, length: 0))
        var sizes: [Int] = []
        for _ in 0..<rounds {
            let window = Int(us.session.streams[0].receiveWindow)
            us.feed(YamuxHeader(.data, [], stream: 1, length: UInt32(window)), body: [UInt8](repeating: 0, count: window))
            us.now = us.now + between
            us.session.consumed(1, window, now: us.now)
            for frame in us.sent() where frame.type == .ping {
                let sentAt = us.now
                us.now = us.now + roundTrip
                us.feed(YamuxHeader(.ping, .ack, stream: 0, length: frame.length))
                us.now = sentAt
            }
            sizes.append(Int(us.session.streams[0].windowSize))
        }
        return sizes
    }

    @Test func aWindowUsedUpWithinFourRoundTripsDoubles() {
        let sizes = transfer(rounds: 10, roundTrip: .milliseconds(100), between: .milliseconds(100))
        #expect(sizes.first == 262_144, "nothing is known before the first ping")
        #expect(sizes[1] == 524_288)
        #expect(sizes.last == 16_777_216)
    }

    @Test func aSlowStreamKeepsItsWindow() {
        let sizes = transfer(rounds: 10, roundTrip: .milliseconds(10), between: .milliseconds(41))
        #expect(Set(sizes) == [262_144])
    }

    /// What waits in a window is part of the round trip that is measured: a window sized by that grows without need.
    private func windowOf(aShortOne keepsShort: Bool, bytesPerMillisecond: Int, path: Duration) -> Int {
        var limits = YamuxLimits()
        limits.roundTripInterval = .zero
        var us = YamuxHarness(role: .server, limits: limits, roundTrip: keepsShort ? path : nil)
        us.feed(YamuxHeader(.data, .syn, stream: 1, length: 0))
        if keepsShort { us.session.keepShort(1) }
        for _ in 0..<100 {
            let window = Int(us.session.streams[0].windowSize), half = window / 2
            us.feed(YamuxHeader(.data, [], stream: 1, length: UInt32(half)), body: [UInt8](repeating: 0, count: half))
            us.now = us.now + .microseconds(half * 1_000 / bytesPerMillisecond)
            us.session.consumed(1, half, now: us.now)
            for frame in us.sent() where frame.type == .ping {
                let sentAt = us.now
                us.now = us.now + path + .microseconds(window * 1_000 / bytesPerMillisecond)
                us.feed(YamuxHeader(.ping, .ack, stream: 0, length: frame.length))
                us.now = sentAt
            }
        }
        return Int(us.session.streams[0].windowSize)
    }

    @Test(arguments: [1, 5, 20]) func aShortWindowEndsWithWhatThePathHolds(milliseconds: Int) {
        let rate = 100_000, path = rate * milliseconds
        let window = windowOf(aShortOne: true, bytesPerMillisecond: rate, path: .milliseconds(milliseconds))
        #expect(window >= min(2 * path, 16_777_216))
        #expect(window <= max(6 * path, 524_288))
    }

    /// On a path of no length a short window holds a millisecond's bytes or two, any other one whatever it may.
    @Test func aShortWindowStaysShortWhileItsReaderIsSlow() {
        let rate = 600_000
        #expect(windowOf(aShortOne: true, bytesPerMillisecond: rate, path: .microseconds(100)) <= 2 * rate)
        #expect(windowOf(aShortOne: false, bytesPerMillisecond: rate, path: .microseconds(100)) == 16_777_216)
    }

    @Test func growthEndsAtTheLimitOfTheStream() {
        var limits = YamuxLimits()
        limits.maximumWindow = 1_000_000
        #expect(transfer(rounds: 6, roundTrip: .seconds(1), between: .milliseconds(1), limits: limits).last == 1_000_000)
    }

    @Test func growthEndsAtTheBudgetOfTheSession() {
        var limits = YamuxLimits()
        limits.windowGrowth = 300_000
        #expect(transfer(rounds: 6, roundTrip: .seconds(1), between: .milliseconds(1), limits: limits).last == 562_144)
    }

    @Test func theBudgetComesBackWithTheStream() {
        var us = YamuxHarness(role: .server, limits: { var limits = YamuxLimits(); limits.initialWindow = 1 << 20; return limits }())
        us.feed(YamuxHeader(.data, .syn, stream: 1, length: 1), body: [0])
        #expect(us.session.grownBytes == 1 << 20 - 262_144 || us.session.grownBytes == (1 << 20) - 262_144)
        us.session.consumed(1, 1, now: .zero)
        #expect(us.sent().contains(YamuxHeader(.windowUpdate, .ack, stream: 1, length: UInt32((1 << 20) - 262_144 + 1))))
        us.session.reset(1)
        #expect(us.session.grownBytes == 0)
    }

    @Test func idleSessionsSendNoPings() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.data, .syn, stream: 1, length: 100), body: [UInt8](repeating: 0, count: 100))
        us.session.consumed(1, 100, now: .zero)
        #expect(us.sent().isEmpty)
        #expect(us.session.roundTrip == nil)
    }

    @Test func onePingAtATimeAndOnlyItsAnswerCounts() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.data, .syn, stream: 1, length: 262_144), body: [UInt8](repeating: 0, count: 262_144))
        us.session.consumed(1, 262_144, now: .zero)
        let pings = us.sent().filter { $0.type == .ping }
        #expect(pings.count == 1)
        us.feed(YamuxHeader(.data, [], stream: 1, length: 262_144), body: [UInt8](repeating: 0, count: 262_144))
        us.session.consumed(1, 262_144, now: .zero)
        #expect(us.sent().allSatisfy { $0.type != .ping })
        us.now = .zero + .milliseconds(5)
        us.feed(YamuxHeader(.ping, .ack, stream: 0, length: pings[0].length &+ 1))
        #expect(us.session.roundTrip == nil)
        us.feed(YamuxHeader(.ping, .ack, stream: 0, length: pings[0].length))
        #expect(us.session.roundTrip == .milliseconds(5))
    }
}
