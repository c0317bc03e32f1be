import MeshNetProtocol

// The table as the application sees it.
extension Swarm {
    /// Rows of one answer. More than anybody reads, and a few MiB at most.
    static var maximumTableRows: Int { 4_096 }

    /// Bootstrap peers first, then source by source in the order of first hearing, what the source itself filtered behind what it found.
    var discoveryTable: DiscoveryTable {
        var answer = DiscoveryTable()
        answer.offersDropped = droppedOffers
        for source in DiscoverySource.allCases.sorted() {
            let record = table[source]
            if record.wasWanted { answer.sources.append(record.status(of: source, now: now)) }
            for id in table.sightings(of: source) {
                guard answer.entries.count < Self.maximumTableRows else { return answer }
                answer.entries += entries(of: id)
            }
            for index in 0..<record.refusals.count { if let entry = entry(of: record.refusals[index], source: source) { answer.entries.append(entry) } }
        }
        answer.entries.removeLast(max(0, answer.entries.count - Self.maximumTableRows))
        return answer
    }

    private func entries(of id: SightingID) -> [DiscoveryEntry] {
        guard let sighting = table[id], let target = table[sighting.target] else { return [] }
        return sighting.addresses.map { found in
            let filter = sighting.filter ?? found.filter ?? target.learnedFilter
            var entry = DiscoveryEntry(
                peer: target.peer, address: found.address, source: sighting.key.source, interface: sighting.interface,
                state: state(of: sighting.target, target, filter: filter), heard: now - sighting.lastHeard)
            let history = target.histories[found.address]
            entry.filter = filter
            entry.expires = sighting.expires.map { max(.zero, $0 - now) }
            entry.attempts = history?.attempts ?? 0
            entry.lastFailure = history?.lastFailure
            if entry.state == .waiting {
                let wantedDue = target.peer.flatMap { wanted[$0]?.dueAt }
                entry.nextTry = earlier(target.dueAt, wantedDue).map { max(.zero, $0 - now) }
            }
            return entry
        }
    }

    private func state(of id: TargetID, _ target: Target, filter: DiscoveryFilter?) -> DiscoveryEntryState {
        if filter != nil { return .filtered }
        if let peer = target.peer, peers[peer] != nil { return .connected }
        if target.dial != nil { return .dialling }
        if let peer = target.peer, wanted[peer]?.dial != nil { return .dialling }
        return isOffered(id, target) ? .offered : .waiting
    }

    /// What a source filtered has a row when its name is an address or a peer id.
    private func entry(of refusal: SourceRecord.Refusal, source: DiscoverySource) -> DiscoveryEntry? {
        guard let address = (try? Multiaddr(refusal.what)) ?? (try? Multiaddr("/p2p/" + refusal.what)) else { return nil }
        var entry = DiscoveryEntry(
            peer: address.peerID, address: address, source: source, interface: refusal.interface, state: .filtered, heard: now - refusal.at)
        entry.filter = refusal.reason
        return entry
    }
}
