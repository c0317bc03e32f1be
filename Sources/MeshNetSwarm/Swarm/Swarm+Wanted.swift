import MeshNetProtocol

// The rounds of dialling to a wanted peer: all of its addresses in parallel, names resolved anew, one round at a time whoever calls for it. The delays
// between them follow `ReconnectConfiguration`; what calls for a round meanwhile cuts a delay short, but never to nothing.
extension Swarm {
    /// Why a round is called for.
    enum WantedCall {
        /// Something waits for the peer.
        case send
        /// A source told of the peer again, as before.
        case announcement
        /// Something is another way than when rounds failed: an address, our network, a wake, a word of the application.
        case change
    }

    /// Starts a round as soon as it may.
    mutating func call(_ peer: PeerID, for reason: WantedCall) {
        guard let wanted = wanted[peer], !isShuttingDown, peers[peer] == nil, closings[peer] == nil else { return }
        if reason == .announcement, wanted.rest != nil { return }
        if reason == .change { self.wanted[peer]?.startAnew() }
        if reason == .send, let rest = wanted.rest, rest != .permanent {
            self.wanted[peer]?.rest = nil
            self.wanted[peer]?.missedSince = now
        }
        guard wanted.dial == nil else { return }
        let soonest = wanted.soonest(now: now)
        if let due = wanted.dueAt, due <= soonest { return }
        planRound(peer, at: soonest)
    }

    /// Everybody who waits: the network is another one, or time passed unseen.
    mutating func callAll() {
        for peer in wanted.keys.sorted() where peers[peer] == nil {
            if wanted[peer]?.rest == .disconnected { continue }
            if let dial = wanted[peer]?.dial { endRound(of: peer, dial) }
            call(peer, for: .change)
        }
    }

    /// The round under way asks the network as it was: nobody may answer any more. The others who wait for its dial begin anew too; a call of the
    /// application has its answer from this one.
    private mutating func endRound(of peer: PeerID, _ id: DialID) {
        guard let dial = dials[id], dial.tickets.isEmpty else { return }
        wanted[peer]?.dial = nil
        dials[id]?.isForChannel = false
        failDial(id, .cancelled)
        for owner in dial.owners { wake(owner) }
    }

    /// A source told of the peer.
    mutating func announced(_ peer: PeerID, addresses: [Multiaddr], isNews: Bool) {
        guard let wanted = wanted[peer] else { return }
        guard isNews else { return call(peer, for: .announcement) }
        guard let dial = wanted.dial else { return call(peer, for: .change) }
        // The round under way takes them up at once: one of them may be the one that answers.
        for address in addressSense.useful(addresses) { addTarget(address, to: dial) }
        continueDial(dial)
    }

    // MARK: - Planning

    private mutating func planRound(_ peer: PeerID, at time: Instant) {
        guard time > now else { return beginRound(peer) }
        wanted[peer]?.dueAt = time
        if let set = wanted[peer]?.timerSetFor, set <= time { return }
        wanted[peer]?.timerSetFor = time
        timers.set(.wanted(peer), at: time)
    }

    mutating func wantedTimer(_ peer: PeerID) {
        guard let wanted = wanted[peer], let set = wanted.timerSetFor, set <= now else { return }
        self.wanted[peer]?.timerSetFor = nil
        guard let due = wanted.dueAt, wanted.dial == nil, peers[peer] == nil else { return }
        planRound(peer, at: due)
    }

    private mutating func beginRound(_ peer: PeerID) {
        guard let wanted = wanted[peer], wanted.dial == nil, peers[peer] == nil, !isShuttingDown else { return }
        if isStale(peer, wanted) {
            self.wanted[peer]?.rest = .stale
            self.wanted[peer]?.dueAt = nil
            return
        }
        let limit = configuration.messages.reconnect.dialsPerMinute
        if let allowed = self.wanted[peer]?.allowedAt(limit: limit, now: now), allowed > now { return planRound(peer, at: allowed) }
        let addresses = candidates(of: peer, wanted)
        guard let first = addresses.first else { return roundFailed(peer, [], .noAddresses) }
        let dial = joinDial(first.address)
        dials[dial]?.isForChannel = true
        self.wanted[peer]?.roundBegins(dial, limit: limit, now: now)
        for (address, isNamed) in addresses { addTarget(address, to: dial, isUnchecked: isNamed) }
        continueDial(dial)
    }

    /// Nothing waits for it, and it was away for very long.
    private func isStale(_ peer: PeerID, _ wanted: WantedPeer) -> Bool {
        let limit = configuration.messages.reconnect.staleAfter
        return limit > .zero && now - wanted.missedSince >= limit && !hasMessages(for: peer)
    }

    /// What the application named, what the sources tell, and where the peer was met; with its id, each once.
    private func candidates(of peer: PeerID, _ wanted: WantedPeer) -> [(address: Multiaddr, isNamed: Bool)] {
        var list = wanted.addresses.map { (address: $0, isNamed: true) }
        for target in table.targets(of: peer) {
            let isNamed = table.isBootstrap(target)
            list += table.addresses(of: target).map { ($0, isNamed) }
        }
        list += addressBook.addresses(of: peer).map { ($0, false) }
        var seen: Set<Multiaddr> = []
        let useful = Set(addressSense.useful(list.map(\.address)))
        return list.filter { useful.contains($0.address) && seen.insert($0.address).inserted }
            .prefix(configuration.limits.addressesPerPeer)
            .map { ($0.address.peerID == nil ? $0.address.appending(peer) : $0.address, $0.isNamed) }
    }

    // MARK: - What became of a round

    /// The dial of the round ended without a connection; the delay until the next one, nil when there is none.
    @discardableResult
    mutating func wantedFailed(_ peer: PeerID, _ failures: [DialError], _ error: DialError) -> Duration? {
        guard wanted[peer] != nil else { return nil }
        wanted[peer]?.dial = nil
        guard !isShuttingDown else { return nil }
        roundFailed(peer, failures, error)
        return wanted[peer]?.dueAt.map { $0 - now }
    }

    private mutating func roundFailed(_ peer: PeerID, _ failures: [DialError], _ error: DialError) {
        let rules = configuration.messages.reconnect
        guard let looksPermanent = wanted[peer]?.roundFailed(failures, verdict: error, after: rules.permanentAfter, now: now),
            let attempts = wanted[peer]?.attempts
        else { return }
        if rules.maximumAttempts > 0, attempts >= rules.maximumAttempts { return giveUp(peer, last: error) }
        if looksPermanent {
            wanted[peer]?.rest = .permanent
            planRound(peer, at: now + max(rules.permanentDelay, WantedPeer.longestFloor))
            reportPermanent(peer)
        } else {
            wanted[peer]?.rest = nil
            guard let delay = wanted[peer]?.delays.next(&random) else { return }
            // Not even the shortest delay begins a round in the moment in which one failed.
            planRound(peer, at: now + max(delay, .milliseconds(1)))
        }
    }

    /// Once for each kind of failure, until the peer was connected or something changed.
    private mutating func reportPermanent(_ peer: PeerID) {
        guard let state = wanted[peer], state.reported != state.pattern.kind else { return }
        wanted[peer]?.reported = state.pattern.kind
        emit(.channel(peer, .gaveUp(attempts: state.attempts, failures: state.failures, retryAfter: state.dueAt.map { $0 - now })))
    }

    private mutating func giveUp(_ peer: PeerID, last: DialError) {
        guard let state = wanted[peer] else { return }
        wanted[peer]?.rest = .usedUp
        wanted[peer]?.dueAt = nil
        emit(.channel(peer, .gaveUp(attempts: state.attempts, failures: state.failures, retryAfter: nil)))
        wanted[peer]?.attempts = 0
        failMessages(of: peer, .gaveUp(peer, attempts: state.attempts, last: last))
    }

    // MARK: - Connections

    /// A peer is connected, whoever dialled.
    mutating func wantedConnected(_ peer: PeerID) {
        wanted[peer]?.reached()
        channelStateChanged(peer)
    }

    /// The last connection to the peer is gone. Where something waits, it is dialled at once.
    mutating func wantedDisconnected(_ peer: PeerID, _ connection: Connection, cause: DisconnectCause) {
        guard !isShuttingDown, closings[peer] == nil else { return }
        let isMissed = hasMessages(for: peer)
        guard wanted[peer] != nil || isMissed && makeWanted(peer) else { return }
        let lasted = connection.establishedAt.map { now - $0 >= configuration.messages.reconnect.lastingTime } ?? false
        wanted[peer]?.missed(lasted: lasted, now: now)
        wanted[peer]?.lastHeard = connection.lastHeard
        if cause == .closedByUs || cause.isTrim && !isMissed {
            wanted[peer]?.rest = .disconnected
        } else if isMissed {
            call(peer, for: .send)
        } else if wanted[peer]?.dial == nil, let delay = wanted[peer]?.delays.next(&random) {
            planRound(peer, at: now + max(delay, .milliseconds(1)))
        }
    }
}

extension DisconnectCause {
    fileprivate var isTrim: Bool { if case .limitReached = self { true } else { false } }
}
