import MeshNetProtocol
import MeshNetSwarm

/// Asks a Headscale server of any version from 0.22 for its nodes, and tags our own when that is wanted.
///
/// Versions are told apart by what they answer: the list is at `/api/v1/node`, before 0.23 at `/api/v1/machine`. What was known holds on while the
/// server fails.
struct HeadscaleMachine: ControlMachine {
    /// Tags of our own node that a write keeps. A node with more is not tagged, since a write replaces them all.
    static let maximumWrittenTags = 1_024
    /// How often the tags are written when they do not stay: others write without seeing ours.
    static let maximumWrites = 3

    private enum Phase: Equatable {
        case idle
        case listing(isSecondTry: Bool)
        /// To learn what a refused key means.
        case askingVersion(refused: HTTPResponse)
        case tagging
    }

    private enum Collection: String {
        case node, machine
        var other: Collection { self == .node ? .machine : .node }
    }

    private let configuration: HeadscaleConfiguration
    private let localPeer: PeerID
    private var server: ControlServer?
    private var key: APIKey?
    private var view: TailnetView
    private var schedule: PollSchedule
    private var random: RandomSource
    private var phase = Phase.idle
    private var collection = Collection.node
    private var wasAccepted = false
    private var listenPort: UInt16?
    private var own = OwnPlace()
    /// Writes that may still be tried; 0 when the tags are there, or not wanted.
    private var writesLeft: Int
    private var actions = StableFifo<ControlAction>()

    init(_ configuration: HeadscaleConfiguration, localPeer: PeerID, random: RandomSource, now: Instant) {
        self.configuration = configuration
        self.localPeer = localPeer
        self.random = random
        view = TailnetView(rules: TailnetRules(localPeer: localPeer, port: configuration.port, requiredTag: configuration.requiredTag))
        schedule = PollSchedule(interval: configuration.pollInterval, now: now)
        writesLeft = configuration.tagsItself ? Self.maximumWrites : 0
        prepare()
    }

    // MARK: Verbs

    var deadline: Instant? { phase == .idle ? schedule.next : nil }

    mutating func handleTimeout(_ surroundings: ControlSurroundings, now: Instant) {
        guard phase == .idle, let time = schedule.next, time <= now else { return }
        schedule.asked()
        list(isSecondTry: false)
    }

    mutating func receive(_ answer: Result<HTTPResponse, HTTPFailure>, _ surroundings: ControlSurroundings, now: Instant) {
        let asked = phase
        phase = .idle
        if case .success(let response) = answer { server?.heard(response, wallClock: surroundings.wallClock) }
        switch asked {
        case .idle: break
        case .listing(let isSecondTry): listed(answer, isSecondTry: isSecondTry, surroundings, now: now)
        case .askingVersion(let refused): refuse(refused, version: try? answer.get(), now: now)
        case .tagging: tagged(answer)
        }
    }

    mutating func listening(on addresses: [Multiaddr]) {
        let places = OwnPlace.places(addresses)
        own = OwnPlace(addresses: Set(places.map(\.ip)), ports: Set(places.map(\.port)))
        listenPort = places.first?.port
    }

    mutating func connectedPeers(_ count: Int, now: Instant) { schedule.connectedPeers(count, now: now) }

    mutating func poll() -> ControlAction? { actions.popFirst() }

    // MARK: The list

    /// Checks what was configured, before anything is sent.
    private mutating func prepare() {
        let address: ServerAddress
        do { address = try ServerAddress(configuration.apiBaseURL).droppingPath("/api/v1") } catch {
            return stop(SourceFailure(.badConfiguration, detail: "the address of the Headscale server: \(error)", hint: "write https://host[:port]"))
        }
        let key: APIKey
        do { key = try KeyKinds.headscale(configuration.apiKey).get() } catch { return stop(error) }
        self.key = key
        server = ControlServer(
            name: "the Headscale server", address: address, certificateAuthorityFile: configuration.certificateAuthorityFile, secrets: [key])
        if let insecurity = server?.insecurity { report(.failed(insecurity, retryAfter: .zero)) }
    }

    private mutating func list(isSecondTry: Bool) {
        phase = .listing(isSecondTry: isSecondTry)
        send("/api/v1/\(collection.rawValue)")
    }

    private mutating func listed(
        _ answer: Result<HTTPResponse, HTTPFailure>, isSecondTry: Bool, _ surroundings: ControlSurroundings, now: Instant
    ) {
        guard let server else { return }
        let response: HTTPResponse
        switch answer {
        case .success(let value): response = value
        case .failure(let failure): return fail(server.failure(failure), now: now)
        }
        if ControlServer.isRefusedKey(response) { return keyRefused(response, now: now) }
        // Also when the server was replaced by a newer one meanwhile.
        if response.status == 404, !isSecondTry {
            collection = collection.other
            return list(isSecondTry: true)
        }
        guard (200..<300).contains(response.status) else {
            return fail(server.failure(response), retryAfter: response.retryAfter, now: now)
        }
        switch server.json(response) {
        case .failure(let failure): fail((failure, .refusing), now: now)
        case .success(let json):
            guard let (nodes, malformed) = HeadscaleList.nodes(json) else { return fail((server.unexpected("list of nodes"), .refusing), now: now) }
            accept(nodes, malformed: malformed, surroundings, now: now)
        }
    }

    private mutating func accept(_ nodes: [TailnetNode], malformed: Int, _ surroundings: ControlSurroundings, now: Instant) {
        wasAccepted = true
        schedule.succeeded(now: now, random: &random)
        var place = own
        place.addresses.formUnion(surroundings.addresses)
        report(.running)
        let time = server?.time(surroundings.wallClock) ?? surroundings.wallClock
        for entry in view.reports(of: nodes, malformed: malformed, own: place, time: time) { report(entry) }
        if writesLeft > 0 { tagOwnNode(among: nodes, place) }
    }

    // MARK: The key

    private mutating func keyRefused(_ response: HTTPResponse, now: Instant) {
        // Status 401 has one meaning before 0.27, and several since, when /version came. It is asked without the key.
        guard !wasAccepted, response.status == 401, let server else { return refuse(response, version: nil, now: now) }
        phase = .askingVersion(refused: response)
        actions.append(.request(server.request("/version", bearer: nil)))
    }

    private mutating func refuse(_ response: HTTPResponse, version: HTTPResponse?, now: Instant) {
        guard let server else { return }
        let isExpired = wasAccepted || version?.status == 404
        let failure = server.keyFailure(response, wasAccepted: isExpired, makeOne: KeyKinds.headscaleCommand)
        fail((failure, .refusing), retryAfter: ControlServer.keyPatience, now: now)
    }

    // MARK: Our own tags

    private mutating func tagOwnNode(among nodes: [TailnetNode], _ place: OwnPlace) {
        guard let listenPort else { return }
        let ours = nodes.filter { place.isHost(of: $0) }
        // Not there yet: looked for again in the next list.
        guard ours.count == 1, let node = ours.first else { return }
        let wanted = TailnetTags.replacing(node.writtenTags, with: TailnetTags.own(localPeer, port: listenPort))
        guard Set(wanted) != Set(node.writtenTags) else {
            writesLeft = 0
            return
        }
        // An id goes into a path: it is a number wherever Headscale made it.
        guard node.id.utf8.allSatisfy({ (0x30...0x39).contains($0) }), wanted.count <= Self.maximumWrittenTags else {
            writesLeft = 0
            return
        }
        writesLeft -= 1
        phase = .tagging
        send("/api/v1/\(collection.rawValue)/\(node.id)/tags", content: "{\"tags\":\(JSONText.array(wanted))}")
    }

    private mutating func tagged(_ answer: Result<HTTPResponse, HTTPFailure>) {
        guard let server else { return }
        switch answer {
        case .success(let response) where (200..<300).contains(response.status):
            // The next list shows whether they are there.
            break
        case .success(let response):
            writesLeft = 0
            let words = server.message(response).map { ": \($0)" } ?? ""
            let entries = TailnetTags.own(localPeer, port: listenPort ?? 0).map { "\(JSONText.string($0)): []" }.joined(separator: ", ")
            let failure = SourceFailure(
                .permission, detail: "the Headscale server does not set the tags of our node (status \(response.status))\(words)",
                hint: "from Headscale 0.28 on the policy has to name them: \"tagOwners\": {\(entries)}")
            report(.failed(failure, retryAfter: nil))
        case .failure(let failure):
            // Tried again after the next list.
            report(.failed(server.failure(failure).0, retryAfter: nil))
        }
    }

    // MARK: Small things

    private mutating func send(_ path: String, content: String? = nil) {
        guard var request = server?.request(path, bearer: key) else { return }
        request.content = content.map { HTTPRequest.Content(type: "application/json", text: APIKey($0)) }
        actions.append(.request(request))
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

/// The nodes in an answer of Headscale, 0.22 to 0.30.
enum HeadscaleList {
    /// nil when the answer has no list. Entries that cannot be read are counted.
    static func nodes(_ json: JSON) -> (nodes: [TailnetNode], malformed: Int)? {
        guard let list = json["nodes"] ?? json["machines"], let entries = list.elements ?? (list.isNull ? [] : nil) else { return nil }
        let nodes = entries.compactMap(node)
        return (nodes, entries.count - nodes.count)
    }

    private static func node(_ json: JSON) -> TailnetNode? {
        guard let id = TailnetNode.text(json["id"]) else { return nil }
        // What a client asked for and nobody allowed is in invalidTags, which is not read. Before 0.24 validTags lack the forced ones.
        let forced = json["forcedTags"], current = json["tags"]
        var tags: [String] = []
        for list in [forced, json["validTags"], current] {
            for tag in list?.strings(limit: TailnetNode.maximumTags) ?? [] where !tags.contains(tag) { tags.append(tag) }
        }
        return TailnetNode(
            id: id, name: TailnetNode.text(json["givenName"]) ?? TailnetNode.text(json["name"]) ?? id,
            addresses: TailnetNode.addresses(json["ipAddresses"]), tags: tags,
            writtenTags: (current ?? forced)?.strings(limit: HeadscaleMachine.maximumWrittenTags) ?? [],
            isOnline: json["online"]?.bool ?? true, expiry: Timestamp.set(json["expiry"]?.string))
    }
}
