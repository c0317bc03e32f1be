/// Who was heard on which interface, until when. Bounded; iterates in the order of first hearing.
struct MDNSTable {
    struct Key: Hashable {
        let peer: PeerID
        let interface: UInt32
    }

    struct Entry {
        /// The instance name of the announcement: another one means a new start of the peer, so that nothing of the old one holds.
        var name: DNSName
        /// Newest first.
        var addresses: [(address: Multiaddr, heardAt: Instant)]
        var timeToLive: Duration
        var expiresAt: Instant
    }

    /// Older addresses go when an announcement says that it is complete (RFC 6762, 10.2); those of the packets just before belong to it.
    private static let flushAge: Duration = .seconds(1)
    /// Between two sweeps at least, so that thousands of entries that end one by one cost little.
    private static let sweepInterval: Duration = .seconds(1)

    private let limits: MDNSLimits
    private var entries: [Key: Entry] = [:]
    private var order = Fifo<Key>()
    private(set) var nextSweep: Instant?

    init(limits: MDNSLimits) { self.limits = limits }

    var count: Int { entries.count }

    subscript(key: Key) -> Entry? { entries[key] }

    /// Takes an announcement in; returns the entry that had to go for it.
    mutating func merge(
        _ key: Key, name: DNSName, addresses: [Multiaddr], isComplete: Bool, timeToLive: Duration, now: Instant
    ) -> Key? {
        var evicted: Key?
        var entry = entries[key]
        if entry == nil {
            if entries.count >= limits.entries, let oldest = order.popFirst() {
                entries[oldest] = nil
                evicted = oldest
            }
            order.append(key)
        }
        var kept = entry?.name == name ? entry?.addresses ?? [] : []
        if isComplete { kept.removeAll { now - $0.heardAt > Self.flushAge } }
        kept.removeAll { addresses.contains($0.address) }
        let all = addresses.map { (address: $0, heardAt: now) } + kept
        entry = Entry(name: name, addresses: Array(all.prefix(limits.addressesPerEntry)), timeToLive: timeToLive, expiresAt: now + timeToLive)
        entries[key] = entry
        nextSweep = earlier(nextSweep, now + timeToLive)
        return evicted
    }

    mutating func refresh(_ key: Key, now: Instant) {
        guard let timeToLive = entries[key]?.timeToLive else { return }
        entries[key]?.expiresAt = now + timeToLive
    }

    /// Takes out what an instance said on an interface.
    mutating func remove(name: DNSName, interface: UInt32) -> [Key] {
        remove { key, entry in key.interface == interface && entry.name == name }
    }

    mutating func remove(_ key: Key) -> [Key] { entries[key] == nil ? [] : remove { other, _ in other == key } }

    mutating func remove(interface: UInt32) -> [Key] { remove { key, _ in key.interface == interface } }

    mutating func sweep(now: Instant) -> [Key] {
        guard let due = nextSweep, due <= now else { return [] }
        let gone = remove { _, entry in entry.expiresAt <= now }
        let next = entries.values.map(\.expiresAt).min()
        nextSweep = next.map { max($0, now + Self.sweepInterval) }
        return gone
    }

    private mutating func remove(where isGone: (Key, Entry) -> Bool) -> [Key] {
        var gone: [Key] = []
        for index in 0..<order.count {
            let key = order[index]
            if let entry = entries[key], isGone(key, entry) { gone.append(key) }
        }
        for key in gone { entries[key] = nil }
        if !gone.isEmpty { order.removeAll { entries[$0] == nil } }
        return gone
    }
}
