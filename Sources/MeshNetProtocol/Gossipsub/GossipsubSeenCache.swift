/// Message ids of the last minutes with the time each was first seen. Bounded by time and by count: the oldest goes first.
struct GossipsubSeenCache: Sendable {
    let ttl: Duration
    let limit: Int

    private var firstSeen: [GossipsubMessageKey: Instant] = [:]
    /// In order of arrival.
    private var order = Fifo<(key: GossipsubMessageKey, time: Instant)>()

    init(ttl: Duration, limit: Int) {
        self.ttl = ttl
        self.limit = limit
    }

    var count: Int { firstSeen.count }

    /// When the message was first seen, as long as it is remembered.
    func firstSeen(_ key: GossipsubMessageKey) -> Instant? { firstSeen[key] }

    func contains(_ key: GossipsubMessageKey) -> Bool { firstSeen[key] != nil }

    /// False when it is there already: then its time stays, so that repeating a message does not keep it alive.
    mutating func insert(_ key: GossipsubMessageKey, now: Instant) -> Bool {
        expire(now)
        if let time = firstSeen.updateValue(now, forKey: key) {
            firstSeen[key] = time
            return false
        }
        order.append((key, now))
        if order.count > limit { removeOldest() }
        return true
    }

    mutating func expire(_ now: Instant) {
        while let oldest = order.first, oldest.time + ttl <= now { removeOldest() }
    }

    private mutating func removeOldest() {
        if let oldest = order.popFirst() { firstSeen[oldest.key] = nil }
    }
}
