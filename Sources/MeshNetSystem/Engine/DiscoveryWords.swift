public import MeshNetSwarm

// What the kinds of discovery are called. C, Python and the command line show the same names.

extension DiscoverySource: CustomStringConvertible {
    package var name: StaticString {
        switch self {
        case .bootstrap: "bootstrap"
        case .mdns: "mdns"
        case .avahi: "avahi"
        case .dns: "dns"
        case .gossip: "gossip"
        case .headscale: "headscale"
        case .tailscale: "tailscale"
        }
    }

    public var description: String { name.description }
}

extension DiscoveryFilter: CustomStringConvertible {
    package var name: StaticString {
        switch self {
        case .own: "own"
        case .appID: "app id"
        case .serviceTag: "service tag"
        case .network: "network"
        case .interface: "interface"
        case .peer: "peer"
        case .offline: "offline"
        case .expired: "expired"
        case .noAddress: "no address"
        case .malformed: "malformed"
        case .limit: "limit"
        case .notSigned: "not signed"
        case .notTagged: "not tagged"
        }
    }

    public var description: String { name.description }
}

extension SourceFailureKind: CustomStringConvertible {
    package var name: StaticString {
        switch self {
        case .notAvailable: "not available"
        case .noInterface: "no interface"
        case .portInUse: "port in use"
        case .permission: "permission"
        case .unreachable: "unreachable"
        case .unresolved: "unresolved"
        case .unauthorized: "unauthorized"
        case .keyExpired: "key expired"
        case .wrongKeyKind: "wrong key kind"
        case .badConfiguration: "bad configuration"
        case .serverError: "server error"
        case .badAnswer: "bad answer"
        case .clockOff: "clock off"
        case .insecure: "insecure"
        case .timedOut: "timed out"
        case .limitReached: "limit reached"
        case .system: "system"
        }
    }

    public var description: String { name.description }
}

extension SourceFailure: CustomStringConvertible {
    public var description: String { "\(kind): \(detail)" }
}

extension SourceState: CustomStringConvertible {
    public var description: String {
        switch self {
        case .off: "off"
        case .starting: "starting"
        case .running: "running"
        case .failed(let failure, _): "failed: \(failure)"
        }
    }
}

extension DuplicateIdentity: CustomStringConvertible {
    public var description: String { "another node at \(address) has our identity: each gets what is meant for the other" }

    /// What to do about it.
    public static let hint = "Give one of them a key of its own: stop it, run `meshnet id --new`, and start it again."
}

extension DiscoveryEntryState: CustomStringConvertible {
    package var name: StaticString {
        switch self {
        case .connected: "connected"
        case .dialling: "dialling"
        case .waiting: "waiting"
        case .offered: "offered"
        case .filtered: "filtered"
        }
    }

    public var description: String { name.description }
}

extension DialErrorKind: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused: "refused"
        case .unreachable: "unreachable"
        case .timedOut: "timed out"
        case .unresolved: "unresolved"
        case .unsupportedAddress: "unsupported address"
        case .wrongPeer: "wrong peer"
        case .selfDial: "self dial"
        case .handshakeFailed: "handshake failed"
        case .limitReached: "limit reached"
        case .cancelled: "cancelled"
        case .noAddresses: "no addresses"
        case .otherNetwork: "other network"
        }
    }
}

extension DiagnosisCause: CustomStringConvertible {
    package var name: StaticString {
        switch self {
        case .connected: "connected"
        case .unknownPeer: "unknown peer"
        case .nothingHeard: "nothing heard"
        case .noMulticastInterface: "no multicast interface"
        case .otherSubnet: "other subnet"
        case .filteredAppID: "filtered app id"
        case .filteredServiceTag: "filtered service tag"
        case .filteredByList: "filtered by list"
        case .firewall: "firewall"
        case .refused: "refused"
        case .isolated: "isolated"
        case .unreachable: "unreachable"
        case .otherNetwork: "other network"
        case .wrongPeer: "wrong peer"
        case .noCommonProtocol: "no common protocol"
        case .duplicateIdentity: "duplicate identity"
        case .limitReached: "limit reached"
        case .unresolved: "unresolved"
        case .controlKeyRefused: "control key refused"
        case .controlKeyExpired: "control key expired"
        case .controlKeyWrongKind: "control key wrong kind"
        case .controlServerDown: "control server down"
        case .clockOff: "clock off"
        case .own: "own"
        case .handshakeFailed: "handshake failed"
        case .badTarget: "bad target"
        case .sourceFailed: "source failed"
        case .reachable: "reachable"
        }
    }

    public var description: String { name.description }
}
