package import MeshNetProtocol
package import MeshNetSwarm

/// One node of a simulation and what its application saw.
package struct SimulatedNode {
    package let index: Int
    package internal(set) var address: SocketAddress
    package var configuration: Configuration
    /// nil while the node is killed.
    package var swarm: Swarm?
    /// The name under which the virtual resolver knows it.
    package var hostName: String { "node\(index)" }

    package var events: [(at: Instant, event: Event)] = []
    package var completions: [Ticket: Result<Outcome, CallError>] = [:]
    package var received: [StreamID: [UInt8]] = [:]
    package var ended: [StreamID] = []
    package var writable: [StreamID] = []
    package var closed: [StreamID: CallError?] = [:]

    /// Messages of peers, and what the application does with them.
    package var inbox = SimulatedInbox()
    /// nil: messages do not outlive the process.
    package var store: SimulatedStore?

    /// How often the process was started.
    package internal(set) var life = 0
    /// How often a deadline of its own woke it.
    package internal(set) var wakes = 0
    /// Tickets that ended more than once.
    package internal(set) var repeatedTickets: [Ticket] = []
    package internal(set) var isAsleep = false

    var missed: [Arrival] = []
    var transmits: [ConnectionID] = []
    var unread: [(StreamID, Int)] = []
    var links: [ConnectionID: Int] = [:]
    var lastTicket: UInt64 = 0

    init(index: Int, address: SocketAddress, configuration: Configuration) {
        self.index = index
        self.address = address
        self.configuration = configuration
    }

    package var peer: PeerID { configuration.identity.peerID }
    /// Where to dial it, with its peer id.
    package var multiaddr: String { "\(address.multiaddr)/p2p/\(peer)" }

    /// Peers that are connected now, as the events tell.
    package var connected: [PeerID] {
        var peers: [PeerID] = []
        for (_, event) in events {
            switch event {
            case .connected(let connection): peers.append(connection.peer)
            case .disconnected(let connection, _): peers.removeAll { $0 == connection.peer }
            default: break
            }
        }
        return peers
    }

    package var messages: [Message] {
        events.compactMap { if case .message(let message) = $0.event { message } else { nil } }
    }
}

struct LinkEnd {
    let node: Int
    let connection: ConnectionID
    /// Bytes sent and not delivered.
    var inFlight = 0
    var waiting: [[UInt8]] = []
    var lastArrival = Instant.zero
}

/// A virtual TCP connection.
struct Link {
    var ends: [LinkEnd]
    var isOpen = true
    /// One side was killed: nothing arrives any more, and nobody says so.
    var isSilent = false
    /// The end that must hear of the close once the partition heals.
    var pendingEnd: Int?

    func joins(_ node: Int) -> Bool { ends.contains { $0.node == node } }
    func end(_ node: Int, _ connection: ConnectionID) -> Int? { ends.firstIndex { $0.node == node && $0.connection == connection } }
    func other(than node: Int) -> Int { ends[0].node == node ? 1 : 0 }
}

enum Arrival {
    case dialled(from: Int, connection: ConnectionID, to: Int)
    case connectFailed(node: Int, connection: ConnectionID, errno: Int32)
    case resolved(node: Int, query: UInt64, host: String)
    case multicast(to: Int, [UInt8])
    case bytes(link: Int, from: Int, [UInt8])
    case ended(link: Int, to: Int, SocketEnd)
    /// The application is done with its oldest message.
    case settle(node: Int)
    case call(() -> Void)
}

/// FNV-1a over times, nodes, events and bytes.
package struct Trace: Equatable {
    package private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    package private(set) var count = 0

    mutating func add(_ time: Instant, _ node: Int, _ event: Event) { add(time, node, Array("\(event)".utf8)) }

    mutating func add(_ time: Instant, _ node: Int, _ bytes: [UInt8]) {
        count += 1
        mix(UInt64(bitPattern: time.nanoseconds))
        mix(UInt64(node))
        for byte in bytes { step(byte) }
    }

    private mutating func mix(_ value: UInt64) { for shift in 0..<8 { step(UInt8(truncatingIfNeeded: value >> UInt64(8 * shift))) } }
    private mutating func step(_ byte: UInt8) { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }
}
