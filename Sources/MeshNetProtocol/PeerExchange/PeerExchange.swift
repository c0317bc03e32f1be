/// Tells connected peers whom we know, and learns whom they know, by records that each peer signed itself (docs/protocols/peer-exchange.md).
///
/// **The invariant**: call one input, then drain `poll()` until nil, then wait for the next input or for `deadline`.
package struct PeerExchange: Sendable {
    package let localPeer: PeerID
    package let limits: PeerExchangeLimits
    package internal(set) var counters = PeerExchangeCounters()

    var now: Instant
    var random: RandomSource
    var entries: [PeerID: PeerExchangeEntry] = [:]
    /// Finds the peer of a record that was verified before.
    var verified: [[UInt8]: PeerID] = [:]
    var neighbours: [PeerID: PeerExchangeNeighbour] = [:]
    var lines: [PeerID: PeerExchangeLine] = [:]
    /// Of the last change; each has its own.
    var change: UInt64 = 0
    var actions = Fifo<PeerExchangeAction>()
    var flushAt: Instant?
    var sweepAt: Instant?
    private var lastSweep: Instant

    package init(localPeer: PeerID, limits: PeerExchangeLimits = PeerExchangeLimits(), random: RandomSource, now: Instant) {
        self.localPeer = localPeer
        self.limits = limits
        self.random = random
        self.now = now
        lastSweep = now
    }

    package var entryCount: Int { entries.count }
    package func knows(_ peer: PeerID) -> Bool { entries[peer] != nil }
    package func addresses(of peer: PeerID) -> [Multiaddr] { entries[peer]?.addresses ?? [] }
    package func isSilenced(_ peer: PeerID) -> Bool { neighbours[peer]?.isSilenced ?? false }

    // MARK: - Connections

    /// - Parameter isOnThisHost: loopback addresses mean the same to it as to us.
    package mutating func connected(_ peer: PeerID, isOnThisHost: Bool, now: Instant) {
        self.now = now
        guard neighbours[peer] == nil else { return }
        neighbours[peer] = PeerExchangeNeighbour(isOnThisHost: isOnThisHost, limits: limits, now: now)
        guard let teller = entries[peer]?.teller else { return }
        withdraw(peer)
        entries[peer]?.state = .connected
        entries[peer]?.failures = 0
        sighted(peer, at: now, from: localPeer)
        feed(teller)
        arm(now + limits.refresh)
    }

    package mutating func disconnected(_ peer: PeerID, now: Instant) {
        self.now = now
        guard let neighbour = neighbours.removeValue(forKey: peer), entries[peer] != nil else { return }
        entries[peer]?.seenAt = now
        arm(now + limits.expiry)
        if now - neighbour.since < Self.lastingTime { rest(peer) } else { line(up: peer) }
    }

    /// A connection that lasted less is no better than none.
    private static let lastingTime: Duration = .seconds(10)

    /// A dial of the peer came to nothing. While others wait for its place it is taken back; otherwise who dials goes on, with delays of its own.
    package mutating func dialFailed(_ peer: PeerID, now: Instant) {
        self.now = now
        guard let entry = entries[peer], entry.isOut else { return }
        if lines[entry.teller]?.waiting.isEmpty == false {
            rest(peer)
            actions.append(.lost(peer))
        } else {
            withdraw(peer)
            entries[peer]?.state = .given
        }
        feed(entry.teller)
    }

    /// What a connected peer told about itself, verified already.
    package mutating func learned(_ record: PeerRecord, envelope: [UInt8], now: Instant) {
        self.now = now
        guard let neighbour = neighbours[record.peer], envelope.count <= PeerExchangeMessage.maximumRecordByteCount else { return }
        if entries[record.peer]?.envelope == envelope { return }
        let (addresses, reach) = record.dialable(limit: limits.addressesPerEntry)
        guard reach == .network || reach == .host && neighbour.isOnThisHost else { return remove(record.peer) }
        let entry = PeerExchangeEntry(
            envelope: envelope, sequence: record.sequence, addresses: addresses, reach: reach, seenAt: now, toldSeenAt: now,
            teller: localPeer, newsFrom: record.peer, state: .connected)
        guard store(entry, for: record.peer) else { return }
        stamp(record.peer)
        arm(now + limits.refresh)
    }

    // MARK: - Time

    package var deadline: Instant? { mutating get { earlier(flushAt, sweepAt) } }

    package mutating func handleTimeout(now: Instant) {
        self.now = now
        if let due = sweepAt, due <= now { sweep() }
        if let due = flushAt, due <= now { flush() }
    }

    package mutating func poll() -> PeerExchangeAction? { actions.popFirst() }

    /// At most one sweep a second goes over all entries.
    mutating func arm(_ time: Instant) {
        sweepAt = earlier(sweepAt, max(time, lastSweep + .seconds(1)))
    }

    private mutating func sweep() {
        lastSweep = now
        sweepAt = nil
        let due = entries.filter { dueTime(of: $0.value) <= now }.keys.sorted()
        for peer in due { serve(peer) }
        let next = entries.values.reduce(Instant.distantFuture) { min($0, dueTime(of: $1)) }
        if !entries.isEmpty { arm(next) }
    }

    /// When the entry needs something next.
    private func dueTime(of entry: PeerExchangeEntry) -> Instant {
        let expiry = entry.seenAt + limits.expiry
        return switch entry.state {
        case .connected: entry.toldSeenAt + limits.refresh
        case .waiting, .given: expiry
        case .tried(let since): min(expiry, since + limits.trialTime)
        case .resting(let until): min(expiry, until)
        }
    }

    private mutating func serve(_ peer: PeerID) {
        guard let entry = entries[peer] else { return }
        if entry.state == .connected {
            entries[peer]?.seenAt = now
            return stamp(peer)
        }
        if entry.seenAt + limits.expiry <= now { return remove(peer) }
        switch entry.state {
        case .tried:
            withdraw(peer)
            entries[peer]?.state = .given
            feed(entry.teller)
        case .resting: line(up: peer)
        case .connected, .waiting, .given: break
        }
    }

    // MARK: - The lines

    /// Hands out the next ones of a line.
    mutating func feed(_ teller: PeerID) {
        while let line = lines[teller], line.tried < limits.triedAtOnce, let peer = lines[teller]?.waiting.popFirst() {
            lines[teller]?.tried += 1
            entries[peer]?.state = .tried(since: now)
            arm(now + limits.trialTime)
            announce(peer)
        }
        if lines[teller]?.isIdle == true { lines[teller] = nil }
    }

    /// To be tried when its turn comes, which may be now.
    mutating func line(up peer: PeerID) {
        guard let teller = entries[peer]?.teller else { return }
        entries[peer]?.state = .waiting
        lines[teller, default: PeerExchangeLine()].waiting.append(peer)
        feed(teller)
    }

    /// Takes an entry out of its line; its state must be set anew.
    private mutating func withdraw(_ peer: PeerID) {
        guard let entry = entries[peer] else { return }
        switch entry.state {
        case .waiting: lines[entry.teller]?.waiting.removeAll { $0 == peer }
        case .tried: lines[entry.teller]?.tried -= 1
        case .connected, .given, .resting: break
        }
    }

    private mutating func rest(_ peer: PeerID) {
        withdraw(peer)
        let failures = entries[peer]?.failures ?? 0
        var delay = limits.restFirst
        for _ in 0..<failures where delay < limits.restCap { delay *= 3 }
        let raw = max(2, min(delay, limits.restCap).saturatedNanoseconds)
        let until = now + .nanoseconds(raw / 2 + Int64.random(in: 0...raw / 2, using: &random))
        entries[peer]?.failures = failures + 1
        entries[peer]?.state = .resting(until: until)
        arm(until)
    }

    mutating func announce(_ peer: PeerID) {
        guard let entry = entries[peer] else { return }
        actions.append(.found(PeerExchangeDiscovery(
            peer: peer, addresses: entry.addresses, lifetime: max(.zero, limits.expiry - entry.age(now: now)))))
    }

    // MARK: - The entries

    /// Replaces what was known of the peer, or makes room. The entry is in no line afterwards, whatever its state says.
    mutating func store(_ entry: PeerExchangeEntry, for peer: PeerID) -> Bool {
        if let old = entries[peer] {
            withdraw(peer)
            verified[old.envelope] = nil
        } else if entries.count >= limits.entries, !evictOne() {
            return false
        }
        entries[peer] = entry
        verified[entry.envelope] = peer
        return true
    }

    mutating func remove(_ peer: PeerID) {
        guard let entry = entries[peer] else { return }
        withdraw(peer)
        entries[peer] = nil
        verified[entry.envelope] = nil
        if entry.isOut { actions.append(.lost(peer)) }
        feed(entry.teller)
    }

    /// Of the neighbour that told of the most peers, the one that was seen longest ago. Connected peers stay.
    private mutating func evictOne() -> Bool {
        var told: [PeerID: Int] = [:]
        for entry in entries.values where entry.state != .connected { told[entry.teller, default: 0] += 1 }
        let victim = entries.lazy.filter { $0.value.state != .connected }.min { a, b in
            let (x, y) = (told[a.value.teller] ?? 0, told[b.value.teller] ?? 0)
            if x != y { return x > y }
            return a.value.seenAt == b.value.seenAt ? a.key < b.key : a.value.seenAt < b.value.seenAt
        }
        guard let victim else { return false }
        drop(.evicted, from: victim.value.teller)
        remove(victim.key)
        return true
    }

    mutating func drop(_ reason: PeerExchangeDrop, from teller: PeerID) {
        counters.drop(reason)
        actions.append(.dropped(reason, from: teller))
    }

    /// The neighbours are to be told.
    mutating func stamp(_ peer: PeerID) {
        change += 1
        entries[peer]?.change = change
        if let seen = entries[peer]?.seenAt { entries[peer]?.toldSeenAt = seen }
        armFlush()
    }

    /// Somebody was connected to the peer at a later time than we knew.
    mutating func sighted(_ peer: PeerID, at time: Instant, from teller: PeerID) {
        guard let entry = entries[peer], time > entry.seenAt else { return }
        entries[peer]?.seenAt = time
        guard time - entry.toldSeenAt >= limits.refresh / 2 else { return }
        entries[peer]?.newsFrom = teller
        stamp(peer)
        if entry.isOut { announce(peer) }
    }
}
