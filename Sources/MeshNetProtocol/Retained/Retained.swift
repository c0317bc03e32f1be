/// The last value of each topic, kept by everybody who follows it, and given to who comes late (docs/protocols/retained.md).
///
/// **The invariant**: call one input, then drain `poll()` until nil, then wait for the next input or for `deadline`. Whom gossip knows to follow a
/// topic, and which messages gossip has, the driver looks up when an action asks for it.
package struct Retained: Sendable {
    package let limits: RetainedLimits
    package internal(set) var counters = RetainedCounters()
    /// Bytes of all values that are kept.
    package internal(set) var byteCount = 0

    let identity: KeyPair
    let policy: GossipsubSignaturePolicy
    /// Nanoseconds since 1970 at the zero of `Instant`; nil: unknown, or not to be believed.
    let clockOffset: Int64?
    var now: Instant
    var topics: [String: RetainedTopic] = [:]
    var neighbours: [PeerID: RetainedNeighbour] = [:]
    /// Topics whose fetch waits for a place.
    var line = Fifo<String>()
    /// Topics with a fetch in any state, and those of them that ask.
    var fetches = 0
    var asking = 0
    var actions = Fifo<RetainedAction>()
    private var dueAt: Instant?

    /// 2020-01-01: a clock that shows less was never set, and is no measure for others.
    private static let plausibleTime: Int64 = 1_577_836_800_000_000_000

    /// - Parameter clock: nanoseconds since 1970 at `now`; nil where there is no such clock.
    package init(identity: KeyPair, policy: GossipsubSignaturePolicy, limits: RetainedLimits = RetainedLimits(), clock: UInt64?, now: Instant) {
        self.identity = identity
        self.policy = policy
        self.limits = limits
        self.now = now
        let time = clock.flatMap { Int64(exactly: $0) } ?? 0
        clockOffset = time < Self.plausibleTime ? nil : time &- now.nanoseconds
    }

    package mutating func poll() -> RetainedAction? { actions.popFirst() }

    package var deadline: Instant? { mutating get { dueAt } }

    /// Topics with a value that can be given, sorted.
    package var heldTopics: [String] { topics.keys.filter { topics[$0]?.data != nil }.sorted() }

    package func value(of topic: String) -> (header: RetainedHeader, data: [UInt8])? {
        guard let entry = topics[topic], let header = entry.header, let data = entry.data else { return nil }
        return (header, data)
    }

    package func isSilenced(_ peer: PeerID) -> Bool { neighbours[peer]?.isSilenced ?? false }

    // MARK: - Our own topics and values

    package mutating func subscribed(_ topic: String, now: Instant) {
        self.now = now
        topics[topic, default: RetainedTopic()].isFollowed = true
    }

    /// Values of others go; our own stays for who comes.
    package mutating func unsubscribed(_ topic: String, now: Instant) {
        self.now = now
        guard topics[topic] != nil else { return }
        topics[topic]?.isFollowed = false
        endFetch(topic)
        if topics[topic]?.ownOlder.isEmpty == false, unfollowedTopics <= limits.ownTopics {
            if topics[topic]?.header.map(isOwn) != true { dropData(topic) }
        } else {
            forget(topic)
        }
        startFetches()
    }

    /// Whether a value of ours can be kept. Makes room by letting go of values of others.
    package mutating func prepare(_ topic: String, byteCount size: Int) throws(RetainedError) {
        guard size <= limits.valueBytes else { throw .tooLarge(size: size, limit: limits.valueBytes) }
        if topics[topic] == nil {
            guard unfollowedTopics < limits.ownTopics else { throw .tooManyTopics(limit: limits.ownTopics) }
        }
        guard makeRoom(size, besides: topic) else { throw .noRoom(limit: limits.totalBytes) }
    }

    /// The number that the next value of ours must have at least: later than what is known, and no less than the time.
    package func nextSequence(_ topic: String, now: Instant) -> UInt64 {
        let known = max(topics[topic]?.header?.sequence ?? 0, topics[topic]?.fetch?.header.sequence ?? 0)
        return max(known == .max ? known : known + 1, clock(now) ?? 0)
    }

    /// A message of ours that was published with this number and is to be kept. After `prepare`.
    package mutating func publish(_ topic: String, _ data: [UInt8], sequence: UInt64, now: Instant) {
        self.now = now
        let isSigned = policy == .strictSign
        var entry = topics[topic, default: RetainedTopic()]
        var header = RetainedHeader(
            topic: topic, author: isSigned ? identity.peerID : nil, sequence: sequence, data: data, older: isSigned ? entry.ownOlder : [])
        if isSigned { header.sign(with: identity) }
        entry.ownOlder = (entry.ownOlder + [sequence]).suffix(RetainedHeader.maximumOlder)
        topics[topic] = entry
        guard entry.header.map({ header.isNewer(than: $0) }) ?? true else { return }
        if let awaited = entry.fetch?.header, header.isNewer(than: awaited) { endFetch(topic) }
        keep(header, data)
        actions.append(.announce(topic: topic, isOwn: true))
        startFetches()
    }

    private var unfollowedTopics: Int { topics.values.count { !$0.isFollowed } }

    func clock(_ now: Instant) -> UInt64? {
        clockOffset.flatMap { UInt64(exactly: $0 &+ now.nanoseconds) }
    }

    private func isOwn(_ header: RetainedHeader) -> Bool {
        policy == .strictSign ? header.author == identity.peerID : topics[header.topic]?.ownOlder.last == header.sequence
    }

    // MARK: - Values

    /// False when there is no room: then only the header is kept, so that nothing older is taken for new.
    @discardableResult
    mutating func keep(_ header: RetainedHeader, _ data: [UInt8]) -> Bool {
        dropData(header.topic)
        topics[header.topic]?.header = header
        guard makeRoom(data.count, besides: header.topic) else { return false }
        topics[header.topic]?.data = data
        byteCount += data.count
        return true
    }

    mutating func dropData(_ topic: String) {
        byteCount -= topics[topic]?.data?.count ?? 0
        topics[topic]?.data = nil
    }

    private mutating func makeRoom(_ size: Int, besides topic: String) -> Bool {
        guard size <= limits.totalBytes else { return false }
        let freed = topics[topic]?.data?.count ?? 0
        while byteCount - freed + size > limits.totalBytes {
            let others = topics.keys.filter { other in
                guard other != topic, let entry = topics[other], entry.data != nil, let header = entry.header else { return false }
                return !isOwn(header)
            }
            // The name decides between equals, so that the order of the dictionary does not.
            let oldest = others.min { (topics[$0]?.header?.sequence ?? 0, $0) < (topics[$1]?.header?.sequence ?? 0, $1) }
            guard let oldest else { return false }
            dropData(oldest)
        }
        return true
    }

    private mutating func forget(_ topic: String) {
        dropData(topic)
        topics[topic] = nil
        for peer in Array(neighbours.keys) { neighbours[peer]?.knows[topic] = nil }
    }

    // MARK: - Peers

    /// A connected peer speaks the protocol. Then `announce` what it follows.
    package mutating func connected(_ peer: PeerID, now: Instant) {
        self.now = now
        if neighbours[peer] == nil { neighbours[peer] = RetainedNeighbour(limits: limits, now: now) }
    }

    package mutating func disconnected(_ peer: PeerID, now: Instant) {
        self.now = now
        guard neighbours.removeValue(forKey: peer) != nil, fetches > 0 else { return }
        for topic in topics.keys.sorted() where topics[topic]?.fetch != nil { lose(peer, for: topic) }
        startFetches()
    }

    mutating func drop(_ reason: RetainedDrop, from peer: PeerID) {
        counters.drop(reason)
        actions.append(.dropped(reason, from: peer))
    }

    /// What no peer does by mistake, since all verify before they pass on.
    mutating func fault(of peer: PeerID) {
        guard let faults = neighbours[peer]?.faults else { return }
        neighbours[peer]?.faults = faults + 1
        guard faults + 1 >= limits.faults, neighbours[peer]?.isSilenced == false else { return }
        neighbours[peer]?.isSilenced = true
        actions.append(.silenced(peer))
    }

    /// The peer follows the topic no longer, and forgets its value.
    package mutating func unfollowed(_ topic: String, by peer: PeerID) { neighbours[peer]?.knows[topic] = nil }

    // MARK: - Time

    mutating func arm(_ time: Instant) { dueAt = earlier(dueAt, time) }

    package mutating func handleTimeout(now: Instant) {
        self.now = now
        guard let due = dueAt, due <= now else { return }
        dueAt = nil
        if fetches > 0 {
            for topic in topics.keys.sorted() {
                guard let deadline = topics[topic]?.fetch?.deadline else { continue }
                if deadline <= now { fetchTimedOut(topic) } else { arm(deadline) }
            }
            startFetches()
        }
        for peer in neighbours.keys.sorted() where neighbours[peer]?.isHeld == true {
            neighbours[peer]?.isHeld = false
            push(to: peer)
        }
    }
}
