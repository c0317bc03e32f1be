import MeshNetProtocol
import MeshNetSwarm

/// What the source does for the plan.
enum AvahiAction: Equatable {
    case start(AvahiPublication?)
    case publish(AvahiPublication)
    /// The session ended by itself: its thread is to be collected.
    case collect
    case report(SourceReport)
}

/// Decides what is published under which name, when a session that ended is begun again, and what is told of the services found; does no I/O.
struct AvahiPlan {
    /// Before a session is begun again; doubled up to the longest.
    static let firstRetry: Duration = .seconds(1)
    static let longestRetry: Duration = .seconds(30)
    /// After a new session told all that it knows, services of the last one that it did not name are gone.
    static let settling: Duration = .seconds(5)
    /// Names tried one after another without success, before the rest waits for the next session.
    static let maximumRenames = 16

    private struct Known {
        var session: Int
        /// The table has it.
        var isCandidate = false
    }

    private let localPeer: PeerID
    private let appID: String?
    /// Avahi is what was asked for, and not one of two ways: then its absence is a failure.
    private let isForced: Bool
    private var random: RandomSource

    private var name: String
    private var entries: [AvahiPublication.Entry] = []
    private var renames = 0
    private var session = 0
    private var isInSession = false
    private var hasRun = false
    /// The last thing told was a failure.
    private var hasFailed = false
    private var retryAt: Instant?
    private var delay = Duration.zero
    private var forgetAt: Instant?
    private var known: [AvahiService: Known] = [:]
    private var actions = Fifo<AvahiAction>()

    init(localPeer: PeerID, appID: String?, isForced: Bool, random: RandomSource) {
        self.localPeer = localPeer
        self.appID = appID
        self.isForced = isForced
        var random = random
        name = MDNSService.peerName(&random)
        self.random = random
    }

    private var publication: AvahiPublication? { entries.isEmpty ? nil : AvahiPublication(name: name, entries: entries) }

    // MARK: Inputs

    mutating func start() { beginSession() }

    /// The library is not installed.
    mutating func cannotStart() {
        guard isForced else { return }
        let hint = "install libavahi-client3 and avahi-daemon, or use the embedded responder"
        fail(SourceFailure(.notAvailable, detail: "libavahi-client.so.3 cannot be loaded", hint: hint), retryAfter: nil)
    }

    /// What is told on each interface now. Without entries nothing is published.
    mutating func setEntries(_ entries: [AvahiPublication.Entry]) {
        guard entries != self.entries else { return }
        self.entries = entries
        publish()
    }

    private mutating func publish() {
        guard isInSession else { return }
        actions.append(.publish(AvahiPublication(name: name, entries: entries)))
    }

    private mutating func beginSession() {
        session += 1
        isInSession = true
        renames = 0
        retryAt = nil
        forgetAt = nil
        actions.append(.start(publication))
    }

    mutating func receive(_ event: AvahiEvent, now: Instant) {
        switch event {
        case .waiting: failIfMissed(AvahiError(code: AvahiError.noDaemon, text: "avahi-daemon does not run"), retryAfter: nil)
        case .running:
            hasRun = true
            delay = .zero
            runs()
        case .established:
            renames = 0
            if hasFailed { runs() }
        case .collision: rename()
        case .refused(let error): fail(Self.describe(error), retryAfter: nil)
        case .found(let service, let interface, let texts): found(service, on: interface, texts)
        case .lost(let service): forget(service)
        case .unresolved(let service): if known[service]?.session != session { forget(service) }
        case .settled: forgetAt = now + Self.settling
        case .ended(let error): ended(error, now: now)
        }
    }

    /// The session could not be begun for lack of descriptors or threads.
    mutating func couldNotStart(_ error: SystemError, now: Instant) {
        switch error {
        case .failed(let call, let code):
            ended(AvahiError(code: AvahiError.noMemory, text: "\(call): \(MeshNetSystem.describe(errno: code))"), now: now)
        }
    }

    private mutating func ended(_ error: AvahiError, now: Instant) {
        guard isInSession else { return }
        isInSession = false
        forgetAt = nil
        delay = delay == .zero ? Self.firstRetry : min(delay * 2, Self.longestRetry)
        retryAt = now + delay
        actions.append(.collect)
        failIfMissed(error, retryAfter: delay)
    }

    private mutating func rename() {
        guard renames < Self.maximumRenames else { return }
        renames += 1
        name = MDNSService.peerName(&random)
        publish()
    }

    // MARK: Services

    private mutating func found(_ service: AvahiService, on interface: String, _ texts: [[UInt8]]) {
        let what = "\(service.name.prefix(63)) on \(interface)"
        let announcement = MDNSTexts(strings: texts)
        let link = MDNSInterface(id: UInt32(bitPattern: service.interface), name: interface, addresses: [])
        var entry = known[service] ?? Known(session: session)
        guard entry.isCandidate || known[service] != nil || known.count < AvahiSession.maximumServices else {
            return actions.append(.report(.filtered(.limit, what: what, interface: interface)))
        }
        entry.session = session
        let reason = take(service, announcement, on: link)
        if let reason {
            if entry.isCandidate { actions.append(.report(.lost(key: service.key))) }
            actions.append(.report(.filtered(reason, what: what, interface: interface)))
        }
        entry.isCandidate = reason == nil
        known[service] = entry
    }

    /// Why it is not taken; nil: the table has it.
    private mutating func take(_ service: AvahiService, _ texts: MDNSTexts, on link: MDNSInterface) -> DiscoveryFilter? {
        guard let (peer, addresses) = texts.addressesByPeer(on: link).first else { return .noAddress }
        if peer == localPeer { return .own }
        if let appID, texts.text(of: .appID) != appID { return .appID }
        actions.append(.report(.found(Candidate(key: service.key, peer: peer, addresses: addresses, interface: link.name))))
        return nil
    }

    private mutating func forget(_ service: AvahiService) {
        guard let entry = known.removeValue(forKey: service), entry.isCandidate else { return }
        actions.append(.report(.lost(key: service.key)))
    }

    // MARK: Time

    var deadline: Instant? { earlier(retryAt, forgetAt) }

    mutating func handleTimeout(now: Instant) {
        if let due = retryAt, due <= now { beginSession() }
        if let due = forgetAt, due <= now {
            forgetAt = nil
            let gone = known.filter { $0.value.session != session }.keys
            for service in gone.sorted(by: { $0.key < $1.key }) { forget(service) }
        }
    }

    mutating func poll() -> AvahiAction? { actions.popFirst() }

    // MARK: Failures

    /// Beside the embedded responder, a daemon that never was there is missed by nobody.
    private mutating func failIfMissed(_ error: AvahiError, retryAfter: Duration?) {
        guard isForced || hasRun else { return }
        fail(Self.describe(error), retryAfter: retryAfter)
    }

    private mutating func runs() {
        hasFailed = false
        actions.append(.report(.running))
    }

    private mutating func fail(_ failure: SourceFailure, retryAfter: Duration?) {
        hasFailed = true
        actions.append(.report(.failed(failure, retryAfter: retryAfter)))
    }

    static func describe(_ error: AvahiError) -> SourceFailure {
        let detail = "Avahi: \(error.text)"
        switch error.code {
        case AvahiError.noDaemon, AvahiError.disconnected, AvahiError.busError:
            return SourceFailure(.notAvailable, detail: detail, hint: "start the D-Bus system bus and avahi-daemon, or use the embedded responder")
        case AvahiError.timedOut:
            return SourceFailure(.timedOut, detail: detail, hint: "avahi-daemon hangs: restart it")
        case AvahiError.accessDenied, AvahiError.notPermitted:
            return SourceFailure(.permission, detail: detail, hint: "D-Bus policy or avahi-daemon.conf (disable-user-service-publishing) forbids it")
        case AvahiError.tooManyClients, AvahiError.tooManyObjects, AvahiError.tooManyEntries, AvahiError.noMemory:
            return SourceFailure(.limitReached, detail: detail, hint: "see the limits in avahi-daemon.conf")
        case AvahiError.invalidServiceType, AvahiError.invalidServiceName:
            return SourceFailure(.badConfiguration, detail: detail, hint: "choose a service tag such as _p2p._udp")
        default:
            return SourceFailure(.system, detail: detail, hint: "")
        }
    }
}

extension AvahiService {
    /// Lasting within the source.
    fileprivate var key: String { "\(name.prefix(200))@\(interface).\(family)" }
}
