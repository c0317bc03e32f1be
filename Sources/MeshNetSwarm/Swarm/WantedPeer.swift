import MeshNetProtocol

/// A peer whose channel is in use: dialled again, for ever, whenever it is not connected.
struct WantedPeer {
    /// Failures that are kept for who asks (ocap-kernel: 5).
    static let keptFailures = 5
    /// From the end of one round to a next one that was called for meanwhile: doubled with each round that fails, so that a program that sends all the
    /// time does not make a loop.
    static let firstFloor: Duration = .milliseconds(100)
    static let longestFloor: Duration = .seconds(1)

    enum Rest: Equatable {
        /// Failures look permanent; it is dialled, seldom.
        case permanent
        /// The attempts are used up, or the application disconnected the peer, or nothing waited for very long: until somebody asks.
        case usedUp, disconnected, stale
    }

    /// Named by the application, newest first, without peer id.
    var addresses: [Multiaddr] = []
    var delays: FullJitter
    /// When the next round is due; nil: none is planned.
    var dueAt: Instant?
    /// The timer that stands for it.
    var timerSetFor: Instant?
    /// The round under way.
    var dial: DialID?
    /// nil: it is dialled as the delays say.
    var rest: Rest?
    /// Failed rounds since it was connected last.
    var attempts = 0
    /// Their verdicts, newest last.
    private(set) var failures: [DialError] = []
    private(set) var pattern = FailurePattern()
    /// The application was told that failures of this kind look permanent.
    var reported: DialErrorKind?
    private var floor = Duration.zero
    private var lastRoundEnded: Instant?
    /// Begun within the last minute; kept only where their number is limited.
    private var rounds = Fifo<Instant>()
    /// Since then it is wanted and not connected.
    var missedSince: Instant
    var lastHeard: Instant?

    init(_ configuration: ReconnectConfiguration, now: Instant) {
        delays = FullJitter(configuration)
        missedSince = now
    }

    // MARK: - Rounds

    mutating func roundBegins(_ dial: DialID, limit: Int, now: Instant) {
        self.dial = dial
        dueAt = nil
        if limit > 0 { rounds.append(now) }
    }

    /// When the next round may begin under a limit of so many in a minute; nil: now.
    mutating func allowedAt(limit: Int, now: Instant) -> Instant? {
        guard limit > 0 else { return nil }
        while let first = rounds.first, now - first >= .seconds(60) { _ = rounds.popFirst() }
        guard rounds.count >= limit, let first = rounds.first else { return nil }
        return first + .seconds(60)
    }

    /// Notes a failed round, and tells whether it looks permanent.
    mutating func roundFailed(_ failures: [DialError], verdict: DialError, after: Int, now: Instant) -> Bool {
        let kind = FailureClass(round: failures)
        lastRoundEnded = now
        floor = max(Self.firstFloor, min(Self.longestFloor, floor * 2))
        guard kind != .policy, kind != .cancelled else { return rest == .permanent }
        attempts += 1
        self.failures.append(verdict)
        if self.failures.count > Self.keptFailures { self.failures.removeFirst() }
        return pattern.add(kind, after: after)
    }

    /// Connected: what failed before does not count any more, but the delays go on until the connection lasted.
    mutating func reached() {
        dial = nil
        dueAt = nil
        rest = nil
        attempts = 0
        forgetFailures()
    }

    /// The connection ended. One that did not last is as a round that failed.
    mutating func missed(lasted: Bool, now: Instant) {
        missedSince = now
        lastRoundEnded = now
        floor = lasted ? .zero : max(Self.firstFloor, min(Self.longestFloor, floor * 2))
        if lasted { delays.reset() }
    }

    /// Nothing that was learned holds any more.
    mutating func startAnew() {
        rest = nil
        attempts = 0
        delays.reset()
        forgetFailures()
    }

    private mutating func forgetFailures() {
        failures = []
        pattern = FailurePattern()
        reported = nil
    }

    /// When a round that somebody calls for may begin.
    func soonest(now: Instant) -> Instant {
        guard let last = lastRoundEnded else { return now }
        return max(now, last + floor)
    }
}
