/// Until when which peers must not be grafted, nor may graft. Kept by peer id, so that reconnecting does not end a backoff.
struct GossipsubBackoffs: Sendable {
    private struct Key: Hashable {
        let topic: String
        let peer: PeerID
    }

    let limit: Int
    /// How long an entry is kept after its end.
    let slack: Duration
    private var ends: [Key: Instant] = [:]

    init(limit: Int, slack: Duration) {
        self.limit = limit
        self.slack = slack
    }

    var count: Int { ends.count }

    /// The end of the backoff; it may have passed.
    func end(_ topic: String, _ peer: PeerID) -> Instant? { ends[Key(topic: topic, peer: peer)] }

    /// Whether we may graft the peer: only when the slack is over too.
    func allowsGraft(_ topic: String, _ peer: PeerID, now: Instant) -> Bool {
        guard let end = end(topic, peer) else { return true }
        return end + slack <= now
    }

    /// A longer backoff that runs already stays.
    mutating func set(_ topic: String, _ peer: PeerID, end: Instant, now: Instant) {
        let key = Key(topic: topic, peer: peer)
        if let old = ends[key] {
            ends[key] = max(old, end)
            return
        }
        if ends.count >= limit { makeRoom(now) }
        if limit > 0 { ends[key] = end }
    }

    mutating func sweep(_ now: Instant) {
        guard !ends.isEmpty else { return }
        ends = ends.filter { $0.value + slack > now }
    }

    /// Drops what has ended, or else the sixteenth that ends first: rarely, so that a flood costs no scan for each entry.
    private mutating func makeRoom(_ now: Instant) {
        sweep(now)
        guard ends.count >= limit else { return }
        let times = ends.values.sorted()
        let cut = times[min(times.count - 1, times.count / 16)]
        ends = ends.filter { $0.value > cut }
    }
}
