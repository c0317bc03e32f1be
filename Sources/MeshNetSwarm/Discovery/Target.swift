import MeshNetProtocol

/// Somebody whom the table knows a way to. Numbered in the order of first hearing, never reused.
struct TargetID: Hashable, Comparable {
    let rawValue: UInt64
    static func < (a: TargetID, b: TargetID) -> Bool { a.rawValue < b.rawValue }
}

/// What makes the words of several sources one target.
enum TargetKey: Hashable {
    case peer(PeerID)
    /// Whoever answers there.
    case address(Multiaddr)
    /// Whoever answers at one of the addresses that a source gives one name.
    case named(SightingKey, interface: String?)
}

/// A peer, or somebody at an address whose peer the handshake teaches: the unit of dialling and of backoff.
struct Target {
    let key: TargetKey
    /// Named by a source, or learned: while that peer is connected nobody dials.
    var peer: PeerID?
    /// What was heard of it, in the order of first hearing.
    var sightings: [SightingID] = []
    var backoff: Backoff
    /// Not before this it is dialled again; nil: at once.
    var dueAt: Instant?
    /// The timer that stands for it.
    var timerSetFor: Instant?
    /// The dial under way for it.
    var dial: DialID?
    /// The application disconnected the peer, or a bootstrap address turned out to be our own.
    var isSuspended = false
    /// Why it is not dialled, learned by a handshake; until its addresses change.
    var learnedFilter: DiscoveryFilter?
    var wasConnected = false
    /// A source repeated itself since the last dial: fakes that somebody invented once do not.
    var isHeardAgain = false
    var wasTried = false
    /// A change of what was announced was the reason of a dial at once then; not twice in a moment.
    var renewedAt: Instant?
    /// Its place in a line, while it waits there.
    var place: UInt64?
    var lineClass: TargetLines.Class?
    /// When the application was told of it last.
    var offeredAt: Instant?
    /// What became of its addresses, as long as a sighting has them.
    var histories: [Multiaddr: AddressHistory] = [:]

    var isPeerNamed: Bool { if case .peer = key { true } else { false } }

    init(key: TargetKey, backoff: Backoff) {
        self.key = key
        self.backoff = backoff
        if case .peer(let peer) = key { self.peer = peer }
    }
}

struct AddressHistory: Equatable {
    var attempts = 0
    /// nil: none yet, or it worked since.
    var lastFailure: DialError?
    var failedAt: Instant?
}

struct SightingID: Hashable, Comparable {
    let rawValue: UInt64
    static func < (a: SightingID, b: SightingID) -> Bool { a.rawValue < b.rawValue }
}

/// The name that a source gives to what it knows.
struct SightingKey: Hashable {
    let source: DiscoverySource
    let key: String
}

/// What one source says under one name on one interface.
struct Sighting {
    let key: SightingKey
    let interface: String?
    var target: TargetID
    /// Without `/p2p` at the end, where something is in front of it.
    var addresses: [FoundAddress]
    /// Why none of the addresses is dialled, whatever they are.
    var filter: DiscoveryFilter?
    let firstHeard: Instant
    var lastHeard: Instant
    /// nil: until the source says otherwise.
    var lifetime: Duration?
    var expires: Instant?
    /// A timer stands for the expiry, at it or before.
    var isTimed = false

    var usable: [Multiaddr] { filter == nil ? addresses.filter { $0.filter == nil }.map(\.address) : [] }

    /// The one reason, where there is one for all of it.
    var overallFilter: DiscoveryFilter? { filter ?? (usable.isEmpty ? addresses.first?.filter ?? .noAddress : nil) }
}

struct FoundAddress: Equatable {
    let address: Multiaddr
    var filter: DiscoveryFilter?
}
