/// So many at once, and so many in each second afterwards.
struct RateBudget: Sendable {
    private let burst: Int
    private let interval: Int64
    private var left: Int
    private var since: Instant

    init(burst: Int, perSecond: Int, now: Instant) {
        self.burst = max(1, burst)
        interval = 1_000_000_000 / Int64(max(1, perSecond))
        left = self.burst
        since = now
    }

    mutating func take(now: Instant) -> Bool {
        let earned = max(0, (now - since).saturatedNanoseconds) / max(1, interval)
        if earned > 0 {
            left = min(burst, left + Int(min(earned, Int64(burst))))
            since = since + .nanoseconds(earned * interval)
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
