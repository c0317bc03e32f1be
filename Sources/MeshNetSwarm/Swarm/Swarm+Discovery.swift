package import MeshNetProtocol

/// A peer that was announced on the local network. It stays while mDNS knows it, and while it is connected.
struct DiscoveredPeer {
    /// What the last announcement said; another list is worth a dial at once.
    var addresses: Set<Multiaddr> = []
    var backoff: Backoff
    /// Not before this the peer is dialled again; nil: at once.
    var dueAt: Instant?
    /// The application disconnected the peer.
    var isSuspended = false
}

// Discovered peers are dialled unless connected, again after each failure with jittered backoff, as long as they are announced.
extension Swarm {
    /// At once; others wait for their next announcement. With the 8 attempts of a dial they leave room among the 160 of a node, whatever is announced.
    static var maximumDiscoveryDials: Int { 16 }

    mutating func startDiscovery() {
        let wanted = configuration.discovery
        guard wanted.modes?.contains(.mdns) == true, wanted.mdnsBackend != .avahi else { return }
        let tag = wanted.serviceTag ?? configuration.preSharedKey.map(MDNSService.tag) ?? MDNSService.defaultTag
        mdns = MDNSService(localPeer: localPeer, tag: tag, random: random.fork())
        if mdns == nil { report(AddressProblem(text: tag, reason: "no service tag of mDNS: use a name such as _p2p._udp.local", usedInstead: nil)) }
    }

    /// The interfaces that can send and hear multicast, as they are now; called again when they change.
    package mutating func setMulticastInterfaces(_ interfaces: [MDNSInterface], now: Instant) {
        self.now = now
        mdns?.setInterfaces(interfaces, now: now)
        pumpDiscovery()
    }

    /// A packet for one of the mDNS groups, heard on the interface with this index.
    package mutating func receivedMulticast(_ packet: UnsafeRawBufferPointer, interface: UInt32, now: Instant) {
        self.now = now
        mdns?.receive(packet, interface: interface, now: now)
        pumpDiscovery()
    }

    /// What a source outside the swarm tells.
    package mutating func receive(_ report: SourceReport, from source: DiscoverySource, now: Instant) {
        self.now = now
    }

    mutating func configureDiscovery(_ configuration: DiscoveryConfiguration, ticket: Ticket) { complete(ticket, .success(.done)) }
    var discoveryTable: DiscoveryTable { DiscoveryTable() }
    mutating func diagnose(_ target: String, ticket: Ticket) { complete(ticket, .failure(.cancelled)) }
    mutating func protect(_ peer: PeerID) -> Bool { false }
    mutating func unprotect(_ peer: PeerID) -> Bool { false }

    package var connectedPeerCount: Int { peers.count }

    mutating func pumpDiscovery() {
        while let action = mdns?.poll() {
            switch action {
            case .send(let interface, let packet): actions.append(.multicast(interface: interface, packet))
            case .discovered(let discovery): announced(discovery.peer)
            case .expired(let peer): if peers[peer] == nil { discovered[peer] = nil }
            case .ownIdentity(let addresses): ownIdentityHeard(at: addresses)
            }
        }
    }

    private mutating func announced(_ peer: PeerID) {
        let addresses = Set(mdns?.addresses(of: peer) ?? [])
        var entry = discovered[peer] ?? DiscoveredPeer(backoff: Backoff(first: configuration.backoffFirst, cap: configuration.backoffCap))
        if entry.addresses != addresses {
            entry.addresses = addresses
            entry.backoff.reset()
            entry.dueAt = nil
        }
        discovered[peer] = entry
        dialDiscovered(peer)
    }

    private mutating func dialDiscovered(_ peer: PeerID) {
        guard !isShuttingDown, peers[peer] == nil, let entry = discovered[peer], !entry.isSuspended else { return }
        if let due = entry.dueAt, due > now { return }
        guard discoveryDials < Self.maximumDiscoveryDials || dialIndex[.peer(peer)] != nil else { return }
        for address in mdns?.addresses(of: peer) ?? [] {
            if case .unsupported = DialTarget(address) { continue }
            dial(address, ticket: nil, isDiscovery: true)
        }
    }

    mutating func discoveryTimer(_ peer: PeerID) {
        guard let due = discovered[peer]?.dueAt, due <= now else { return }
        dialDiscovered(peer)
    }

    /// The delay until the next dial, nil when there is none.
    mutating func discoveryFailed(_ peer: PeerID, _ error: DialError) -> Duration? {
        error == .cancelled ? nil : scheduleDiscovered(peer)
    }

    mutating func discoveryConnected(_ peer: PeerID) {
        discovered[peer]?.dueAt = nil
        mdns?.signOfLife(of: peer, now: now)
    }

    mutating func discoveryDisconnected(_ peer: PeerID, lasted: Duration, cause: DisconnectCause) {
        guard discovered[peer] != nil else { return }
        if cause == .closedByUs { discovered[peer]?.isSuspended = true }
        if lasted >= Self.lastingTime { discovered[peer]?.backoff.reset() }
        _ = scheduleDiscovered(peer)
    }

    private mutating func scheduleDiscovered(_ peer: PeerID) -> Duration? {
        guard mdns?.addresses(of: peer).isEmpty == false else {
            discovered[peer] = nil
            return nil
        }
        guard let delay = discovered[peer]?.backoff.next(&random) else { return nil }
        discovered[peer]?.dueAt = now + delay
        timers.set(.discovered(peer), at: now + delay)
        return delay
    }
}
