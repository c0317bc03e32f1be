import CCurl
import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// HTTP by libcurl on the reactor's own wait. Connections are kept and used again.
///
/// Follows no redirection, so that a key goes nowhere but to the server it was meant for; uses no proxy, cookie or password file. Names are looked
/// up by our own resolver and handed to libcurl, whose resolver would start a thread. Reactor thread only; call `poll()` until nil after each other call.
final class HTTPClient {
    /// Requests at once. A source makes one at a time; more is a fault.
    static let maximumRequests = 8
    /// Connections kept for the next request.
    static let idleConnections = 2
    /// Bytes of all header lines of an answer.
    static let headerLimit = 65_536

    struct Outcome {
        let id: UInt64
        let result: Result<HTTPResponse, HTTPFailure>
    }

    private let readiness: Readiness
    private let tokenBase: UInt64
    private let resolver: Resolver
    private var multi: UnsafeMutableRawPointer?
    private var watched: [Int32: Interest] = [:]
    /// When libcurl wants to be called.
    private var timer: Instant?
    private var transfers: [UInt64: HTTPTransfer] = [:]
    private var outcomes = StableFifo<Outcome>()
    private var now = Instant.zero

    private static let isReady = Libraries.areReady && curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// - Parameter tokenBase: a descriptor is added to it to make its token.
    init(readiness: Readiness, tokenBase: UInt64, nameServers: String? = nil) {
        self.readiness = readiness
        self.tokenBase = tokenBase
        resolver = Resolver(readiness: readiness, tokenBase: tokenBase, servers: nameServers)
    }

    deinit { close() }

    // MARK: Input

    /// Precondition: no request with this id is under way.
    func start(_ request: HTTPRequest, id: UInt64, now: Instant) {
        self.now = now
        guard transfers.count < Self.maximumRequests else {
            outcomes.append(Outcome(id: id, result: .failure(.busy(limit: Self.maximumRequests))))
            return
        }
        let transfer = HTTPTransfer(request, id: id, deadline: now + request.timeout)
        transfers[id] = transfer
        if request.unixSocket == nil, request.server.ip == nil {
            resolver.resolve(query: id, host: request.server.host, family: .any)
        } else {
            begin(transfer, addresses: [])
        }
        settle()
    }

    func ready(_ descriptor: Int32, readable: Bool, writable: Bool, now: Instant) {
        self.now = now
        if watched[descriptor] != nil {
            act(descriptor, (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0))
        } else {
            resolver.ready(descriptor, readable: readable, writable: writable)
        }
        settle()
    }

    /// Call it when `deadline` passed; more often does no harm.
    func handleTimeout(now: Instant) {
        self.now = now
        if let deadline = resolver.deadline(now: now), deadline <= now { resolver.handleTimeout() }
        if let timer, timer <= now {
            self.timer = nil
            act(CURL_SOCKET_TIMEOUT, 0)
        }
        for id in transfers.keys.sorted() {
            guard let transfer = transfers[id], transfer.deadline <= now else { continue }
            let isLookedUp = transfer.isRunning
            end(transfer, .failure(
                isLookedUp
                    ? .timedOut(connected: transfer.wasConnected, after: transfer.request.timeout)
                    : .unresolved(host: transfer.request.server.host, reason: "no name server answered in time")))
        }
        settle()
    }

    /// Requests under way are given up without a word.
    func close() {
        for id in transfers.keys.sorted() { if let transfer = transfers[id] { detach(transfer) } }
        transfers.removeAll()
        resolver.close()
        guard let multi else { return }
        // The clean-up closes connections: nobody is to be called for that.
        _ = ccurl_multi_set_watcher(multi, nil, nil)
        _ = ccurl_multi_set_timer(multi, nil, nil)
        for descriptor in watched.keys.sorted() { readiness.remove(descriptor) }
        watched.removeAll()
        curl_multi_cleanup(multi)
        self.multi = nil
        timer = nil
    }

    // MARK: Output

    func deadline(now: Instant) -> Instant? {
        let own = transfers.values.reduce(nil as Instant?) { earlier($0, $1.deadline) }
        return earlier(earlier(timer, own), resolver.deadline(now: now))
    }

    func poll() -> Outcome? { outcomes.popFirst() }

    // MARK: Transfers

    private func settle() {
        while let answer = resolver.poll() {
            guard let transfer = transfers[answer.query], !transfer.isRunning else { continue }
            switch answer.result {
            case .success(let addresses): begin(transfer, addresses: addresses)
            case .failure(let failure):
                end(transfer, .failure(.unresolved(host: transfer.request.server.host, reason: failure.reason)))
            }
        }
        guard let multi else { return }
        var code = CURLE_OK
        while let easy = ccurl_next_ended(multi, &code) {
            guard let context = ccurl_get_context(easy) else { continue }
            let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
            end(transfer, transfer.result(of: code))
        }
    }

    private func begin(_ transfer: HTTPTransfer, addresses: [SocketAddress]) {
        guard let multi = openIfNeeded(), let easy = transfer.prepare(addresses: addresses, now: now) else {
            return end(transfer, .failure(.broken(reason: "libcurl does not start")))
        }
        guard curl_multi_add_handle(multi, easy) == CURLM_OK else {
            return end(transfer, .failure(.broken(reason: "libcurl takes no request")))
        }
    }

    private func end(_ transfer: HTTPTransfer, _ result: Result<HTTPResponse, HTTPFailure>) {
        detach(transfer)
        transfers[transfer.id] = nil
        outcomes.append(Outcome(id: transfer.id, result: result))
    }

    private func detach(_ transfer: HTTPTransfer) {
        if let multi, let easy = transfer.easy { curl_multi_remove_handle(multi, easy) }
        transfer.release()
    }

    // MARK: libcurl

    private func openIfNeeded() -> UnsafeMutableRawPointer? {
        if let multi { return multi }
        guard Self.isReady, let made = curl_multi_init() else { return nil }
        let context = Unmanaged.passUnretained(self).toOpaque()
        _ = ccurl_multi_set_watcher(made, { _, descriptor, what, context, _ in
            Unmanaged<HTTPClient>.fromOpaque(context!).takeUnretainedValue().watch(descriptor, what)
            return 0
        }, context)
        _ = ccurl_multi_set_timer(made, { _, milliseconds, context in
            let client = Unmanaged<HTTPClient>.fromOpaque(context!).takeUnretainedValue()
            client.timer = milliseconds < 0 ? nil : client.now + .milliseconds(Int64(milliseconds))
            return 0
        }, context)
        _ = ccurl_multi_set_long(made, CURLMOPT_MAXCONNECTS, Self.idleConnections)
        _ = ccurl_multi_set_long(made, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
        multi = made
        return made
    }

    private func act(_ descriptor: curl_socket_t, _ events: Int32) {
        guard let multi else { return }
        var running: Int32 = 0
        _ = curl_multi_socket_action(multi, descriptor, events, &running)
    }

    private func watch(_ descriptor: Int32, _ what: Int32) {
        guard what != CURL_POLL_REMOVE else {
            if watched.removeValue(forKey: descriptor) != nil { readiness.remove(descriptor) }
            return
        }
        var interest: Interest = []
        if what & CURL_POLL_IN != 0 { interest.insert(.readable) }
        if what & CURL_POLL_OUT != 0 { interest.insert(.writable) }
        let token = tokenBase + UInt64(descriptor)
        // Without memory for it in the kernel the request ends by its timeout.
        if watched.updateValue(interest, forKey: descriptor) == nil {
            try? readiness.add(descriptor, token: token, interest)
        } else {
            try? readiness.change(descriptor, token: token, interest)
        }
    }
}
