/// A message that waits to be forwarded.
struct GossipsubForward {
    let number: UInt64
    let key: GossipsubMessageKey
    let frame: SharedBytes
    /// The slots of who brought it, and of its author.
    let sender: Int
    let author: Int?
    /// Slots below 64 whose peers brought it after that.
    var holders: UInt64 = 0

    func isFor(_ slot: Int) -> Bool {
        slot != sender && slot != author && (slot >= UInt64.bitWidth || holders & 1 << UInt64(slot) == 0)
    }
}

/// Messages of one topic that wait to be forwarded, until all that came at the same time was read: what a peer brought meanwhile it needs no more.
struct GossipsubForwards {
    /// Messages that wait at most, and their bytes.
    static let maximumCount = 4_096
    static let maximumBytes = 4 << 20

    fileprivate var topic: GossipsubTopic?
    fileprivate var entries: [GossipsubForward] = []
    private var byteCount = 0

    var isEmpty: Bool { entries.isEmpty }

    fileprivate var isFull: Bool { entries.count >= Self.maximumCount || byteCount >= Self.maximumBytes }

    fileprivate mutating func append(_ entry: GossipsubForward) {
        entries.append(entry)
        byteCount += entry.frame.count
    }

    /// The number rises by one from entry to entry, mostly.
    mutating func noteHolder(_ slot: Int, of number: UInt64) {
        guard slot < UInt64.bitWidth, let first = entries.first?.number, number >= first, let last = entries.last?.number, number <= last else { return }
        var place = Int(number - first)
        if place >= entries.count || entries[place].number != number {
            guard let found = entries.firstIndex(where: { $0.number == number }) else { return }
            place = found
        }
        entries[place].holders |= 1 << UInt64(slot)
    }

    fileprivate mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        byteCount = 0
        topic = nil
    }
}

extension Gossipsub {
    package var hasForwards: Bool { mutating get { !forwards.isEmpty } }

    mutating func forward(_ message: GossipsubForward, _ topic: GossipsubTopic) {
        if !forwards.isEmpty, forwards.topic !== topic { releaseForwards() }
        forwards.topic = topic
        forwards.append(message)
        if forwards.isFull { releaseForwards() }
    }

    mutating func releaseForwards() {
        guard !forwards.isEmpty, let topic = forwards.topic else { return }
        let entries = forwards.entries
        forwards.removeAll()
        // Most peers get the same, and share its bytes.
        var last: (places: [Int], pieces: [GossipsubFrames]) = ([], [])
        func send(to slot: Int) {
            let peer = peers[slot]!
            var places: [Int] = []
            for (place, entry) in entries.enumerated() where entry.isFor(slot) {
                if !peer.unwanted.isEmpty, peer.unwanted[entry.key] != nil {
                    counters.idontwantSpared += 1
                } else {
                    places.append(place)
                }
            }
            guard !places.isEmpty else { return }
            if places != last.places { last = (places, GossipsubFrames.pieces(places.map { entries[$0].frame })) }
            counters.messagesSent += UInt64(places.count)
            for piece in last.pieces { self.send(piece, to: slot, .forward) }
        }
        for slot in topic.mesh { send(to: slot) }
        for slot in topic.flooded where score(slot) >= configuration.score.publishThreshold { send(to: slot) }
    }
}
