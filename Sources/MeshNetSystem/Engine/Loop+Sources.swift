import MeshNetProtocol
import MeshNetSwarm

// Sources of peers outside the swarm: made when the swarm says what is wanted, served like sockets, and read after each call.
extension Loop {
    /// Makes the sources that the configuration asks for, and ends those that run.
    func startSources(_ configuration: DiscoveryConfiguration) {
        closeSources()
        for make in Self.makers {
            let base = Token.source.rawValue + UInt64(sources.count) << 32
            let context = SourceContext(
                configuration: configuration, localPeer: localPeer, preSharedKey: preSharedKey, readiness: readiness, tokenBase: base,
                random: RandomSource(seed: Entropy.bytes(RandomSource.seedByteCount)), nameServers: nameServers, now: now)
            guard let source = make(context) else { continue }
            sources.append(source)
            source.listening(on: mailbox.addresses, now: now)
            source.connectedPeers(swarm.connectedPeerCount, now: now)
        }
        sourcePeerCount = swarm.connectedPeerCount
    }

    /// Each gives nil where the configuration does not ask for its source.
    private static var makers: [(SourceContext) -> (any ExternalSource)?] {
        [AvahiSource.make, DNSSource.make, ControlSources.headscale, ControlSources.tailscale]
    }

    func closeSources() {
        for source in sources { source.close() }
        drainSources()
        sources.removeAll()
    }

    func serveSource(_ report: Ready) {
        let value = report.token & Token.valueMask
        let index = Int(value >> 32)
        guard sources.indices.contains(index) else { return }
        sources[index].ready(
            Int32(truncatingIfNeeded: value), readable: report.readable || report.failed, writable: report.writable || report.failed, now: now)
        drainSources()
    }

    func serveSourceTimers() {
        for source in sources {
            if let deadline = source.deadline, deadline <= now { source.handleTimeout(now: now) }
        }
        if sourcePeerCount != swarm.connectedPeerCount {
            sourcePeerCount = swarm.connectedPeerCount
            for source in sources { source.connectedPeers(sourcePeerCount, now: now) }
        }
        drainSources()
    }

    var sourceDeadline: Instant? {
        sources.reduce(nil) { earlier($0, $1.deadline) }
    }

    func drainSources() {
        for source in sources {
            while let report = source.poll() {
                swarm.receive(report, from: source.source, now: now)
                drain()
            }
        }
    }
}
