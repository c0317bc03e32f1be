import MeshNetProtocol

/// What is known of another node with our identity.
///
/// A handshake in which the other side proves our own identity is either a dial to ourselves, by whatever way, or a clone: a copied disk or a copied
/// key. The Noise handshake hash is the same at both ends and in no other connection, so the second end that is seen here tells.
struct Clones {
    /// The ends of a connection to ourselves are seen within a round trip; a busy machine gets this long.
    static let bothEndsTime: Duration = .seconds(2)
    /// Of one address: between two events, and between two probes.
    static let quietTime: Duration = .seconds(60)
    /// Handshakes that wait for their other end, addresses told, addresses probed; the oldest goes. A node has few addresses that lead back to it.
    static let kept = 16

    struct Handshake {
        let hash: [UInt8]
        let direction: Direction
        let address: Multiaddr
        let dueAt: Instant
    }

    struct Sighting {
        let address: Multiaddr
        let ip: [UInt8]
        let at: Instant
    }

    private(set) var waiting: [Handshake] = []
    /// Confirmed clones, the newest last.
    private(set) var told: [Sighting] = []
    private var probed: [(address: SocketAddress, at: Instant)] = []
    /// Heard of before the node knew its own addresses.
    private(set) var postponed: [Multiaddr] = []

    /// True when this is one end of a connection whose other end is not seen yet.
    mutating func add(_ handshake: Handshake) -> Bool {
        if let other = waiting.firstIndex(where: { $0.hash == handshake.hash && $0.direction != handshake.direction }) {
            waiting.remove(at: other)
            return false
        }
        if waiting.count >= Self.kept { waiting.removeFirst() }
        waiting.append(handshake)
        return true
    }

    /// A handshake whose other end was not seen here in time.
    mutating func takeDue(now: Instant) -> Handshake? {
        guard let first = waiting.first, first.dueAt <= now else { return nil }
        return waiting.removeFirst()
    }

    /// False when the same host was told of a short time ago.
    mutating func tell(_ address: Multiaddr, ip: [UInt8], now: Instant) -> Bool {
        if told.contains(where: { $0.ip == ip && now - $0.at < Self.quietTime }) { return false }
        told.removeAll { $0.ip == ip }
        if told.count >= Self.kept { told.removeFirst() }
        told.append(Sighting(address: address, ip: ip, at: now))
        return true
    }

    mutating func postpone(_ addresses: [Multiaddr]) { postponed.append(contentsOf: addresses.prefix(max(0, Self.kept - postponed.count))) }

    mutating func takePostponed() -> [Multiaddr] {
        defer { postponed = [] }
        return postponed
    }

    /// False when the address was tried a short time ago.
    mutating func probe(_ address: SocketAddress, now: Instant) -> Bool {
        probed.removeAll { now - $0.at >= Self.quietTime }
        if probed.contains(where: { $0.address == address }) || probed.count >= Self.kept { return false }
        probed.append((address, now))
        return true
    }
}

extension Swarm {
    /// The other side of a connection has our own identity.
    mutating func ownHandshake(_ hash: [UInt8], of connection: Connection) {
        let handshake = Clones.Handshake(
            hash: hash, direction: connection.direction, address: connection.remote, dueAt: now + Clones.bothEndsTime)
        if clones.add(handshake) { timers.set(.clone, at: handshake.dueAt) }
    }

    mutating func cloneTimer() {
        while let handshake = clones.takeDue(now: now) {
            guard case .socket(let socket) = DialTarget(handshake.address), clones.tell(handshake.address, ip: socket.ip, now: now) else { continue }
            emit(.duplicateIdentity(DuplicateIdentity(address: handshake.address)))
        }
    }

    /// Somebody says that we are at these addresses. That may be old, or one of our own names: where none of them is ours, a handshake tells.
    mutating func ownIdentityHeard(at addresses: [Multiaddr]) {
        guard !isShuttingDown else { return }
        if listenAddresses.isEmpty, configuration.listens { return clones.postpone(addresses) }
        let own = listenAddresses.compactMap { if case .socket(let socket) = DialTarget($0) { socket } else { nil } }
        for address in addresses {
            guard case .socket(let socket) = DialTarget(address), !socket.isLoopback,
                !own.contains(where: { $0.ip == socket.ip && $0.port == socket.port }), clones.probe(socket, now: now)
            else { continue }
            probe(socket.multiaddr, expecting: localPeer, for: .clone)
        }
    }
}
