import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// A server with an API, and the words for what goes wrong with it.
struct ControlServer {
    /// Clocks that differ by more make certificates, keys and times of expiry doubtful.
    static let clockTolerance: Int64 = 300
    /// Characters of a server's own words that are passed on.
    static let wordsLimit = 200
    /// After a key was refused: each try costs the server work, and may count as an attack.
    static let keyPatience: Duration = .seconds(60)

    /// "the Headscale server", for messages.
    let name: String
    let address: ServerAddress
    let certificateAuthorityFile: String?
    /// Never in a text that leaves here, not even when the server sends them back.
    var secrets: [APIKey]
    /// The server's clock ahead of ours, in seconds, as last heard.
    private(set) var clockOffset: Int64?

    init(name: String, address: ServerAddress, certificateAuthorityFile: String?, secrets: [APIKey]) {
        self.name = name
        self.address = address
        self.certificateAuthorityFile = certificateAuthorityFile
        self.secrets = secrets
    }

    func request(_ path: String, bearer: APIKey?) -> HTTPRequest {
        var request = HTTPRequest(address, path)
        request.bearer = bearer
        request.certificateAuthorityFile = certificateAuthorityFile
        return request
    }

    mutating func heard(_ response: HTTPResponse, wallClock: Int64) {
        if let date = response.date { clockOffset = date - wallClock }
    }

    /// Now by the clock of the server, which sets the times of expiry.
    func time(_ wallClock: Int64) -> Int64 { wallClock + (clockOffset ?? 0) }

    /// nil while the clocks agree.
    var clockDifference: String? {
        guard let clockOffset, abs(clockOffset) > Self.clockTolerance else { return nil }
        return "its clock is \(abs(clockOffset)) s \(clockOffset > 0 ? "ahead of" : "behind") ours"
    }

    /// The key goes over the network as it is.
    var insecurity: SourceFailure? {
        guard !address.isSecure, !address.isLoopback, !secrets.isEmpty else { return nil }
        return SourceFailure(
            .insecure, detail: "\(address) is asked without TLS: everybody on the way can read the key", hint: "use https in front of \(name)")
    }

    // MARK: What goes wrong

    func failure(_ failure: HTTPFailure) -> (SourceFailure, PollSchedule.Trouble) {
        switch failure {
        case .unresolved(let host, let reason):
            (SourceFailure(.unresolved, detail: "\(host.quoted): \(reason)", hint: "check the name in the address and the name servers"), .absent)
        case .unreachable(let code, let reason):
            (SourceFailure(
                code == EACCES || code == EPERM ? .permission : .unreachable, detail: "\(name) at \(address): \(words(reason))",
                hint: "check that it runs and that nothing blocks the way"), .absent)
        case .timedOut(let connected, let time):
            (SourceFailure(
                .timedOut,
                detail: "\(name) at \(address) did not \(connected ? "answer" : "accept a connection") within \(time.components.seconds) s",
                hint: connected ? "it is overloaded or stuck" : "check that it runs and that no firewall drops the packets"),
             connected ? .refusing : .absent)
        case .certificate(let code, let reason): (certificateFailure(code, reason), .absent)
        case .authorityFile(let path):
            (SourceFailure(
                .badConfiguration, detail: "the certificate authority file \(path.quoted) cannot be used",
                hint: "name a readable file in PEM"), .absent)
        case .tooLarge(let limit):
            (SourceFailure(
                .limitReached, detail: "\(name) sent more than \(limit) bytes", hint: "check that the address leads to the API"), .refusing)
        case .broken(let reason):
            (SourceFailure(
                .badAnswer, detail: "\(name) at \(address): \(words(reason))", hint: "check scheme and port of the address"), .absent)
        case .busy(let limit):
            (SourceFailure(.limitReached, detail: "\(limit) requests are under way", hint: ""), .refusing)
        }
    }

    private func certificateFailure(_ code: Int, _ reason: String) -> SourceFailure {
        // X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
        let isTime = code == 9 || code == 10
        if code == 9 || isTime && clockDifference != nil {
            let seen = clockDifference.map { "; \($0)" } ?? ""
            return SourceFailure(.clockOff, detail: "\(name) at \(address): \(words(reason))\(seen)", hint: "set the clock of this machine")
        }
        let hint = isTime
            ? "renew the certificate of the server; or the clock of this machine is ahead"
            : "for a private authority give its certificate as the authority file"
        return SourceFailure(.insecure, detail: "\(name) at \(address): \(words(reason))", hint: hint)
    }

    /// For any status that is no success and tells nothing of the key.
    func failure(_ response: HTTPResponse) -> (SourceFailure, PollSchedule.Trouble) {
        let said = message(response).map { ": \($0)" } ?? ""
        let detail = "\(name) at \(address) answers with status \(response.status)\(said)"
        switch response.status {
        case 300..<400:
            let target = response.location.flatMap { try? ServerAddress(String($0.prefix { $0 != "?" && $0 != "#" })) }
            let place = target.map { "; it points to \($0.bracketedHost) port \($0.port)" } ?? ""
            return (SourceFailure(
                .badAnswer, detail: "\(detail)\(place)",
                hint: "give the address that answers without a redirection; the key follows none"), .refusing)
        case 403: return (SourceFailure(.permission, detail: detail, hint: "the key, or a proxy in front, does not allow this"), .refusing)
        case 404: return (SourceFailure(.badAnswer, detail: detail, hint: "no API is there: check the path of the address"), .refusing)
        case 429: return (SourceFailure(.limitReached, detail: detail, hint: "ask more rarely: raise the poll interval"), .refusing)
        case 500...: return (SourceFailure(.serverError, detail: detail, hint: "look at the server's log"), .refusing)
        default: return (SourceFailure(.badAnswer, detail: detail, hint: "check that the address leads to the API"), .refusing)
        }
    }

    /// - Parameter wasAccepted: the same key worked before.
    func keyFailure(_ response: HTTPResponse, wasAccepted: Bool, makeOne: String) -> SourceFailure {
        let detail = "\(name) at \(address) does not accept the key (status \(response.status))"
        if let difference = clockDifference {
            return SourceFailure(
                .clockOff, detail: "\(detail), and \(difference)", hint: "set the clocks; if they are right, make a new key: \(makeOne)")
        }
        if wasAccepted {
            return SourceFailure(.keyExpired, detail: "\(detail) any more: it expired or was revoked", hint: "make a new one: \(makeOne)")
        }
        return SourceFailure(.unauthorized, detail: detail, hint: "it is mistyped, expired or of another server; make one: \(makeOne)")
    }

    /// Headscale before 0.27 answers an unknown key with status 500 and this one word.
    static func isRefusedKey(_ response: HTTPResponse) -> Bool {
        response.status == 401
            || response.status == 500 && response.body.count <= 64 && String(decoding: response.body, as: UTF8.self).trimmed == "Unauthorized"
    }

    /// JSON of a successful answer, whatever the type says that it is: some proxies change it.
    func json(_ response: HTTPResponse) -> Result<JSON, SourceFailure> {
        let hint = "check that the address leads to the API and not to a web interface or a login page"
        if response.contentType == "text/html" {
            return .failure(SourceFailure(.badAnswer, detail: "\(name) at \(address) answers with a web page", hint: hint))
        }
        do {
            return .success(try JSON(parsing: response.body))
        } catch {
            switch error {
            case .tooDeep(let limit):
                return .failure(SourceFailure(.limitReached, detail: "the answer of \(name) is nested more than \(limit) deep", hint: hint))
            case .tooMany(let limit):
                return .failure(SourceFailure(.limitReached, detail: "the answer of \(name) has more than \(limit) values", hint: hint))
            case .malformed(let reason, let position):
                let detail = "the answer of \(name) is no JSON: \(words(reason)) at byte \(position)"
                return .failure(SourceFailure(.badAnswer, detail: detail, hint: hint))
            }
        }
    }

    func unexpected(_ wanted: String) -> SourceFailure {
        SourceFailure(.badAnswer, detail: "the answer of \(name) has no \(wanted)", hint: "check that the address leads to the API")
    }

    /// The server's own words about an error: gRPC's status, Tailscale's message, or RFC 9457's problem details.
    func message(_ response: HTTPResponse) -> String? {
        guard response.contentType != "text/html", response.body.count <= 65_536 else { return nil }
        guard let json = try? JSON(parsing: response.body) else {
            let text = String(decoding: response.body, as: UTF8.self).trimmed
            return text.isEmpty ? nil : words(text)
        }
        let first = json["errors"]?.elements?.first?["message"]?.string
        let text = json["message"]?.string ?? first ?? json["detail"]?.string ?? json["title"]?.string
        return text.flatMap { $0.isEmpty ? nil : words($0) }
    }

    /// Byte by byte: as characters a secret with a combining mark behind it would be another text, and the standard library's `replacing` would
    /// bring 2 MB of pattern matching into the library.
    private static func without(_ secret: String, _ text: String) -> String {
        let secret = Array(secret.utf8), bytes = Array(text.utf8)
        var result: [UInt8] = [], index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: secret) {
                result += "(key)".utf8
                index += secret.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Another's words in quotes, without our secrets.
    private func words(_ text: String) -> String {
        var text = text
        for secret in secrets where !secret.text.isEmpty { text = Self.without(secret.text, text) }
        return String(text.prefix(Self.wordsLimit)).quoted
    }
}
