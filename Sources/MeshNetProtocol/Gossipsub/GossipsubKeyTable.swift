/// Finds the number of a message by its key: an open table with linear probing, of 16 bytes a message, in which a key that is not there costs one
/// access to memory that is not in a cache of the processor.
///
/// A place holds 31 bits of the key, which is a hash under a secret already and needs no other, and the low half of the number. Whoever gives the
/// numbers has the whole keys, and tells which place is meant.
struct GossipsubKeyTable: Sendable {
    /// Keys at most: a place has 31 bits of them.
    static let maximumCount = 1 << 30

    private static let used: UInt64 = 1 << 63
    private static let smallest = 64

    /// A power of two of them, at least twice the count; 0: empty.
    private var places: [UInt64] = []
    private(set) var count = 0
    /// Nobody's: without it nothing would be read ahead.
    private var ahead: UInt64 = 0

    init() {}

    private var mask: Int { places.count - 1 }

    private static func place(_ key: GossipsubMessageKey, _ number: UInt32) -> UInt64 { used | key.low << 32 | UInt64(number) }

    private func home(_ place: UInt64) -> Int { Int(truncatingIfNeeded: (place & ~Self.used) >> 32) & mask }

    /// `isMeant` says whether the key with this number is the one that is looked for.
    func find(_ key: GossipsubMessageKey, _ isMeant: (UInt32) -> Bool) -> UInt32? {
        guard count > 0 else { return nil }
        let wanted = Self.place(key, 0)
        var index = home(wanted)
        while places[index] != 0 {
            let number = UInt32(truncatingIfNeeded: places[index])
            if places[index] ^ UInt64(number) == wanted, isMeant(number) { return number }
            index = (index + 1) & mask
        }
        return nil
    }

    /// Reads what keys that come next are compared with first: one after the other would each wait for memory alone.
    mutating func lookAhead(_ keys: some Sequence<GossipsubMessageKey>) {
        guard count > 0 else { return }
        var sum: UInt64 = 0
        for key in keys { sum &+= places[home(Self.place(key, 0))] }
        ahead = sum
    }

    /// Precondition: the key is not there.
    mutating func insert(_ key: GossipsubMessageKey, _ number: UInt32) {
        precondition(count < Self.maximumCount, "a table has a bound")
        count += 1
        if 2 * count > places.count { grow() }
        put(Self.place(key, number))
    }

    /// Precondition: the key is there with this number.
    mutating func remove(_ key: GossipsubMessageKey, _ number: UInt32) {
        let wanted = Self.place(key, number)
        var hole = home(wanted)
        while places[hole] != wanted {
            precondition(places[hole] != 0, "what is removed is there")
            hole = (hole + 1) & mask
        }
        count -= 1
        if count == 0 {
            places = []
            return
        }
        // Those behind it move up, as far as that brings them no further forward than where they belong: no run has a hole.
        var next = (hole + 1) & mask
        while places[next] != 0 {
            if (next &- home(places[next])) & mask >= (next &- hole) & mask {
                places[hole] = places[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        places[hole] = 0
    }

    private mutating func put(_ place: UInt64) {
        var index = home(place)
        while places[index] != 0 { index = (index + 1) & mask }
        places[index] = place
    }

    private mutating func grow() {
        let old = places
        places = [UInt64](repeating: 0, count: max(Self.smallest, 2 * old.count))
        for place in old where place != 0 { put(place) }
    }
}
