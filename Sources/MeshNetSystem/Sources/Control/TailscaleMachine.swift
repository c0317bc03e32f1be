import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// Asks for the nodes of a tailnet: tailscaled on this machine, which needs no key and knows only who may be reached; else the API of Tailscale.
struct TailscaleMachine: ControlMachine {
    /// Between two questions to tailscaled: they cost it nothing and leave this machine not.
    static let localInterval: Duration = .seconds(5)
    /// Tailscale publishes no limits, and asks to be asked rarely.
    static let fastestOnline: Duration = .seconds(15)
    /// An access token is replaced so long before it runs out.
    static let tokenReserve: Duration = .seconds(300)

    private enum Phase: Equatable {
        case idle
        case askingLocal
        case fetchingToken
        /// With a token that was just fetched a refusal is final.
        case listing(isTokenNew: Bool)
    }

    private enum Credential {
        case none
        case key(APIKey)
        case client(id: String, secret: APIKey)
    }

    private let local = ControlServer(
        name: "tailscaled", address: ServerAddress.tailscaled, certificateAuthorityFile: nil, secrets: [])
    private let configuration: TailscaleConfiguration
    private var server: ControlServer?
    private var credential = Credential.none
    private var token: (key: APIKey, until: Instant)?
    private var view: TailnetView
    private var schedule: PollSchedule
    private var random: RandomSource
    private var phase = Phase.idle
    private var wasAccepted = false
    private var own = OwnPlace()
    private var listenPort: UInt16?
    private var actions = StableFifo<ControlAction>()

    init(_ configuration: TailscaleConfiguration, localPeer: PeerID, random: RandomSource, now: Instant) {
        self.configuration = configuration
        self.random = random
        view = TailnetView(rules: TailnetRules(localPeer: localPeer, port: configuration.port, requiredTag: configuration.requiredTag))
        schedule = PollSchedule(interval: configuration.pollInterval, now: now)
        prepare()
    }

    // MARK: Verbs

    var deadline: Instant? { phase == .idle ? schedule.next : nil }

    mutating func handleTimeout(_ surroundings: ControlSurroundings, now: Instant) {
        guard phase == .idle, let time = schedule.next, time <= now else { return }
        schedule.asked()
        if let path = surroundings.tailscaledSocket {
            askLocal(path)
        } else {
            askOnline(instead: nil, now: now)
        }
    }

    mutating func receive(_ answer: Result<HTTPResponse, HTTPFailure>, _ surroundings: ControlSurroundings, now: Instant) {
        let asked = phase
        phase = .idle
        if asked != .askingLocal, case .success(let response) = answer { server?.heard(response, wallClock: surroundings.wallClock) }
        switch asked {
        case .idle: break
        case .askingLocal: local(answer, surroundings, now: now)
        case .fetchingToken: tokenArrived(answer, now: now)
        case .listing(let isTokenNew): listed(answer, isTokenNew: isTokenNew, surroundings, now: now)
        }
    }

    mutating func listening(on addresses: [Multiaddr]) {
        let places = OwnPlace.places(addresses)
        own = OwnPlace(addresses: Set(places.map(\.ip)), ports: Set(places.map(\.port)))
        listenPort = places.first?.port
        if configuration.port == 0 { view.rules.port = listenPort ?? 0 }
    }

    mutating func connectedPeers(_ count: Int, now: Instant) { schedule.connectedPeers(count, now: now) }

    mutating func poll() -> ControlAction? { actions.popFirst() }

    // MARK: tailscaled

    private mutating func askLocal(_ path: String) {
        schedule.setPace(interval: min(configuration.pollInterval, Self.localInterval), fastest: PollSchedule.fastest)
        phase = .askingLocal
        var request = local.request("/localapi/v0/status", bearer: nil)
        request.unixSocket = path
        actions.append(.request(request))
    }

    private mutating func local(_ answer: Result<HTTPResponse, HTTPFailure>, _ surroundings: ControlSurroundings, now: Instant) {
        switch answer {
        case .failure(.unreachable(let code, let reason)):
            let kind = code == EACCES || code == EPERM ? SourceFailureKind.permission : .notAvailable
            let path = surroundings.tailscaledSocket.map { " at \($0.quoted)" } ?? ""
            askOnline(instead: SourceFailure(kind, detail: "tailscaled does not answer\(path): \(reason.quoted)", hint: "start tailscaled"), now: now)
        case .failure(let failure): askOnline(instead: local.failure(failure).0, now: now)
        case .success(let response) where (200..<300).contains(response.status):
            switch local.json(response) {
            case .failure(let failure): askOnline(instead: failure, now: now)
            case .success(let json): localStatus(json, surroundings, now: now)
            }
        case .success(let response): askOnline(instead: local.failure(response).0, now: now)
        }
    }

    private mutating func localStatus(_ json: JSON, _ surroundings: ControlSurroundings, now: Instant) {
        guard let state = json["BackendState"]?.string else { return askOnline(instead: local.unexpected("BackendState"), now: now) }
        guard state == "Running" else {
            // Its addresses lead nowhere then.
            report(.replaced([]))
            let failure = SourceFailure(.notAvailable, detail: "tailscaled is in state \(state.quoted)", hint: "run: tailscale up")
            return fail((failure, .absent), now: now)
        }
        let (nodes, malformed) = TailnetLists.peers(json)
        var place = own
        place.addresses.formUnion(TailnetNode.addresses(json["TailscaleIPs"]))
        accept(nodes, malformed: malformed, place, surroundings, time: surroundings.wallClock, now: now)
    }

    // MARK: The API

    /// Checks what was configured, before anything is sent.
    private mutating func prepare() {
        if let key = configuration.apiKey {
            switch KeyKinds.tailscale(key) {
            case .success(let key): credential = .key(key)
            case .failure(let failure): return stop(failure)
            }
        } else if let secret = configuration.clientSecret {
            guard let id = configuration.clientID?.trimmed, !id.isEmpty else {
                return stop(SourceFailure(.badConfiguration, detail: "a client secret without a client id", hint: "give both"))
            }
            switch KeyKinds.tailscaleClient(secret) {
            case .success(let secret): credential = .client(id: id, secret: secret)
            case .failure(let failure): return stop(failure)
            }
        }
        let secrets: [APIKey]
        switch credential {
        case .none: return
        case .key(let key), .client(_, let key): secrets = [key]
        }
        do throws(ServerAddress.Problem) {
            server = ControlServer(
                name: "the Tailscale API", address: try ServerAddress(configuration.apiBaseURL).droppingPath("/api/v2"),
                certificateAuthorityFile: configuration.certificateAuthorityFile, secrets: secrets)
        } catch {
            stop(SourceFailure(.badConfiguration, detail: "the address of the Tailscale API: \(error)", hint: "write https://host[:port]"))
        }
        if let insecurity = server?.insecurity { report(.failed(insecurity, retryAfter: .zero)) }
    }

    /// - Parameter failure: what is wrong with tailscaled; nil when there is none.
    private mutating func askOnline(instead failure: SourceFailure?, now: Instant) {
        guard server != nil else {
            let absent = SourceFailure(
                .notAvailable, detail: "no tailscaled runs here, and no key of the API is set",
                hint: "start tailscaled, or give an API key or an OAuth client")
            schedule.setPace(interval: min(configuration.pollInterval, Self.localInterval), fastest: PollSchedule.fastest)
            return fail((failure ?? absent, .absent), now: now)
        }
        schedule.setPace(interval: configuration.pollInterval, fastest: Self.fastestOnline)
        switch credential {
        case .none: break
        case .key(let key): list(bearer: key, isTokenNew: true)
        case .client:
            if let token, token.until > now { list(bearer: token.key, isTokenNew: false) } else { fetchToken() }
        }
    }

    private mutating func list(bearer: APIKey, isTokenNew: Bool) {
        guard let server else { return }
        phase = .listing(isTokenNew: isTokenNew)
        // `-` is the tailnet of the key.
        actions.append(.request(server.request("/api/v2/tailnet/-/devices", bearer: bearer)))
    }

    private mutating func listed(
        _ answer: Result<HTTPResponse, HTTPFailure>, isTokenNew: Bool, _ surroundings: ControlSurroundings, now: Instant
    ) {
        guard let server else { return }
        let response: HTTPResponse
        switch answer {
        case .success(let value): response = value
        case .failure(let failure): return fail(server.failure(failure), now: now)
        }
        if response.status == 401 {
            token = nil
            // It may have been withdrawn before its time.
            guard isTokenNew else { return fetchToken() }
            return refuse(response, now: now)
        }
        guard (200..<300).contains(response.status) else { return fail(server.failure(response), retryAfter: response.retryAfter, now: now) }
        let json: JSON
        switch server.json(response) {
        case .success(let value): json = value
        case .failure(let failure): return fail((failure, .refusing), now: now)
        }
        let time = server.time(surroundings.wallClock)
        guard let (nodes, malformed) = TailnetLists.devices(json, time: time) else {
            return fail((server.unexpected("list of devices"), .refusing), now: now)
        }
        wasAccepted = true
        accept(nodes, malformed: malformed, own, surroundings, time: time, now: now)
    }

    // MARK: OAuth

    /// RFC 6749 §4.4.
    private mutating func fetchToken() {
        guard case .client(let id, let secret) = credential, var request = server?.request("/api/v2/oauth/token", bearer: nil) else { return }
        let form = "grant_type=client_credentials&client_id=\(FormText.encoded(id))&client_secret=\(FormText.encoded(secret.text))"
        request.content = HTTPRequest.Content(type: "application/x-www-form-urlencoded", text: APIKey(form))
        phase = .fetchingToken
        actions.append(.request(request))
    }

    private mutating func tokenArrived(_ answer: Result<HTTPResponse, HTTPFailure>, now: Instant) {
        guard let server else { return }
        let response: HTTPResponse
        switch answer {
        case .success(let value): response = value
        case .failure(let failure): return fail(server.failure(failure), now: now)
        }
        if response.status == 400 || response.status == 401 { return refuse(response, now: now) }
        guard (200..<300).contains(response.status) else { return fail(server.failure(response), retryAfter: response.retryAfter, now: now) }
        switch server.json(response) {
        case .failure(let failure): fail((failure, .refusing), now: now)
        case .success(let json):
            guard let text = json["access_token"]?.string, case .success(let key) = KeyKinds.plain(APIKey(text)) else {
                return fail((server.unexpected("access token"), .refusing), now: now)
            }
            let lifetime = Duration.seconds(min(max(json["expires_in"]?.integer ?? 3_600, 0), 86_400))
            token = (key, now + max(lifetime - Self.tokenReserve, .zero))
            if case .client(_, let secret) = credential { self.server?.secrets = [secret, key] }
            list(bearer: key, isTokenNew: true)
        }
    }

    // MARK: Small things

    private mutating func accept(
        _ nodes: [TailnetNode], malformed: Int, _ place: OwnPlace, _ surroundings: ControlSurroundings, time: Int64, now: Instant
    ) {
        var place = place
        place.addresses.formUnion(surroundings.addresses)
        schedule.succeeded(now: now, random: &random)
        report(.running)
        for entry in view.reports(of: nodes, malformed: malformed, own: place, time: time) { report(entry) }
    }

    private mutating func refuse(_ response: HTTPResponse, now: Instant) {
        guard let server else { return }
        let failure = server.keyFailure(response, wasAccepted: wasAccepted, makeOne: "in the admin console, Settings, Keys or OAuth clients")
        fail((failure, .refusing), retryAfter: ControlServer.keyPatience, now: now)
    }

    private mutating func fail(_ failure: (SourceFailure, PollSchedule.Trouble), retryAfter: Duration? = nil, now: Instant) {
        let delay = schedule.failed(failure.1, retryAfter: retryAfter, now: now, random: &random)
        report(.failed(failure.0, retryAfter: delay))
    }

    private mutating func stop(_ failure: SourceFailure) {
        schedule.stop()
        report(.failed(failure, retryAfter: nil))
    }

    private mutating func report(_ report: SourceReport) { actions.append(.report(report)) }
}

extension ServerAddress {
    /// The name that tailscaled expects in the Host line of its socket.
    static let tailscaled = ServerAddress(isSecure: false, host: "local-tailscaled.sock", port: 80, path: "")
}

/// `application/x-www-form-urlencoded`.
enum FormText {
    static func encoded(_ text: String) -> String {
        var output = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                output.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                output += hex.utf8.count == 1 ? "%0\(hex)" : "%\(hex)"
            }
        }
        return output
    }
}

/// The nodes in answers of tailscaled and of Tailscale's API.
enum TailnetLists {
    /// Where the API does not say whether a device is connected, one that was seen within this many seconds is.
    static let recently: Int64 = 300

    /// Peers in a status of tailscaled, in no particular order but always the same.
    static func peers(_ json: JSON) -> (nodes: [TailnetNode], malformed: Int) {
        let entries = json["Peer"]?.members ?? []
        let nodes = entries.compactMap { entry -> TailnetNode? in
            guard let id = TailnetNode.text(entry["ID"]) ?? TailnetNode.text(entry["PublicKey"]) else { return nil }
            var node = TailnetNode(
                id: id, name: TailnetNode.text(entry["DNSName"]) ?? TailnetNode.text(entry["HostName"]) ?? id,
                addresses: TailnetNode.addresses(entry["TailscaleIPs"]), tags: entry["Tags"]?.strings(limit: TailnetNode.maximumTags) ?? [])
            node.isOnline = entry["Online"]?.bool ?? true
            node.isExpired = entry["Expired"]?.bool ?? false
            node.expiry = Timestamp.set(entry["KeyExpiry"]?.string)
            node.isBarred = entry["ShareeNode"]?.bool ?? false
            return node
        }
        return (nodes, entries.count - nodes.count)
    }

    /// nil when the answer has no list.
    static func devices(_ json: JSON, time: Int64) -> (nodes: [TailnetNode], malformed: Int)? {
        guard let list = json["devices"], let entries = list.elements ?? (list.isNull ? [] : nil) else { return nil }
        let nodes = entries.compactMap { device($0, time: time) }
        return (nodes, entries.count - nodes.count)
    }

    private static func device(_ json: JSON, time: Int64) -> TailnetNode? {
        guard let id = TailnetNode.text(json["nodeId"]) ?? TailnetNode.text(json["id"]) else { return nil }
        var node = TailnetNode(
            id: id, name: TailnetNode.text(json["name"]) ?? TailnetNode.text(json["hostname"]) ?? id,
            addresses: TailnetNode.addresses(json["addresses"]), tags: json["tags"]?.strings(limit: TailnetNode.maximumTags) ?? [])
        let seen = Timestamp.set(json["lastSeen"]?.string)
        node.isOnline = json["connectedToControl"]?.bool ?? seen.map { $0 > time - recently } ?? true
        if json["keyExpiryDisabled"]?.bool != true { node.expiry = Timestamp.set(json["expires"]?.string) }
        node.isBarred = json["authorized"]?.bool == false || json["isExternal"]?.bool == true || json["blocksIncomingConnections"]?.bool == true
        return node
    }
}
