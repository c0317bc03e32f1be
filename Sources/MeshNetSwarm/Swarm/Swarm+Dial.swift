package import MeshNetProtocol

// Dialling: candidates of one wish race, the first that is established wins.
extension Swarm {
    /// Starts a dial for a call of the application, or joins the one under way to the same peer or address.
    mutating func dial(_ target: Multiaddr, ticket: Ticket) {
        guard target.peerID != localPeer else {
            ownIdentityHeard(at: [target])
            complete(ticket, .failure(.dial(.selfDial, address: target)))
            return emit(.dialFailed(DialFailure(peer: target.peerID, address: target, cause: .selfDial, retryAfter: nil)))
        }
        let id = joinDial(target)
        dials[id]?.tickets.append(ticket)
        addTarget(target, to: id, isChosen: true)
        addKnown(to: id)
        continueDial(id)
    }

    /// The same for a target of the table; the first address names the dial. Precondition: not empty.
    mutating func dial(_ addresses: [Multiaddr], owner: TargetID) {
        guard let first = addresses.first else { return }
        guard first.peerID != localPeer else {
            ownIdentityHeard(at: addresses)
            let retryAfter = targetFailed(owner, .selfDial)
            return emit(.dialFailed(DialFailure(peer: localPeer, address: first, cause: .selfDial, retryAfter: retryAfter)))
        }
        let isNew = dialIndex[DialKey(first)] == nil
        let id = joinDial(first)
        if dials[id]?.owners.contains(owner) == false { dials[id]?.owners.append(owner) }
        table[owner]?.dial = id
        let isBootstrap = table.isBootstrap(owner)
        if isNew, !isBootstrap {
            dials[id]?.isDiscovery = true
            discoveryDials += 1
        }
        for address in addresses { addTarget(address, to: id, isUnchecked: isBootstrap) }
        if isNew { addKnown(to: id) }
        continueDial(id)
    }

    mutating func joinDial(_ target: Multiaddr) -> DialID {
        let key = DialKey(target)
        if let running = dialIndex[key] { return running }
        let id = DialID(rawValue: nextDialID)
        nextDialID += 1
        dialIndex[key] = id
        dials[id] = Dial(id: id, peer: target.peerID, target: target, nextAttempt: now)
        return id
    }

    /// What the peer itself told, and where it was met before; a call of the application also tries what failed again and again.
    private mutating func addKnown(to id: DialID) {
        guard let dial = dials[id], let peer = dial.peer else { return }
        for known in addressBook.addresses(of: peer, withFailing: !dial.tickets.isEmpty) { addTarget(known, to: id) }
    }

    package mutating func resolved(query: UInt64, _ result: Result<[SocketAddress], ResolveFailure>, now: Instant) {
        self.now = now
        guard let id = queries.removeValue(forKey: query), let index = dials[id]?.resolving.firstIndex(where: { $0.query == query }),
            let lookup = dials[id]?.resolving.remove(at: index)
        else { return }
        switch result {
        case .success(let found):
            if found.isEmpty { unresolved(id, lookup, "the name has no address") }
            for address in found {
                let socket = SocketAddress(ip: address.ip, port: lookup.port, zone: address.zone)
                addCandidate(socket, from: lookup.origin, to: id, isChosen: lookup.isChosen, isUnchecked: lookup.isUnchecked)
            }
        case .failure(let failure):
            unresolved(id, lookup, failure.reason)
        }
        continueDial(id)
    }

    private mutating func unresolved(_ id: DialID, _ lookup: Dial.Lookup, _ reason: String) {
        guard let dial = dials[id] else { return }
        let error = DialError.unresolved(host: dial.target.description, reason: reason)
        dials[id]?.failures.append(error)
        noteFailure(of: lookup.origin, for: dial, error)
    }

    /// Starts the next candidate when its time has come; ends the dial when nothing is left to try.
    mutating func continueDial(_ id: DialID) {
        guard let dial = dials[id], !dial.isQueued else { return }
        if dial.isExhausted { return failDial(id, dial.verdict) }
        guard !dial.candidates.isEmpty, dial.attempts.count < configuration.limits.dialsPerPeer else { return }
        guard dial.nextAttempt <= now || dial.attempts.isEmpty else { return timers.set(.dial(id), at: dial.nextAttempt) }
        guard hasRoomForAttempt else {
            dials[id]?.isQueued = true
            queuedDials.append(id)
            return
        }
        startAttempt(dials[id]!.candidates.removeFirst(), of: id)
        dials[id]?.nextAttempt = now + Dial.stagger
        if dials[id]?.candidates.isEmpty == false { timers.set(.dial(id), at: now + Dial.stagger) }
    }

    private var hasRoomForAttempt: Bool {
        outboundAttempts < configuration.limits.pendingOutboundConnections && connections.count < configuration.limits.connections
    }

    /// Called whenever an attempt or a connection made room.
    mutating func startQueuedDials() {
        while hasRoomForAttempt, let id = queuedDials.popFirst() {
            dials[id]?.isQueued = false
            continueDial(id)
        }
    }

    private mutating func startAttempt(_ candidate: DialCandidate, of dial: DialID) {
        let id = connections.insert { id in
            Connection(
                id: id, direction: .outbound, remoteSocket: candidate.socket, remote: candidate.socket.multiaddr, dial: dial, phase: .connecting)
        }
        dials[dial]?.attempts.append(DialAttempt(id: id, origin: candidate.origin))
        triedAddresses[candidate.origin, default: 0] += 1
        for owner in dials[dial]?.owners ?? [] { table[owner]?.histories[candidate.origin, default: AddressHistory()].attempts += 1 }
        outboundAttempts += 1
        actions.append(.connect(id, candidate.socket))
        timers.set(.connect(id), at: now + configuration.dialTimeout)
    }

    /// Neither connected nor secured in time.
    mutating func connectTimedOut(_ id: ConnectionID) {
        guard let connection = connections[id] else { return }
        switch connection.phase {
        case .connecting:
            drop(id)
            actions.append(.close(id))
            attemptFailed(connection, .timedOut(after: configuration.dialTimeout))
        case .handshaking where connection.direction == .outbound:
            drop(id)
            actions.append(.close(id))
            attemptFailed(connection, .handshakeFailed(.timedOut(.security)))
        default: return
        }
    }

    // MARK: - Ends

    mutating func attemptFailed(_ connection: Connection, _ error: DialError) {
        guard let id = connection.dial, let dial = dials[id] else { return }
        if let index = dial.attempts.firstIndex(where: { $0.id == connection.id }) {
            let attempt = dial.attempts[index]
            dials[id]?.attempts.remove(at: index)
            ended(attempt)
            noteFailure(of: attempt.origin, for: dial, error)
        }
        dials[id]?.failures.append(error)
        dials[id]?.nextAttempt = now
        continueDial(id)
    }

    private mutating func ended(_ attempt: DialAttempt) {
        guard let count = triedAddresses[attempt.origin] else { return }
        triedAddresses[attempt.origin] = count > 1 ? count - 1 : nil
    }

    private mutating func noteFailure(of origin: Multiaddr, for dial: Dial, _ error: DialError) {
        if let peer = dial.peer { addressBook.failed(origin, of: peer) }
        for owner in dial.owners {
            table[owner]?.histories[origin, default: AddressHistory()].lastFailure = error
            table[owner]?.histories[origin]?.failedAt = now
        }
    }

    mutating func dialSucceeded(_ id: DialID?, peer: PeerID) {
        guard let id, let dial = endDial(id) else { return }
        if dial.probe != nil { return probeSucceeded(dial, peer) }
        reached(dial, peer)
    }

    /// The peer is connected, whoever dialled: other attempts to reach it are of no use.
    mutating func cancelAttempts(to peer: PeerID) {
        guard let id = dialIndex[.peer(peer)], let dial = endDial(id) else { return }
        reached(dial, peer)
    }

    private mutating func reached(_ dial: Dial, _ peer: PeerID) {
        for owner in dial.owners { targetReached(owner, peer) }
        guard let announced = peers[peer]?.announced else { return }
        for ticket in dial.tickets { complete(ticket, .success(.peer(announced))) }
    }

    mutating func failDial(_ id: DialID, _ error: DialError) {
        guard let dial = endDial(id) else { return }
        if dial.probe != nil { return probeFailed(dial, error) }
        for ticket in dial.tickets { complete(ticket, .failure(.dial(error, address: dial.target))) }
        var retryAfter = dial.owners.compactMap { targetFailed($0, error) }.min()
        if dial.isForChannel, let peer = dial.peer, let delay = wantedFailed(peer, dial.failures, error) {
            retryAfter = min(retryAfter ?? delay, delay)
        }
        if error != .cancelled {
            if let peer = dial.peer { exchangeDialFailed(peer) }
            emit(.dialFailed(DialFailure(peer: dial.peer, address: dial.target, cause: error, retryAfter: retryAfter)))
        }
        if dial.isDiscovery { serveLines() }
    }

    /// A target is of no interest any more; its dial ends unless somebody else waits for it.
    mutating func abandonDial(of owner: TargetID, _ id: DialID) {
        dials[id]?.owners.removeAll { $0 == owner }
        guard let dial = dials[id], dial.owners.isEmpty, dial.tickets.isEmpty, !dial.isForChannel else { return }
        failDial(id, .cancelled)
    }

    /// Takes a dial out of the books and ends its unfinished attempts.
    mutating func endDial(_ id: DialID) -> Dial? {
        guard let dial = dials.removeValue(forKey: id) else { return nil }
        if dial.isDiscovery { discoveryDials -= 1 }
        if dialIndex[DialKey(dial.target)] == id { dialIndex[DialKey(dial.target)] = nil }
        for lookup in dial.resolving { queries[lookup.query] = nil }
        for attempt in dial.attempts {
            ended(attempt)
            guard connections[attempt.id]?.isUnfinished == true else { continue }
            drop(attempt.id)
            actions.append(.close(attempt.id))
        }
        return dial
    }

    // MARK: - Candidates

    /// `isChosen`: the application named this address for this very call, it is tried first. `isUnchecked`: it names it as a bootstrap peer's, so that
    /// the allow and deny lists do not apply to it either.
    mutating func addTarget(_ address: Multiaddr, to id: DialID, isChosen: Bool = false, isUnchecked: Bool = false) {
        switch DialTarget(address) {
        case .socket(let socket):
            addCandidate(socket, from: address.withoutPeerID ?? address, to: id, isChosen: isChosen, isUnchecked: isUnchecked)
        case .name(let host, let family, let port):
            if dials[id]?.resolving.contains(where: { $0.host == host && $0.family == family && $0.port == port }) == true { return }
            let query = nextQuery
            nextQuery += 1
            queries[query] = id
            dials[id]?.resolving.append(Dial.Lookup(
                query: query, host: host, family: family, port: port, origin: address.withoutPeerID ?? address, isChosen: isChosen,
                isUnchecked: isUnchecked))
            actions.append(.resolve(query: query, host: host, family: family))
        case .peerOnly: break
        case .unsupported: dials[id]?.failures.append(.unsupportedAddress)
        }
    }

    private mutating func addCandidate(_ address: SocketAddress, from origin: Multiaddr, to id: DialID, isChosen: Bool, isUnchecked: Bool) {
        guard let dial = dials[id], !dial.candidates.contains(where: { $0.socket == address }),
            dial.candidates.count < configuration.limits.addressesPerPeer,
            !dial.attempts.contains(where: { connections[$0.id]?.remoteSocket == address }),
            isChosen || isUnchecked || rules.allows(ip: address.ip)
        else { return }
        let tier = isChosen ? .chosen : addressSense.tier(address)
        let all = dial.candidates + [DialCandidate(socket: address, origin: origin, tier: tier)]
        dials[id]?.candidates = AddressSense.interleaved(all.map { ($0, $0.tier.rawValue, $0.socket.ip.count == 16) })
    }
}

extension Connection {
    /// Not established yet: nobody misses it.
    fileprivate var isUnfinished: Bool { phase == .connecting || phase == .handshaking }
}
