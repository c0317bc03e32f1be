/// What is kept of one topic.
struct RetainedTopic: Sendable {
    var isFollowed = false
    /// The last value that is known.
    var header: RetainedHeader?
    /// nil where there was no room, or where the value is superseded.
    var data: [UInt8]?
    /// Numbers of our own values of before, newest last.
    var ownOlder: [UInt64] = []
    /// A newer value that is on its way.
    var fetch: RetainedFetch?
}

/// A value that was told of and is not here yet.
struct RetainedFetch: Sendable {
    enum State: Equatable, Sendable {
        /// The driver looks whether gossip has it.
        case looking(mayWait: Bool)
        /// Gossip has until then.
        case waiting(until: Instant)
        case inLine
        case asking(PeerID, until: Instant)
    }

    let header: RetainedHeader
    /// Who can still be asked.
    var tellers: [PeerID]
    var state: State
    var bytes: [UInt8] = []
    var attempts = 0

    var askedPeer: PeerID? {
        if case .asking(let peer, _) = state { peer } else { nil }
    }

    var deadline: Instant? {
        switch state {
        case .waiting(let until), .asking(_, let until): until
        case .looking, .inLine: nil
        }
    }
}

/// A connected peer that speaks the protocol.
struct RetainedNeighbour: Sendable {
    struct News: Sendable {
        let topic: String
        let isFresh: Bool
    }

    /// When a part came last.
    var lastPart: Instant?
    /// A frame is on its way.
    var isWriting = false
    var news = Fifo<News>()
    var topicsInNews: Set<String> = []
    var wants = Fifo<RetainedMessage.Name>()
    var gone = Fifo<RetainedMessage.Name>()
    /// What it asked for; of the first, so many bytes went out.
    var serving = Fifo<RetainedMessage.Name>()
    var servedBytes = 0
    /// Parts wait for the budget.
    var isHeld = false
    /// The hash of the value that it has, as far as we know, by topic. Only topics that are kept here.
    var knows: [String: [UInt8]] = [:]
    var sending: RateBudget
    var accepting: RateBudget
    var faults = 0
    var isSilenced = false

    init(limits: RetainedLimits, now: Instant) {
        sending = RateBudget(burst: limits.sentParts, perSecond: limits.sentPartsPerSecond, now: now)
        accepting = RateBudget(burst: limits.acceptedBurst, perSecond: limits.acceptedPerSecond, now: now)
    }

    /// Takes the next of the news out.
    mutating func takeNews() -> News? {
        let next = news.popFirst()
        if let next { topicsInNews.remove(next.topic) }
        return next
    }
}
