package import MeshNetProtocol

// The calls of the application. Each ends in exactly one completion of its ticket.
extension Swarm {
    package mutating func perform(_ command: Command, ticket: Ticket, now: Instant) {
        self.now = now
        guard !isShuttingDown else { return complete(ticket, .failure(.closed)) }
        switch command {
        case .connect(let address): connect(address, ticket: ticket)
        case .disconnect(let peer): disconnect(peer, ticket: ticket)
        case .addBootstrap(let address): complete(ticket, .success(.changed(addBootstrap(address))))
        case .removeBootstrap(let address): complete(ticket, .success(.changed(removeBootstrap(address))))
        case .subscribe(let topic): subscribe(topic, ticket: ticket)
        case .unsubscribe(let topic): unsubscribe(topic, ticket: ticket)
        case .publish(let topic, let data): publish(topic, data, ticket: ticket)
        case .accept(let protocolID): accept(protocolID, ticket: ticket)
        case .stopAccepting(let protocolID): stopAccepting(protocolID, ticket: ticket)
        case .openStream(let peer, let protocols): openStream(to: peer, protocols: protocols, ticket: ticket)
        case .ping(let peer): ping(peer, ticket: ticket)
        case .perf(let peer, let upload, let download): startPerf(peer, upload: upload, download: download, ticket: ticket)
        case .peers: complete(ticket, .success(.peers(connectedPeers)))
        case .addressProblems: complete(ticket, .success(.problems(addressProblems)))
        case .topicPeers(let topic): topicPeers(topic, ticket: ticket)
        case .configureDiscovery(let configuration): configureDiscovery(configuration, ticket: ticket)
        case .discoveryTable: complete(ticket, .success(.discovery(discoveryTable)))
        case .diagnose(let target): diagnose(target, ticket: ticket)
        case .protect(let peer): protect(peer, ticket: ticket)
        case .unprotect(let peer): unprotect(peer, ticket: ticket)
        case .reconnect(let peer, let addresses): reconnect(peer, at: addresses, ticket: ticket)
        case .close(let peer, let reason): closePeer(peer, reason: reason, ticket: ticket)
        case .channels(let peer): channels(peer, ticket: ticket)
        case .waitForPeers(let count, let topic): waitForPeers(count, topic: topic, ticket: ticket)
        case .publishRetained(let topic, let data): publishRetained(topic, data, ticket: ticket)
        }
    }

    /// The addresses at which the node can be reached, wildcards expanded. Called again when they change.
    package mutating func listening(on addresses: [Multiaddr], now: Instant) {
        self.now = now
        guard addresses != listenAddresses else { return }
        for address in addresses where !listenAddresses.contains(address) { emit(.listening(address)) }
        listenAddresses = addresses
        if !clones.postponed.isEmpty { ownIdentityHeard(at: clones.takePostponed()) }
        recordSequence &+= 1
        sealedRecord = nil
        pushIdentify()
        mdns?.setListenAddresses(addresses, now: now)
        pumpDiscovery()
        judgeAgain()
    }

    private var connectedPeers: [PeerConnection] {
        peers.keys.sorted().compactMap { peers[$0]?.announced }
    }

    private mutating func connect(_ address: Multiaddr, ticket: Ticket) {
        if let peer = address.peerID {
            resumeTargets(of: peer)
            if let announced = peers[peer]?.announced { return complete(ticket, .success(.peer(announced))) }
        }
        dial(address, ticket: ticket)
    }

    private mutating func disconnect(_ peer: PeerID, ticket: Ticket) {
        guard let connections = peers[peer]?.connections else { return complete(ticket, .failure(.notConnected(peer))) }
        for id in connections { close(id, cause: .closedByUs) }
        complete(ticket, .success(.done))
    }

    // MARK: - Protocol ids

    private mutating func accept(_ protocolID: String, ticket: Ticket) {
        guard protocolID.utf8.count <= Self.maximumProtocolLength, protocolID.hasPrefix("/"), !protocolID.contains("\n") else {
            return complete(ticket, .failure(.invalidProtocol(protocolID)))
        }
        guard !acceptedProtocols.contains(protocolID), !Self.ownProtocols.contains(protocolID), protocolID != PeerExchangeMessage.protocolID
        else { return complete(ticket, .success(.changed(false))) }
        guard acceptedProtocols.count < Self.maximumAcceptedProtocols else {
            return complete(ticket, .failure(.limitReached("accepted protocols: \(Self.maximumAcceptedProtocols)")))
        }
        acceptedProtocols.append(protocolID)
        protocolsChanged()
        complete(ticket, .success(.changed(true)))
    }

    private mutating func stopAccepting(_ protocolID: String, ticket: Ticket) {
        guard let index = acceptedProtocols.firstIndex(of: protocolID) else { return complete(ticket, .success(.changed(false))) }
        acceptedProtocols.remove(at: index)
        protocolsChanged()
        complete(ticket, .success(.changed(true)))
    }

    /// A multistream line has at most 1,024 bytes; identify lists must stay below 4 KiB in all.
    private static var maximumProtocolLength: Int { 256 }
    private static var maximumAcceptedProtocols: Int { 64 }

    /// What the node itself answers.
    static var ownProtocols: [String] {
        [IdentifyMessage.identifyProtocol, IdentifyMessage.pushProtocol, PingState.protocolID, PerfTransfer.protocolID, MessageFrame.protocolID]
            + Gossipsub.protocols + [RetainedMessage.protocolID]
    }

    mutating func refreshProtocols() {
        protocols = Self.ownProtocols + (exchange == nil ? [] : [PeerExchangeMessage.protocolID]) + acceptedProtocols
    }

    mutating func protocolsChanged() {
        refreshProtocols()
        for id in connections.ids { connections[id]?.pipeline?.setProtocols(protocols) }
        pushIdentify()
    }
}
