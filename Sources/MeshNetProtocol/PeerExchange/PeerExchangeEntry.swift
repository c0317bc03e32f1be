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
    var sending: RateBudget
    var accepting: RateBudget
    var faults = 0
    var isSilenced = false

    init(isOnThisHost: Bool, limits: PeerExchangeLimits, now: Instant) {
        self.isOnThisHost = isOnThisHost
        since = now
        sending = RateBudget(burst: limits.sentBurst, perSecond: limits.sentPerSecond, now: now)
        accepting = RateBudget(burst: limits.acceptedBurst, perSecond: limits.acceptedPerSecond, now: now)
    }
}
