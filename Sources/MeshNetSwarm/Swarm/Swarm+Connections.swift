package import MeshNetProtocol

// The life of a connection: accepted or connected, secured, established, ended.
extension Swarm {
    /// A socket was accepted. nil: a limit refuses it, close the socket.
    package mutating func accepted(from remote: SocketAddress, to local: SocketAddress, roundTrip: Duration? = nil, now: Instant) -> ConnectionID? {
        self.now = now
        guard !isShuttingDown else { return nil }
        guard connections.count < inboundLimit else {
            inboundGate.refuse(.connections)
            return nil
        }
        guard inboundGate.admit(remote, now: now) == nil else { return nil }
        let id = connections.insert { id in
            Connection(id: id, direction: .inbound, remoteSocket: remote, remote: remote.multiaddr, dial: nil, phase: .handshaking)
        }
        startPipeline(id, role: .inbound, expectedPeer: nil, roundTrip: roundTrip, local: local)
        return id
    }

    /// Why `accepted` gave nil last, and how often it did.
    package var inboundRefusals: (count: Int, last: InboundRefusal?) { (inboundGate.refused, inboundGate.lastRefusal) }

    /// Inbound connections leave room for our own dials: a flood must not cut the node off from the peers that it chose.
    private var inboundLimit: Int {
        configuration.limits.connections - min(configuration.limits.pendingOutboundConnections, configuration.limits.connections / 4)
    }

    /// The TCP connection asked for by `.connect` stands.
    package mutating func connected(_ id: ConnectionID, local: SocketAddress, roundTrip: Duration? = nil, now: Instant) {
        self.now = now
        guard connections[id]?.phase == .connecting, let dialID = connections[id]?.dial else { return }
        connections[id]?.phase = .handshaking
        startPipeline(id, role: .outbound, expectedPeer: dials[dialID]?.peer, roundTrip: roundTrip, local: local)
    }

    package mutating func connectFailed(_ id: ConnectionID, errno: Int32, now: Instant) {
        self.now = now
        guard let connection = connections[id], connection.phase == .connecting else { return }
        drop(id)
        attemptFailed(connection, DialError(errno: errno))
    }

    /// Where the driver reads the socket's bytes to; nil when the connection is gone. Must be followed by `received`, with 0
    /// when nothing was read: the memory is borrowed from the pool meanwhile. Drain `poll()` first.
    package mutating func receiveSpace(_ id: ConnectionID) -> UnsafeMutableRawBufferPointer? {
        connections[id]?.pipeline?.receiveSpace()
    }

    package mutating func received(_ id: ConnectionID, count: Int, now: Instant) {
        self.now = now
        connections[id]?.lastHeard = now
        connections[id]?.pipeline?.receive(count: count, now: now)
        if connections[id]?.phase == .handshaking { awaitFlight(id, 1) }
        touch(id)
    }

    package mutating func receivedEnd(_ id: ConnectionID, _ end: SocketEnd, now: Instant) {
        self.now = now
        connections[id]?.pipeline?.receiveEnd(end, now: now)
        touch(id)
    }

    /// `mutating`, to be read in place: otherwise a caller in another module copied the swarm.
    package mutating func hasOutput(_ id: ConnectionID) -> Bool { connections[id]?.pipeline?.hasOutput ?? false }

    /// Whether the other side runs on the same machine. `mutating`, to be read in place.
    package mutating func isWithinHost(_ id: ConnectionID) -> Bool { connections[id]?.isWithinHost ?? false }

    /// Lends the bytes to send, for one `writev`; `body` returns how many the socket took.
    package mutating func withTransmitBuffers(
        _ id: ConnectionID, _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Int, now: Instant
    ) {
        self.now = now
        guard let taken = connections[id]?.pipeline?.transmitBuffers(body) else { return }
        connections[id]?.pipeline?.didTransmit(taken, now: now)
        touch(id)
    }

    private mutating func startPipeline(_ id: ConnectionID, role: Direction, expectedPeer: PeerID?, roundTrip: Duration?, local: SocketAddress) {
        let isWithinHost = connections[id].map { local.isOnHost(of: $0.remoteSocket) } ?? false
        connections[id]?.isWithinHost = isWithinHost
        awaitFlight(id, 1)
        let pipelineConfiguration = PipelineConfiguration(
            configuration, noiseKey: noiseKey(), proven: provenSignatures, ephemeralKeys: ephemeralKeys)
        connections[id]?.pipeline = ConnectionPipeline(
            role: role, configuration: pipelineConfiguration, expectedPeer: expectedPeer, protocols: protocols, pool: pool, random: &random,
            roundTrip: roundTrip, isWithinHost: isWithinHost, now: now)
        touch(id)
    }

    /// Handshakes with one Noise key: a new one for each would cost a fifth of it. The specification recommends to change it now and then.
    private static var handshakesPerNoiseKey: Int { 1_000 }

    private mutating func noiseKey() -> NoiseKey {
        if let key = currentNoiseKey, noiseKeyUses < Self.handshakesPerNoiseKey {
            noiseKeyUses += 1
            return key
        }
        let key = NoiseKey(identity: configuration.identity, random: &random)
        (currentNoiseKey, noiseKeyUses) = (key, 1)
        return key
    }

    private mutating func awaitFlight(_ id: ConnectionID, _ count: Int) {
        if connections[id]?.isWithinHost == true { flightsAwaited += count }
    }

    /// Whether handshakes with peers on this host went on since it was asked last, and are not over: their next bytes come soon.
    package mutating func tookFlight() -> Bool {
        defer { flightsAwaited = 0 }
        return flightsAwaited > 0
    }

    /// Whether `useIdleTime` has something to do. `mutating`, to be read in place.
    package var hasUseForIdleTime: Bool { mutating get { ephemeralKeys.isShort } }

    /// Does a little, some tenth of a millisecond, of what would cost time later. Changes nothing that anybody sees, and is no input: nothing to drain.
    package mutating func useIdleTime() { ephemeralKeys.prepare(random: &random) }

    /// What a pipeline reports. Bytes for the application go out at once, since they are only lent.
    mutating func handle(_ action: PipelineAction, on id: ConnectionID) -> SwarmAction? {
        switch action {
        case .established(let remote): established(id, remote)
        case .streamOpened(let stream, let protocolID): inboundStream(stream, protocolID: protocolID, on: id)
        case .streamAgreed(let stream, let protocolID): outboundStreamAgreed(stream, protocolID: protocolID, on: id)
        case .streamRefused(let stream): streamRefused(stream, on: id)
        case .streamData(let stream, let bytes): return streamData(stream, bytes, on: id)
        case .streamEnded(let stream): streamEnded(stream, on: id)
        case .streamReset(let stream, .negotiationTimedOut) where connections[id]?.ping.stream == stream: pingStreamSilent(id)
        case .streamReset(let stream, _): streamGone(stream, on: id, error: .streamReset)
        case .streamClosed(let stream): streamGone(stream, on: id, error: nil)
        case .streamWritable(let stream): streamWritable(stream, on: id)
        case .failedHandshake(let failure): handshakeFailed(id, failure)
        case .closed(let cause): ended(id, cause)
        }
        return nil
    }

    // MARK: - Established

    private mutating func established(_ id: ConnectionID, _ remote: PipelinePeer) {
        let peer = remote.peer
        guard let connection = connections[id] else { return }
        if connection.direction == .inbound { inboundGate.handshakeEnded() } else { outboundAttempts -= 1 }
        connections[id]?.phase = .established
        awaitFlight(id, -1)
        connections[id]?.peer = peer
        connections[id]?.establishedAt = now
        guard peer != localPeer else {
            ownHandshake(remote.handshakeHash, of: connection)
            close(id, cause: .closedByUs)
            attemptFailed(connection, .selfDial)
            return startQueuedDials()
        }
        if connection.direction == .outbound {
            guard mayStay(peer, reachedBy: connection) else {
                close(id, cause: .closedByUs)
                return startQueuedDials()
            }
            addressBook.add(connection.remote, for: peer)
            reachedPeers[connection.remote] = peer
        }
        if peers[peer] == nil {
            let announced = PeerConnection(peer: peer, address: connection.remote, direction: connection.direction)
            peers[peer] = Peer(connection: id, announced: announced)
            emit(.connected(announced))
            openPubSub(to: peer)
            exchangeConnected(peer)
            messagesConnected(peer)
        } else {
            peers[peer]?.connections.append(id)
            settleDuplicate(of: peer, newcomer: id)
        }
        queryIdentify(id)
        startPings(id)
        dialSucceeded(connection.dial, peer: peer)
        cancelAttempts(to: peer)
        targetConnected(peer)
        wantedConnected(peer)
        mdns?.signOfLife(of: peer, now: now)
        startQueuedDials()
        serveLines()
        trimConnections()
    }

    /// Nobody asked for this peer by name: a source told of an address, and who answers is none of the peers that may be dialled.
    private mutating func mayStay(_ peer: PeerID, reachedBy connection: Connection) -> Bool {
        guard let id = connection.dial, let dial = dials[id], dial.peer == nil, dial.tickets.isEmpty, !rules.allows(peer: peer),
            !dial.owners.contains(where: { table.isBootstrap($0) })
        else { return true }
        if dial.probe != nil, let probe = endDial(id) { probeSucceeded(probe, peer) }
        for owner in dial.owners {
            abandonDial(of: owner, id)
            targetIsStranger(owner)
        }
        return false
    }

    private mutating func handshakeFailed(_ id: ConnectionID, _ failure: HandshakeFailure) {
        guard let connection = drop(id) else { return }
        actions.append(.close(id))
        if connection.direction == .inbound { refusedHandshakes.add(RefusedHandshake(address: connection.remote, failure: failure, at: now)) }
        switch failure {
        case .wrongPeer(let expected, let actual):
            if actual == localPeer { ownIdentityHeard(at: [connection.remote]) }
            attemptFailed(connection, actual == localPeer ? .selfDial : .wrongPeer(expected: expected, actual: actual))
        case .otherNetwork(let how): attemptFailed(connection, .otherNetwork(how))
        default: attemptFailed(connection, .handshakeFailed(failure))
        }
    }

    // MARK: - The end

    /// Closes in order: streams end, the go-away and what is queued go out, at most for a second.
    mutating func close(_ id: ConnectionID, cause: DisconnectCause) {
        guard let connection = connections[id] else { return }
        if case .closing = connection.phase { return }
        guard connection.pipeline != nil, connection.phase == .established else {
            drop(id)
            actions.append(.close(id))
            return
        }
        connections[id]?.phase = .closing(cause)
        leavePeer(connection, cause: cause)
        connections[id]?.pipeline?.close(cause: cause, now: now)
        timers.set(.closing(id), at: now + Self.closingTime)
        touch(id)
    }

    /// How long a closing connection may take to send its last bytes.
    private static var closingTime: Duration { .milliseconds(500) }

    /// The pipeline's last word.
    private mutating func ended(_ id: ConnectionID, _ cause: DisconnectCause) {
        guard let connection = connections[id] else { return }
        if connection.phase == .established { leavePeer(connection, cause: cause) }
        finish(id)
    }

    /// Forgets a connection whose peer was told about already, and has its socket closed.
    mutating func finish(_ id: ConnectionID) {
        drop(id)
        actions.append(.close(id))
    }

    /// Takes a connection out of the books without any event.
    @discardableResult
    mutating func drop(_ id: ConnectionID) -> Connection? {
        guard let connection = connections.remove(id) else { return nil }
        if connection.direction == .inbound {
            inboundGate.closed(connection.remoteSocket)
            if connection.phase == .handshaking { inboundGate.handshakeEnded() }
        } else if connection.phase == .connecting || connection.phase == .handshaking {
            outboundAttempts -= 1
        } else if let peer = connection.peer, reachedPeers[connection.remote] == peer {
            reachedPeers[connection.remote] = nil
        }
        startQueuedDials()
        sweepTimers()
        return connection
    }

    /// The streams of the connection end, and the peer is gone if it was the last one.
    private mutating func leavePeer(_ connection: Connection, cause: DisconnectCause) {
        failStreams(of: connection)
        failPings(of: connection)
        guard let peer = connection.peer, peers[peer] != nil else { return }
        peers[peer]?.connections.removeAll { $0 == connection.id }
        if let next = peers[peer]?.connections.last {
            if peers[peer]?.primary == connection.id { makePrimary(next, of: peer) }
            return
        }
        guard let announced = peers.removeValue(forKey: peer)?.announced else { return }
        gossip.removePeer(peer, now: now)
        pumpGossip()
        emit(.disconnected(announced, cause: cause))
        exchangeDisconnected(peer)
        retainedDisconnected(peer)
        messagesDisconnected(peer)
        let lasted = connection.establishedAt.map { now - $0 } ?? .zero
        targetDisconnected(peer, lasted: lasted, cause: cause)
        wantedDisconnected(peer, connection, cause: cause)
        serveLines()
    }
}

extension DialError {
    /// The kernel's word on a TCP connect, by the errno numbers of Linux.
    init(errno: Int32) {
        switch errno {
        case 111: self = .refused
        case 110: self = .timedOut(after: .zero)
        case 125: self = .cancelled
        default: self = .unreachable(errno: errno)
        }
    }
}
