import MeshNetProtocol

/// Turns facts into findings, the most telling first. Pure: the same facts give the same words.
struct Diagnostician {
    let facts: DiagnosisFacts
    private var found: [(rank: Rank, finding: Finding)] = []

    /// What tells more comes first: what is certain about the target, then answers of its host, then silence, then what the sources say.
    enum Rank: Int {
        case certain
        case duplicate
        case filtered
        case limit
        case acrossSubnets
        case reachable
        case otherNetwork
        case wrongPeer
        case noCommonProtocol
        case handshake
        case refused
        case isolated
        case toldElsewhere
        case silent
        case unreachable
        case unresolved
        case ownAddress
        case controlKey
        case clock
        case controlServer
        case noInterface
        case filteredOthers
        case nothingHeard
        case source
        case hint
        case unknown
    }

    init(_ facts: DiagnosisFacts) { self.facts = facts }

    static func diagnose(_ facts: DiagnosisFacts) -> Diagnosis {
        var judge = Diagnostician(facts)
        judge.judge()
        return Diagnosis(target: facts.target.text, peer: facts.target.peer ?? facts.answeringPeer, findings: judge.ordered)
    }

    mutating func add(_ rank: Rank, _ cause: DiagnosisCause, _ evidence: String, _ remedy: String) {
        let finding = Finding(cause, evidence: evidence, remedy: remedy)
        guard !found.contains(where: { $0.finding == finding }) else { return }
        found.append((rank, finding))
    }

    /// By rank, and in the order of finding within one.
    private var ordered: [Finding] {
        found.enumerated().sorted { ($0.element.rank.rawValue, $0.offset) < ($1.element.rank.rawValue, $1.offset) }.map(\.element.finding)
    }

    private mutating func judge() {
        if let problem = facts.target.problem {
            return add(.certain, .badTarget, problem, "Give a peer id such as 12D3KooW…, or an address such as /ip4/192.168.1.7/tcp/4001.")
        }
        judgeOwn()
        if facts.target.peer == facts.localPeer { return }
        if judgeConnection() { return }
        judgeLimits()
        for probe in facts.probes { judge(probe) }
        if facts.addressesLeftOut > 0 {
            add(.hint, .limitReached, "\(facts.addressesLeftOut) further addresses were not tried", "Ask about one of them, as the table shows them.")
        }
        judgeFilters()
        judgeRefusedHandshakes()
        judgeSources()
        judgeMulticast()
        judgeClock()
        judgeUnknown()
    }

    // MARK: - The node itself

    private mutating func judgeOwn() {
        for clone in facts.clones {
            add(.duplicate, .duplicateIdentity,
                "another node with our identity \(facts.localPeer) answered at \(clone.address), \(DiagnosisWords.time(clone.ago)) ago",
                "Give each node a key of its own: one of the two was copied with its key file.")
        }
        if facts.target.peer == facts.localPeer {
            add(facts.clones.isEmpty ? .certain : .hint, .own, "\(facts.localPeer) is this node itself", "")
        } else if let address = facts.target.address, facts.listenAddresses.contains(address), facts.target.peer == nil {
            add(.certain, .own, "\(address) is an address that this node listens on", "")
        }
    }

    private mutating func judgeConnection() -> Bool {
        if let connection = facts.connection {
            let way = connection.direction == .outbound ? "we dialled" : "it dialled us"
            add(.certain, .connected, "connected at \(connection.address) for \(DiagnosisWords.time(facts.connectedFor)); \(way)", "")
            return true
        }
        if facts.target.isWholeNode, facts.connectedPeers > 0 {
            add(.reachable, .connected, "connected with \(facts.connectedPeers) peer\(facts.connectedPeers == 1 ? "" : "s")", "")
        }
        return false
    }

    private mutating func judgeLimits() {
        if facts.connectionLimit > 0, facts.connections >= facts.connectionLimit {
            add(.limit, .limitReached, "this node has \(facts.connections) connections, of \(facts.connectionLimit) at most",
                "Raise the limit `connections`, or disconnect peers.")
        }
        if facts.inboundRefused > 0 {
            add(.hint, .limitReached, "this node refused \(facts.inboundRefused) inbound connections by its limits",
                "Raise `pending_inbound_connections` or `inbound_connections_per_address` if these were wanted.")
        }
    }

    // MARK: - What was found and is not dialled

    private mutating func judgeFilters() {
        if facts.isDeniedAddress, let address = facts.target.address {
            add(.filtered, .filteredByList, "\(address) is outside the allowed networks, or in a denied one",
                "Change the allowed and denied networks, or add it as a bootstrap peer.")
        }
        if facts.isStranger, let peer = facts.answeringPeer {
            add(.filtered, .filteredByList, "\(peer) answers there, which is not among the allowed peers", "Add it to the allowed peers.")
        }
        for entry in facts.entries where !facts.target.isWholeNode {
            guard let filter = entry.filter else { continue }
            let place = entry.interface.map { " on \($0)" } ?? ""
            let heard = "\(DiagnosisWords.name(entry.source)) told of \(entry.address)\(place) \(DiagnosisWords.time(entry.heard)) ago"
            judge(filter, heard)
        }
    }

    private mutating func judge(_ filter: DiscoveryFilter, _ heard: String) {
        switch filter {
        case .own: add(.certain, .own, "\(heard): this node itself", "")
        case .appID: add(.filtered, .filteredAppID, "\(heard), with another app id than ours", "Give both nodes the same app id, or none.")
        case .serviceTag: add(.filtered, .filteredServiceTag, "\(heard), under another service tag", "Give both nodes the same service tag and network.")
        case .network:
            add(.filtered, .filteredByList, "\(heard), outside the allowed networks or in a denied one", "Change the allowed and denied networks.")
        case .interface: add(.filtered, .filteredByList, "\(heard), and the interface is not allowed", "Change the allowed and denied interfaces.")
        case .peer: add(.filtered, .filteredByList, "\(heard), and the peer is not among the allowed ones", "Add it to the allowed peers.")
        case .offline: add(.source, .unknownPeer, "\(heard), as offline", "Start the tailnet client on that host.")
        case .expired: add(.source, .controlKeyExpired, "\(heard), with a node key that has expired", "Log that host in again.")
        case .notTagged: add(.source, .unknownPeer, "\(heard), without the tag that is required", "Tag that host on the control server.")
        case .noAddress: add(.source, .badTarget, "\(heard), which no transport here dials", "The peer must listen on TCP.")
        case .malformed, .limit, .notSigned: add(.source, .sourceFailed, "\(heard), not usable: \(filter)", "Look at the program that says it.")
        }
    }

    /// Who cannot be reached is often one that knocked here and was turned away.
    private mutating func judgeRefusedHandshakes() {
        let hosts = Set(facts.probes.map { DiagnosisWords.host(of: $0.address) } + facts.entries.map { DiagnosisWords.host(of: $0.address) })
        for refused in facts.refused where facts.target.isWholeNode || hosts.contains(DiagnosisWords.host(of: refused.address)) {
            let when = "\(refused.address) dialled us \(DiagnosisWords.time(refused.ago)) ago"
            switch refused.failure {
            case .otherNetwork(let how):
                add(facts.target.isWholeNode ? .source : .otherNetwork, .otherNetwork, "\(when): \(words(how))", Self.networkRemedy)
            case .noCommonProtocol(let stage):
                add(.hint, .noCommonProtocol, "\(when), and has no \(stage.word) in common with us", Self.protocolRemedy)
            default: continue
            }
        }
    }

    // MARK: - Clock and the unknown

    private mutating func judgeClock() {
        guard let clock = facts.clockAhead else { return }
        add(.clock, .clockOff, "\(clock.peer) signed its record \(DiagnosisWords.time(clock.by)) in our future: its clock is ahead, or ours is behind",
            "Set the clock of both hosts by NTP (timedatectl).")
    }

    private mutating func judgeUnknown() {
        guard facts.entries.isEmpty, facts.probes.isEmpty, !facts.isDeniedAddress, !found.contains(where: { $0.rank == .certain }) else {
            if found.isEmpty { add(.unknown, .unknownPeer, "nothing is known that could be tried", Self.unknownRemedy) }
            return
        }
        if facts.target.isWholeNode, facts.connectedPeers > 0 { return }
        let kept = facts.table.sources.filter { $0.state != .off && $0.source != .bootstrap }.map { status in
            "\(DiagnosisWords.name(status.source)) heard of \(status.heard)"
        }
        let told = kept.isEmpty ? "no source of peers is on" : kept.joined(separator: ", ")
        let what = facts.target.isWholeNode ? "no peer is known" : "no source told of it"
        add(.unknown, .unknownPeer, "\(what): \(told); the node runs since \(DiagnosisWords.time(facts.runsSince))", Self.unknownRemedy)
    }

    static let networkRemedy = "Give both nodes the same network name and secret, or the same swarm.key, or neither of them any."
    static let protocolRemedy = "A libp2p node with TCP, Noise and yamux must listen there."
    static let unknownRemedy = "Check that it runs and announces itself, turn a source on that reaches it, or connect by its address."

    func words(_ how: OtherNetwork) -> String {
        let ours = facts.fingerprint.map { " (ours has the fingerprint \($0))" } ?? ""
        return switch how {
        case .otherKey: "both are in private networks, with different keys\(ours)"
        case .peerInNone: "we are in a private network\(ours), the peer is in none"
        case .peerInPrivate: "the peer is in a private network, we are in none"
        }
    }
}

extension DiagnosisFacts {
    /// Who answered at a nameless address.
    var answeringPeer: PeerID? { probes.lazy.compactMap { try? $0.result.get() }.first }
}

extension HandshakeStage {
    var word: String {
        switch self {
        case .privateNetwork: "private network"
        case .security: "security protocol"
        case .noise: "Noise handshake"
        case .muxer: "stream muxer"
        }
    }
}
