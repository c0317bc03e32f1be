import MeshNet

/// The verdict on one peer or address, or on everything.
func runDoctor(_ options: Options) async throws {
    guard options.operands.count <= 1 else { throw Failure.usage("one peer or address at a time", .doctor) }
    let node = try startNode(options)
    let doctor = Doctor(node: node, report: Report(options), patience: .seconds(options.seconds ?? 5))
    defer { node.close() }
    let isWell = if let target = options.operands.first { try await doctor.examine(target) } else { try await doctor.lookAround() }
    guard isWell else { throw Failure("not connected: see above") }
}

private struct Doctor {
    /// Peers that are examined one by one when nobody is connected; each takes up to 10 s.
    static let examined = 3
    /// Between two looks at the table.
    static let interval: Duration = .milliseconds(200)

    let node: Node
    let report: Report
    let patience: Duration

    // MARK: One target

    func examine(_ target: String) async throws -> Bool {
        // An address is asked at once; a peer id has to be found first.
        if let peer = try? PeerID(target) { try await look { $0.entries.contains { $0.peer == peer } } }
        let diagnosis = try await node.diagnose(target)
        show(diagnosis)
        return [.connected, .reachable].contains(diagnosis.findings.first?.cause)
    }

    private func show(_ diagnosis: Diagnosis) {
        for (index, finding) in diagnosis.findings.enumerated() {
            var fields: [(String, Report.Value)] = [("target", .text(diagnosis.target)), ("cause", .text(finding.cause.description))]
            if let peer = diagnosis.peer { fields.append(("peer", .text(peer.description))) }
            fields.append(("evidence", .text(finding.evidence)))
            if !finding.remedy.isEmpty { fields.append(("remedy", .text(finding.remedy))) }
            report.line(index == 0 ? "verdict" : "finding", fields)
        }
    }

    // MARK: Everything

    func lookAround() async throws -> Bool {
        let table = try await look { $0.entries.contains { $0.state == .connected } }
        report.sources(table)
        for entry in table.entries { report.line("entry", Report.fields(entry)) }
        let connected = try await node.peers()
        guard connected.isEmpty else {
            report.line("verdict", [("cause", .text("connected")), ("peers", .integer(Int64(connected.count)))])
            return true
        }
        if table.entries.isEmpty {
            explainSilence(table)
        } else {
            try await examineSome(of: table)
        }
        return false
    }

    /// Found, and nobody connected: why, for the first of them.
    private func examineSome(of table: DiscoveryTable) async throws {
        var targets: [String] = []
        for entry in table.entries {
            let target = entry.peer?.description ?? entry.address.description
            if !targets.contains(target) { targets.append(target) }
        }
        for target in targets.prefix(Self.examined) { show(try await node.diagnose(target)) }
        if targets.count > Self.examined { report.line("more", [("targets", .integer(Int64(targets.count - Self.examined)))]) }
    }

    /// Nobody was found at all.
    private func explainSilence(_ table: DiscoveryTable) {
        let on = table.sources.filter { $0.state != .off && $0.source != .bootstrap }
        if on.isEmpty {
            return verdict("no source", "discovery is off and no bootstrap peer is configured",
                "Leave --discovery-mode at its default, or name a node by --bootstrap-peers.")
        }
        var isExplained = false
        for status in on {
            if case .failed(let failure, _) = status.state {
                verdict(failure.kind.description, "\(status.source): \(failure.detail)", failure.hint)
                isExplained = true
            } else if let filtered = status.filtered.filter({ $0.key != .own && $0.value > 0 }).max(by: { $0.value < $1.value }) {
                verdict("filtered \(filtered.key)", "\(status.source): \(filtered.value) announcements were heard and filtered: \(filtered.key)",
                    "Compare --app-id, --service-tag and the allow and deny lists on both sides.")
                isExplained = true
            }
        }
        if !isExplained { explainSilenceOfWorkingSources(on) }
    }

    private func explainSilenceOfWorkingSources(_ on: [SourceStatus]) {
        for status in on where status.source == .mdns || status.source == .avahi {
            let interfaces = status.interfaces.map { "\($0.name): \($0.sent) sent, \($0.heard) heard" }.joined(separator: "; ")
            verdict("nothing heard", "\(status.source) runs and heard of nobody within \(patience)\(interfaces.isEmpty ? "" : " (\(interfaces))")",
                "Start another node in the same subnet with the same tag, network and secret. If one is there, multicast is blocked between them "
                    + "(UDP 5353 to 224.0.0.251 and ff02::fb): allow it, or name a node by --bootstrap-peers.")
        }
        for status in on where ![.mdns, .avahi, .gossip].contains(status.source) {
            verdict("nobody there", "\(status.source) works and names nobody but us", "See that other nodes run, and are listed where this source looks.")
        }
        if on.allSatisfy({ $0.source == .gossip }) {
            verdict("nobody to ask", "gossip alone has nobody to begin with", "Name one node by --bootstrap-peers, or add mdns to --discovery-mode.")
        }
    }

    private func verdict(_ cause: String, _ evidence: String, _ remedy: String) {
        report.line("verdict", [("cause", .text(cause)), ("evidence", .text(evidence)), ("remedy", .text(remedy))])
    }

    /// Until it is found, or patience ends.
    @discardableResult
    private func look(until isFound: (DiscoveryTable) -> Bool) async throws -> DiscoveryTable {
        let clock = ContinuousClock(), deadline = clock.now + patience
        while true {
            let table = try await node.discoveryTable()
            if isFound(table) || clock.now >= deadline { return table }
            try await Task.sleep(for: Self.interval)
        }
    }
}
