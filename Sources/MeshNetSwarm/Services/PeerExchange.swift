import MeshNetProtocol

/// The peer's stream, with its frames in the making.
struct PeerExchangeInput {
    let stream: PipelineStream
    var frames = LengthPrefixedFrames(limit: PeerExchangeMessage.maximumAcceptedByteCount)
}

// Gossip discovery: streams to those connected peers that speak the protocol, and what they tell goes into the table.
extension Swarm {
    /// Starts, or stops, as the modes say.
    mutating func configurePeerExchange(_ modes: DiscoveryModes) {
        guard modes.contains(.gossip) != (exchange != nil) else { return }
        defer { protocolsChanged() }
        if exchange != nil { return stopPeerExchange() }
        exchange = PeerExchange(localPeer: localPeer, random: random.fork(), now: now)
        for peer in peers.keys.sorted() {
            exchangeConnected(peer)
            exchangeIdentified(peer)
        }
        pumpExchange()
    }

    private mutating func stopPeerExchange() {
        exchange = nil
        for peer in peers.keys.sorted() {
            if let id = peers[peer]?.exchange.connection, let stream = peers[peer]?.exchange.stream { abandon(stream, on: id) }
            peers[peer]?.exchange = ServiceLink()
            for id in peers[peer]?.connections ?? [] {
                guard let stream = connections[id]?.exchangeInput?.stream else { continue }
                connections[id]?.exchangeInput = nil
                abandon(stream, on: id)
            }
        }
        receive(.stopped, from: .gossip, now: now)
    }

    // MARK: - What happens to peers

    mutating func exchangeConnected(_ peer: PeerID) {
        guard let id = peers[peer]?.primary, let ip = connections[id]?.remoteSocket.ip else { return }
        let isOnThisHost = isOwn(ip)
        exchange?.connected(peer, isOnThisHost: isOnThisHost, now: now)
        pumpExchange()
    }

    mutating func exchangeDisconnected(_ peer: PeerID) {
        exchange?.disconnected(peer, now: now)
        pumpExchange()
    }

    mutating func exchangeDialFailed(_ peer: PeerID) {
        exchange?.dialFailed(peer, now: now)
        pumpExchange()
    }

    /// Its record and its protocols are known, or changed.
    mutating func exchangeIdentified(_ peer: PeerID) {
        guard exchange != nil else { return }
        if let sealed = peers[peer]?.sealedRecord { exchange?.learned(sealed.record, envelope: sealed.envelope, now: now) }
        if peers[peer]?.exchange.stream == nil, peers[peer]?.identity?.protocols.contains(PeerExchangeMessage.protocolID) == true {
            openExchange(to: peer)
        }
        pumpExchange()
    }

    private func isOwn(_ ip: [UInt8]) -> Bool {
        if ip.count == 4, ip[0] == 127 { return true }
        if ip.count == 16, ip.dropLast().allSatisfy({ $0 == 0 }), ip[15] == 1 { return true }
        return listenAddresses.contains { address in
            switch address.components.first {
            case .ip4(let own), .ip6(let own): own == ip
            default: false
            }
        }
    }

    mutating func pumpExchange() {
        while let action = exchange?.poll() {
            switch action {
            case .send(let peer, let frame):
                peers[peer]?.exchange.unwritten = frame[...]
                writeExchange(to: peer)
            case .found(let found):
                let candidate = Candidate(
                    key: found.peer.description, peer: found.peer, addresses: found.addresses, lifetime: found.lifetime)
                receive(.found(candidate), from: .gossip, now: now)
            case .lost(let peer): receive(.lost(key: peer.description), from: .gossip, now: now)
            case .dropped(let drop, let teller):
                receive(.filtered(DiscoveryFilter(drop), what: "a record from \(teller)", interface: nil), from: .gossip, now: now)
            case .malformed(let peer):
                receive(.filtered(.malformed, what: "a message from \(peer)", interface: nil), from: .gossip, now: now)
                resetExchangeInput(of: peer)
            case .silenced(let peer): resetExchangeInput(of: peer)
            }
        }
    }

    // MARK: - The outbound stream

    private mutating func openExchange(to peer: PeerID) {
        guard let id = peers[peer]?.primary, connections[id]?.phase == .established,
            let stream = try? connections[id]?.pipeline?.openStream([PeerExchangeMessage.protocolID], now: now)
        else { return }
        peers[peer]?.exchange.connection = id
        peers[peer]?.exchange.stream = stream
        use(stream, for: .exchangeOut, on: id)
        touch(id)
    }

    mutating func exchangeAgreed(_ stream: PipelineStream, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, let link = peers[peer]?.exchange, link.stream == stream, link.connection == id else { return }
        peers[peer]?.exchange.isAgreed = true
        exchange?.opened(peer, now: now)
        pumpExchange()
    }

    /// Writes the frame in hand as far as the stream takes it, and asks for the next one.
    mutating func writeExchange(to peer: PeerID) {
        guard let link = peers[peer]?.exchange, link.isAgreed, let id = link.connection, let stream = link.stream, !link.unwritten.isEmpty else { return }
        let taken = link.unwritten.withUnsafeBytes { connections[id]?.pipeline?.write(stream, $0) ?? 0 }
        peers[peer]?.exchange.unwritten = link.unwritten.dropFirst(taken)
        touch(id)
        guard taken == link.unwritten.count else { return }
        peers[peer]?.exchange.unwritten = []
        exchange?.written(peer, now: now)
    }

    mutating func exchangeWritable(on id: ConnectionID) {
        guard let peer = connections[id]?.peer else { return }
        writeExchange(to: peer)
        pumpExchange()
    }

    /// The stream was refused, reset, or ended by the peer, while its connection lives.
    mutating func exchangeLost(_ stream: PipelineStream, on id: ConnectionID, mayReopen: Bool) {
        guard let peer = connections[id]?.peer, let link = peers[peer]?.exchange, link.stream == stream, link.connection == id else { return }
        peers[peer]?.exchange.detach()
        exchange?.closed(peer)
        guard mayReopen, exchange != nil, link.reopenings < ServiceLink.maximumReopenings else { return }
        peers[peer]?.exchange.reopenings += 1
        openExchange(to: peer)
    }

    /// The peer has another primary connection: the stream moves there.
    mutating func moveExchange(of peer: PeerID) {
        guard exchange != nil, let link = peers[peer]?.exchange, link.connection != peers[peer]?.primary else { return }
        if let old = link.connection, let stream = link.stream {
            connections[old]?.streams[stream] = .finished
            connections[old]?.pipeline?.closeWrite(stream)
            touch(old)
        }
        peers[peer]?.exchange.detach()
        exchange?.closed(peer)
        if peers[peer]?.identity?.protocols.contains(PeerExchangeMessage.protocolID) == true { openExchange(to: peer) }
    }

    /// The connection ended under the stream.
    mutating func exchangeConnectionLost(_ connection: Connection) {
        guard let peer = connection.peer, peers[peer]?.exchange.connection == connection.id else { return }
        peers[peer]?.exchange.detach()
        exchange?.closed(peer)
    }

    // MARK: - The inbound stream

    /// One for each connection; a newer one takes the older one's place.
    mutating func acceptExchange(_ stream: PipelineStream, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, peers[peer] != nil, exchange?.isSilenced(peer) == false else {
            connections[id]?.pipeline?.reset(stream)
            return
        }
        if let old = connections[id]?.exchangeInput?.stream { abandon(old, on: id) }
        connections[id]?.exchangeInput = PeerExchangeInput(stream: stream)
        use(stream, for: .exchangeIn, on: id)
    }

    mutating func exchangeBytes(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, connections[id]?.exchangeInput?.stream == stream else { return }
        var rest = bytes
        do throws(WireError) {
            while let frame = try connections[id]?.exchangeInput?.frames.next(&rest) {
                receive(.running, from: .gossip, now: now)
                frame.withUnsafeBytes { exchange?.receive($0, from: peer, now: now) }
            }
        } catch {
            connections[id]?.exchangeInput = nil
            abandon(stream, on: id)
            receive(.filtered(.malformed, what: "a message from \(peer)", interface: nil), from: .gossip, now: now)
        }
        pumpExchange()
    }

    private mutating func resetExchangeInput(of peer: PeerID) {
        for id in peers[peer]?.connections ?? [] {
            guard let stream = connections[id]?.exchangeInput?.stream else { continue }
            connections[id]?.exchangeInput = nil
            abandon(stream, on: id)
        }
    }

    private mutating func abandon(_ stream: PipelineStream, on id: ConnectionID) {
        connections[id]?.streams[stream] = nil
        connections[id]?.pipeline?.reset(stream)
        touch(id)
    }
}

extension DiscoveryFilter {
    init(_ drop: PeerExchangeDrop) {
        switch drop {
        case .notSigned: self = .notSigned
        case .unknownKey: self = .malformed
        case .own: self = .own
        case .noAddress: self = .noAddress
        case .expired: self = .expired
        case .rateLimited, .evicted: self = .limit
        }
    }
}
