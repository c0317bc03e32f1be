@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// One swarm under attack: its driver, its clock, and whoever sits at the other ends of its sockets.
final class Siege {
    var swarm: Swarm
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    var random: RandomSource
    let address = SocketAddress(ip: [10, 0, 0, 1], port: 4001)

    var events: [Event] = []
    /// Every completion, so that one too many shows.
    var completions: [Ticket: [Result<Outcome, CallError>]] = [:]
    /// What the swarm wanted from the driver and a test has not answered.
    var connects: [(id: ConnectionID, to: SocketAddress)] = []
    var queries: [(query: UInt64, host: String)] = []
    var closedSockets: Set<ConnectionID> = []
    var configurations: [DiscoveryConfiguration] = []
    /// Closed sockets are forgotten in long runs.
    var keepsHistory = true
    private var attackers: [SiegePeer] = []
    private var unread: [(StreamID, Int)] = []
    private var lastTicket: UInt64 = 0
    private var lastPort: UInt16 = 1_024

    init(seed: UInt64 = 1, bootstrap: [String] = [], configure: (inout Configuration) -> Void = { _ in }) {
        random = RandomSource(testSeed: seed)
        var configuration = Configuration(identity: KeyPair(random: &random), bootstrapPeers: bootstrap, listenPort: 4001)
        configure(&configuration)
        swarm = Swarm(configuration: configuration, seed: random.bytes(32), now: now)
        swarm.listening(on: [address.multiaddr], now: now)
        settle()
    }

    // MARK: The driver

    @discardableResult
    func perform(_ command: Command) -> Ticket {
        lastTicket += 1
        let ticket = Ticket(rawValue: lastTicket)
        swarm.perform(command, ticket: ticket, now: now)
        settle()
        return ticket
    }

    /// nil: refused at the door.
    func accept(from ip: [UInt8]) -> ConnectionID? {
        lastPort = lastPort == .max ? 1_024 : lastPort + 1
        let id = swarm.accepted(from: SocketAddress(ip: ip, port: lastPort), to: address, now: now)
        settle()
        return id
    }

    func feed(_ id: ConnectionID, _ bytes: [UInt8]) {
        var offset = 0
        while offset < bytes.count, !closedSockets.contains(id), let space = swarm.receiveSpace(id) {
            let count = min(space.count, bytes.count - offset)
            space.copyBytes(from: bytes[offset..<offset + count])
            offset += count
            swarm.received(id, count: count, now: now)
            settle()
        }
    }

    /// What the swarm has to send on a connection, up to a limit.
    func take(_ id: ConnectionID, limit: Int = .max) -> [UInt8] {
        var taken: [UInt8] = []
        while swarm.hasOutput(id), taken.count < limit {
            swarm.withTransmitBuffers(id, { buffers in
                let before = taken.count
                for buffer in buffers where taken.count < limit { taken.append(contentsOf: buffer.prefix(limit - taken.count)) }
                return taken.count - before
            }, now: now)
            settle()
        }
        return taken
    }

    func end(_ id: ConnectionID, _ end: SocketEnd = .endOfStream) {
        swarm.receivedEnd(id, end, now: now)
        settle()
    }

    func settle() {
        for _ in 0..<4 {
            drain()
            swarm.flush(now: now)
        }
        drain()
    }

    private func drain() {
        while true {
            while let action = swarm.poll() { carryOut(action) }
            guard let (stream, count) = unread.popLast() else { return }
            swarm.consumed(stream, count, now: now)
        }
    }

    private func carryOut(_ action: SwarmAction) {
        switch action {
        case .connect(let id, let address): connects.append((id, address))
        case .close(let id): if keepsHistory { closedSockets.insert(id) }
        case .resolve(let query, let host, _): queries.append((query, host))
        case .event(let event): if keepsHistory { events.append(event) }
        case .messages(let messages): if keepsHistory { events += (0..<messages.count).map { .message(messages.message($0)) } }
        case .complete(let ticket, let result): completions[ticket, default: []].append(result)
        case .streamData(let stream, let bytes): unread.append((stream, bytes.count))
        case .configureSources(let configuration): configurations.append(configuration)
        case .transmit, .setReading, .multicast, .streamEnded, .streamWritable, .streamClosed: break
        case .accepted, .acceptedRun, .deliver, .deliverRun, .deliverSpooled, .spool, .store: break
        }
    }

    // MARK: Time

    /// Lets time pass; attackers that read get what is sent.
    func pass(_ duration: Duration) {
        let end = now + duration
        exchange()
        while let deadline = swarm.deadline, deadline <= end {
            now = max(now, deadline)
            swarm.handleTimeout(now: now)
            settle()
            exchange()
        }
        now = end
        exchange()
    }

    func join(_ attacker: SiegePeer) { attackers.append(attacker) }

    private func exchange() {
        attackers.removeAll { swarm.connections[$0.connection] == nil }
        for attacker in attackers where attacker.reads { attacker.read() }
    }

    // MARK: What must be empty afterwards

    var connected: [PeerID] {
        events.reduce(into: []) { peers, event in
            switch event {
            case .connected(let connection): peers.append(connection.peer)
            case .disconnected(let connection, _): peers.removeAll { $0 == connection.peer }
            default: break
            }
        }
    }

    var dialFailures: [DialFailure] { events.compactMap { if case .dialFailed(let failure) = $0 { failure } else { nil } } }

    /// Names of the maps and counters that hold something; empty when nothing of the attack is left.
    var remains: [String] {
        let counts = [
            ("connections", swarm.connections.count), ("peers", swarm.peers.count), ("dials", swarm.dials.count), ("streams", swarm.streams.count),
            ("queries", swarm.queries.count), ("pending inbound", swarm.inboundGate.pending), ("outbound attempts", swarm.outboundAttempts),
            ("buffers", swarm.pool.outstanding), ("queued dials", swarm.queuedDials.count), ("sources", swarm.inboundGate.sourceCount),
        ]
        return counts.filter { $0.1 != 0 }.map { "\($0.0): \($0.1)" }
    }
}
