import MeshNetProtocol

// Bootstrap peers are what the application tells of: a source of the table that never forgets by itself. All addresses with one peer id are one target.
extension Swarm {
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
        let key = SightingKey(source: .bootstrap, key: address.description)
        if let known = table.sighting(key, interface: nil), let target = table[known]?.target {
            guard table[target]?.isSuspended == true else { return false }
            resume(target)
            return true
        }
        let plain = address.withoutPeerID ?? address
        let target = table.makeTarget(address.peerID.map(TargetKey.peer) ?? .address(plain), backoff: newBackoff)
        _ = table.insert(
            Sighting(key: key, interface: nil, target: target, addresses: [FoundAddress(address: plain)], firstHeard: now, lastHeard: now))
        table[.bootstrap].hear(at: now)
        table[target]?.isSuspended = false
        if let peer = table[target]?.peer { announced(peer, addresses: [plain], isNews: true) }
        if let dial = table[target]?.dial {
            // A dial under way takes the address up at once: it may be the one that answers.
            addTarget(plain, to: dial)
            continueDial(dial)
        } else {
            resume(target)
        }
        return true
    }

    private mutating func resume(_ target: TargetID) {
        table[target]?.isSuspended = false
        table[target]?.learnedFilter = nil
        table[target]?.dueAt = nil
        wake(target)
    }

    mutating func removeBootstrap(_ address: Multiaddr) -> Bool {
        let key = SightingKey(source: .bootstrap, key: address.description)
        guard let known = table.sighting(key, interface: nil) else { return false }
        forget(known)
        return true
    }

    var newBackoff: Backoff { Backoff(first: configuration.backoffFirst, cap: configuration.backoffCap) }

    mutating func report(_ problem: AddressProblem) {
        addressProblems.append(problem)
        emit(.addressProblem(problem))
    }
}
