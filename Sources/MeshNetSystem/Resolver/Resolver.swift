import CSystem
import Glibc
package import MeshNetProtocol
package import MeshNetSwarm

/// Looks names up by c-ares on the reactor's own wait; nothing here blocks but the reading of two small files.
///
/// Honours /etc/hosts at each query and /etc/resolv.conf as it is when no query is under way (a laptop changes it).
/// Reactor thread only. Call `poll()` until nil after each other call.
package final class Resolver {
    /// Lookups at once; more than the dials that a node may have under way, so that only a fault reaches it.
    package static let maximumQueries = 256
    /// A name server that does not answer is given up after this, and the next is tried, for `tries` rounds: 6 s with one server.
    package static let serverTimeout: Duration = .seconds(2)
    package static let tries: Int32 = 3

    package struct Answer: Sendable {
        package let query: UInt64
        /// Ports are 0.
        package let result: Result<[SocketAddress], ResolveFailure>
    }

    package struct LookupAnswer: Sendable, Equatable {
        package let query: UInt64
        package let result: Result<DNSRecords, DNSLookupFailure>
    }

    /// Records taken from one answer, which may have 64 KiB; the rest is left out.
    package static let maximumRecords = 2_048

    private let readiness: Readiness
    private let tokenBase: UInt64
    /// "address:port" in c-ares' form instead of resolv.conf's, for tests.
    private let servers: String?
    private let timeout: Duration
    private var channel: ares_channel?
    private var configurationStamp = FileStamp()
    private var watched: [Int32: Interest] = [:]
    private var underWay = 0
    private var answers = StableFifo<Answer>()
    private var lookupAnswers = StableFifo<LookupAnswer>()

    /// - Parameter tokenBase: the descriptor of a socket is added to it to make its token.
    package init(readiness: Readiness, tokenBase: UInt64, servers: String? = nil, timeout: Duration = Resolver.serverTimeout) {
        self.readiness = readiness
        self.tokenBase = tokenBase
        self.servers = servers
        self.timeout = timeout
    }

    deinit { close() }

    // MARK: Input

    package func resolve(query: UInt64, host: String, family: AddressFamily) {
        if let failure = begin() { return fail(query, failure.reason) }
        findAddresses(of: host, family, QueryContext(resolver: self) { $0.resolved(query, $1) })
    }

    /// Records of a name; `pollLookup` gives the answer. Short names are completed by the search domains of resolv.conf, a dot at the end forbids it.
    package func lookup(query: UInt64, name: String, kind: DNSRecordKind) {
        if let failure = begin() {
            lookupAnswers.append(LookupAnswer(query: query, result: .failure(failure)))
            return
        }
        let context = QueryContext(resolver: self) { $0.lookupAnswers.append(LookupAnswer(query: query, result: $1)) }
        switch kind {
        case .addresses: findAddresses(of: name, .any, context)
        case .service: search(name, type: Self.serviceType, context) { DNSRecords.services(of: $0, $1) }
        case .text: search(name, type: Self.textType, context) { DNSRecords.texts(of: $0, $1) }
        }
    }

    /// RFC 2782, RFC 1035 §3.2.2, §3.2.4.
    private static let serviceType: Int32 = 33, textType: Int32 = 16, internetClass: Int32 = 1

    /// Why no query can start.
    private func begin() -> DNSLookupFailure? {
        guard underWay < Self.maximumQueries else {
            return DNSLookupFailure(.limitReached, "\(Self.maximumQueries) name lookups are under way already")
        }
        if underWay == 0 { reopenIfConfigurationChanged() }
        if let code = openIfNeeded() { return Self.failure(code) }
        underWay += 1
        return nil
    }

    private func findAddresses(of host: String, _ family: AddressFamily, _ context: QueryContext) {
        var hints = ares_addrinfo_hints()
        // The swarm orders and races addresses itself; sorting here would open probe sockets.
        hints.ai_flags = ARES_AI_NOSORT
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_family =
            switch family {
            case .ipv4: AF_INET
            case .ipv6: AF_INET6
            case .any: AF_UNSPEC
            }
        ares_getaddrinfo(channel, host, nil, &hints, { argument, status, _, info in
            let context = Unmanaged<QueryContext>.fromOpaque(argument!).takeRetainedValue()
            context.end(status == ARES_SUCCESS ? DNSRecords.addresses(of: info) : .failure(Resolver.failure(status)))
            if info != nil { ares_freeaddrinfo(info) }
        }, Unmanaged.passRetained(context).toOpaque())
    }

    private func search(_ name: String, type: Int32, _ context: QueryContext, _ parse: @escaping QueryContext.Parser) {
        context.parse = parse
        ares_search(channel, name, Self.internetClass, type, { argument, status, _, bytes, count in
            let context = Unmanaged<QueryContext>.fromOpaque(argument!).takeRetainedValue()
            guard status == ARES_SUCCESS, let bytes, let parse = context.parse else { return context.end(.failure(Resolver.recordFailure(status))) }
            context.end(parse(bytes, count))
        }, Unmanaged.passRetained(context).toOpaque())
    }

    package func ready(_ descriptor: Int32, readable: Bool, writable: Bool) {
        guard let channel else { return }
        ares_process_fd(channel, readable ? descriptor : ARES_SOCKET_BAD, writable ? descriptor : ARES_SOCKET_BAD)
    }

    /// Call it when `deadline` passed; more often does no harm.
    package func handleTimeout() {
        guard let channel, underWay > 0 else { return }
        ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD)
    }

    /// Queries under way end with a failure.
    package func close() {
        if let channel { ares_destroy(channel) }
        channel = nil
    }

    // MARK: Output

    package func deadline(now: Instant) -> Instant? {
        guard let channel, underWay > 0 else { return nil }
        var time = timeval()
        guard ares_timeout(channel, nil, &time) != nil else { return nil }
        return now + .seconds(Int64(time.tv_sec)) + .microseconds(Int64(time.tv_usec))
    }

    package func poll() -> Answer? { answers.popFirst() }
    package func pollLookup() -> LookupAnswer? { lookupAnswers.popFirst() }

    // MARK: c-ares

    private func resolved(_ query: UInt64, _ result: Result<DNSRecords, DNSLookupFailure>) {
        switch result {
        case .success(.addresses(let addresses)): answers.append(Answer(query: query, result: .success(addresses)))
        case .success: fail(query, Self.words(ARES_EBADRESP))
        case .failure(let failure): fail(query, failure.reason)
        }
    }

    fileprivate func ended() { underWay -= 1 }

    private func fail(_ query: UInt64, _ reason: String) {
        answers.append(Answer(query: query, result: .failure(ResolveFailure(reason: reason))))
    }

    private static func words(_ code: Int32) -> String {
        switch code {
        case ARES_ENOTFOUND: "no such name"
        case ARES_ENODATA: "the name has no address of this family"
        case ARES_ETIMEOUT: "no name server answered in time"
        case ARES_ECONNREFUSED: "no name server could be reached"
        case ARES_EBADNAME: "not a valid name"
        default: String(cString: ares_strerror(code))
        }
    }

    static func failure(_ code: Int32) -> DNSLookupFailure {
        let kind: SourceFailureKind =
            switch code {
            case ARES_ENOTFOUND, ARES_ENODATA: .unresolved
            case ARES_ETIMEOUT: .timedOut
            case ARES_ECONNREFUSED: .unreachable
            case ARES_EBADNAME: .badConfiguration
            case ARES_ESERVFAIL, ARES_EREFUSED, ARES_ENOTIMP: .serverError
            case ARES_EBADRESP, ARES_EFORMERR, ARES_EBADSTR: .badAnswer
            default: .system
            }
        return DNSLookupFailure(kind, words(code))
    }

    /// For other records than addresses.
    static func recordFailure(_ code: Int32) -> DNSLookupFailure {
        code == ARES_ENODATA ? DNSLookupFailure(.unresolved, "the name has no such record") : failure(code)
    }

    /// The error code when c-ares cannot start.
    private func openIfNeeded() -> Int32? {
        guard channel == nil else { return nil }
        guard Libraries.areReady else { return ARES_ENOTINITIALIZED }
        configurationStamp = FileStamp(path: "/etc/resolv.conf")
        var options = ares_options()
        options.timeout = Int32(clamping: timeout.saturatedNanoseconds / 1_000_000)
        options.tries = Self.tries
        options.sock_state_cb_data = Unmanaged.passUnretained(self).toOpaque()
        options.sock_state_cb = { data, socket, readable, writable in
            Unmanaged<Resolver>.fromOpaque(data!).takeUnretainedValue().watch(socket, readable: readable != 0, writable: writable != 0)
        }
        let mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB
        let code = ares_init_options(&channel, &options, mask)
        guard code == ARES_SUCCESS else { return code }
        let set = servers.map { ares_set_servers_ports_csv(channel, $0) } ?? ARES_SUCCESS
        return set == ARES_SUCCESS ? nil : set
    }

    private func reopenIfConfigurationChanged() {
        guard channel != nil, FileStamp(path: "/etc/resolv.conf") != configurationStamp else { return }
        close()
    }

    private func watch(_ socket: Int32, readable: Bool, writable: Bool) {
        var interest: Interest = []
        if readable { interest.insert(.readable) }
        if writable { interest.insert(.writable) }
        let token = tokenBase + UInt64(socket)
        if interest.isEmpty {
            if watched.removeValue(forKey: socket) != nil { readiness.remove(socket) }
        } else if watched.updateValue(interest, forKey: socket) == nil {
            // Without memory for it in the kernel the query ends by its timeout.
            try? readiness.add(socket, token: token, interest)
        } else {
            try? readiness.change(socket, token: token, interest)
        }
    }
}

private final class QueryContext {
    typealias Parser = (UnsafePointer<UInt8>, Int32) -> Result<DNSRecords, DNSLookupFailure>

    /// The resolver outlives its channel, and the channel its queries.
    private unowned let resolver: Resolver
    private let answer: (Resolver, Result<DNSRecords, DNSLookupFailure>) -> Void
    var parse: Parser?

    init(resolver: Resolver, answer: @escaping (Resolver, Result<DNSRecords, DNSLookupFailure>) -> Void) {
        self.resolver = resolver
        self.answer = answer
    }

    func end(_ result: Result<DNSRecords, DNSLookupFailure>) {
        resolver.ended()
        answer(resolver, result)
    }
}

/// Tells whether a file was replaced or written to.
private struct FileStamp: Equatable {
    private var inode: UInt64 = 0
    private var seconds = 0
    private var nanoseconds = 0

    init() {}

    init(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        inode = UInt64(status.st_ino)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }
}
