import MeshNetProtocol

/// One bootstrap peer: all configured addresses with the same peer id, or one address whose peer is learned by the handshake.
struct BootstrapEntry {
    var addresses: [Multiaddr]
    /// Configured, or learned: while that peer is connected nobody dials.
    var peer: PeerID?
    let isPeerConfigured: Bool
    var backoff: Backoff
    var isDialling = false
    /// The address turned out to be our own, the entry was removed, or the application disconnected the peer.
    var isSuspended = false
    /// When the next dial is due; nil when none is.
    var dueAt: Instant?

    /// Every address led to this node. That may change where a name stands for it, or where another peer is asked for.
    var mayLeadElsewhere: Bool {
        isPeerConfigured || addresses.contains { address in
            if case .name = DialTarget(address) { true } else { false }
        }
    }
}

// Bootstrap peers are dialled for ever, with jittered backoff, whenever they are not connected.
extension Swarm {
    /// A link that lasted less than this does not reset the backoff, so that a peer that hangs up at once is not dialled in a loop.
    static var lastingTime: Duration { .seconds(10) }

    mutating func loadBootstrap() {
        for text in configuration.bootstrapPeers {
            switch BootstrapAddress(parsing: text) {
            case .address(let address): addBootstrap(address)
            case .reinterpreted(let address, let reason):
                report(AddressProblem(text: text, reason: reason, usedInstead: address))
                addBootstrap(address)
            case .unusable(let reason): report(AddressProblem(text: text, reason: reason, usedInstead: nil))
            }
        }
    }

    /// False if the address is configured already.
    @discardableResult
    mutating func addBootstrap(_ address: Multiaddr) -> Bool {
        if case .unsupported = DialTarget(address) {
            report(AddressProblem(
                text: address.description, reason: "no transport here dials it: use /ip4, /ip6, /dns4, /dns6 or /dns with /tcp", usedInstead: nil))
            return false
        }
        if let index = bootstrapIndex[.address(address)] {
            guard bootstrap[index].isSuspended else { return false }
            bootstrap[index].isSuspended = false
            dialBootstrap(index)
            return true
        }
        if let peer = address.peerID, let index = bootstrapIndex[.peer(peer)] {
            bootstrapIndex[.address(address)] = index
            bootstrap[index].isSuspended = false
            bootstrap[index].addresses.append(address)
            // A dial under way takes the address up at once: it may be the one that answers.
            if bootstrap[index].isDialling { dial(address, ticket: nil, bootstrap: index) } else { dialBootstrap(index) }
            return true
        }
        let backoff = Backoff(first: configuration.backoffFirst, cap: configuration.backoffCap)
        bootstrap.append(BootstrapEntry(addresses: [address], peer: address.peerID, isPeerConfigured: address.peerID != nil, backoff: backoff))
        bootstrapIndex[.address(address)] = bootstrap.count - 1
        bootstrapIndex[DialKey(address)] = bootstrap.count - 1
        dialBootstrap(bootstrap.count - 1)
        return true
    }

    mutating func removeBootstrap(_ address: Multiaddr) -> Bool {
        guard let index = bootstrapIndex.removeValue(forKey: .address(address)) else { return false }
        bootstrap[index].addresses.removeAll { $0 == address }
        if bootstrap[index].addresses.isEmpty { bootstrap[index].isSuspended = true }
        return true
    }

    /// Only the last delay that was set counts: a peer that comes and goes does not add dials.
    mutating func bootstrapTimer(_ index: Int) {
        guard let due = bootstrap[index].dueAt, due <= now else { return }
        dialBootstrap(index)
    }

    private mutating func dialBootstrap(_ index: Int) {
        let entry = bootstrap[index]
        guard !isShuttingDown, !entry.isSuspended, !entry.isDialling else { return }
        if let peer = entry.peer, peers[peer] != nil { return }
        bootstrap[index].isDialling = true
        bootstrap[index].dueAt = nil
        for address in entry.addresses { dial(address, ticket: nil, bootstrap: index) }
    }

    /// The dial of an entry failed; the delay until the next one, nil when there is none.
    mutating func bootstrapFailed(_ index: Int, _ error: DialError) -> Duration? {
        bootstrap[index].isDialling = false
        switch error {
        case .selfDial where !bootstrap[index].mayLeadElsewhere || bootstrap[index].peer == localPeer:
            bootstrap[index].isSuspended = true
            return nil
        case .cancelled: return nil
        default: return scheduleBootstrap(index)
        }
    }

    /// A peer is connected: the entry that dialled it has learned whom it reaches.
    mutating func bootstrapConnected(_ peer: PeerID) {
        for index in bootstrap.indices where bootstrap[index].isDialling {
            if bootstrap[index].peer == peer { bootstrap[index].isDialling = false }
        }
        resumeBootstrap(of: peer)
    }

    /// Called when the dial of an entry reached a peer.
    mutating func bootstrapReached(_ index: Int, _ peer: PeerID) {
        bootstrap[index].isDialling = false
        if !bootstrap[index].isPeerConfigured { bootstrap[index].peer = peer }
    }

    mutating func bootstrapDisconnected(_ peer: PeerID, lasted: Duration, cause: DisconnectCause) {
        for index in bootstrap.indices where bootstrap[index].peer == peer {
            if cause == .closedByUs {
                bootstrap[index].isSuspended = true
                continue
            }
            if lasted >= Self.lastingTime { bootstrap[index].backoff.reset() }
            _ = scheduleBootstrap(index)
        }
    }

    private mutating func scheduleBootstrap(_ index: Int) -> Duration {
        let delay = bootstrap[index].backoff.next(&random)
        bootstrap[index].dueAt = now + delay
        timers.set(.bootstrap(index), at: now + delay)
        return delay
    }

    /// The application wants this peer after all.
    mutating func resumeBootstrap(of peer: PeerID) {
        for index in bootstrap.indices where bootstrap[index].peer == peer && !bootstrap[index].addresses.isEmpty {
            bootstrap[index].isSuspended = false
        }
        discovered[peer]?.isSuspended = false
    }

    mutating func report(_ problem: AddressProblem) {
        addressProblems.append(problem)
        emit(.addressProblem(problem))
    }
}
