package import MeshNetProtocol

// Telling the application whom the sources found. With `DiscoveryPolicy.dial` it hears of each once; with `.offer` it is told again every interval, as
// long as nobody is connected: it may have had other things to do, or its queue was full.
extension Swarm {
    /// What did not fit into the application's queue is offered again after this.
    private static var offerPatience: Duration { .seconds(1) }

    /// Precondition: the target is wanted, and something of it may be dialled.
    mutating func tell(_ id: TargetID) {
        guard let target = table[id], isTellingDue(target) else { return }
        table[id]?.offeredAt = now
        emitOffer(id, target)
    }

    private func isTellingDue(_ target: Target) -> Bool {
        guard let last = target.offeredAt else { return true }
        return configuration.discovery.policy == .offer && now - last >= configuration.discovery.interval
    }

    private mutating func emitOffer(_ id: TargetID, _ target: Target) {
        guard let sighting = target.sightings.compactMap({ table[$0] }).first(where: { $0.overallFilter == nil }) else { return }
        var addresses = addressSense.ordered(addressSense.useful(table.addresses(of: id)))
        if let peer = target.peer { addresses = addresses.map { $0.peerID == nil ? $0.appending(peer) : $0 } }
        emit(.discovered(Discovery(peer: target.peer, addresses: addresses, source: sighting.key.source, interface: sighting.interface)))
    }

    /// The application's queue had no room for this `Event.discovered`.
    package mutating func offerDropped(_ discovery: Discovery, now: Instant) {
        self.now = now
        droppedOffers += 1
        guard configuration.discovery.policy == .offer else { return }
        let ids = discovery.peer.map { table.targets(of: $0) } ?? discovery.addresses.first.flatMap { table.target(.address($0)) }.map { [$0] } ?? []
        for id in ids { table[id]?.offeredAt = nil }
        planOffers(after: Self.offerPatience)
    }

    mutating func planOffers(after delay: Duration? = nil) {
        guard configuration.discovery.policy == .offer else { return }
        let due = now + (delay ?? configuration.discovery.interval)
        if let set = offersDueAt, set <= due { return }
        offersDueAt = due
        timers.set(.offers, at: due)
    }

    /// As many as the queue holds, those first that were never taken; the others follow soon.
    mutating func offersTimer() {
        guard let due = offersDueAt, due <= now else { return }
        offersDueAt = nil
        guard configuration.discovery.policy == .offer, !isShuttingDown else { return }
        let waiting = table.targets.filter { isTellingDue($0.value) && isOffered($0.key, $0.value) }
            .sorted { ($0.value.offeredAt ?? .zero, $0.key) < ($1.value.offeredAt ?? .zero, $1.key) }
        for (id, _) in waiting.prefix(configuration.discovery.offerQueue) { tell(id) }
        planOffers(after: waiting.count > configuration.discovery.offerQueue ? Self.offerPatience : nil)
    }

    /// The application decides about it.
    func isOffered(_ id: TargetID, _ target: Target) -> Bool {
        configuration.discovery.policy == .offer && isWanted(target) && !table.isBootstrap(id) && !table.addresses(of: id).isEmpty
    }
}
