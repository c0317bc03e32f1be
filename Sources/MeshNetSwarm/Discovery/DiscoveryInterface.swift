public import MeshNetProtocol

/// Who found a peer. The numbers are those of C.
public enum DiscoverySource: UInt8, CaseIterable, Sendable, Hashable, Comparable {
    case bootstrap = 1
    /// Our own mDNS responder.
    case mdns = 2
    /// mDNS through avahi-daemon.
    case avahi = 3
    case dns = 4
    case gossip = 5
    case headscale = 6
    case tailscale = 7

    public static func < (a: DiscoverySource, b: DiscoverySource) -> Bool { a.rawValue < b.rawValue }
}

/// A peer, or somebody at an address, that a source knows of.
package struct Candidate: Sendable, Equatable {
    /// What the source knows it by: unique and lasting within the source, at most 256 bytes.
    package var key: String
    /// nil: whoever answers there; the handshake tells.
    package var peer: PeerID?
    /// With or without `/p2p` at the end. Not empty.
    package var addresses: [Multiaddr]
    /// Where it was heard; nil: nowhere in particular.
    package var interface: String?
    /// From now on; nil: until the source says otherwise.
    package var lifetime: Duration?

    package init(key: String, peer: PeerID? = nil, addresses: [Multiaddr], interface: String? = nil, lifetime: Duration? = nil) {
        self.key = key
        self.peer = peer
        self.addresses = addresses
        self.interface = interface
        self.lifetime = lifetime
    }
}

/// What a source tells the table.
package enum SourceReport: Sendable, Equatable {
    /// New, or refreshed.
    case found(Candidate)
    /// All that the source knows now: what is missing is gone.
    case replaced([Candidate])
    case lost(key: String)
    /// An announcement, a node or a record that is not dialled; `what` names it.
    case filtered(DiscoveryFilter, what: String, interface: String?)
    /// It works, for the first time or again. Said at every success.
    case running
    /// It does not; what it knew before holds on.
    case failed(SourceFailure, retryAfter: Duration?)
    /// It was told to stop, and all it knew is forgotten.
    case stopped
    /// Traffic of one interface since the last report.
    case traffic(interface: String, sent: Int, heard: Int, failure: SourceFailure?)
}

/// Why something that was found is not dialled. The numbers are those of C.
public enum DiscoveryFilter: UInt8, CaseIterable, Sendable, Hashable {
    /// Ourselves.
    case own = 1
    /// Another application.
    case appID = 2
    case serviceTag = 3
    /// Outside the allowed networks, or in a denied one.
    case network = 4
    case interface = 5
    /// Not one of the allowed peers.
    case peer = 6
    /// The control server says that it is not there.
    case offline = 7
    case expired = 8
    /// Nothing that a transport here dials.
    case noAddress = 9
    case malformed = 10
    /// A bound of the table or of the source.
    case limit = 11
    /// A peer record that its peer did not sign.
    case notSigned = 12
    /// A node of the tailnet that does not run us, or may not be dialled.
    case notTagged = 13
}

/// Why a source does not work.
public struct SourceFailure: Error, Sendable, Equatable {
    public var kind: SourceFailureKind
    /// With the values, and without any secret.
    public var detail: String
    /// What to do.
    public var hint: String

    public init(_ kind: SourceFailureKind, detail: String, hint: String) {
        self.kind = kind
        self.detail = detail
        self.hint = hint
    }
}

/// The numbers are those of C.
public enum SourceFailureKind: UInt8, CaseIterable, Sendable, Hashable {
    /// The daemon or socket is not there.
    case notAvailable = 1
    case noInterface = 2
    case portInUse = 3
    case permission = 4
    case unreachable = 5
    case unresolved = 6
    /// The key is not accepted.
    case unauthorized = 7
    case keyExpired = 8
    /// Another kind of key than the one needed.
    case wrongKeyKind = 9
    case badConfiguration = 10
    /// The server says that it has a problem.
    case serverError = 11
    /// An answer that is not what was asked for.
    case badAnswer = 12
    /// The clocks differ so much that certificates or keys do not hold.
    case clockOff = 13
    case insecure = 14
    case timedOut = 15
    case limitReached = 16
    case system = 17
}

public enum SourceState: Sendable, Equatable {
    case off
    /// On, and not heard of yet.
    case starting
    case running
    case failed(SourceFailure, retryAfter: Duration?)
}

// MARK: - What the application sees

/// A peer, or somebody at an address, that was found.
public struct Discovery: Sendable, Equatable {
    public let peer: PeerID?
    /// In the order in which they are dialled.
    public let addresses: [Multiaddr]
    public let source: DiscoverySource
    public let interface: String?

    package init(peer: PeerID?, addresses: [Multiaddr], source: DiscoverySource, interface: String?) {
        self.peer = peer
        self.addresses = addresses
        self.source = source
        self.interface = interface
    }
}

/// The table as it is now.
public struct DiscoveryTable: Sendable, Equatable {
    public var sources: [SourceStatus] = []
    /// At most 4,096.
    public var entries: [DiscoveryEntry] = []
    /// `Event.discovered` for which the application's queue had no room.
    public var offersDropped = 0
    package init() {}
}

public struct SourceStatus: Sendable, Equatable {
    public let source: DiscoverySource
    public var state = SourceState.off
    public var heard = 0
    public var filtered: [DiscoveryFilter: Int] = [:]
    public var dialled = 0
    public var succeeded = 0
    /// By the cause's kind.
    public var failed: [DialErrorKind: Int] = [:]
    /// How long ago; nil: never.
    public var lastHeard: Duration?
    public var lastSuccess: Duration?
    public var interfaces: [InterfaceStatus] = []

    package init(source: DiscoverySource) { self.source = source }
}

public struct InterfaceStatus: Sendable, Equatable {
    public let name: String
    public var sent = 0
    public var heard = 0
    /// Of the last try; nil: it works.
    public var failure: SourceFailure?

    package init(name: String) { self.name = name }
}

public enum DiscoveryEntryState: UInt8, Sendable, Equatable {
    case connected = 1
    case dialling = 2
    /// For its next try.
    case waiting = 3
    /// The application decides.
    case offered = 4
    case filtered = 5
}

/// One address of one source.
public struct DiscoveryEntry: Sendable, Equatable {
    public var peer: PeerID?
    public var address: Multiaddr
    public var source: DiscoverySource
    public var interface: String?
    public var state: DiscoveryEntryState
    public var filter: DiscoveryFilter?
    /// How long ago.
    public var heard: Duration
    /// nil: it does not run out by itself.
    public var expires: Duration?
    public var attempts = 0
    public var lastFailure: DialError?
    /// nil: none is planned.
    public var nextTry: Duration?

    package init(
        peer: PeerID?, address: Multiaddr, source: DiscoverySource, interface: String?, state: DiscoveryEntryState, heard: Duration
    ) {
        self.peer = peer
        self.address = address
        self.source = source
        self.interface = interface
        self.state = state
        self.heard = heard
    }
}

/// The kinds of `DialError`, without their evidence. The numbers are those of C's `meshnet_dial_cause`.
public enum DialErrorKind: UInt8, CaseIterable, Sendable, Hashable {
    case refused = 1
    case unreachable = 2
    case timedOut = 3
    case unresolved = 4
    case unsupportedAddress = 5
    case wrongPeer = 6
    case selfDial = 7
    case handshakeFailed = 8
    case limitReached = 9
    case cancelled = 10
    case noAddresses = 11
    /// Another network or secret.
    case otherNetwork = 12
}

/// Another node that lives with our identity.
public struct DuplicateIdentity: Sendable, Equatable {
    /// Where it was met.
    public let address: Multiaddr
    package init(address: Multiaddr) { self.address = address }
}
