/// Small sets of peer slots, sorted: their order is part of the behaviour, so it must not depend on hashing.
struct GossipsubSlots: Sendable, Equatable, Sequence {
    private(set) var slots: [Int] = []

    init() {}
    init(_ slots: some Sequence<Int>) { self.slots = slots.sorted() }

    var count: Int { slots.count }
    var isEmpty: Bool { slots.isEmpty }
    func makeIterator() -> IndexingIterator<[Int]> { slots.makeIterator() }

    func contains(_ slot: Int) -> Bool {
        let place = place(slot)
        return place < slots.count && slots[place] == slot
    }

    @discardableResult
    mutating func insert(_ slot: Int) -> Bool {
        let place = place(slot)
        if place < slots.count, slots[place] == slot { return false }
        slots.insert(slot, at: place)
        return true
    }

    @discardableResult
    mutating func remove(_ slot: Int) -> Bool {
        let place = place(slot)
        guard place < slots.count, slots[place] == slot else { return false }
        slots.remove(at: place)
        return true
    }

    private func place(_ slot: Int) -> Int {
        var low = 0, high = slots.count
        while low < high {
            let middle = (low + high) / 2
            if slots[middle] < slot { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// What a peer's protocol id says about it.
enum GossipsubVersion: Int, Sendable, Comparable {
    case floodsub, v10, v11, v12

    init(protocolID: String) {
        switch protocolID {
        case "/floodsub/1.0.0": self = .floodsub
        case "/meshsub/1.0.0": self = .v10
        case "/meshsub/1.1.0": self = .v11
        default: self = .v12
        }
    }

    static func < (a: GossipsubVersion, b: GossipsubVersion) -> Bool { a.rawValue < b.rawValue }
}

/// A connected peer. One object, of one router: it is found for each message, and never copied.
final class GossipsubPeer {
    let id: PeerID
    var version: GossipsubVersion
    var direction: Direction
    /// What P6 counts it under; empty when it is spared.
    var colocation: [UInt8]
    /// Topics that it follows, and the bytes of their names.
    var topics: Set<String> = []
    var topicBytes = 0

    var score: GossipsubPeerScore
    /// The revision of the score that was found good enough to read what the peer sends.
    var welcomedAt: UInt64?
    /// Gathered in one call, sent at its end.
    var outgoing = GossipsubOutgoing()
    var isTouched = false

    /// Since the last heartbeat.
    var ihaveRPCs = 0
    var askedIDs = 0
    var idontwantRPCs = 0
    /// Messages that it does not want, with the heartbeat after which that is forgotten.
    var unwanted: [GossipsubMessageKey: UInt64] = [:]
    /// The message behind the one that it brought last of those that we had: it brings them in the order in which we got them, mostly.
    var nextDuplicate: UInt64?
    /// Until this heartbeat it gets gossip even in the mesh, because a message for it was dropped.
    var lossyUntil: UInt64 = 0
    /// A control frame for it was dropped: subscriptions and grafts are sent again at the next heartbeat.
    var needsResync = false

    init(id: PeerID, version: GossipsubVersion, direction: Direction, colocation: [UInt8], score: GossipsubPeerScore) {
        self.id = id
        self.version = version
        self.direction = direction
        self.colocation = colocation
        self.score = score
    }
}

/// A topic that we or a peer follow, or that we publish to. An object as well.
final class GossipsubTopic {
    let name: String
    var isSubscribed = false
    /// Connected peers that follow it.
    var followers = GossipsubSlots()
    /// Those of them that speak floodsub only: they get every message.
    var flooded = GossipsubSlots()
    /// Only while we follow it.
    var mesh = GossipsubSlots()
    /// Only while we publish to it without following it.
    var fanout = GossipsubSlots()
    var lastPublished: Instant?

    init(name: String) { self.name = name }

    var isUnused: Bool { !isSubscribed && followers.isEmpty && lastPublished == nil }
}
