import MeshNetProtocol

/// What is counted of one source, and how it fares.
struct SourceRecord {
    var state = SourceState.off
    /// What the application was told last.
    private var told = SourceState.off
    /// It is on, whether it works or not.
    var isWanted = false { didSet { wasWanted = wasWanted || isWanted } }
    /// It was on at some time, so that there may be something to tell of it.
    private(set) var wasWanted = false
    private(set) var heard = 0
    private var filtered = [Int](repeating: 0, count: 256)
    private var failed = [Int](repeating: 0, count: 256)
    private(set) var dialled = 0
    private(set) var succeeded = 0
    private(set) var lastHeard: Instant?
    private(set) var lastSuccess: Instant?
    private var interfaces: [InterfaceStatus] = []
    /// The last announcements that were filtered by the source itself, newest last.
    private(set) var refusals = Fifo<Refusal>()

    struct Refusal: Equatable {
        let reason: DiscoveryFilter
        /// What the source called it.
        let what: String
        let interface: String?
        let at: Instant
    }

    /// Interfaces of which traffic is counted.
    static let maximumInterfaces = 256
    /// Refusals remembered, so that the table and a diagnosis can name them.
    static let maximumRefusals = 64
    /// Bytes of a name in a refusal that are kept.
    static let maximumRefusalLength = 512

    mutating func hear(at time: Instant) {
        heard += 1
        lastHeard = time
    }

    mutating func count(_ reason: DiscoveryFilter) { filtered[Int(reason.rawValue)] += 1 }
    func filtered(_ reason: DiscoveryFilter) -> Int { filtered[Int(reason.rawValue)] }

    mutating func refuse(_ reason: DiscoveryFilter, what: String, interface: String?, at time: Instant) {
        hear(at: time)
        count(reason)
        let name = what.utf8.count <= Self.maximumRefusalLength ? what : String(what.prefix(Self.maximumRefusalLength / 4))
        refusals.removeAll { $0.what == name && $0.interface == interface && $0.reason == reason }
        if refusals.count >= Self.maximumRefusals { _ = refusals.popFirst() }
        refusals.append(Refusal(reason: reason, what: name, interface: interface, at: time))
    }

    mutating func dialStarted() { dialled += 1 }

    mutating func dialSucceeded(at time: Instant) {
        succeeded += 1
        lastSuccess = time
    }

    mutating func dialFailed(_ kind: DialErrorKind) { failed[Int(kind.rawValue)] += 1 }

    mutating func count(sent: Int, heard: Int, on interface: String, failure: SourceFailure?) {
        var index = interfaces.firstIndex { $0.name == interface }
        if index == nil, interfaces.count < Self.maximumInterfaces {
            interfaces.append(InterfaceStatus(name: interface))
            index = interfaces.count - 1
        }
        guard let index else { return }
        interfaces[index].sent = Self.sum(interfaces[index].sent, sent)
        interfaces[index].heard = Self.sum(interfaces[index].heard, heard)
        interfaces[index].failure = failure
    }

    /// A count never runs backwards and never over.
    private static func sum(_ count: Int, _ more: Int) -> Int {
        let (sum, overflow) = count.addingReportingOverflow(max(0, more))
        return overflow ? .max : sum
    }

    /// What there is to tell the application: only a source that began to work, or no longer does, is worth an event.
    mutating func news() -> SourceState? {
        guard state.isNews(after: told) else { return nil }
        told = state
        return state
    }

    func status(of source: DiscoverySource, now: Instant) -> SourceStatus {
        var status = SourceStatus(source: source)
        status.state = state
        status.heard = heard
        for reason in DiscoveryFilter.allCases where filtered(reason) > 0 { status.filtered[reason] = filtered(reason) }
        for kind in DialErrorKind.allCases where failed[Int(kind.rawValue)] > 0 { status.failed[kind] = failed[Int(kind.rawValue)] }
        status.dialled = dialled
        status.succeeded = succeeded
        status.lastHeard = lastHeard.map { now - $0 }
        status.lastSuccess = lastSuccess.map { now - $0 }
        status.interfaces = interfaces
        return status
    }
}

extension SourceState {
    fileprivate func isNews(after told: SourceState) -> Bool {
        switch (self, told) {
        case (.starting, _), (.off, .off), (.off, .starting), (.running, .running): false
        case (.failed(let now, _), .failed(let before, _)): now.kind != before.kind
        default: true
        }
    }
}

extension DialError {
    /// Which kind it is, without the evidence.
    package var kind: DialErrorKind {
        switch self {
        case .refused: .refused
        case .unreachable: .unreachable
        case .timedOut: .timedOut
        case .unresolved: .unresolved
        case .unsupportedAddress: .unsupportedAddress
        case .wrongPeer: .wrongPeer
        case .selfDial: .selfDial
        case .handshakeFailed: .handshakeFailed
        case .limitReached: .limitReached
        case .cancelled: .cancelled
        case .noAddresses: .noAddresses
        case .otherNetwork: .otherNetwork
        }
    }
}
