/// Message ids of the last minutes with the time each was first seen. Bounded by time and by count: the oldest goes first.
///
/// Messages are numbered as they come, and `GossipsubMessageCache` knows them by these numbers: only here is a key looked up.
struct GossipsubSeenCache: Sendable {
    private struct Record {
        let key: GossipsubMessageKey
        let time: Instant
    }

    let limit: Int
    /// Nanoseconds.
    private let ttl: Int64

    private var table = GossipsubKeyTable()
    /// In order of arrival.
    private var records = LongFifo<Record>()
    /// Of the oldest record.
    private var firstNumber: UInt64 = 0

    init(ttl: Duration, limit: Int) {
        self.ttl = max(0, ttl.saturatedNanoseconds)
        self.limit = min(max(1, limit), GossipsubKeyTable.maximumCount)
    }

    var count: Int { records.count }

    /// The number of a message, as long as it is remembered.
    func number(_ key: GossipsubMessageKey) -> UInt64? { offset(key).map { firstNumber + UInt64($0) } }

    /// When the message was first seen, as long as it is remembered.
    func firstSeen(_ key: GossipsubMessageKey) -> Instant? { offset(key).map { records[$0].time } }

    /// When the message with this number was first seen, as long as it is remembered.
    func firstSeen(_ number: UInt64) -> Instant? {
        guard number >= firstNumber, let offset = Int(exactly: number - firstNumber), offset < records.count else { return nil }
        return records[offset].time
    }

    /// Before several of these are looked for.
    mutating func lookAhead(_ keys: some Sequence<GossipsubMessageKey>) { table.lookAhead(keys) }

    func contains(_ key: GossipsubMessageKey) -> Bool { offset(key) != nil }

    /// Its number; nil when it is there already: then its time stays, so that repeating a message does not keep it alive.
    mutating func insert(_ key: GossipsubMessageKey, now: Instant) -> UInt64? {
        expire(now)
        return contains(key) ? nil : append(key, now: now)
    }

    /// The number of a message that is not there, or is over.
    mutating func insert(unseen key: GossipsubMessageKey, now: Instant) -> UInt64 {
        expire(now)
        return append(key, now: now)
    }

    private mutating func append(_ key: GossipsubMessageKey, now: Instant) -> UInt64 {
        if records.count >= limit { removeOldest() }
        let number = firstNumber + UInt64(records.count)
        records.append(Record(key: key, time: now))
        table.insert(key, UInt32(truncatingIfNeeded: number))
        return number
    }

    mutating func expire(_ now: Instant) {
        while let oldest = records.first, isOver(oldest.time, now) { removeOldest() }
    }

    /// Whether what was first seen then may come again.
    func isOver(_ time: Instant, _ now: Instant) -> Bool {
        let (age, overflow) = now.nanoseconds.subtractingReportingOverflow(time.nanoseconds)
        return overflow ? now > time : age >= ttl
    }

    private func offset(_ key: GossipsubMessageKey) -> Int? {
        let first = UInt32(truncatingIfNeeded: firstNumber)
        return table.find(key) { records[Int($0 &- first)].key == key }.map { Int($0 &- first) }
    }

    private mutating func removeOldest() {
        guard let oldest = records.popFirst() else { return }
        table.remove(oldest.key, UInt32(truncatingIfNeeded: firstNumber))
        firstNumber += 1
    }
}
