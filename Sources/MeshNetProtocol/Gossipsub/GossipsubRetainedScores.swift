/// Scores of peers that left, so that coming back does not wash them clean. Only bad ones are worth keeping.
struct GossipsubRetainedScores: Sendable {
    private struct Entry {
        var score: GossipsubPeerScore
        var ends: Instant
    }

    let limit: Int
    private var entries: [PeerID: Entry] = [:]

    init(limit: Int) { self.limit = limit }

    var count: Int { entries.count }

    func score(of peer: PeerID) -> GossipsubPeerScore? { entries[peer]?.score }

    mutating func keep(_ score: GossipsubPeerScore, of peer: PeerID, until end: Instant, now: Instant) {
        if entries.count >= limit { makeRoom(now) }
        if limit > 0 { entries[peer] = Entry(score: score, ends: end) }
    }

    mutating func take(_ peer: PeerID, now: Instant) -> GossipsubPeerScore? {
        guard !entries.isEmpty, let entry = entries.removeValue(forKey: peer), entry.ends > now else { return nil }
        return entry.score
    }

    mutating func sweep(_ now: Instant) {
        if !entries.isEmpty { entries = entries.filter { $0.value.ends > now } }
    }

    /// As in `GossipsubBackoffs`: a sixteenth at a time.
    private mutating func makeRoom(_ now: Instant) {
        sweep(now)
        guard entries.count >= limit else { return }
        let times = entries.values.map(\.ends).sorted()
        let cut = times[min(times.count - 1, times.count / 16)]
        entries = entries.filter { $0.value.ends > cut }
    }
}
