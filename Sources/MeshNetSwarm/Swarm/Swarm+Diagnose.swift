import MeshNetProtocol

struct DiagnosisID: Hashable { let rawValue: UInt64 }

/// A diagnosis whose probes are under way.
struct PendingDiagnosis {
    /// At once. Each has up to 16 probes, and people ask one after another.
    static let maximum = 4
    /// The answer comes within 10 s; this much of it is waited for probes.
    static let time: Duration = .seconds(8)
    /// Addresses tried by one diagnosis.
    static let maximumProbes = 16
    /// A clock that is further off than this breaks certificates and keys that expire; beyond the second the number is no time at all.
    static let clockTolerance: Duration = .seconds(600)
    static let clockDoubt: Duration = .seconds(100 * 365 * 86_400)

    let ticket: Ticket
    let target: DiagnosisTarget
    /// By the number of the probe; nil while it is under way.
    var addresses: [(address: Multiaddr, expected: PeerID?)]
    var results: [Result<PeerID, DialError>?]
    let addressesLeftOut: Int

    var isComplete: Bool { results.allSatisfy { $0 != nil } }
}

// `diagnose`: what is known is gathered, each address is tried once more, and the facts are judged.
extension Swarm {
    mutating func diagnose(_ text: String, ticket: Ticket) {
        guard diagnoses.count < PendingDiagnosis.maximum else {
            return complete(ticket, .failure(.limitReached("diagnoses at once: \(PendingDiagnosis.maximum)")))
        }
        let target = DiagnosisTarget(text)
        let all = probeAddresses(target), tried = Array(all.prefix(PendingDiagnosis.maximumProbes))
        let id = DiagnosisID(rawValue: nextDiagnosis)
        nextDiagnosis += 1
        diagnoses[id] = PendingDiagnosis(
            ticket: ticket, target: target, addresses: tried, results: tried.map { _ in nil }, addressesLeftOut: all.count - tried.count)
        timers.set(.diagnosis(id), at: now + PendingDiagnosis.time)
        for (number, place) in tried.enumerated() { probe(place.address, expecting: place.expected, for: .diagnosis(id, number: number)) }
        finishDiagnosis(id)
    }

    /// A probe ended; it may do so before `diagnose` has started them all.
    mutating func diagnosisProbe(_ id: DiagnosisID, number: Int, _ result: Result<PeerID, DialError>) {
        guard diagnoses[id]?.results.indices.contains(number) == true else { return }
        diagnoses[id]?.results[number] = result
        // For the node as a whole every address is worth its answer; for one peer the first that answers is enough.
        if case .success = result, diagnoses[id]?.target.isWholeNode == false { endProbes(of: id) }
        finishDiagnosis(id)
    }

    mutating func diagnosisTimer(_ id: DiagnosisID) {
        guard diagnoses[id] != nil else { return }
        for (dial, number) in probes(of: id) {
            let silence = silence(of: dial)
            diagnoses[id]?.results[number] = .failure(silence)
            _ = endDial(dial.id)
        }
        finishDiagnosis(id)
    }

    private mutating func finishDiagnosis(_ id: DiagnosisID) {
        guard let pending = diagnoses[id], pending.isComplete else { return }
        diagnoses[id] = nil
        guard !isShuttingDown else { return complete(pending.ticket, .failure(.closed)) }
        complete(pending.ticket, .success(.diagnosis(Diagnostician.diagnose(facts(for: pending)))))
    }

    /// The others are of no use any more.
    private mutating func endProbes(of id: DiagnosisID) {
        for (dial, number) in probes(of: id) {
            diagnoses[id]?.results[number] = .failure(.cancelled)
            _ = endDial(dial.id)
        }
    }

    private func probes(of id: DiagnosisID) -> [(dial: Dial, number: Int)] {
        dials.values.compactMap { dial in
            if case .diagnosis(id, let number)? = dial.probe { (dial, number) } else { nil }
        }.sorted { $0.number < $1.number }
    }

    /// What a probe has come to when its time is over.
    private func silence(of dial: Dial) -> DialError {
        if let lookup = dial.resolving.first {
            return .unresolved(host: lookup.host, reason: "no answer of the name servers within \(DiagnosisWords.time(PendingDiagnosis.time))")
        }
        let isAnswered = dial.attempts.contains { connections[$0.id]?.phase == .handshaking }
        let last: DialError = isAnswered ? .handshakeFailed(.timedOut(.security)) : .timedOut(after: PendingDiagnosis.time)
        return dial.attempts.isEmpty && dial.failures.isEmpty ? .limitReached("outbound attempts under way") : Dial.verdict(dial.failures + [last])
    }

    // MARK: - What to try

    /// Each address once, without its peer id, in the order of dialling.
    private func probeAddresses(_ target: DiagnosisTarget) -> [(address: Multiaddr, expected: PeerID?)] {
        guard target.problem == nil, target.peer != localPeer else { return [] }
        if let peer = target.peer ?? connectedPeer(at: target.address), peers[peer] != nil { return [] }
        var found: [(address: Multiaddr, expected: PeerID?)] = []
        func add(_ address: Multiaddr, _ expected: PeerID?) {
            guard let plain = address.withoutPeerID, isAllowed(plain) else { return }
            if case .peerOnly = DialTarget(plain) { return }
            if !found.contains(where: { $0.address == plain && $0.expected == expected }) { found.append((plain, expected)) }
        }
        if target.isWholeNode {
            for entry in discoveryTable.entries where entry.filter == nil && entry.peer.map({ peers[$0] == nil && $0 != localPeer }) ?? true {
                if entry.state != .connected { add(entry.address, entry.peer) }
            }
            return found
        }
        if let address = target.address, !listenAddresses.contains(address) { add(address, target.peer) }
        guard let peer = target.peer else { return found }
        for entry in discoveryTable.entries where entry.peer == peer && entry.filter == nil { add(entry.address, peer) }
        for address in addressSense.ordered(addressBook.addresses(of: peer, withFailing: true)) { add(address, peer) }
        return found
    }

    private func isAllowed(_ address: Multiaddr) -> Bool {
        guard case .socket(let socket) = DialTarget(address) else { return true }
        return rules.allows(ip: socket.ip)
    }

    // MARK: - What is known

    private func facts(for pending: PendingDiagnosis) -> DiagnosisFacts {
        let target = pending.target
        var facts = DiagnosisFacts(target: target, localPeer: localPeer)
        facts.modes = configuration.discovery.modes ?? []
        facts.runsSince = now - startedAt
        facts.listenAddresses = listenAddresses
        facts.interfaces = addressSense.interfaces
        facts.fingerprint = configuration.preSharedKey.map { String($0.fingerprint.prefix(8)) }
        facts.table = discoveryTable
        for source in [DiscoverySource.mdns, .avahi] {
            for index in 0..<table[source].refusals.count {
                facts.refusals.append((table[source].refusals[index].reason, table[source].refusals[index].what))
            }
        }
        facts.probes = zip(pending.addresses, pending.results).map { place, result in
            DiagnosisFacts.Probe(address: place.address, expected: place.expected, result: result ?? .failure(.cancelled))
        }
        facts.addressesLeftOut = pending.addressesLeftOut
        facts.connectedPeers = peers.count
        if let peer = target.peer ?? connectedPeer(at: target.address), facts.probes.isEmpty, let known = peers[peer] {
            facts.connection = known.announced
            facts.connectedFor = connections[known.primary]?.establishedAt.map { now - $0 } ?? .zero
        }
        facts.isDeniedAddress = target.address.map { !isAllowed($0) } ?? false
        if target.peer == nil, let answering = facts.answeringPeer { facts.isStranger = !rules.allows(peer: answering) }
        facts.connections = connections.count
        facts.connectionLimit = configuration.limits.connections
        facts.inboundRefused = inboundGate.refused
        facts.refused = refusedHandshakes.newestFirst.map { ($0.address, $0.failure, now - $0.at) }
        facts.clones = clones.told.reversed().map { ($0.address, now - $0.at) }
        facts.clockAhead = clockAhead
        return facts
    }

    /// The connected peer whose signed record is furthest in our future. go and this library number records by the nanoseconds since 1970; others
    /// count in seconds or from 1, and records may be old, so that only the future tells.
    private var clockAhead: (peer: PeerID, by: Duration)? {
        guard let first = configuration.firstSequenceNumber else { return nil }
        let (clock, overflow) = first.addingReportingOverflow(UInt64(max(0, (now - startedAt).saturatedNanoseconds)))
        guard !overflow else { return nil }
        var found: (peer: PeerID, by: Duration)?
        for peer in peers.keys.sorted() {
            guard let sequence = peers[peer]?.sealedRecord?.record.sequence, sequence > clock, let ahead = Int64(exactly: sequence - clock),
                (PendingDiagnosis.clockTolerance...PendingDiagnosis.clockDoubt).contains(.nanoseconds(ahead))
            else { continue }
            if let found, found.by >= .nanoseconds(ahead) { continue }
            found = (peer, .nanoseconds(ahead))
        }
        return found
    }

    private func connectedPeer(at address: Multiaddr?) -> PeerID? { address.flatMap { reachedPeers[$0] } }
}
