/// A peer that is known by its signed record.
struct PeerExchangeEntry: Sendable {
    enum State: Equatable, Sendable {
        /// To us.
        case connected
        /// In the line of its teller.
        case waiting
        /// Found, and neither reached nor missed yet.
        case tried(since: Instant)
        /// Found, and still neither.
        case given
        /// Not reached.
        case resting(until: Instant)
    }

    var envelope: [UInt8]
    var sequence: UInt64
    var addresses: [Multiaddr]
    var reach: PeerExchangeReach
    /// When somebody was last connected to the peer. Hearing of it again changes nothing.
    var seenAt: Instant
    /// `seenAt` as the neighbours were told.
    var toldSeenAt: Instant
    /// Neighbours that were told everything up to this number know it.
    var change: UInt64 = 0
    /// In whose line it stands; ourselves for those who told us themselves.
    var teller: PeerID
    /// Who need not be told.
    var newsFrom: PeerID
    var state = State.waiting
    var failures = 0

    var isOut: Bool {
        switch state {
        case .tried, .given: true
        case .connected, .waiting, .resting: false
        }
    }

    func age(now: Instant) -> Duration { state == .connected ? .zero : max(.zero, now - seenAt) }
}

/// The peers that one neighbour told of, in the order in which they are tried.
struct PeerExchangeLine: Sendable {
    var waiting = Fifo<PeerID>()
    var tried = 0

    var isIdle: Bool { waiting.isEmpty && tried == 0 }
}

/// A connected peer.
struct PeerExchangeNeighbour: Sendable {
    let isOnThisHost: Bool
    let since: Instant
    /// Our stream to it stands.
    var isOpen = false
    /// A frame is on its way.
    var isWriting = false
    /// Told of every change up to this one, and to be told up to that one.
    var sentThrough: UInt64 = 0
    var goal: UInt64 = 0
    var sending: PeerExchangeBudget
    var accepting: PeerExchangeBudget
    var faults = 0
    var isSilenced = false

    init(isOnThisHost: Bool, limits: PeerExchangeLimits, now: Instant) {
        self.isOnThisHost = isOnThisHost
        since = now
        sending = PeerExchangeBudget(burst: limits.sentBurst, perSecond: limits.sentPerSecond, now: now)
        accepting = PeerExchangeBudget(burst: limits.acceptedBurst, perSecond: limits.acceptedPerSecond, now: now)
    }
}

/// So many at once, and so many in each second afterwards.
struct PeerExchangeBudget: Sendable {
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
