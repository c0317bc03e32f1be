public import MeshNetProtocol

/// Why a peer or an address is not connected, or that it is.
public struct Diagnosis: Sendable, Equatable {
    /// What was asked about, as it was given.
    public var target: String
    public var peer: PeerID?
    /// The first is the verdict; the others are what else was found, most telling first. Never empty.
    public var findings: [Finding]

    package init(target: String, peer: PeerID?, findings: [Finding]) {
        self.target = target
        self.peer = peer
        self.findings = findings
    }
}

public struct Finding: Sendable, Equatable {
    public var cause: DiagnosisCause
    /// What was seen, with the values.
    public var evidence: String
    /// What to do about it; empty where there is nothing to do.
    public var remedy: String

    package init(_ cause: DiagnosisCause, evidence: String, remedy: String) {
        self.cause = cause
        self.evidence = evidence
        self.remedy = remedy
    }
}

/// The numbers are those of C.
public enum DiagnosisCause: UInt8, CaseIterable, Sendable, Hashable {
    case connected = 1
    /// The node knows no way to the peer: no source told of it, and none fails.
    case unknownPeer = 2
    /// mDNS runs and hears nobody: multicast is blocked, or nobody is there.
    case nothingHeard = 3
    case noMulticastInterface = 4
    /// Heard, or asked for, in a subnet that is not ours.
    case otherSubnet = 5
    case filteredAppID = 6
    case filteredServiceTag = 7
    /// An allow or deny list of ours.
    case filteredByList = 8
    /// No answer at all: something on the way drops it.
    case firewall = 9
    /// Nobody listens there: the node is down, or its port is another one now.
    case refused = 10
    /// The host is in our own subnet, and not reachable: isolation of the access point, a privacy permission, or it is off.
    case isolated = 11
    case unreachable = 12
    case otherNetwork = 13
    /// Another node answers there.
    case wrongPeer = 14
    case noCommonProtocol = 15
    case duplicateIdentity = 16
    case limitReached = 17
    case unresolved = 18
    case controlKeyRefused = 19
    case controlKeyExpired = 20
    case controlKeyWrongKind = 21
    case controlServerDown = 22
    case clockOff = 23
    /// It is ourselves.
    case own = 24
    case handshakeFailed = 25
    /// The address or peer id that was asked about cannot be read or dialled.
    case badTarget = 26
    /// A source that could know does not work for another reason.
    case sourceFailed = 27
    /// Reachable now: it was not when last tried, or nobody tried.
    case reachable = 28
}
