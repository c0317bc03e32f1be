import Testing
@testable import MeshNetProtocol

/// How much a stream that keeps short lets lie under way, on a link of a given speed and length.
@Suite struct YamuxNearPathTests {
    /// A sender that always has more, a link that carries one byte after another, and a reader that is done with each piece as it comes.
    private struct Link {
        /// Bytes in a microsecond.
        let speed: Int
        /// There and back, without any wait.
        var path: Duration
        /// What single round trips take longer, in turn.
        var jitter: [Duration] = [.zero]
        private(set) var session: YamuxSession
        private(set) var now = Instant.zero
        private(set) var received = 0
        private let piece: Int
        private let body: [UInt8]
        private var events: [(at: Instant, what: What)] = []
        private var freeAt = Instant.zero
        private var credit = 262_144
        private var pings = 0
        private enum What { case data, pong(UInt32), toSender([YamuxHeader]) }

        init(speed: Int, path: Duration, known: Duration?, initialWindow: Int = 262_144, calmSlack: Duration? = nil) {
            self.speed = speed
            self.path = path
            piece = speed < 1_000 ? 2_048 : 16_384
            body = YamuxHeader(.data, [], stream: 1, length: UInt32(piece)).bytes + [UInt8](repeating: 0, count: piece)
            var limits = YamuxLimits()
            limits.initialWindow = initialWindow
            if let calmSlack { limits.calmSlack = calmSlack }
            session = YamuxSession(role: .server, limits: limits, roundTrip: known)
            feed(YamuxHeader(.data, .syn, stream: 1, length: 0).bytes)
            session.keepShort(1)
            answer()
        }

        var window: Int { Int(session.streams[0].windowSize) }

        mutating func hurry() { session.hurry(now: now) }

        private mutating func feed(_ bytes: [UInt8]) {
            bytes.withUnsafeBytes { view in
                session.receive(view, now: now)
                while session.poll() != nil {}
            }
        }

        private mutating func schedule(_ what: What, at time: Instant) {
            let place = events.lastIndex { $0.at <= time }.map { $0 + 1 } ?? 0
            events.insert((time, what), at: place)
        }

        /// What the session wants to send, there at once but for the path.
        private mutating func answer() {
            var frames: [YamuxHeader] = [], region = [UInt8](repeating: 0, count: 120)
            while session.hasControl {
                let count = region.withUnsafeMutableBytes { session.writeControl(into: $0, now: now) }
                region.withUnsafeBytes { view in
                    for start in stride(from: 0, to: count, by: 12) {
                        if let header = try? YamuxHeader(decoding: UnsafeRawBufferPointer(rebasing: view[start..<start + 12])) { frames.append(header) }
                    }
                }
            }
            if !frames.isEmpty { schedule(.toSender(frames), at: now + path / 2) }
        }

        /// Onto the link, behind what waits for it.
        private mutating func carry(_ what: What, _ bytes: Int) {
            freeAt = max(freeAt, now) + .nanoseconds(bytes * 1_000 / speed)
            schedule(what, at: freeAt + path / 2)
        }

        mutating func run(_ time: Duration) {
            let end = now + time
            fill()
            while let next = events.first, next.at <= end {
                events.removeFirst()
                now = next.at
                serve(next.what)
            }
            now = end
        }

        private mutating func serve(_ what: What) {
            switch what {
            case .data:
                feed(body)
                session.consumed(1, piece, now: now)
                received += piece
                answer()
            case .pong(let value):
                feed(YamuxHeader(.ping, .ack, stream: 0, length: value).bytes)
            case .toSender(let frames):
                for frame in frames {
                    if frame.type == .windowUpdate { credit += Int(frame.length) }
                    guard frame.type == .ping, frame.flags == .syn else { continue }
                    freeAt = max(freeAt, now) + jitter[pings % jitter.count]
                    pings += 1
                    carry(.pong(frame.length), 12)
                }
                fill()
            }
        }

        private mutating func fill() {
            while credit >= piece {
                credit -= piece
                carry(.data, piece)
            }
        }
    }

    /// 100 Mbit/s, 1 Gbit/s, 10 Gbit/s, each with the round trip of a switch or two: what is under way lasts under a millisecond, and the link is full.
    @Test(arguments: [12, 125, 1_250], [50, 100, 300]) func whatIsUnderWayLastsLessThanAMillisecondAndTheLinkIsFull(speed: Int, path: Int) {
        var link = Link(speed: speed, path: .microseconds(path), known: .microseconds(path))
        link.run(.seconds(1))
        let before = link.received
        link.run(.milliseconds(300))
        #expect(link.window <= max(speed * (2 * path + 250) * 5 / 4, Int(YamuxLimits.shortestWindow)), "\(link.window) bytes")
        #expect(link.received - before >= speed * 300_000 * 9 / 10, "\(link.received - before) of \(speed * 300_000) bytes")
    }

    /// Within a host: as long as nothing urgent passes more may be under way; the first that does finds windows short at once, and so do all that follow it
    /// within ten seconds.
    @Test func windowsAreShortWhileSomethingUrgentPasses() {
        let speed = 1_000, path = 30
        var link = Link(speed: speed, path: .microseconds(path), known: .microseconds(path), calmSlack: .milliseconds(2))
        let short = speed * (2 * path + 250) * 5 / 4, calm = speed * (2 * path + 2_000) * 5 / 4
        link.run(.seconds(1))
        #expect(link.window > 3 * short && link.window <= calm, "\(link.window) bytes")
        for _ in 0..<3 {
            link.hurry()
            #expect(link.window <= short, "\(link.window) bytes")
            link.run(.seconds(9))
        }
        #expect(link.window <= short, "\(link.window) bytes")
        link.run(.seconds(3))
        #expect(link.window > 3 * short && link.window <= calm, "\(link.window) bytes")
        #expect(link.session.grownBytes == link.window - 262_144)
    }

    /// The transport measured nothing: pings do.
    @Test func aPathThatIsNotKnownIsMeasured() {
        var link = Link(speed: 125, path: .milliseconds(20), known: nil)
        link.run(.seconds(3))
        let before = link.received
        link.run(.seconds(1))
        #expect(link.received - before >= 125_000_000 * 9 / 10, "\(link.received - before) bytes with a window of \(link.window)")
        #expect(link.window <= 125 * 20_000 * 4)
    }

    /// The connection ends at a proxy beside us, and the peer is far behind it.
    @Test func aPathThatOnlySeemedNearGetsTheWindowThatItNeeds() {
        for milliseconds in [2, 60] {
            var link = Link(speed: 125, path: .milliseconds(milliseconds), known: .microseconds(30))
            link.run(.seconds(5))
            let before = link.received
            link.run(.seconds(1))
            #expect(link.received - before >= 125_000_000 * 9 / 10, "\(milliseconds) ms: \(link.received - before) bytes, window \(link.window)")
        }
    }

    /// A radio: no sample says how long the path is, and none makes the window shorter.
    @Test func aPathThatVariesIsNotTakenForACongestedOne() {
        var link = Link(speed: 40, path: .milliseconds(2), known: .milliseconds(2))
        link.jitter = [2, 9, 4, 14, 3].map { .milliseconds($0) }
        link.run(.seconds(3))
        #expect(link.window >= 262_144)
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
        for step in 0..<8 {
            link.path = .microseconds(step % 2 == 0 ? 100 : 400)
            link.run(.milliseconds(300))
            let session = link.session
            #expect(session.grownBytes == link.window - 262_144)
        }
    }
}
