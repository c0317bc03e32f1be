import Testing
@testable import MeshNetProtocol

/// How much a stream that keeps short lets lie under way, on a link of a given speed and length.
@Suite struct YamuxNearPathTests {
    /// A sender that always has more, a link that carries one byte after another, and a reader that is done with each piece as it comes.
    private struct Link {
        static let piece = 4_096
        /// Bytes in a microsecond.
        let speed: Int
        /// There and back, without any wait.
        var path: Duration
        /// Of single round trips, in turn.
        var jitter: [Duration] = [.zero]
        private(set) var us: YamuxHarness
        private var events: [(at: Instant, what: What)] = []
        private var freeAt = Instant.zero
        private var credit: Int
        private var pings = 0
        private(set) var received = 0
        private enum What { case data, pong(UInt32), toSender([YamuxHeader]) }

        init(speed: Int, path: Duration, known: Duration?, initialWindow: Int = 262_144) {
            self.speed = speed
            self.path = path
            var limits = YamuxLimits()
            limits.initialWindow = initialWindow
            us = YamuxHarness(role: .server, limits: limits, roundTrip: known)
            us.feed(YamuxHeader(.data, .syn, stream: 1, length: 0))
            us.session.keepShort(1)
            credit = 262_144
            later(.toSender(us.sent()))
        }

        var window: Int { Int(us.session.streams[0].windowSize) }

        private mutating func schedule(_ what: What, at time: Instant) {
            let place = events.firstIndex { $0.at > time } ?? events.count
            events.insert((time, what), at: place)
        }

        private mutating func later(_ what: What) { schedule(what, at: us.now + path / 2) }

        /// Onto the link, behind what waits for it.
        private mutating func carry(_ what: What, _ bytes: Int) {
            freeAt = max(freeAt, us.now) + .nanoseconds(bytes * 1_000 / speed)
            schedule(what, at: freeAt + path / 2)
        }

        mutating func run(_ time: Duration) {
            let end = us.now + time
            fill()
            while let next = events.first, next.at <= end {
                events.removeFirst()
                us.now = next.at
                serve(next.what)
            }
            us.now = end
        }

        private mutating func serve(_ what: What) {
            switch what {
            case .data:
                us.feed(YamuxHeader(.data, [], stream: 1, length: UInt32(Self.piece)), body: [UInt8](repeating: 0, count: Self.piece))
                us.session.consumed(1, Self.piece, now: us.now)
                received += Self.piece
                let frames = us.sent()
                if !frames.isEmpty { later(.toSender(frames)) }
            case .pong(let value):
                us.feed(YamuxHeader(.ping, .ack, stream: 0, length: value))
            case .toSender(let frames):
                for frame in frames {
                    if frame.type == .windowUpdate { credit += Int(frame.length) }
                    guard frame.type == .ping, frame.flags == .syn else { continue }
                    freeAt = max(freeAt, us.now) + jitter[pings % jitter.count]
                    pings += 1
                    carry(.pong(frame.length), 12)
                }
                fill()
            }
        }

        private mutating func fill() {
            while credit >= Self.piece {
                credit -= Self.piece
                carry(.data, Self.piece)
            }
        }
    }

    /// 100 Mbit/s, 1 Gbit/s, 10 Gbit/s, each with the round trip of a switch or two: what is under way lasts under a millisecond, and the link is full.
    @Test(arguments: [12, 125, 1_250], [50, 100, 300]) func whatIsUnderWayLastsLessThanAMillisecondAndTheLinkIsFull(speed: Int, path: Int) {
        var link = Link(speed: speed, path: .microseconds(path), known: .microseconds(path))
        link.run(.seconds(2))
        let before = link.received
        link.run(.seconds(1))
        #expect(link.window <= max(speed * (2 * path + 500) * 5 / 4, Int(YamuxLimits.shortestWindow)), "\(link.window) bytes")
        #expect(link.received - before >= speed * 1_000_000 * 9 / 10, "\(link.received - before) of \(speed * 1_000_000) bytes")
    }

    /// The transport measured nothing: the first ping does.
    @Test func aPathThatIsNotKnownIsMeasured() {
        var link = Link(speed: 125, path: .microseconds(100), known: nil)
        link.run(.seconds(2))
        #expect(link.window < 125 * 1_000)
        #expect(link.us.session.roundTrip != nil)
    }

    /// The connection ends at a proxy beside us, and the peer is far behind it.
    @Test func aPathThatOnlySeemedNearGetsTheWindowThatItNeeds() {
        var link = Link(speed: 125, path: .milliseconds(60), known: .microseconds(30))
        link.run(.seconds(20))
        let before = link.received
        link.run(.seconds(10))
        #expect(link.received - before >= 1_250_000_000 * 9 / 10, "\(link.received - before) bytes with a window of \(link.window)")
    }

    /// A radio: no sample says how long the path is, and none makes the window shorter.
    @Test func aPathThatVariesIsNotTakenForACongestedOne() {
        var link = Link(speed: 40, path: .milliseconds(2), known: .milliseconds(2))
        link.jitter = [2, 9, 4, 14, 3].map { .milliseconds($0) }
        link.run(.seconds(3))
        #expect(link.window >= 262_144)
    }

    /// What the application reads slowly is no wait of the path.
    @Test func aLongPauseTakesNothing() {
        var link = Link(speed: 1_250, path: .microseconds(100), known: .microseconds(100))
        link.run(.seconds(1))
        let window = link.window
        link.run(.milliseconds(1))
        #expect(window > 262_144 && link.window >= window / 2)
    }

    /// The peer keeps what it was granted: a window that became shorter takes nothing back, and is open again when that is used up.
    @Test func aShorterWindowNeverStrandsItsSender() {
        for start in [262_144, 1 << 20, 4 << 20] {
            var link = Link(speed: 12, path: .microseconds(50), known: .microseconds(50), initialWindow: start)
            link.run(.seconds(3))
            let before = link.received
            link.run(.seconds(1))
            #expect(link.window < 100_000 && link.received - before > 10_000_000, "from \(start): \(link.window), \(link.received - before)")
        }
    }

    @Test func theBudgetOfTheSessionIsKeptByWindowsThatGrowAndShrink() {
        var link = Link(speed: 1_250, path: .microseconds(100), known: .microseconds(100))
        for step in 0..<20 {
            link.path = .microseconds(step % 2 == 0 ? 100 : 400)
            link.run(.milliseconds(300))
            let session = link.us.session
            #expect(session.grownBytes == link.window - 262_144)
        }
    }
}
