import CCurl
import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// One request under way, with what came of its answer.
final class HTTPTransfer {
    let request: HTTPRequest
    let id: UInt64
    let deadline: Instant
    private(set) var easy: UnsafeMutableRawPointer?
    private var headers: UnsafeMutablePointer<curl_slist>?
    private var hosts: UnsafeMutablePointer<curl_slist>?
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var body: [UInt8] = []
    private var headerBytes = 0
    private var date: Int64?
    /// Which of our own bounds ended it.
    private var reached: Int?

    init(_ request: HTTPRequest, id: UInt64, deadline: Instant) {
        self.request = request
        self.id = id
        self.deadline = deadline
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        release()
        errorText.deallocate()
    }

    var isRunning: Bool { easy != nil }

    /// The server could be reached; also true for a connection that is used again.
    var wasConnected: Bool { easy.map { ccurl_get_size($0, CURLINFO_PRETRANSFER_TIME_T) > 0 } ?? false }

    /// The handle to run, nil without memory. With `addresses` libcurl looks up no name.
    func prepare(addresses: [SocketAddress], now: Instant) -> UnsafeMutableRawPointer? {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        let context = Unmanaged.passUnretained(self).toOpaque()
        _ = ccurl_set_pointer(easy, CURLOPT_PRIVATE, context)
        _ = ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
        _ = ccurl_set_body_sink(easy, { bytes, size, count, context in
            Unmanaged<HTTPTransfer>.fromOpaque(context!).takeUnretainedValue().take(body: UnsafeRawBufferPointer(start: bytes, count: size * count))
        }, context)
        _ = ccurl_set_header_sink(easy, { bytes, size, count, context in
            Unmanaged<HTTPTransfer>.fromOpaque(context!).takeUnretainedValue().take(header: UnsafeRawBufferPointer(start: bytes, count: size * count))
        }, context)
        setBehaviour(easy, now: now)
        setRequest(easy, addresses: addresses)
        return easy
    }

    /// Precondition: the handle is in no multi handle.
    func release() {
        if let easy { curl_easy_cleanup(easy) }
        easy = nil
        for list in [headers, hosts] where list != nil { curl_slist_free_all(list) }
        headers = nil
        hosts = nil
    }

    func result(of code: CURLcode) -> Result<HTTPResponse, HTTPFailure> {
        guard let easy else { return .failure(.broken(reason: "no handle")) }
        guard code == CURLE_OK else { return .failure(failure(code, easy)) }
        let wait = ccurl_get_size(easy, CURLINFO_RETRY_AFTER)
        return .success(HTTPResponse(
            status: ccurl_get_long(easy, CURLINFO_RESPONSE_CODE),
            contentType: ccurl_get_text(easy, CURLINFO_CONTENT_TYPE).map { String(String(cString: $0).prefix { $0 != ";" }).trimmed.lowercased() },
            date: date,
            // A date there is taken by libcurl as well, and may be far in the future.
            retryAfter: wait > 0 ? .seconds(min(Int64(wait), 86_400)) : nil,
            location: ccurl_get_text(easy, CURLINFO_REDIRECT_URL).map { String(cString: $0) },
            body: body))
    }

    // MARK: Settings

    private func setBehaviour(_ easy: UnsafeMutableRawPointer, now: Instant) {
        let left = max(1, (deadline - now).saturatedNanoseconds / 1_000_000)
        _ = ccurl_set_long(easy, CURLOPT_TIMEOUT_MS, Int(left))
        _ = ccurl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        _ = ccurl_set_protocols(easy)
        _ = ccurl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        _ = ccurl_set_long(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
        // Not even the one of the environment: its name would be looked up in a thread, and it would see the key of a plain request.
        _ = ccurl_set_text(easy, CURLOPT_PROXY, "")
        _ = ccurl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        _ = ccurl_set_size(easy, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(request.bodyLimit))
        _ = ccurl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
    }

    private func setRequest(_ easy: UnsafeMutableRawPointer, addresses: [SocketAddress]) {
        _ = ccurl_set_text(easy, CURLOPT_URL, request.url)
        var lines = ["Accept: application/json", "User-Agent: meshnet", "Expect:"]
        if let bearer = request.bearer { lines.append("Authorization: Bearer \(bearer.text)") }
        if let content = request.content {
            lines.append("Content-Type: \(content.type)")
            _ = ccurl_set_size(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(content.text.text.utf8.count))
            _ = ccurl_set_text(easy, CURLOPT_COPYPOSTFIELDS, content.text.text)
        }
        for line in lines { headers = curl_slist_append(headers, line) }
        _ = ccurl_set_list(easy, CURLOPT_HTTPHEADER, headers)
        if let path = request.unixSocket { _ = ccurl_set_text(easy, CURLOPT_UNIX_SOCKET_PATH, path) }
        if let file = request.certificateAuthorityFile { _ = ccurl_set_text(easy, CURLOPT_CAINFO, file) }
        guard !addresses.isEmpty else { return }
        let texts = addresses.map { $0.ip.count == 4 ? IPText.text(ipv4: $0.ip) : "[\(IPText.text(ipv6: $0.ip))]" }
        hosts = curl_slist_append(nil, "\(request.server.host):\(request.server.port):\(texts.joined(separator: ","))")
        _ = ccurl_set_list(easy, CURLOPT_RESOLVE, hosts)
    }

    // MARK: The answer

    /// Less than what came ends the request.
    private func take(body bytes: UnsafeRawBufferPointer) -> Int {
        guard bytes.count <= request.bodyLimit - body.count else {
            reached = request.bodyLimit
            return 0
        }
        body.append(contentsOf: bytes)
        return bytes.count
    }

    private func take(header bytes: UnsafeRawBufferPointer) -> Int {
        headerBytes += bytes.count
        guard headerBytes <= HTTPClient.headerLimit else {
            reached = HTTPClient.headerLimit
            return 0
        }
        let line = String(decoding: bytes, as: UTF8.self)
        if line.prefix(5).lowercased() == "date:" {
            let time = curl_getdate(String(line.dropFirst(5)).trimmed, nil)
            date = time > 0 ? Int64(time) : nil
        }
        return bytes.count
    }

    private func failure(_ code: CURLcode, _ easy: UnsafeMutableRawPointer) -> HTTPFailure {
        let text = String(cString: errorText)
        let reason = text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
        if let reached { return .tooLarge(limit: reached) }
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: return .unresolved(host: request.server.host, reason: reason)
        case CURLE_COULDNT_CONNECT: return .unreachable(errno: Int32(truncatingIfNeeded: ccurl_get_long(easy, CURLINFO_OS_ERRNO)), reason: reason)
        case CURLE_OPERATION_TIMEDOUT: return .timedOut(connected: wasConnected, after: request.timeout)
        case CURLE_PEER_FAILED_VERIFICATION: return .certificate(code: ccurl_get_long(easy, CURLINFO_SSL_VERIFYRESULT), reason: reason)
        case CURLE_SSL_CACERT_BADFILE: return .authorityFile(path: request.certificateAuthorityFile ?? "of the system")
        case CURLE_FILESIZE_EXCEEDED: return .tooLarge(limit: request.bodyLimit)
        default: return .broken(reason: reason)
        }
    }
}
