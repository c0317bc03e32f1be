import MeshNetProtocol

/// Everything that a diagnosis is judged from: what the node knew, and what its probes found.
struct DiagnosisFacts {
    /// One address, tried now.
    struct Probe: Equatable {
        let address: Multiaddr
        let expected: PeerID?
        var result: Result<PeerID, DialError>
    }

    var target: DiagnosisTarget
    var localPeer: PeerID
    var modes: DiscoveryModes = []
    /// Of the node.
    var runsSince: Duration = .zero
    var listenAddresses: [Multiaddr] = []
    /// With their subnets.
    var interfaces: [NetworkInterface] = []
    /// Of the private network's key; nil in the public network.
    var fingerprint: String?

    /// The connection with the peer that was asked for.
    var connection: PeerConnection?
    var connectedFor: Duration = .zero
    var connectedPeers = 0
    var table = DiscoveryTable()
    var probes: [Probe] = []
    /// Addresses beyond the bound of a diagnosis.
    var addressesLeftOut = 0

    var connections = 0
    var connectionLimit = 0
    var inboundRefused = 0
    var refused: [(address: Multiaddr, failure: HandshakeFailure, ago: Duration)] = []
    var refusals: [(reason: DiscoveryFilter, what: String)] = []
    var clones: [(address: Multiaddr, ago: Duration)] = []
    /// A peer whose clock is far ahead of ours, as far as its signed record tells.
    var clockAhead: (peer: PeerID, by: Duration)?
    /// The peer that answered at the asked address is not among those that may be dialled.
    var isStranger = false
    /// The asked address is outside the allowed networks or in a denied one.
    var isDeniedAddress = false

    // MARK: What follows from them

    /// Entries of the table about the target; all of them for the node as a whole.
    var entries: [DiscoveryEntry] {
        table.entries.filter { entry in
            if target.isWholeNode { return true }
            if let peer = target.peer, entry.peer == peer { return true }
            guard let asked = target.address else { return false }
            return entry.address.withoutPeerID == asked
        }
    }

    func status(of source: DiscoverySource) -> SourceStatus? { table.sources.first { $0.source == source && $0.state != .off } }

    /// The subnet of ours in which an address is.
    func subnet(of address: Multiaddr) -> (interface: String, prefix: NetworkPrefix)? {
        guard case .socket(let socket) = DialTarget(address) else { return nil }
        for interface in interfaces {
            if let zone = socket.zone {
                if interface.name == zone, let own = interface.addresses.first(where: { $0.ip.count == 16 }) { return (zone, own) }
            } else if let prefix = interface.addresses.first(where: { $0.contains(socket.ip) && $0.length < 8 * $0.ip.count }) {
                return (interface.name, prefix)
            }
        }
        return nil
    }

    /// One of this machine's own addresses: another host that tells it (a bridge of containers, often) means its own.
    func isOurs(_ address: Multiaddr) -> Bool {
        guard case .socket(let socket) = DialTarget(address) else { return false }
        return socket.isLoopback || interfaces.contains { $0.addresses.contains { $0.ip == socket.ip } }
    }

    /// Where the node could be reached by others of a subnet: "10.1.0.1/24 on eth0", without the loopback.
    var ownSubnets: [String] {
        interfaces.flatMap { interface in
            interface.addresses.filter { !SocketAddress(ip: $0.ip, port: 0).isLoopback && !$0.isLinkLocal }
                .map { "\(DiagnosisWords.prefix($0)) on \(interface.name)" }
        }
    }
}

extension NetworkPrefix {
    var isLinkLocal: Bool { ip.count == 16 && ip[0] == 0xfe && ip[1] & 0xc0 == 0x80 }
}
