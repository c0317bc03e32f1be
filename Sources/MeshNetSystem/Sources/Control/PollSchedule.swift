import MeshNetProtocol

/// When a server is asked next.
///
/// Every interval while peers are connected. While none is, more often: a tenth of the interval first, slower with every answer up to half of it,
/// because each question costs a Headscale server 50 to 100 ms of bcrypt. After failures rarely: doubled from a tenth of the interval, up to
/// `longest` when the server answers that it cannot, and up to the interval when nothing is there to be burdened.
struct PollSchedule {
    /// The interval is held between these.
    static let shortest: Duration = .seconds(1)
    static let longestInterval: Duration = .seconds(3_600)
    /// Between two tries, whatever fails.
    static let longest: Duration = .seconds(300)
    /// No server is asked more often than this, unless the interval itself is shorter.
    static let fastest: Duration = .seconds(2)
    /// A server may ask for this much patience.
    static let longestRetryAfter: Duration = .seconds(3_600)

    enum Trouble {
        /// No connection: the server is not there.
        case absent
        /// It is there, and does not manage or does not want.
        case refusing
    }

    private(set) var interval: Duration
    private var fastest = PollSchedule.fastest
    /// nil: a question is under way, or no more are asked.
    private(set) var next: Instant?
    private var peers = 0
    private var failures = 0
    private var lonelyAnswers = 0

    /// The first question is due at once.
    init(interval: Duration, now: Instant) {
        self.interval = Self.usable(interval)
        next = now
    }

    /// For the next questions.
    mutating func setPace(interval: Duration, fastest: Duration) {
        self.interval = Self.usable(interval)
        self.fastest = fastest
    }

    private static func usable(_ interval: Duration) -> Duration { min(max(interval, shortest), longestInterval) }

    private var tenth: Duration { min(interval, max(interval / 10, fastest)) }

    /// A question went out.
    mutating func asked() { next = nil }

    /// No more questions.
    mutating func stop() { next = nil }

    mutating func succeeded(now: Instant, random: inout RandomSource) {
        failures = 0
        var delay = interval
        if peers == 0 {
            var lonely = tenth
            for _ in 0..<min(lonelyAnswers, 16) { lonely = min(lonely * 3 / 2, max(interval / 2, tenth)) }
            delay = lonely
            lonelyAnswers += 1
        }
        next = now + jittered(delay, &random)
    }

    /// - Returns: the delay until the next question.
    mutating func failed(_ trouble: Trouble, retryAfter: Duration?, now: Instant, random: inout RandomSource) -> Duration {
        let cap = trouble == .absent ? interval : Self.longest
        var delay = tenth
        for _ in 0..<min(failures, 16) { delay = min(delay * 2, cap) }
        failures += 1
        delay = jittered(delay, &random)
        if let retryAfter { delay = max(delay, min(retryAfter, Self.longestRetryAfter)) }
        next = now + delay
        return delay
    }

    /// When the last peer is gone the next question comes soon, unless the server is in trouble.
    mutating func connectedPeers(_ count: Int, now: Instant) {
        defer { peers = count }
        guard count == 0, peers > 0 else { return }
        lonelyAnswers = 0
        guard failures == 0, let time = next else { return }
        next = min(time, now + tenth)
    }

    /// A tenth up or down, so that nodes that were started together do not ask together.
    private func jittered(_ delay: Duration, _ random: inout RandomSource) -> Duration {
        .nanoseconds((delay * Double.random(in: 0.9...1.1, using: &random)).saturatedNanoseconds)
    }
}
