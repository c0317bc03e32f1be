import MeshNetProtocol

// Whom of the table to dial, and when. Bootstrap peers are dialled for ever, whenever they are not connected; others as long as a source tells of
// them, a bounded number at once. After a failure comes a jittered backoff.
extension Swarm {
    /// Dials of found peers at once; others wait in line. With the 8 attempts of a dial they leave room among the 160 of a node, whatever is found.
    static var maximumDiscoveryDials: Int { 16 }
    /// A link that lasted less than this does not reset the backoff, so that a peer that hangs up at once is not dialled in a loop.
    static var lastingTime: Duration { .seconds(10) }
    /// A changed announcement leads to a dial at once, but not more often.
    static var renewalInterval: Duration { .seconds(1) }
    /// A nameless address that is being tried for a named peer is looked at again after this.
    static var namelessPatience: Duration { .seconds(1) }

    /// Dials the target, puts it in line, or offers it to the application, if it is to be reached and its time has come.
    mutating func wake(_ id: TargetID) {
        guard let target = table[id], isWanted(target), !isReached(id, target) else { return }
        let isBootstrap = table.isBootstrap(id)
        guard isBootstrap || !table.addresses(of: id).isEmpty else { return leaveLine(id) }
        if !isBootstrap { tell(id) }
        if let due = target.dueAt, due > now { return }
        if isBootstrap { return dialTarget(id) }
        guard configuration.discovery.policy == .dial else { return }
        joinLine(id)
        serveLines()
    }

    /// Neither connected, nor being dialled, nor given up.
    func isWanted(_ target: Target) -> Bool {
        guard !isShuttingDown, !target.isSuspended, target.dial == nil, target.learnedFilter == nil else { return false }
        return target.peer.map { peers[$0] == nil && closings[$0] == nil } ?? true
    }

    // MARK: - The lines

    private mutating func joinLine(_ id: TargetID) {
        guard let target = table[id], let source = table.sources(of: id).first else { return }
        let kind: TargetLines.Class =
            target.wasConnected ? .wasConnected : target.isHeardAgain ? .heardAgain : target.wasTried ? .failed : .untried
        if let place = target.place {
            guard target.lineClass != kind else { return }
            table.lines.left(place)
        }
        let place = table.lines.join(id, source: source, as: kind)
        table[id]?.place = place
        table[id]?.lineClass = kind
    }

    mutating func leaveLine(_ id: TargetID) {
        guard let place = table[id]?.place else { return }
        table.lines.left(place)
        table[id]?.place = nil
    }

    /// Called whenever a dial ended or somebody joined a line.
    mutating func serveLines() {
        while !isShuttingDown, discoveryDials < Self.maximumDiscoveryDials, !isHoldingDials, let id = table.lines.next() {
            table[id]?.place = nil
            guard let target = table[id], isWanted(target), !table.addresses(of: id).isEmpty else { continue }
            if let due = target.dueAt, due > now { continue }
            dialTarget(id)
        }
    }

    private mutating func dialTarget(_ id: TargetID) {
        guard let target = table[id] else { return }
        leaveLine(id)
        if isReached(id, target) { return }
        if isTriedForAnother(id, target) { return plan(id, after: Self.namelessPatience) }
        var addresses = addressSense.ordered(addressSense.useful(table.addresses(of: id)))
        if case .peer(let peer) = target.key { addresses = addresses.map { $0.peerID == nil ? $0.appending(peer) : $0 } }
        table[id]?.isHeardAgain = false
        table[id]?.wasTried = true
        table[id]?.dueAt = nil
        for source in table.sources(of: id) { table[source].dialStarted() }
        dial(addresses, owner: id)
    }

    /// A connection of ours was made to one of these addresses: then its peer is the one that answers there.
    private mutating func isReached(_ id: TargetID, _ target: Target) -> Bool {
        guard target.peer == nil else { return false }
        for address in table.addresses(of: id) {
            guard let peer = reachedPeers[address], peers[peer] != nil else { continue }
            table.learn(peer, for: id)
            markConnected(id)
            return true
        }
        return false
    }

    /// A dial that may teach who this is goes on: it is waited for, so that one peer that several sources name is dialled once.
    private func isTriedForAnother(_ id: TargetID, _ target: Target) -> Bool {
        guard !target.isPeerNamed, !table.isBootstrap(id) else { return false }
        if let peer = target.peer, dialIndex[.peer(peer)] != nil { return true }
        return table.addresses(of: id).contains { triedAddresses[$0] != nil }
    }

    // MARK: - Planning

    private mutating func plan(_ id: TargetID, after delay: Duration) {
        guard let target = table[id] else { return }
        let due = now + delay
        table[id]?.dueAt = due
        if let set = target.timerSetFor, set <= due { return }
        table[id]?.timerSetFor = due
        timers.set(.target(id), at: due)
    }

    private mutating func planNext(_ id: TargetID) -> Duration? {
        guard let delay = table[id]?.backoff.next(&random) else { return nil }
        plan(id, after: delay)
        return delay
    }

    /// Only the last delay that was set counts: a peer that comes and goes does not add dials.
    mutating func targetTimer(_ id: TargetID) {
        guard let target = table[id], let set = target.timerSetFor, set <= now else { return }
        table[id]?.timerSetFor = nil
        guard let due = target.dueAt else { return }
        if due > now { return plan(id, after: due - now) }
        wake(id)
    }

    /// The network is another one than when the dials failed.
    mutating func retryTargets() {
        for id in table.targets.keys.sorted() where table[id]?.dueAt != nil && table[id]?.wasTried == true {
            table[id]?.backoff.reset()
            table[id]?.dueAt = nil
            wake(id)
        }
    }

    /// What is announced changed: at once, whatever failed before.
    mutating func renew(_ id: TargetID) {
        table[id]?.learnedFilter = nil
        guard let target = table[id] else { return }
        if let last = target.renewedAt, now - last < Self.renewalInterval {
            if target.dial == nil, (target.dueAt ?? .zero) > last + Self.renewalInterval { plan(id, after: last + Self.renewalInterval - now) }
            return wake(id)
        }
        table[id]?.renewedAt = now
        table[id]?.backoff.reset()
        table[id]?.dueAt = nil
        guard let dial = target.dial else { return wake(id) }
        // The dial under way takes new addresses up at once: one of them may be the one that answers.
        for address in addressSense.useful(table.addresses(of: id)) { addTarget(address, to: dial) }
        continueDial(dial)
    }

    // MARK: - What became of it

    /// The dial of a target failed; the delay until the next one, nil when there is none.
    mutating func targetFailed(_ id: TargetID, _ error: DialError) -> Duration? {
        guard let target = table[id] else { return nil }
        table[id]?.dial = nil
        for source in table.sources(of: id) { table[source].dialFailed(error.kind) }
        switch error {
        case .selfDial where !mayLeadElsewhere(id, target):
            if table.isBootstrap(id) { table[id]?.isSuspended = true } else { refuseLearned(id, .own) }
            return nil
        case .cancelled: return nil
        default: return planNext(id)
        }
    }

    /// Every address led to this node. That may change where a name stands for it, or where another peer is asked for.
    private func mayLeadElsewhere(_ id: TargetID, _ target: Target) -> Bool {
        if target.peer == localPeer { return false }
        return target.isPeerNamed || table.addresses(of: id).contains { address in
            if case .name = DialTarget(address) { true } else { false }
        }
    }

    /// A handshake taught that this is nobody to dial; a change of its addresses may make it another one.
    private mutating func refuseLearned(_ id: TargetID, _ reason: DiscoveryFilter) {
        table[id]?.learnedFilter = reason
        for source in table.sources(of: id) { table[source].count(reason) }
    }

    /// Called when the dial of a target reached a peer.
    mutating func targetReached(_ id: TargetID, _ peer: PeerID) {
        guard let target = table[id] else { return }
        table[id]?.dial = nil
        table.learn(peer, for: id)
        if !target.isPeerNamed { markConnected(id) }
        for source in table.sources(of: id) { table[source].dialSucceeded(at: now) }
    }

    /// The peer that answered at a nameless address is not one of those that may be dialled.
    mutating func targetIsStranger(_ id: TargetID) {
        table[id]?.dial = nil
        refuseLearned(id, .peer)
    }

    /// A peer is connected, whoever dialled.
    mutating func targetConnected(_ peer: PeerID) {
        for id in table.targets(of: peer) { markConnected(id) }
        resumeTargets(of: peer)
    }

    private mutating func markConnected(_ id: TargetID) {
        leaveLine(id)
        table[id]?.wasConnected = true
        table[id]?.dueAt = nil
    }

    mutating func targetDisconnected(_ peer: PeerID, lasted: Duration, cause: DisconnectCause) {
        for id in table.targets(of: peer) {
            if cause == .closedByUs {
                table[id]?.isSuspended = true
                continue
            }
            if lasted >= Self.lastingTime { table[id]?.backoff.reset() }
            refreshLifetimes(of: id)
            _ = planNext(id)
        }
    }

    /// Whom we sent away for want of room is not dialled for that long.
    mutating func holdTargets(of peer: PeerID, for time: Duration) {
        for id in table.targets(of: peer) { plan(id, after: time) }
    }

    /// The application wants this peer after all.
    mutating func resumeTargets(of peer: PeerID) {
        for id in table.targets(of: peer) { table[id]?.isSuspended = false }
    }
}

