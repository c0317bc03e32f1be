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
        guard underWay < Self.maximumQueries else {
            return fail(query, "\(Self.maximumQueries) name lookups are under way already")
        }
        if underWay == 0 { reopenIfConfigurationChanged() }
        if let code = openIfNeeded() { return fail(query, Self.words(code)) }
        underWay += 1
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
        let context = Unmanaged.passRetained(QueryContext(resolver: self, query: query))
        ares_getaddrinfo(channel, host, nil, &hints, { argument, status, _, info in
            let context = Unmanaged<QueryContext>.fromOpaque(argument!).takeRetainedValue()
            context.resolver.answered(context.query, status: status, info)
            if info != nil { ares_freeaddrinfo(info) }
        }, context.toOpaque())
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

    // MARK: c-ares

    private func answered(_ query: UInt64, status: Int32, _ info: UnsafeMutablePointer<ares_addrinfo>?) {
        underWay -= 1
        guard status == ARES_SUCCESS else { return fail(query, Self.words(status)) }
        var addresses: [SocketAddress] = []
        var node = info?.pointee.nodes
        while let entry = node?.pointee {
            node = entry.ai_next
            guard var address = NativeAddress(copying: entry.ai_addr)?.address else { continue }
            address.port = 0
            if !addresses.contains(address) { addresses.append(address) }
        }
        if addresses.isEmpty { return fail(query, Self.words(ARES_ENODATA)) }
        answers.append(Answer(query: query, result: .success(addresses)))
    }

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
        if let servers { return Self.failure(ares_set_servers_ports_csv(channel, servers)) }
        return nil
    }

    private static func failure(_ code: Int32) -> Int32? { code == ARES_SUCCESS ? nil : code }

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
    /// The resolver outlives its channel, and the channel its queries.
    unowned let resolver: Resolver
    let query: UInt64

    init(resolver: Resolver, query: UInt64) {
        self.resolver = resolver
        self.query = query
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
