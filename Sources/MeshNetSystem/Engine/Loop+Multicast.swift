import MeshNetProtocol
import MeshNetSwarm

// The sockets of the embedded mDNS responder, between the kernel and the swarm.
extension Loop {
    /// Sockets are there only while our own responder is wanted.
    func configureMulticast(_ configuration: DiscoveryConfiguration) {
        closeMulticast()
        guard configuration.modes?.contains(.mdns) == true, configuration.mdnsBackend != .avahi else { return }
        multicast = Multicast(configuration, readiness: readiness, tokenBase: Token.multicast.rawValue)
        refreshMulticast()
    }

    func closeMulticast() {
        multicast?.close()
        multicast = nil
    }

    /// The network may have changed.
    func refreshMulticast() {
        let wildcard = listeners.first { $0.address.ip.count == 16 && $0.address.ip.allSatisfy { $0 == 0 } }
        multicast?.refresh(linkLocalPort: wildcard?.address.port)
        drainMulticast()
    }

    func serveMulticast(_ descriptor: Int32) {
        let multicast = multicast
        multicast?.receive(descriptor, now: now) { packet, interface in
            swarm.receivedMulticast(packet, interface: interface, now: now)
            drain()
        }
        drainMulticast()
    }

    func serveMulticastTimer() {
        if let deadline = multicast?.deadline, deadline <= now { multicast?.handleTimeout(now: now) }
        // Also what became of packets that were sent meanwhile.
        drainMulticast()
    }

    /// What the sockets tell after anything was done with them.
    func drainMulticast() {
        while let output = multicast?.poll(now: now) {
            switch output {
            case .name(let interfaces): swarm.setMulticastInterfaces(interfaces, now: now)
            case .restart(let interface): swarm.restartMulticast(interface: interface, now: now)
            case .report(let report): swarm.receive(report, from: .mdns, now: now)
            }
            drain()
        }
    }
}
