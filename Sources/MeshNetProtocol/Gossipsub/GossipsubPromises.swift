/// Messages that were asked for by IWANT. One of each request, drawn by lot, must come in time, or the peer is penalised (P7).
struct GossipsubPromises: Sendable {
    private struct Request {
        var peer: Int
        var asked: Instant
        var ends: Instant
        var counts: Bool
    }

    let limit: Int
    private var requests: [GossipsubMessageKey: Request] = [:]

    init(limit: Int) { self.limit = limit }

    var count: Int { requests.count }

    /// Whether the message was asked for, of anyone, and it is too early to ask another.
    func isPending(_ key: GossipsubMessageKey, retryAfter: Duration, now: Instant) -> Bool {
        guard let request = requests[key] else { return false }
        return request.asked + retryAfter > now
    }

    /// A request that already counts against another peer stays with that one.
    mutating func add(_ key: GossipsubMessageKey, peer: Int, counts: Bool, asked: Instant, ends: Instant) {
        if let old = requests[key] {
            requests[key]?.asked = asked
            if old.counts { return }
        } else if requests.count >= limit {
            return
        }
        requests[key] = Request(peer: peer, asked: asked, ends: ends, counts: counts)
    }

    mutating func fulfil(_ key: GossipsubMessageKey) {
        if !requests.isEmpty { requests[key] = nil }
    }

    /// The peer is gone: it can keep no promise.
    mutating func forget(peer: Int) {
        if !requests.isEmpty { requests = requests.filter { $0.value.peer != peer } }
    }

    /// Slots of the peers that broke a promise, sorted, one entry for each; empties what is over.
    mutating func takeBroken(_ now: Instant) -> [Int] {
        guard !requests.isEmpty else { return [] }
        var broken: [Int] = []
        requests = requests.filter { _, request in
            guard request.ends <= now else { return true }
            if request.counts { broken.append(request.peer) }
            return false
        }
        return broken.sorted()
    }
}
