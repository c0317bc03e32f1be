package import MeshNetProtocol

// What the sources tell goes into the table; whoever is new, or announces something else than before, is dialled or offered.
extension Swarm {
    /// A report of a source. What it knew holds on while it fails; a source that ends or forgets drops no live connection.
    package mutating func receive(_ report: SourceReport, from source: DiscoverySource, now: Instant) {
        self.now = now
        guard table[source].isWanted || report.isOfStoppedSource else { return }
        switch report {
        case .found(let candidate): _ = take(candidate, from: source, mayEvict: true)
        case .replaced(let candidates): replace(with: candidates, from: source)
        case .lost(let key): for id in table.sightings(SightingKey(source: source, key: key)) { forget(id) }
        case .filtered(let reason, let what, let interface):
            table[source].refuse(reason, what: what, interface: interface, at: now)
        case .running: setState(.running, of: source)
        case .failed(let failure, let retryAfter): setState(.failed(failure, retryAfter: retryAfter), of: source)
        case .stopped:
            for id in table.sightings(of: source) { forget(id) }
            setState(configuration.discovery.stateBeforeNews(of: source), of: source)
        case .traffic(let interface, let sent, let heard, let failure):
            table[source].count(sent: sent, heard: heard, on: interface, failure: failure)
        }
    }

    mutating func setState(_ state: SourceState, of source: DiscoverySource) {
        table[source].state = state
        if let news = table[source].news() { emit(.discoverySource(source, news)) }
    }

    // MARK: - Found

    private mutating func replace(with candidates: [Candidate], from source: DiscoverySource) {
        var kept: Set<SightingID> = []
        for candidate in candidates {
            if let id = take(candidate, from: source, mayEvict: false) { kept.insert(id) }
        }
        for id in table.sightings(of: source) where !kept.contains(id) { forget(id) }
    }

    /// nil: it is not kept. Precondition: not for bootstrap, whose addresses have rules of their own.
    private mutating func take(_ candidate: Candidate, from source: DiscoverySource, mayEvict: Bool) -> SightingID? {
        table[source].hear(at: now)
        guard let read = CandidateReading(candidate) else {
            table[source].refuse(.malformed, what: String(candidate.key.prefix(64)), interface: candidate.interface, at: now)
            return nil
        }
        let key = SightingKey(source: source, key: candidate.key)
        let known = table.sighting(key, interface: candidate.interface)
        if known == nil {
            guard makeRoom(for: source, mayEvict: mayEvict) else {
                table[source].count(.limit)
                return nil
            }
        }
        if read.peer == localPeer { ownIdentityHeard(at: read.addresses) }
        if read.isCut { table[source].count(.limit) }
        let target = table.makeTarget(read.targetKey(key, interface: candidate.interface), backoff: newBackoff)
        let before = table.addresses(of: target)
        var sighting = Sighting(
            key: key, interface: candidate.interface, target: target, addresses: read.addresses.map { FoundAddress(address: $0) }, firstHeard: now,
            lastHeard: now)
        sighting.lifetime = candidate.lifetime
        sighting.expires = candidate.lifetime.map { now + $0 }
        judge(&sighting, peer: read.peer)
        countFilters(of: sighting)
        let id = store(sighting, known: known)
        heard(target, addressesBefore: before)
        return id
    }

    private mutating func store(_ sighting: Sighting, known: SightingID?) -> SightingID {
        guard let id = known, let old = table[id] else {
            let id = table.insert(sighting)
            setExpiryTimer(id)
            return id
        }
        let (target, dial) = (old.target, table[old.target]?.dial)
        if old.target != sighting.target, table.move(id, to: sighting.target) != nil, let dial { abandonDial(of: target, dial) }
        table[id]?.addresses = sighting.addresses
        table[id]?.filter = sighting.filter
        table[id]?.lastHeard = now
        table[id]?.lifetime = sighting.lifetime
        table[id]?.expires = sighting.expires
        table.noteHearing(id)
        table.pruneHistories(of: sighting.target)
        setExpiryTimer(id)
        return id
    }

    private mutating func heard(_ target: TargetID, addressesBefore before: [Multiaddr]) {
        let known = Set(before), addresses = table.addresses(of: target)
        let isNews = addresses.contains { !known.contains($0) }
        if let peer = table[target]?.peer, !addresses.isEmpty { announced(peer, addresses: addresses, isNews: isNews) }
        if isNews { return renew(target) }
        table[target]?.isHeardAgain = true
        wake(target)
    }

    /// Whoever was connected before stays; of the others the one goes that was heard longest ago.
    private mutating func makeRoom(for source: DiscoverySource, mayEvict: Bool) -> Bool {
        if table.hasRoom(for: source) { return true }
        guard mayEvict, let old = table.stalest(of: table.sourceToShrink(for: source), where: { !$0.wasConnected && $0.dial == nil }) else { return false }
        if let source = table[old]?.key.source { table[source].count(.limit) }
        forget(old)
        return table.hasRoom(for: source)
    }

    // MARK: - Filters

    /// Sets what may not be dialled, and why.
    private func judge(_ sighting: inout Sighting, peer: PeerID?) {
        sighting.filter = nil
        if peer == localPeer {
            sighting.filter = .own
        } else if let interface = sighting.interface, !rules.allows(interface: interface) {
            sighting.filter = .interface
        } else if let peer, !rules.allows(peer: peer) {
            sighting.filter = .peer
        }
        for index in sighting.addresses.indices {
            sighting.addresses[index].filter = filter(sighting.addresses[index].address)
        }
        // Without a peer id, nothing else than an address shows that it is ourselves.
        if peer == nil, sighting.filter == nil, sighting.addresses.contains(where: { listenAddresses.contains($0.address) }) { sighting.filter = .own }
    }

    private func filter(_ address: Multiaddr) -> DiscoveryFilter? {
        switch DialTarget(address) {
        case .unsupported, .peerOnly: .noAddress
        case .name: nil
        case .socket(let socket): rules.allows(ip: socket.ip) ? nil : .network
        }
    }

    private mutating func countFilters(of sighting: Sighting) {
        let source = sighting.key.source
        if let filter = sighting.filter { return table[source].count(filter) }
        for reason in DiscoveryFilter.allCases where sighting.addresses.contains(where: { $0.filter == reason }) { table[source].count(reason) }
    }

    /// The lists or our own addresses changed: everything that is known is judged again.
    mutating func judgeAgain() {
        for source in DiscoverySource.allCases where source != .bootstrap {
            for id in table.sightings(of: source) {
                guard var sighting = table[id] else { continue }
                let before = sighting.usable, target = sighting.target
                judge(&sighting, peer: table[target].flatMap { $0.isPeerNamed ? $0.peer : nil })
                table[id] = sighting
                guard sighting.usable != before else { continue }
                if table.addresses(of: target).isEmpty, let dial = table[target]?.dial {
                    table[target]?.dial = nil
                    abandonDial(of: target, dial)
                }
                renew(target)
            }
        }
    }

    // MARK: - Forgotten

    /// What is left of the target is dialled on; with the last sighting its dial ends. A connection stays.
    mutating func forget(_ id: SightingID) {
        guard let target = table[id]?.target else { return }
        let dial = table[target]?.dial
        if table.remove(id) != nil, let dial { abandonDial(of: target, dial) }
    }

    private mutating func setExpiryTimer(_ id: SightingID) {
        guard let sighting = table[id], !sighting.isTimed, let expires = sighting.expires else { return }
        table[id]?.isTimed = true
        timers.set(.sighting(id), at: expires)
    }

    mutating func sightingTimer(_ id: SightingID) {
        guard let sighting = table[id], sighting.isTimed else { return }
        table[id]?.isTimed = false
        // A live connection is as good a sign of life as an announcement.
        if let peer = table[sighting.target]?.peer, peers[peer] != nil { refreshLifetime(of: id) }
        guard let expires = table[id]?.expires else { return }
        if expires <= now { forget(id) } else { setExpiryTimer(id) }
    }

    private mutating func refreshLifetime(of id: SightingID) {
        guard let lifetime = table[id]?.lifetime else { return }
        table[id]?.expires = now + lifetime
    }

    mutating func refreshLifetimes(of target: TargetID) {
        for id in table[target]?.sightings ?? [] { refreshLifetime(of: id) }
    }
}

extension SourceReport {
    /// Also of use when the source was switched off meanwhile.
    fileprivate var isOfStoppedSource: Bool {
        switch self {
        case .stopped, .lost: true
        default: false
        }
    }
}

/// A candidate, checked: what a source says comes from the network.
private struct CandidateReading {
    var peer: PeerID?
    /// Without peer ids, each once, as they came.
    var addresses: [Multiaddr] = []
    /// There were more than are kept.
    var isCut = false

    init?(_ candidate: Candidate) {
        guard candidate.key.utf8.count <= PeerTable.maximumKeyLength, !candidate.addresses.isEmpty else { return nil }
        peer = candidate.peer ?? candidate.addresses.lazy.compactMap(\.peerID).first
        for address in candidate.addresses {
            // An address of somebody else has no business here.
            if let named = address.peerID, !address.isRelayed, named != peer { continue }
            guard let plain = address.withoutPeerID, !addresses.contains(plain) else { continue }
            guard addresses.count < PeerTable.maximumAddresses else {
                isCut = true
                break
            }
            addresses.append(plain)
        }
        if addresses.isEmpty { return nil }
    }

    func targetKey(_ key: SightingKey, interface: String?) -> TargetKey {
        if let peer { return .peer(peer) }
        return addresses.count == 1 ? .address(addresses[0]) : .named(key, interface: interface)
    }
}
