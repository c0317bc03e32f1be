package import MeshNetProtocol

// Dialling: candidates of one wish race, the first that is established wins.
extension Swarm {
    /// Starts a dial, or joins the one under way to the same peer or address.
    mutating func dial(_ target: Multiaddr, ticket: Ticket?, bootstrap: Int? = nil, isDiscovery: Bool = false) {
        let peer = target.peerID
        if peer == localPeer {
            ownIdentityHeard(at: [target])
            return refuse(target, .selfDial, ticket: ticket, bootstrap: bootstrap)
        }
        if let running = dialIndex[DialKey(target)] {
            if let ticket { dials[running]?.tickets.append(ticket) }
            if let bootstrap, dials[running]?.bootstrap == nil { dials[running]?.bootstrap = bootstrap }
            if isDiscovery { countDiscovery(running) }
            addTarget(target, to: running)
            return continueDial(running)
        }
        let id = DialID(rawValue: nextDialID)
        nextDialID += 1
        dialIndex[DialKey(target)] = id
        dials[id] = Dial(id: id, peer: peer, target: target, nextAttempt: now, tickets: ticket.map { [$0] } ?? [], bootstrap: bootstrap)
        if isDiscovery { countDiscovery(id) }
        addTarget(target, to: id)
        if let peer {
            for known in addressBook.addresses(of: peer) { addTarget(known, to: id) }
        }
        continueDial(id)
    }

    private mutating func countDiscovery(_ id: DialID) {
        guard dials[id]?.isDiscovery == false else { return }
        dials[id]?.isDiscovery = true
        discoveryDials += 1
    }

    package mutating func resolved(query: UInt64, _ result: Result<[SocketAddress], ResolveFailure>, now: Instant) {
        self.now = now
        guard let id = queries.removeValue(forKey: query), let index = dials[id]?.resolving.firstIndex(where: { $0.query == query }),
            let lookup = dials[id]?.resolving.remove(at: index)
        else { return }
        switch result {
        case .success(let found):
            if found.isEmpty { unresolved(id, "the name has no address") }
            for address in Self.interleaved(found) {
                addCandidate(SocketAddress(ip: address.ip, port: lookup.port, zone: address.zone), to: id)
            }
        case .failure(let failure):
            unresolved(id, failure.reason)
        }
        continueDial(id)
    }

    private mutating func unresolved(_ id: DialID, _ reason: String) {
        guard let target = dials[id]?.target else { return }
        dials[id]?.failures.append(.unresolved(host: target.description, reason: reason))
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

    private mutating func startAttempt(_ address: SocketAddress, of dial: DialID) {
        let id = connections.insert { id in
            Connection(id: id, direction: .outbound, remoteSocket: address, remote: address.multiaddr, dial: dial, phase: .connecting)
        }
        dials[dial]?.attempts.append(id)
        outboundAttempts += 1
        actions.append(.connect(id, address))
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
        guard let id = connection.dial, dials[id] != nil else { return }
        dials[id]?.attempts.removeAll { $0 == connection.id }
        dials[id]?.failures.append(error)
        dials[id]?.nextAttempt = now
        continueDial(id)
    }

    mutating func dialSucceeded(_ id: DialID?, peer: PeerID) {
        guard let id, let dial = endDial(id) else { return }
        if dial.probe != nil { return probeSucceeded(dial, peer) }
        if let index = dial.bootstrap { bootstrapReached(index, peer) }
        answer(dial, with: peer)
    }

    /// The peer is connected, whoever dialled: other attempts to reach it are of no use.
    mutating func cancelAttempts(to peer: PeerID) {
        guard let id = dialIndex[.peer(peer)], let dial = endDial(id) else { return }
        if let index = dial.bootstrap { bootstrapReached(index, peer) }
        answer(dial, with: peer)
    }

    mutating func failDial(_ id: DialID, _ error: DialError) {
        guard let dial = endDial(id) else { return }
        if dial.probe != nil { return probeFailed(dial, error) }
        for ticket in dial.tickets { complete(ticket, .failure(.dial(error, address: dial.target))) }
        var retryAfter = dial.bootstrap.flatMap { bootstrapFailed($0, error) }
        if dial.isDiscovery, let peer = dial.peer, let delay = discoveryFailed(peer, error) { retryAfter = min(delay, retryAfter ?? delay) }
        guard error != .cancelled else { return }
        emit(.dialFailed(DialFailure(peer: dial.peer, address: dial.target, cause: error, retryAfter: retryAfter)))
    }

    private mutating func refuse(_ target: Multiaddr, _ error: DialError, ticket: Ticket?, bootstrap: Int?) {
        if let ticket { complete(ticket, .failure(.dial(error, address: target))) }
        let retryAfter = bootstrap.flatMap { bootstrapFailed($0, error) }
        emit(.dialFailed(DialFailure(peer: target.peerID, address: target, cause: error, retryAfter: retryAfter)))
    }

    private mutating func answer(_ dial: Dial, with peer: PeerID) {
        guard let announced = peers[peer]?.announced else { return }
        for ticket in dial.tickets { complete(ticket, .success(.peer(announced))) }
    }

    /// Takes a dial out of the books and ends its unfinished attempts.
    mutating func endDial(_ id: DialID) -> Dial? {
        guard let dial = dials.removeValue(forKey: id) else { return nil }
        if dial.isDiscovery { discoveryDials -= 1 }
        if dialIndex[DialKey(dial.target)] == id { dialIndex[DialKey(dial.target)] = nil }
        for lookup in dial.resolving { queries[lookup.query] = nil }
        for attempt in dial.attempts where connections[attempt]?.isUnfinished == true {
            drop(attempt)
            actions.append(.close(attempt))
        }
        return dial
    }

    // MARK: - Candidates

    mutating func addTarget(_ address: Multiaddr, to id: DialID) {
        switch DialTarget(address) {
        case .socket(let socket): addCandidate(socket, to: id)
        case .name(let host, let family, let port):
            if dials[id]?.resolving.contains(where: { $0.host == host && $0.family == family && $0.port == port }) == true { return }
            let query = nextQuery
            nextQuery += 1
            queries[query] = id
            dials[id]?.resolving.append(Dial.Lookup(query: query, host: host, family: family, port: port))
            actions.append(.resolve(query: query, host: host, family: family))
        case .peerOnly: break
        case .unsupported: dials[id]?.failures.append(.unsupportedAddress)
        }
    }

    private mutating func addCandidate(_ address: SocketAddress, to id: DialID) {
        guard let dial = dials[id], !dial.candidates.contains(address), dial.candidates.count < configuration.limits.addressesPerPeer,
            !dial.attempts.contains(where: { connections[$0]?.remoteSocket == address })
        else { return }
        dials[id]?.candidates.append(address)
    }

    /// IPv6 and IPv4 in turn, so that a family without route costs one stagger at most (RFC 8305, section 4).
    private static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
        let six = addresses.filter { $0.ip.count == 16 }, four = addresses.filter { $0.ip.count == 4 }
        var mixed: [SocketAddress] = []
        for index in 0..<max(six.count, four.count) {
            if index < six.count { mixed.append(six[index]) }
            if index < four.count { mixed.append(four[index]) }
        }
        return mixed
    }
}

extension Connection {
    /// Not established yet: nobody misses it.
    fileprivate var isUnfinished: Bool { phase == .connecting || phase == .handshaking }
}
