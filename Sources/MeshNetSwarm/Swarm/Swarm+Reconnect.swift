package import MeshNetProtocol

// Peers that are wanted, and so dialled again whenever they are not connected; and those whose channel was closed on purpose.
extension Swarm {
    /// The machine slept, or the process stood still: delays start anew, waits are cut short, and all links are probed.
    package mutating func woke(after pause: Duration, now: Instant) {
        self.now = now
        guard !isShuttingDown else { return }
        emit(.woke(after: pause))
        linksInDoubt(now: now)
        retryTargets()
        callAll()
    }

    /// An interface went down, or an address of ours is gone: what went over it does not know. Every link must answer a ping soon, or is closed.
    package mutating func linksInDoubt(now: Instant) {
        self.now = now
        guard !isShuttingDown else { return }
        for id in connections.ids { probeLink(id) }
    }

    /// An interface came up, or an address of ours changed: waits are cut short.
    package mutating func networkChanged(now: Instant) {
        self.now = now
        guard !isShuttingDown else { return }
        retryTargets()
        callAll()
    }

    /// Messages wait for the peer: it is dialled now, and again until it is connected. Called for every message that finds no connection.
    mutating func wantPeer(_ peer: PeerID) {
        guard peers[peer] == nil, closings[peer] == nil, !isShuttingDown else { return }
        guard wanted[peer] == nil else { return call(peer, for: .send) }
        guard makeWanted(peer) else { return }
        call(peer, for: .send)
    }

    /// False: there is no room. With a bound on channels that only happens where the application asked for as many peers by `reconnect`.
    mutating func makeWanted(_ peer: PeerID) -> Bool {
        if wanted[peer] != nil { return true }
        if wanted.count >= max(1, configuration.messages.channels) {
            // Whoever is missed least: connected or not, nothing waits for it.
            guard let idle = wanted.filter({ !hasMessages(for: $0.key) && $0.value.dial == nil })
                .min(by: { ($0.value.missedSince, $0.key) < ($1.value.missedSince, $1.key) })?.key
            else { return false }
            wanted[idle] = nil
        }
        wanted[peer] = WantedPeer(configuration.messages.reconnect, now: now)
        return true
    }

    // MARK: - Closed on purpose

    /// nil unless the channel was closed on purpose: then messages are refused.
    func closing(of peer: PeerID) -> Closing? { closings[peer] }

    /// The peer opens its channel to us. What it closed itself it takes back so; what we closed stays closed. True: it may be taken.
    mutating func mayOpenChannel(_ peer: PeerID) -> Bool {
        guard let closing = closings[peer] else { return true }
        guard !closing.byUs else { return false }
        open(peer)
        return true
    }

    /// The peer sent word before it closed.
    mutating func goodbyeReceived(from peer: PeerID, _ goodbye: Goodbye) {
        // A node that ends comes back, or not: that is what the delays are for.
        guard case .closed(let reason) = goodbye, closings[peer]?.byUs != true else { return }
        let closing = Closing(byUs: false, reason: Closings.cut(reason))
        let isNews = closings[peer] == nil
        guard closings.set(closing, of: peer) else { return }
        unwant(peer)
        failMessages(of: peer, .peerClosed(peer, closing))
        channelStateChanged(peer)
        if isNews { emit(.channel(peer, .closed(closing))) }
    }

    mutating func closePeer(_ peer: PeerID, reason: String, ticket: Ticket) {
        guard peer != localPeer else { return complete(ticket, .failure(.dial(.selfDial, address: Multiaddr.peer(localPeer)))) }
        let closing = Closing(byUs: true, reason: Closings.cut(reason))
        guard closings.set(closing, of: peer) else {
            return complete(ticket, .failure(.limitReached("channels closed on purpose: \(configuration.messages.channels)")))
        }
        _ = try? openChannel(to: peer)
        let isSaid = sayGoodbye(peer, .closed(reason: closing.reason))
        unwant(peer)
        failMessages(of: peer, .peerClosed(peer, closing))
        channelStateChanged(peer)
        if isSaid { part(from: peer) } else { timers.set(.parting(peer), at: now + Self.partingTime) }
        complete(ticket, .success(.done))
    }

    /// How long a goodbye may take that needs a stream first.
    static var partingTime: Duration { .milliseconds(500) }

    mutating func part(from peer: PeerID) {
        guard closings[peer]?.byUs == true else { return }
        for id in peers[peer]?.connections ?? [] { close(id, cause: .closedByUs) }
    }

    /// Nobody asks for a connection any more, and none is made.
    private mutating func unwant(_ peer: PeerID) {
        let dial = wanted.removeValue(forKey: peer)?.dial ?? dialIndex[.peer(peer)]
        guard let dial, dials[dial]?.tickets.isEmpty == true else { return }
        failDial(dial, .cancelled)
    }

    private mutating func open(_ peer: PeerID) {
        guard closings.remove(peer) != nil else { return }
        resumeTargets(of: peer)
        channelStateChanged(peer)
    }

    mutating func reconnect(_ peer: PeerID, at addresses: [Multiaddr], ticket: Ticket) {
        guard peer != localPeer else { return complete(ticket, .failure(.dial(.selfDial, address: Multiaddr.peer(localPeer)))) }
        for address in addresses {
            guard address.peerID == nil || address.peerID == peer || address.isRelayed else {
                return complete(ticket, .failure(.invalidAddress(text: address.description, reason: "names another peer")))
            }
        }
        guard makeWanted(peer) else {
            return complete(ticket, .failure(.limitReached("peers to be reached again: \(configuration.messages.channels)")))
        }
        open(peer)
        _ = try? openChannel(to: peer)
        resumeTargets(of: peer)
        name(addresses, of: peer)
        wanted[peer]?.missedSince = now
        call(peer, for: .change)
        complete(ticket, .success(.done))
    }

    /// The newest in front, bounded.
    private mutating func name(_ addresses: [Multiaddr], of peer: PeerID) {
        let plain = addresses.compactMap(\.withoutPeerID)
        guard var known = wanted[peer]?.addresses, !plain.isEmpty else { return }
        known.removeAll { plain.contains($0) }
        known = Array((plain + known).prefix(configuration.limits.addressesPerPeer))
        wanted[peer]?.addresses = known
        if let dial = wanted[peer]?.dial {
            for address in plain { addTarget(address, to: dial, isUnchecked: true) }
            continueDial(dial)
        }
        channelStateChanged(peer)
    }

    // MARK: - What is known

    /// What is known of reaching the peer, in `status`.
    func fillReachability(_ status: inout ChannelStatus) {
        let peer = status.peer, wanted = wanted[peer]
        status.state = channelState(of: peer)
        status.attempts = wanted?.attempts ?? 0
        status.failures = wanted?.failures ?? []
        let primary = (peers[peer]?.primary).flatMap { connections[$0] }
        status.silence = (primary?.lastHeard ?? wanted?.lastHeard).map { now - $0 }
        status.roundTrip = primary?.ping.roundTrip
    }

    private func channelState(of peer: PeerID) -> ChannelStatus.State {
        if let closing = closings[peer] { return .closed(closing) }
        if peers[peer] != nil { return .connected }
        if dialIndex[.peer(peer)] != nil { return .connecting }
        guard let wanted = wanted[peer] else { return .idle }
        let left = wanted.dueAt.map { max(.zero, $0 - now) }
        switch wanted.rest {
        case .permanent: return .gaveUp(retryAfter: left)
        case .usedUp: return .gaveUp(retryAfter: nil)
        case .disconnected, .stale: return .idle
        case nil: return left.map { .waiting($0) } ?? .idle
        }
    }

    /// What outlives the process of it: where the peer may be found, and whether its channel is closed.
    func reachability(of peer: PeerID, in stored: inout StoredPeer) {
        var addresses = wanted[peer]?.addresses ?? []
        for address in addressBook.addresses(of: peer) where !addresses.contains(address) { addresses.append(address) }
        stored.addresses = Array(addresses.prefix(configuration.limits.addressesPerPeer))
        stored.closed = closings[peer]
    }

    /// Takes up what an earlier process knew of reaching its peers, before anything of theirs is queued.
    mutating func restoreReachability(_ state: StoredState) {
        for channel in state.channels {
            for address in channel.known.addresses.reversed() { addressBook.add(address, for: channel.peer) }
            if let closing = channel.known.closed { _ = closings.set(closing, of: channel.peer) }
        }
        let gap = Duration.nanoseconds(state.lastActive.map { state.now.subtractingReportingOverflow($0).partialValue } ?? 0)
        if configuration.messages.wake.storedGap > .zero, gap > configuration.messages.wake.storedGap { woke(after: gap, now: now) }
    }
}

extension Multiaddr {
    /// The address of a peer wherever it is: `/p2p/<peer id>`.
    static func peer(_ peer: PeerID) -> Multiaddr {
        guard let address = Multiaddr([.p2p(peer)]) else { preconditionFailure("there is a component") }
        return address
    }
}
