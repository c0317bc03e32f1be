import MeshNetProtocol
import MeshNetSwarm

/// Which names are looked up when, and what follows from the answers. Sans-IO: `DNSSource` does the lookups.
///
/// Call one input, then drain `poll()` until nil, then wait for the next input or for `deadline`.
struct DNSServices {
    enum Action: Equatable {
        /// Answer with `answered`.
        case lookup(query: UInt64, name: String, kind: DNSRecordKind)
        case report(SourceReport)
    }

    /// Services in one configuration.
    static let maximumServices = 32
    /// Lookups under way at once; further ones wait. Far below `Resolver.maximumQueries`.
    static let lookupsAtOnce = 16
    /// Delay after the first failure, doubled up to the interval, the upper half random.
    static let retryFirst: Duration = .seconds(1)
    /// Answers that a service is gone until it is believed.
    static let emptyAnswersBelieved = 2
    /// Addresses of one candidate.
    static let addressesPerPeer = 16

    private struct Watch {
        let text: String
        let service: DNSService
        var round: DNSRound?
        /// nil while a round runs.
        var dueAt: Instant?
        var known: [DNSFind] = []
        var failures = 0
        var emptyAnswers = 0
        var problem: SourceFailure?
    }

    private let interval: Duration
    private var random: RandomSource
    private var now: Instant
    private var watches: [Watch] = []
    /// Entries that cannot be read: said for ever.
    private var unusable: SourceFailure?
    private var queries: [UInt64: (watch: Int, lookup: Int)] = [:]
    private var nextQuery: UInt64 = 1
    private var own: Set<Multiaddr> = []
    private var actions = Fifo<Action>()

    init(_ texts: [String], interval: Duration, random: RandomSource, now: Instant) {
        self.interval = max(.seconds(1), interval)
        self.random = random
        self.now = now
        for text in texts.prefix(Self.maximumServices) {
            do throws(SourceFailure) {
                watches.append(Watch(text: text, service: try DNSService(text), dueAt: now))
            } catch {
                unusable = unusable ?? error
            }
        }
        if texts.isEmpty {
            unusable = SourceFailure(
                .badConfiguration, detail: "DNS discovery is on, and no service to look up is named", hint: "name one, such as mesh.default.svc:4001")
        }
        if texts.count > Self.maximumServices {
            let detail = "\(texts.count) DNS services are named, and \(Self.maximumServices) are looked up"
            unusable = unusable ?? SourceFailure(.limitReached, detail: detail, hint: "name fewer")
        }
        if let unusable { report(.failed(unusable, retryAfter: nil)) }
    }

    // MARK: Input

    /// Our own addresses are not reported.
    mutating func listening(on addresses: [Multiaddr]) { own = Set(addresses.map { $0.withoutPeerID ?? $0 }) }

    mutating func handleTimeout(now: Instant) {
        self.now = now
        for index in watches.indices {
            guard let due = watches[index].dueAt, due <= now else { continue }
            watches[index].dueAt = nil
            watches[index].round = DNSRound(watches[index].service, known: watches[index].known)
        }
        startLookups()
    }

    mutating func answered(_ query: UInt64, _ result: Result<DNSRecords, DNSLookupFailure>, now: Instant) {
        self.now = now
        guard let (index, lookup) = queries.removeValue(forKey: query) else { return }
        watches[index].round?.answer(lookup, result)
        if let round = watches[index].round, round.isOver {
            watches[index].round = nil
            end(round, of: index)
        }
        startLookups()
    }

    // MARK: Output

    var deadline: Instant? { watches.reduce(nil) { earlier($0, $1.dueAt) } }

    mutating func poll() -> Action? { actions.popFirst() }

    private mutating func report(_ report: SourceReport) { actions.append(.report(report)) }

    // MARK: Rounds

    private mutating func startLookups() {
        for index in watches.indices {
            while queries.count < Self.lookupsAtOnce, let number = watches[index].round?.next(), let lookup = watches[index].round?.lookups[number] {
                queries[nextQuery] = (index, number)
                actions.append(.lookup(query: nextQuery, name: lookup.name, kind: lookup.kind))
                nextQuery += 1
            }
        }
    }

    private mutating func end(_ round: DNSRound, of index: Int) {
        let before = watches[index].known, text = watches[index].text
        var (finds, excess) = round.found()
        excess += round.excess
        if let failure = round.failures.first(where: { $0.kind != .unresolved }) {
            // A part of the answer is missing: who was in it may still be there.
            let new = Set(finds)
            finds = round.bounded(finds + before.filter { !new.contains($0) }).finds
            failed(index, failure)
        } else if finds.isEmpty {
            watches[index].emptyAnswers += 1
            if watches[index].emptyAnswers < Self.emptyAnswersBelieved { finds = before }
            failed(index, round.failures.first ?? DNSLookupFailure(.unresolved, "the answer holds no address"))
        } else {
            watches[index].emptyAnswers = 0
            watches[index].failures = 0
            watches[index].problem = nil
        }
        watches[index].known = finds
        watches[index].dueAt = now + (watches[index].failures == 0 ? jittered(interval) : retryDelay(watches[index].failures))
        if excess > 0 { report(.filtered(.limit, what: "\(text): \(excess) more than are used", interface: nil)) }
        if round.malformed > 0 { report(.filtered(.malformed, what: "\(text): \(round.malformed) records", interface: nil)) }
        if round.undialable > 0 { report(.filtered(.noAddress, what: "\(text): \(round.undialable) addresses", interface: nil)) }
        if watches[index].problem == nil || finds != before { report(.replaced(candidates())) }
        reportState()
    }

    private mutating func failed(_ index: Int, _ failure: DNSLookupFailure) {
        watches[index].failures += 1
        watches[index].problem = SourceFailure(failure.kind, detail: "\(watches[index].text): \(failure.reason)", hint: Self.hint(failure.kind))
    }

    /// The source works if all its services do.
    private mutating func reportState() {
        if let watch = watches.first(where: { $0.problem != nil }), let problem = watch.problem {
            return report(.failed(problem, retryAfter: watch.dueAt.map { max(.zero, $0 - now) }))
        }
        if let unusable { return report(.failed(unusable, retryAfter: nil)) }
        report(.running)
    }

    /// Of all services; who is in several is one.
    private func candidates() -> [Candidate] {
        var order: [String] = [], all: [String: Candidate] = [:]
        for find in watches.flatMap(\.known) where !own.contains(find.address) {
            let key = find.peer?.description ?? String(find.address.description.prefix(256))
            if all[key] == nil {
                order.append(key)
                all[key] = Candidate(key: key, peer: find.peer, addresses: [])
            }
            guard let candidate = all[key], candidate.addresses.count < Self.addressesPerPeer, !candidate.addresses.contains(find.address) else { continue }
            all[key]?.addresses.append(find.address)
        }
        return order.compactMap { all[$0] }
    }

    /// ±10 %, so that many nodes do not ask in step.
    private mutating func jittered(_ duration: Duration) -> Duration {
        let tenth = duration.saturatedNanoseconds / 10
        return duration + .nanoseconds(Int64.random(in: -tenth...tenth, using: &random))
    }

    private mutating func retryDelay(_ failures: Int) -> Duration {
        var delay = Self.retryFirst
        for _ in 1..<min(max(failures, 1), 32) where delay < interval { delay *= 2 }
        let raw = min(delay, interval).saturatedNanoseconds
        return .nanoseconds(raw / 2 + Int64.random(in: 0...raw / 2, using: &random))
    }

    private static func hint(_ kind: SourceFailureKind) -> String {
        switch kind {
        case .unresolved: "look whether the name is right, and whether anything stands behind it"
        case .timedOut, .unreachable: "look whether the name servers in /etc/resolv.conf can be reached from here"
        case .serverError, .badAnswer: "ask the name server's operator; another one can be put into /etc/resolv.conf"
        case .badConfiguration: "write a name of letters, digits and hyphens"
        default: "the next try follows by itself"
        }
    }
}
