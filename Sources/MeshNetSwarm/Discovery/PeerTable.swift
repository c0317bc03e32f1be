import MeshNetProtocol

/// What all sources know, merged: sightings by source and name, targets by peer and address. A plain store with indexes: who is dialled, and when, is
/// decided in `Swarm+Targets`.
struct PeerTable {
    /// Sightings of all sources but bootstrap. Each takes about a kilobyte.
    static let maximumSightings = 4_096
    /// Of one source that hears whatever the local network says, so that a flood there leaves room for the others.
    static let maximumLocalSightings = 1_024
    /// Addresses of one sighting. Hosts have few; more only help those who lie.
    static let maximumAddresses = 16
    /// Bytes of a source's name for what it knows.
    static let maximumKeyLength = 256
    /// Sightings looked at for one that may go, before the newcomer is turned away.
    private static let evictionTries = 64

    private(set) var sightings: [SightingID: Sighting] = [:]
    private var sightingIndex: [SightingKey: [SightingID]] = [:]
    private(set) var targets: [TargetID: Target] = [:]
    private var targetIndex: [TargetKey: TargetID] = [:]
    /// Targets that lead to a peer, named or learned, in the order of first hearing.
    private var byPeer: [PeerID: [TargetID]] = [:]
    private var records: [SourceRecord]
    private var counts: [Int]
    private var order: [Fifo<Hearing>]
    private var nextID: UInt64 = 1
    var lines = TargetLines()

    /// A sighting was heard; valid while it was not heard again since.
    private struct Hearing {
        let id: SightingID
        let at: Instant
    }

    init() {
        let slots = (DiscoverySource.allCases.map { Int($0.rawValue) }.max() ?? 0) + 1
        records = [SourceRecord](repeating: SourceRecord(), count: slots)
        counts = [Int](repeating: 0, count: slots)
        order = [Fifo<Hearing>](repeating: Fifo(), count: slots)
    }

    subscript(source: DiscoverySource) -> SourceRecord {
        _read { yield records[Int(source.rawValue)] }
        _modify { yield &records[Int(source.rawValue)] }
    }

    subscript(id: TargetID) -> Target? {
        _read { yield targets[id] }
        _modify { yield &targets[id] }
    }

    subscript(id: SightingID) -> Sighting? {
        _read { yield sightings[id] }
        _modify { yield &sightings[id] }
    }

    // MARK: - Looking up

    /// Of all but bootstrap.
    var sightingCount: Int { counts.reduce(0, +) - count(of: .bootstrap) }
    func count(of source: DiscoverySource) -> Int { counts[Int(source.rawValue)] }

    func target(_ key: TargetKey) -> TargetID? { targetIndex[key] }
    func targets(of peer: PeerID) -> [TargetID] { byPeer[peer] ?? [] }
    func sightings(_ key: SightingKey) -> [SightingID] { sightingIndex[key] ?? [] }
    func sighting(_ key: SightingKey, interface: String?) -> SightingID? {
        sightingIndex[key]?.first { sightings[$0]?.interface == interface }
    }

    /// In the order of first hearing.
    func sightings(of source: DiscoverySource) -> [SightingID] {
        sightings.filter { $0.value.key.source == source }.map(\.key).sorted()
    }

    func sources(of id: TargetID) -> [DiscoverySource] {
        guard let target = targets[id] else { return [] }
        if target.sightings.count == 1, let only = sightings[target.sightings[0]] { return [only.key.source] }
        return Set(target.sightings.compactMap { sightings[$0]?.key.source }).sorted()
    }

    func isBootstrap(_ id: TargetID) -> Bool {
        targets[id]?.sightings.contains { sightings[$0]?.key.source == .bootstrap } ?? false
    }

    /// What may be dialled, each once, in the order of first hearing.
    func addresses(of id: TargetID) -> [Multiaddr] {
        guard let target = targets[id] else { return [] }
        if target.sightings.count == 1 { return sightings[target.sightings[0]]?.usable ?? [] }
        var seen: Set<Multiaddr> = []
        return target.sightings.flatMap { sightings[$0]?.usable ?? [] }.filter { seen.insert($0).inserted }
    }

    // MARK: - Targets

    mutating func makeTarget(_ key: TargetKey, backoff: Backoff) -> TargetID {
        if let known = targetIndex[key] { return known }
        let id = TargetID(rawValue: takeID())
        let target = Target(key: key, backoff: backoff)
        targets[id] = target
        targetIndex[key] = id
        if let peer = target.peer { byPeer[peer, default: []].append(id) }
        return id
    }

    /// The handshake taught who answers.
    mutating func learn(_ peer: PeerID?, for id: TargetID) {
        guard let target = targets[id], !target.isPeerNamed, target.peer != peer else { return }
        if let old = target.peer { forget(id, of: old) }
        targets[id]?.peer = peer
        if let peer { byPeer[peer, default: []].append(id) }
    }

    private mutating func forget(_ id: TargetID, of peer: PeerID) {
        byPeer[peer]?.removeAll { $0 == id }
        if byPeer[peer]?.isEmpty == true { byPeer[peer] = nil }
    }

    private mutating func removeTarget(_ id: TargetID) {
        guard let target = targets.removeValue(forKey: id) else { return }
        targetIndex[target.key] = nil
        if let place = target.place { lines.left(place) }
        if let peer = target.peer { forget(id, of: peer) }
    }

    // MARK: - Sightings

    mutating func insert(_ sighting: Sighting) -> SightingID {
        let id = SightingID(rawValue: takeID())
        sightings[id] = sighting
        sightingIndex[sighting.key, default: []].append(id)
        counts[Int(sighting.key.source.rawValue)] += 1
        targets[sighting.target]?.sightings.append(id)
        noteHearing(id)
        return id
    }

    /// Another target is meant now, as when a name leads to another peer. The old one goes when nothing else tells of it.
    mutating func move(_ id: SightingID, to target: TargetID) -> TargetID? {
        guard let old = sightings[id]?.target, old != target else { return nil }
        sightings[id]?.target = target
        targets[target]?.sightings.append(id)
        return detach(id, from: old)
    }

    /// Returns the target if nothing tells of it any more: it is gone too.
    @discardableResult
    mutating func remove(_ id: SightingID) -> TargetID? {
        guard let sighting = sightings.removeValue(forKey: id) else { return nil }
        sightingIndex[sighting.key]?.removeAll { $0 == id }
        if sightingIndex[sighting.key]?.isEmpty == true { sightingIndex[sighting.key] = nil }
        counts[Int(sighting.key.source.rawValue)] -= 1
        return detach(id, from: sighting.target)
    }

    private mutating func detach(_ id: SightingID, from target: TargetID) -> TargetID? {
        targets[target]?.sightings.removeAll { $0 == id }
        if targets[target]?.sightings.isEmpty == true {
            removeTarget(target)
            return target
        }
        pruneHistories(of: target)
        return nil
    }

    /// Nothing is kept of addresses that no source names any longer.
    mutating func pruneHistories(of id: TargetID) {
        guard let target = targets[id], !target.histories.isEmpty else { return }
        let known = Set(target.sightings.flatMap { sightings[$0]?.addresses.map(\.address) ?? [] })
        targets[id]?.histories = target.histories.filter { known.contains($0.key) }
    }

    // MARK: - Room

    /// Call it at each hearing, after `lastHeard` is set.
    mutating func noteHearing(_ id: SightingID) {
        guard let sighting = sightings[id], sighting.key.source != .bootstrap else { return }
        let slot = Int(sighting.key.source.rawValue)
        order[slot].append(Hearing(id: id, at: sighting.lastHeard))
        guard order[slot].count > 2 * counts[slot] + 64 else { return }
        let known = sightings
        order[slot].removeAll { known[$0.id]?.lastHeard != $0.at }
    }

    func hasRoom(for source: DiscoverySource) -> Bool {
        let isLocal = source == .mdns || source == .avahi
        return sightingCount < Self.maximumSightings && (!isLocal || count(of: source) < Self.maximumLocalSightings)
    }

    /// Whose sighting must go so that `source` can have one more: its own at its own bound, otherwise those of the source that has most.
    func sourceToShrink(for source: DiscoverySource) -> DiscoverySource {
        if sightingCount < Self.maximumSightings { return source }
        return DiscoverySource.allCases.filter { $0 != .bootstrap }.max { count(of: $0) < count(of: $1) } ?? source
    }

    /// The sighting that was heard longest ago and that `mayGo`.
    mutating func stalest(of source: DiscoverySource, where mayGo: (Target) -> Bool) -> SightingID? {
        let slot = Int(source.rawValue)
        for _ in 0..<Self.evictionTries {
            guard let hearing = order[slot].popFirst() else { return nil }
            guard let sighting = sightings[hearing.id], sighting.lastHeard == hearing.at else { continue }
            if let target = targets[sighting.target], mayGo(target) { return hearing.id }
            order[slot].append(hearing)
        }
        return nil
    }

    private mutating func takeID() -> UInt64 {
        defer { nextID += 1 }
        return nextID
    }
}
