package import MeshNetProtocol

/// One wish to reach a peer or an address: candidates are tried 250 ms apart, in parallel, until one is established.
struct Dial {
    let id: DialID
    /// The identity asked for; nil takes whoever answers.
    var peer: PeerID?
    /// What the application or the configuration named.
    let target: Multiaddr
    /// In the order of dialling.
    var candidates: [DialCandidate] = []
    /// Names that are being looked up, with the port to use.
    var resolving: [Lookup] = []
    var attempts: [DialAttempt] = []
    /// Not before this the next candidate starts.
    var nextAttempt: Instant
    var failures: [DialError] = []
    var tickets: [Ticket] = []
    /// The targets of the table that it is for.
    var owners: [TargetID] = []
    /// A round of a wanted peer.
    var isForChannel = false
    /// Begun for a found peer; counted in `Swarm.discoveryDials`.
    var isDiscovery = false
    /// nil: somebody wants the peer.
    var probe: ProbePurpose?
    var isQueued = false

    struct Lookup {
        let query: UInt64
        let host: String
        let family: AddressFamily
        let port: UInt16
        let origin: Multiaddr
        let isChosen: Bool
        let isUnchecked: Bool
    }

    /// The delay between two candidates (RFC 8305, "Connection Attempt Delay").
    static var stagger: Duration { .milliseconds(250) }

    var isExhausted: Bool { candidates.isEmpty && resolving.isEmpty && attempts.isEmpty }

    /// The failure that tells most: an answer of a peer before silence, silence before nothing tried.
    var verdict: DialError { Self.verdict(failures) }

    static func verdict(_ failures: [DialError]) -> DialError { failures.max { $0.weight < $1.weight } ?? .noAddresses }
}

/// Where to try next.
struct DialCandidate {
    let socket: SocketAddress
    /// The address that it comes from: itself, or a name.
    let origin: Multiaddr
    let tier: AddressSense.Tier
}

struct DialAttempt {
    let id: ConnectionID
    let origin: Multiaddr
}

/// What makes two wishes one: the peer asked for, or the address where none is named.
enum DialKey: Hashable {
    case peer(PeerID)
    case address(Multiaddr)

    init(_ target: Multiaddr) { self = target.peerID.map(DialKey.peer) ?? .address(target) }
}

extension DialError {
    fileprivate var weight: Int {
        switch self {
        case .wrongPeer: 9
        case .otherNetwork: 8
        case .handshakeFailed: 7
        case .limitReached: 6
        case .refused: 5
        case .timedOut: 4
        case .unreachable: 3
        case .unresolved: 2
        case .unsupportedAddress: 1
        // One of many addresses may lead back here (a loopback address that a peer announced); it counts when all do.
        case .selfDial: 0
        case .cancelled, .noAddresses: -1
        }
    }
}

/// What of a multiaddr a TCP dial needs.
enum DialTarget {
    case socket(SocketAddress)
    case name(host: String, family: AddressFamily, port: UInt16)
    /// Only a peer id: the address book must know more.
    case peerOnly
    case unsupported

    init(_ address: Multiaddr) {
        var parts = address.components[...]
        if case .p2p = parts.last { parts = parts.dropLast() }
        if parts.isEmpty {
            self = address.peerID == nil ? .unsupported : .peerOnly
            return
        }
        var zone: String?
        if case .ip6zone(let name) = parts.first {
            zone = name
            parts = parts.dropFirst()
        }
        guard parts.count == 2, let host = parts.first, case .tcp(let port) = parts.last else {
            self = .unsupported
            return
        }
        switch host {
        case .ip4(let ip): self = .socket(SocketAddress(ip: ip, port: port))
        case .ip6(let ip): self = .socket(SocketAddress(ip: ip, port: port, zone: zone))
        case .dns(let name): self = .name(host: name, family: .any, port: port)
        case .dns4(let name): self = .name(host: name, family: .ipv4, port: port)
        case .dns6(let name): self = .name(host: name, family: .ipv6, port: port)
        default: self = .unsupported
        }
    }
}

extension SocketAddress {
    /// `/ip4/…/tcp/…` or `/ip6/…/tcp/…`, with a zone in front where there is one. Precondition: the ip has 4 or 16 bytes.
    package var multiaddr: Multiaddr {
        guard let address = Multiaddr(ip: ip, tcpPort: port, zone: zone) else { preconditionFailure("an ip has 4 or 16 bytes") }
        return address
    }
}
