import MeshNetProtocol

// What the answer, or the silence, of one address tells.
extension Diagnostician {
    mutating func judge(_ probe: DiagnosisFacts.Probe) {
        switch probe.result {
        case .success(let peer): reached(probe, peer)
        case .failure(let error): failed(probe, error)
        }
    }

    private mutating func reached(_ probe: DiagnosisFacts.Probe, _ peer: PeerID) {
        let who = facts.target.peer == nil ? "\(peer) answers at \(probe.address)" : "it answers at \(probe.address) now"
        // Nobody told of it, and it is behind a router: that is why it was not met.
        if facts.entries.isEmpty, facts.modes.contains(.mdns), let place = foreignPlace(of: probe.address) {
            add(.acrossSubnets, .otherSubnet, "\(place), and multicast does not cross routers; \(who)",
                "Make it a bootstrap peer of one node on each side: gossip does the rest.")
        }
        add(.reachable, .reachable, "\(who), and is connected by this", "")
    }

    private mutating func failed(_ probe: DiagnosisFacts.Probe, _ error: DialError) {
        let at = "\(probe.address)"
        if facts.isOurs(probe.address), !isTargetAddress(probe.address) {
            return add(.ownAddress, cause(of: error), "\(at) is an address of this machine too (\(short(error)))",
                "That address leads here, not to the peer: leave addresses of bridges out of what it announces.")
        }
        switch error {
        case .refused: refused(probe)
        case .timedOut(let time): silent(probe, time)
        case .unreachable(let code): unreachable(probe, code)
        case .unresolved(let host, let reason):
            add(.unresolved, .unresolved, "\(host): \(reason)", "Check the spelling of the name and the resolver (getent hosts NAME).")
        case .unsupportedAddress: add(.unresolved, .badTarget, "\(at): no transport here dials it", "Use an address with /tcp/ and a port.")
        case .wrongPeer(let expected, let actual):
            add(.wrongPeer, .wrongPeer, "\(actual) answers at \(at), not \(expected)",
                "The peer has a new key, or another one has its address now: correct or drop the /p2p/ part.")
        case .selfDial: add(.wrongPeer, .own, "\(at) leads back to this node", "Leave the node's own address out.")
        case .otherNetwork(let how): add(.otherNetwork, .otherNetwork, "\(at): \(words(how))", Self.networkRemedy)
        case .handshakeFailed(let failure): handshakeFailed(probe, failure)
        case .limitReached(let name): add(.limit, .limitReached, "\(at) was not dialled: limit \(name)", "Raise that limit.")
        case .cancelled, .noAddresses: break
        }
    }

    private mutating func refused(_ probe: DiagnosisFacts.Probe) {
        let host = DiagnosisWords.host(of: probe.address)
        let newer = facts.entries.first { DiagnosisWords.host(of: $0.address) == host && $0.address != probe.address }
        let stale = newer.map { "; \(DiagnosisWords.name($0.source)) told of \($0.address) there" } ?? ""
        add(.refused, .refused, "the host of \(probe.address) answers, and nobody listens on port \(DiagnosisWords.port(of: probe.address))\(stale)",
            "Start the peer, or correct the port: after a restart it may have another one.")
    }

    private mutating func silent(_ probe: DiagnosisFacts.Probe, _ time: Duration) {
        let port = DiagnosisWords.port(of: probe.address)
        let within = time == .zero ? "" : " within \(DiagnosisWords.time(time))"
        var evidence = "no answer from \(probe.address)\(within)"
        if let alive = facts.entries.first(where: { $0.source == .mdns || $0.source == .avahi }), alive.heard < .seconds(120) {
            evidence += "; its host lives, \(DiagnosisWords.name(alive.source)) heard it \(DiagnosisWords.time(alive.heard)) ago"
        }
        toldElsewhere(probe)
        add(.silent, .firewall, "\(evidence): something drops the packets",
            "Let TCP port \(port) in at that host (ufw allow \(port)/tcp), and check the firewalls on the way; or it is off.")
    }

    private mutating func unreachable(_ probe: DiagnosisFacts.Probe, _ code: Int32) {
        let name = DiagnosisWords.errno(code)
        if code == 1 || code == 13 {
            return add(.silent, .firewall, "this machine's own firewall or policy refused \(probe.address) (\(name))",
                "Let this program dial out: look at nft list ruleset, and at sandboxes.")
        }
        if code == 104 {
            return add(.silent, .firewall, "\(probe.address) reset the connection before it stood (\(name))",
                "A firewall or a proxy in between ends it; or that host has no room for connections.")
        }
        if code == 113 || code == 112, let subnet = facts.subnet(of: probe.address) {
            return add(.isolated, .isolated,
                "\(name) for \(probe.address), which is in our own subnet \(DiagnosisWords.prefix(subnet.prefix)) on \(subnet.interface)",
                "It is off, or the two may not see each other: client isolation of the access point, a guest network, or a denied permission for "
                    + "the local network.")
        }
        toldElsewhere(probe)
        let place = foreignPlace(of: probe.address).map { "; \($0)" } ?? ""
        add(.unreachable, .unreachable, "\(name) for \(probe.address)\(place)",
            "Check the network, the route (ip route get) and the firewalls on the way.")
    }

    private mutating func handshakeFailed(_ probe: DiagnosisFacts.Probe, _ failure: HandshakeFailure) {
        let at = "\(probe.address)"
        switch failure {
        case .otherNetwork(let how): add(.otherNetwork, .otherNetwork, "\(at): \(words(how))", Self.networkRemedy)
        case .noCommonProtocol(let stage):
            add(.noCommonProtocol, .noCommonProtocol, "\(at) has no \(stage.word) in common with us", Self.protocolRemedy)
        case .malformed(let stage, let what):
            add(.noCommonProtocol, .noCommonProtocol, "\(at) answers with something else than \(stage.word): \(what)", Self.protocolRemedy)
        case .wrongPeer(let expected, let actual):
            add(.wrongPeer, .wrongPeer, "\(actual) answers at \(at), not \(expected)", "Correct or drop the /p2p/ part.")
        case .closedDuring(let stage):
            let isPrivate = facts.fingerprint != nil
            let more = isPrivate ? " Another secret is possible too." : ""
            add(.handshake, .handshakeFailed, "\(at) took the connection and closed it during the \(stage.word)",
                "That node may be at its limits, or block us, or a proxy is in between: look at its own diagnosis.\(more)")
        case .timedOut(let stage):
            add(.handshake, .handshakeFailed, "\(at) took the connection and then said nothing (\(stage.word))",
                "Something listens there that waits for other words, or the program hangs.")
        case .notAuthentic(let what): add(.handshake, .handshakeFailed, "\(at): \(what)", "Somebody on the way changes bytes, or the peer is broken.")
        }
    }

    /// Heard on an interface, with nothing but addresses of other subnets than that interface's.
    private mutating func toldElsewhere(_ probe: DiagnosisFacts.Probe) {
        guard let entry = facts.entries.first(where: { $0.interface != nil && $0.address == probe.address }), let interface = entry.interface,
            let place = foreignPlace(of: probe.address)
        else { return }
        add(.toldElsewhere, .otherSubnet, "heard on \(interface), it tells of \(probe.address): \(place)",
            "The peer must announce an address of the network in which it is heard: look at its listen addresses.")
    }

    /// Words for an address in none of our subnets; nil when it is in one, or cannot be known.
    private func foreignPlace(of address: Multiaddr) -> String? {
        guard case .socket = DialTarget(address), facts.subnet(of: address) == nil, !facts.isOurs(address), !facts.ownSubnets.isEmpty
        else { return nil }
        return "\(DiagnosisWords.host(of: address)) is in none of our subnets (\(facts.ownSubnets.prefix(4).joined(separator: ", ")))"
    }

    private func isTargetAddress(_ address: Multiaddr) -> Bool { facts.target.address == address }

    private func cause(of error: DialError) -> DiagnosisCause {
        switch error {
        case .refused: .refused
        case .timedOut: .firewall
        case .wrongPeer: .wrongPeer
        case .selfDial: .own
        case .otherNetwork: .otherNetwork
        case .handshakeFailed: .handshakeFailed
        default: .unreachable
        }
    }

    private func short(_ error: DialError) -> String {
        switch error {
        case .refused: "refused"
        case .timedOut: "no answer"
        case .unreachable(let code): DiagnosisWords.errno(code)
        case .wrongPeer(_, let actual): "\(actual) answers"
        case .selfDial: "it is this node"
        default: "failed"
        }
    }
}
