import MeshNetProtocol

// Many peers are trimmed to fewer. Above the high water mark connections are closed down to the low one: those that carry no stream of the application
// and no mesh first, among these the ones that were idle longest. Bootstrap peers, protected peers and young connections stay.
extension Swarm {
    /// Peers that the application protects.
    static var maximumProtectedPeers: Int { 4_096 }
    /// After a trim found peers are dialled only up to the low water mark for so long, so that it is not undone at once.
    static var holdTime: Duration { .seconds(600) }

    mutating func protect(_ peer: PeerID, ticket: Ticket) {
        guard protectedPeers.contains(peer) || protectedPeers.count < Self.maximumProtectedPeers else {
            return complete(ticket, .failure(.limitReached("protected peers: \(Self.maximumProtectedPeers)")))
        }
        complete(ticket, .success(.changed(protectedPeers.insert(peer).inserted)))
    }

    mutating func unprotect(_ peer: PeerID, ticket: Ticket) {
        complete(ticket, .success(.changed(protectedPeers.remove(peer) != nil)))
    }

    /// There are enough peers: nobody is dialled because a source tells of him.
    var isHoldingDials: Bool {
        let bounds = configuration.connectionManager
        // What is being dialled may well succeed.
        let expected = peers.count + discoveryDials
        if let end = heldUntil, now < end { return expected >= bounds.lowWater }
        return expected >= bounds.highWater
    }

    /// Above the high water mark begins a trim. It goes on until the low one is reached or all connections that stood at its beginning are past their
    /// grace.
    mutating func trimConnections() {
        let bounds = configuration.connectionManager
        if peers.count > bounds.highWater, trimEndsAt == nil { trimEndsAt = now + bounds.grace }
        guard let end = trimEndsAt, !isShuttingDown else { return }
        if let due = trimDueAt, due > now { return }
        trimDueAt = nil
        let young = trimExpendable()
        guard peers.count > bounds.lowWater, let due = young.map({ $0 + bounds.grace }), due <= end || peers.count > bounds.highWater else {
            trimEndsAt = nil
            return
        }
        trimDueAt = due
        timers.set(.trim, at: due)
    }

    /// Returns when the oldest of those was established that are still in their grace.
    private mutating func trimExpendable() -> Instant? {
        let bounds = configuration.connectionManager, members = gossip.meshMembers
        var oldest: Instant?
        var expendable: [(worth: Int, lastUse: Instant, peer: PeerID)] = []
        for (peer, state) in peers where !isProtected(peer) {
            guard let connection = connections[state.primary], let since = connection.establishedAt else { continue }
            guard now - since >= bounds.grace else {
                oldest = earlier(oldest, since)
                continue
            }
            let worth = connection.carriesApplicationStreams || wanted[peer] != nil ? 2 : members.contains(peer) ? 1 : 0
            expendable.append((worth, connection.lastUse ?? since, peer))
        }
        expendable.sort { $0 < $1 }
        let cause = DisconnectCause.limitReached("connections: \(peers.count) peers, above the high water mark of \(bounds.highWater)")
        for (_, _, peer) in expendable.prefix(max(0, peers.count - bounds.lowWater)) { trim(peer, cause) }
        if let heldUntil, heldUntil > now { timers.set(.trim, at: heldUntil) }
        return oldest
    }

    private mutating func trim(_ peer: PeerID, _ cause: DisconnectCause) {
        heldUntil = now + Self.holdTime
        for id in peers[peer]?.connections ?? [] { close(id, cause: cause) }
        holdTargets(of: peer, for: configuration.connectionManager.grace)
    }

    private func isProtected(_ peer: PeerID) -> Bool {
        protectedPeers.contains(peer) || table.targets(of: peer).contains { table.isBootstrap($0) }
    }
}

extension Connection {
    fileprivate var carriesApplicationStreams: Bool { streams.values.contains { $0.isApplication } }
}
