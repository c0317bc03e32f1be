package import MeshNetProtocol

// The sources that live in the swarm, and what the application says about all of them.
extension Swarm {
    mutating func startDiscovery() {
        for problem in rules.problems { report(problem) }
        table[.bootstrap].state = .running
        applyModes()
        startMDNS()
        planOffers()
        actions.append(.configureSources(configuration.discovery))
    }

    private mutating func applyModes() {
        for source in DiscoverySource.allCases {
            let isWanted = configuration.discovery.wants(source)
            guard table[source].isWanted != isWanted else { continue }
            table[source].isWanted = isWanted
            if !isWanted { for id in table.sightings(of: source) { forget(id) } }
            if source != .bootstrap { setState(configuration.discovery.stateBeforeNews(of: source), of: source) }
        }
    }

    private mutating func startMDNS() {
        guard configuration.discovery.wants(.mdns) else { return }
        mdns = makeMDNS(configuration.discovery)
        if mdns == nil { report(badTag(configuration.discovery)) }
        mdns?.setListenAddresses(listenAddresses, now: now)
        mdns?.setInterfaces(multicastInterfaces, now: now)
        if mdns != nil, !multicastInterfaces.isEmpty { setState(.running, of: .mdns) }
        pumpDiscovery()
    }

    private func tag(_ wanted: DiscoveryConfiguration) -> String {
        wanted.serviceTag ?? configuration.preSharedKey.map(MDNSService.tag) ?? MDNSService.defaultTag
    }

    private mutating func makeMDNS(_ wanted: DiscoveryConfiguration) -> MDNSService? {
        let attributes = MDNSAttributes(appID: wanted.appID, endpointID: wanted.endpointID)
        // Those out of bounds are reported with the other rules.
        return MDNSService(
            localPeer: localPeer, tag: tag(wanted), attributes: attributes.areValid ? attributes : MDNSAttributes(), random: random.fork())
    }

    private func badTag(_ wanted: DiscoveryConfiguration) -> AddressProblem {
        AddressProblem(text: tag(wanted), reason: "no service tag of mDNS: use a name such as _p2p._udp.local", usedInstead: nil)
    }

    /// With goodbyes, and what was heard is forgotten.
    private mutating func stopMDNS() {
        mdns?.close()
        pumpDiscovery()
        mdns = nil
        for id in table.sightings(of: .mdns) { forget(id) }
    }

    // MARK: - Interfaces

    /// The interfaces of this machine that are up; called again when they change. They decide which address of a peer is tried first, and what failed
    /// on the old ones is tried again at once.
    package mutating func setInterfaces(_ interfaces: [NetworkInterface], now: Instant) {
        self.now = now
        guard addressSense.interfaces != interfaces else { return }
        addressSense.setInterfaces(interfaces)
        retryTargets()
    }

    /// The interfaces that can send and hear multicast, as they are now; called again when they change.
    package mutating func setMulticastInterfaces(_ interfaces: [MDNSInterface], now: Instant) {
        self.now = now
        multicastInterfaces = interfaces
        guard mdns != nil else { return }
        let names = Set(interfaces.map(\.name))
        for id in table.sightings(of: .mdns) where !names.contains(table[id]?.interface ?? "") { forget(id) }
        mdns?.setInterfaces(interfaces, now: now)
        if !interfaces.isEmpty { setState(.running, of: .mdns) }
        pumpDiscovery()
    }

    // MARK: - mDNS

    /// A packet for one of the mDNS groups, heard on the interface with this index.
    package mutating func receivedMulticast(_ packet: UnsafeRawBufferPointer, interface: UInt32, now: Instant) {
        self.now = now
        mdns?.receive(packet, interface: interface, now: now)
        pumpDiscovery()
    }

    mutating func pumpDiscovery() {
        while let action = mdns?.poll() {
            switch action {
            case .send(let interface, let packet): actions.append(.multicast(interface: interface, packet))
            case .discovered(let found):
                let interface = multicastInterfaces.first { $0.id == found.interface }?.name
                let candidate = Candidate(
                    key: found.peer.description, peer: found.peer, addresses: found.addresses, interface: interface, lifetime: found.timeToLive)
                receive(.found(candidate), from: .mdns, now: now)
            case .expired(let peer): receive(.lost(key: peer.description), from: .mdns, now: now)
            case .ownIdentity(let addresses): ownIdentityHeard(at: addresses)
            case .ignored(let reason, let what, let interface):
                let name = multicastInterfaces.first { $0.id == interface }?.name
                receive(.filtered(reason.filter, what: what, interface: name), from: .mdns, now: now)
            }
        }
    }

    // MARK: - What the application says

    package var connectedPeerCount: Int { mutating get { peers.count } }

    /// Everything changes at once or, if something in it cannot be used, nothing does.
    mutating func configureDiscovery(_ wanted: DiscoveryConfiguration, ticket: Ticket) {
        let newRules = DiscoveryRules(wanted)
        let isTagBad = makeMDNS(wanted) == nil
        if let problem = newRules.problems.first ?? (isTagBad ? badTag(wanted) : nil) {
            return complete(ticket, .failure(.invalidSetting(name: problem.text, reason: problem.reason)))
        }
        let restartsMDNS = !wanted.isSameMDNS(as: configuration.discovery)
        configuration.discovery = wanted
        configuration.discovery.modes = wanted.modes ?? []
        rules = newRules
        if restartsMDNS { stopMDNS() }
        applyModes()
        judgeAgain()
        if restartsMDNS { startMDNS() }
        configurePeerExchange(configuration.discovery.modes ?? [])
        for id in table.targets.keys.sorted() { wake(id) }
        planOffers()
        actions.append(.configureSources(configuration.discovery))
        complete(ticket, .success(.done))
    }
}

extension MDNSDrop {
    fileprivate var filter: DiscoveryFilter {
        switch self {
        case .otherApp: .appID
        case .otherTag: .serviceTag
        case .own: .own
        case .noAddress: .noAddress
        case .evicted, .rateLimited: .limit
        case .malformed, .unknownInterface, .unsupported, .otherService: .malformed
        }
    }
}

extension DiscoveryConfiguration {
    /// Bootstrap is always on.
    func wants(_ source: DiscoverySource) -> Bool {
        let modes = modes ?? []
        return switch source {
        case .bootstrap: true
        case .mdns: modes.contains(.mdns) && mdnsBackend != .avahi
        case .avahi: modes.contains(.mdns) && mdnsBackend != .embedded
        case .dns: modes.contains(.dns)
        case .gossip: modes.contains(.gossip)
        case .headscale: modes.contains(.headscale)
        case .tailscale: modes.contains(.tailscale)
        }
    }

    /// Beside our own responder, Avahi is off until its daemon answers: most machines have none, and miss none.
    func stateBeforeNews(of source: DiscoverySource) -> SourceState {
        guard wants(source), !(source == .avahi && mdnsBackend == .auto) else { return .off }
        return .starting
    }

    /// Our own responder may go on as it is.
    fileprivate func isSameMDNS(as other: DiscoveryConfiguration) -> Bool {
        wants(.mdns) == other.wants(.mdns) && serviceTag == other.serviceTag && appID == other.appID && endpointID == other.endpointID
    }
}
