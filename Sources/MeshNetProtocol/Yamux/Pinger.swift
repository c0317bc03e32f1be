/// Measures the round trip, one ping at a time.
struct Pinger {
    /// Smoothed.
    private(set) var roundTrip: Duration?
    /// The least that was measured: the path itself, as far as we have seen it without a wait.
    var shortest: Duration?
    /// As the transport measured it, and since when that is not believed.
    private let path: Duration?
    private var doubtedAt: Instant?
    private var measuredAt = Instant.zero
    private var phase = Phase.idle
    private var value: UInt32 = 0

    /// - Parameter path: its round trip, where the transport has measured it.
    init(path: Duration? = nil) {
        self.path = path
        shortest = path
    }

    /// The transport said that the path is near.
    var isNear: Bool { path.map { $0 <= YamuxLimits.nearPath } ?? false }

    /// The path takes so long, whatever the transport said: for a while.
    mutating func doubt(_ sample: Duration, now: Instant) {
        shortest = sample
        doubtedAt = now
    }

    private enum Phase { case idle, queued, sent(Instant) }

    func isDue(now: Instant, interval: Duration) -> Bool {
        guard case .idle = phase else { return false }
        return roundTrip == nil || now - measuredAt >= interval
    }

    mutating func queued() { phase = .queued }

    /// The value of the ping that is written now.
    mutating func send(now: Instant) -> UInt32 {
        value &+= 1
        phase = .sent(now)
        return value
    }

    /// What this ping took; nil for an answer that nobody waits for.
    mutating func answered(_ answer: UInt32, now: Instant) -> Duration? {
        guard case .sent(let at) = phase, answer == value else { return nil }
        let sample = max(now - at, .nanoseconds(1))
        roundTrip = roundTrip.map { ($0 + sample) / 2 } ?? sample
        if let at = doubtedAt, now - at >= YamuxLimits.doubtTime { (doubtedAt, shortest) = (nil, path) }
        shortest = min(shortest ?? sample, sample)
        measuredAt = now
        phase = .idle
        return sample
    }
}
