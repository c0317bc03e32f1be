import MeshNetProtocol
import MeshNetSwarm

/// One node without sockets: its swarm, and an application that is done with every message at once and answers requests with their own bytes.
struct SwarmEnd {
    var swarm: Swarm
    let peer: PeerID
    let address: SocketAddress
    var connection: ConnectionID?
    var dialled: (ConnectionID, SocketAddress)?
    var received = 0
    /// Messages of topics.
    var heard = 0
    var completed = 0
    private var inbox: [(message: InboundMessage, body: [UInt8], byteCount: Int)] = []
    private var runs: [(peer: PeerID, lane: Lane, count: Int, byteCount: Int)] = []

    init(_ number: UInt8, now: Instant) {
        var random = RandomSource(testSeed: UInt64(number))
        let identity = KeyPair(random: &random)
        var configuration = Configuration(identity: identity, bootstrapPeers: [], listenPort: 4001)
        configuration.discovery.modes = []
        configuration.gossipsub.signaturePolicy = .strictNoSign
        swarm = Swarm(configuration: configuration, seed: random.bytes(32), now: now)
        peer = identity.peerID
        address = SocketAddress(ip: [10, 0, 0, number], port: 4001)
        inbox.reserveCapacity(4_096)
        runs.reserveCapacity(1_024)
    }

    mutating func turn(now: Instant) {
        if let deadline = swarm.deadline, deadline <= now { swarm.handleTimeout(now: now) }
        for _ in 0..<2 {
            while let action = swarm.poll() {
                switch action {
                case .connect(let id, let remote): dialled = (id, remote)
                case .deliver(let message, let view):
                    inbox.append((message, message.request == nil ? [] : Array(view), view.count))
                case .deliverRun(let run): runs.append((run.peer, run.lane, run.run.count, run.run.bodyByteCount))
                case .complete: completed += 1
                case .messages(let messages): heard += messages.count
                case .event(.message): heard += 1
                case .event, .transmit: break
                default: break
                }
            }
            received += inbox.count
            for (message, body, byteCount) in inbox {
                if let request = message.request {
                    let reply = OutboundMessage(peer: message.peer, kind: .reply(request), options: SendOptions(lane: message.lane))
                    body.withUnsafeBytes { swarm.send(reply, .view($0), ticket: nil, now: now) }
                }
                swarm.settled(message, byteCount: byteCount, now: now)
            }
            for (peer, lane, count, byteCount) in runs {
                received += count
                swarm.settled(peer, lane, count: count, byteCount: byteCount, now: now)
            }
            inbox.removeAll(keepingCapacity: true)
            runs.removeAll(keepingCapacity: true)
            swarm.flush(now: now)
        }
    }

    /// Everything that waits to be sent, straight into the other node.
    mutating func transmit(to other: inout SwarmEnd, now: Instant) {
        guard let connection, let far = other.connection else { return }
        while swarm.hasOutput(connection), let space = other.swarm.receiveSpace(far), !space.isEmpty {
            var count = 0
            swarm.withTransmitBuffers(connection, {
                count = copy($0, into: space)
                return count
            }, now: now)
            other.swarm.received(far, count: count, now: now)
            other.turn(now: now)
            turn(now: now)
        }
    }
}

/// Two nodes joined by nothing but copies, under a virtual clock.
struct SwarmPair {
    var sender: SwarmEnd
    var receiver: SwarmEnd
    var now = Instant(nanoseconds: 1_000_000_000)

    init() {
        sender = SwarmEnd(1, now: now)
        receiver = SwarmEnd(2, now: now)
    }

    mutating func turn(_ step: Duration = .milliseconds(60)) {
        now = now + step
        sender.turn(now: now)
        sender.transmit(to: &receiver, now: now)
        receiver.turn(now: now)
        receiver.transmit(to: &sender, now: now)
    }

    /// The receiver follows a topic, and the sender knows.
    mutating func follow(_ topic: String) {
        receiver.swarm.perform(.subscribe(topic), ticket: Ticket(rawValue: 3), now: now)
        for _ in 0..<20 { turn(.milliseconds(10)) }
    }

    /// Connected, and done with what nodes say at the beginning.
    mutating func connect() throws {
        let address = try Multiaddr("/ip4/10.0.0.2/tcp/4001/p2p/\(receiver.peer)")
        sender.swarm.perform(.connect(address), ticket: Ticket(rawValue: 1), now: now)
        sender.turn(now: now)
        guard let (id, _) = sender.dialled else { throw CountsError.notConnected }
        receiver.connection = receiver.swarm.accepted(from: sender.address, to: receiver.address, now: now)
        sender.connection = id
        sender.swarm.connected(id, local: sender.address, now: now)
        for _ in 0..<200 { turn(.milliseconds(10)) }
    }
}
