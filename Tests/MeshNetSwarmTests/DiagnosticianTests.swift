import MeshNetProtocol
import TestSupport
import Testing

@testable import MeshNetSwarm

/// Facts in, findings out: one test for each cause, and what comes first.
@Suite struct DiagnosticianTests {
    private static let peers: [PeerID] = (1...4).map { KeyPair(secret: [UInt8](repeating: $0, count: 32))!.peerID }
    private static let own = peers[0], peer = peers[1], stranger = peers[2]
    private static let near = SocketAddress(ip: [10, 1, 0, 9], port: 4001).multiaddr, far = SocketAddress(ip: [10, 2, 0, 9], port: 4001).multiaddr

    private static func facts(_ target: String = "\(peer)", _ results: [(Multiaddr, Result<PeerID, DialError>)] = []) -> DiagnosisFacts {
        var facts = DiagnosisFacts(target: DiagnosisTarget(target), localPeer: own)
        facts.modes = .standard
        facts.runsSince = .seconds(40)
        facts.interfaces = [NetworkInterface(name: "eth0", addresses: [NetworkPrefix(ip: [10, 1, 0, 1], length: 24)!])]
        facts.listenAddresses = [SocketAddress(ip: [10, 1, 0, 1], port: 4001).multiaddr]
        facts.probes = results.map { DiagnosisFacts.Probe(address: $0.0, expected: peer, result: $0.1) }
        return facts
    }

    private static func source(_ source: DiscoverySource, _ state: SourceState = .running, _ change: (inout SourceStatus) -> Void = { _ in }) -> SourceStatus {
        var status = SourceStatus(source: source)
        status.state = state
        change(&status)
        return status
    }

    private static func entry(_ address: Multiaddr, _ source: DiscoverySource = .mdns, filter: DiscoveryFilter? = nil) -> DiscoveryEntry {
        var entry = DiscoveryEntry(
            peer: peer, address: address, source: source, interface: "eth0", state: filter == nil ? .waiting : .filtered, heard: .milliseconds(1_200))
        entry.filter = filter
        return entry
    }

    private static func interface(_ name: String, sent: Int, heard: Int, failure: SourceFailure? = nil) -> InterfaceStatus {
        var status = InterfaceStatus(name: name)
        (status.sent, status.heard, status.failure) = (sent, heard, failure)
        return status
    }

    private func causes(_ facts: DiagnosisFacts) -> [DiagnosisCause] { Diagnostician.diagnose(facts).findings.map(\.cause) }
    private func verdict(_ facts: DiagnosisFacts) -> Finding? { Diagnostician.diagnose(facts).findings.first }

    // MARK: Answers and silence of an address

    @Test(arguments: [
        (DialError.refused, DiagnosisCause.refused), (.timedOut(after: .seconds(8)), .firewall), (.unreachable(errno: 113), .isolated),
        (.unreachable(errno: 101), .unreachable), (.unreachable(errno: 1), .firewall), (.otherNetwork(.otherKey), .otherNetwork),
        (.wrongPeer(expected: peer, actual: stranger), .wrongPeer), (.handshakeFailed(.noCommonProtocol(.security)), .noCommonProtocol),
        (.handshakeFailed(.malformed(.security, "lineTooLong")), .noCommonProtocol), (.handshakeFailed(.timedOut(.security)), .handshakeFailed),
        (.handshakeFailed(.closedDuring(.security)), .handshakeFailed), (.unresolved(host: "host.example", reason: "no such name"), .unresolved),
        (.selfDial, .own), (.unsupportedAddress, .badTarget), (.limitReached("outbound attempts under way"), .limitReached),
    ])
    func eachFailureOfADialHasItsCause(error: DialError, cause: DiagnosisCause) throws {
        let found = try #require(verdict(Self.facts("\(Self.near)/p2p/\(Self.peer)", [(Self.near, .failure(error))])))
        #expect(found.cause == cause)
        #expect(found.evidence.contains("10.1.0.9") || found.evidence.contains("host.example"), "\(found.evidence)")
        #expect(!found.remedy.isEmpty)
    }

    @Test func unreachableInAnotherSubnetIsNoIsolation() {
        let finding = verdict(Self.facts("\(Self.far)", [(Self.far, .failure(.unreachable(errno: 113)))]))
        #expect(finding?.cause == .unreachable)
        #expect(finding?.evidence.contains("none of our subnets (10.1.0.1/24 on eth0)") == true, "\(finding?.evidence ?? "")")
    }

    @Test func anAnswerComesBeforeSilence() {
        let facts = Self.facts("\(Self.peer)", [(Self.near, .failure(.timedOut(after: .seconds(8)))), (Self.far, .failure(.refused))])
        #expect(causes(facts).prefix(2) == [.refused, .firewall])
    }

    @Test func silenceOfAHostThatWasHeardSaysSo() {
        var facts = Self.facts("\(Self.peer)", [(Self.near, .failure(.timedOut(after: .seconds(8))))])
        facts.table.entries = [Self.entry(Self.near)]
        #expect(verdict(facts)?.cause == .firewall)
        #expect(verdict(facts)?.evidence.contains("mDNS heard it 1.2 s ago") == true, "\(verdict(facts)?.evidence ?? "")")
    }

    @Test func heardWithAddressesOfAnotherSubnet() {
        var facts = Self.facts("\(Self.peer)", [(Self.far, .failure(.timedOut(after: .seconds(8))))])
        facts.table.entries = [Self.entry(Self.far)]
        #expect(causes(facts).prefix(2) == [.otherSubnet, .firewall])
    }

    @Test func aBridgeOfContainersIsNotTakenForThePeer() {
        var facts = Self.facts("\(Self.peer)", [(Self.near, .failure(.timedOut(after: .seconds(8)))), (docker, .failure(.refused))])
        facts.interfaces.append(NetworkInterface(name: "docker0", addresses: [NetworkPrefix(ip: [172, 17, 0, 1], length: 16)!]))
        #expect(causes(facts).first == .firewall)
    }
    private var docker: Multiaddr { SocketAddress(ip: [172, 17, 0, 1], port: 4001).multiaddr }

    @Test func reachedBehindARouterThatMulticastDoesNotCross() {
        var facts = Self.facts("\(Self.far)/p2p/\(Self.peer)", [(Self.far, .success(Self.peer))])
        facts.table.sources = [Self.source(.mdns)]
        #expect(causes(facts).prefix(2) == [.otherSubnet, .reachable])
        #expect(causes(Self.facts("\(Self.near)/p2p/\(Self.peer)", [(Self.near, .success(Self.peer))])).first == .reachable)
    }

    // MARK: The target

    @Test(arguments: ["not an address", "/ip4/10.0.0.1", "/ip4/10.0.0.1/udp/1", "10.0.0.1:4001"]) func aTargetThatCannotBeRead(text: String) {
        let finding = verdict(Self.facts(text))
        #expect(finding?.cause == .badTarget)
        #expect(finding?.evidence.contains(text) == true)
    }

    @Test func ourselves() {
        #expect(causes(Self.facts("\(Self.own)")) == [.own])
        var facts = Self.facts("\(Self.own)")
        facts.clones = [(address: Self.near, ago: .seconds(3))]
        #expect(causes(facts) == [.duplicateIdentity, .own])
        #expect(causes(Self.facts("/ip4/10.1.0.1/tcp/4001")).first == .own)
    }

    @Test func connected() {
        var facts = Self.facts()
        facts.connection = PeerConnection(peer: Self.peer, address: Self.near, direction: .outbound)
        #expect(causes(facts) == [.connected])
    }

    // MARK: Heard and not dialled

    @Test(arguments: [
        (DiscoveryFilter.appID, DiagnosisCause.filteredAppID), (.serviceTag, .filteredServiceTag), (.network, .filteredByList), (.interface, .filteredByList),
        (.peer, .filteredByList), (.expired, .controlKeyExpired), (.own, .own),
    ])
    func whatWasFilteredSaysWhy(filter: DiscoveryFilter, cause: DiagnosisCause) {
        var facts = Self.facts()
        facts.table.entries = [Self.entry(Self.near, filter: filter)]
        #expect(verdict(facts)?.cause == cause)
        #expect(verdict(facts)?.evidence.contains("on eth0 1.2 s ago") == true)
    }

    @Test func announcementsOfAnotherAppAreNamedWhereNothingElseIs() {
        var facts = Self.facts()
        facts.table.sources = [Self.source(.mdns) {
            $0.filtered = [.appID: 3]
            $0.interfaces = [Self.interface("eth0", sent: 5, heard: 9)]
        }]
        #expect(verdict(facts)?.cause == .filteredAppID)
    }

    @Test func anAddressThatTheListsDeny() {
        var facts = Self.facts("\(Self.near)")
        facts.isDeniedAddress = true
        #expect(verdict(facts)?.cause == .filteredByList)
    }

    @Test func aPeerOfAnotherNetworkThatKnockedHere() {
        var facts = Self.facts("\(Self.near)/p2p/\(Self.peer)", [(Self.near, .failure(.handshakeFailed(.closedDuring(.privateNetwork))))])
        facts.fingerprint = "b0e010a0"
        facts.refused = [(SocketAddress(ip: [10, 1, 0, 9], port: 51_000).multiaddr, .otherNetwork(.otherKey), .seconds(2))]
        #expect(verdict(facts)?.cause == .otherNetwork)
        #expect(verdict(facts)?.evidence.contains("b0e010a0") == true)
    }

    // MARK: Sources

    @Test(arguments: [
        (SourceFailureKind.unauthorized, DiagnosisCause.controlKeyRefused), (.keyExpired, .controlKeyExpired), (.wrongKeyKind, .controlKeyWrongKind),
        (.unreachable, .controlServerDown), (.serverError, .controlServerDown), (.timedOut, .controlServerDown), (.clockOff, .clockOff),
        (.unresolved, .unresolved), (.badAnswer, .sourceFailed), (.insecure, .sourceFailed),
    ])
    func aControlServerThatDoesNotWork(kind: SourceFailureKind, cause: DiagnosisCause) {
        var facts = Self.facts()
        let failure = SourceFailure(kind, detail: "401 of https://head.example", hint: "Make a new key.")
        facts.table.sources = [Self.source(.headscale, .failed(failure, retryAfter: .seconds(30)))]
        #expect(verdict(facts) == Finding(cause, evidence: "Headscale: 401 of https://head.example; next try in 30.0 s", remedy: "Make a new key."))
    }

    @Test func forTheNodeAsAWholeAServerTellsMoreThanOneAddress() {
        let failure = SourceFailure(.keyExpired, detail: "401", hint: "Make a new key.")
        for (target, cause) in [("", DiagnosisCause.controlKeyExpired), ("\(Self.peer)", .refused)] {
            var facts = Self.facts(target, [(Self.near, .failure(.refused))])
            facts.table.sources = [Self.source(.headscale, .failed(failure, retryAfter: nil))]
            #expect(verdict(facts)?.cause == cause)
        }
    }

    @Test func nothingHeardByMulticast() {
        var facts = Self.facts()
        facts.table.sources = [Self.source(.mdns) {
            $0.interfaces = [Self.interface("lo", sent: 9, heard: 20), Self.interface("eth0", sent: 9, heard: 0)]
        }]
        #expect(causes(facts) == [.nothingHeard, .unknownPeer])
        #expect(verdict(facts)?.evidence.contains("eth0 (9 sent, 0 heard)") == true)
    }

    @Test func noInterfaceForMulticast() {
        var facts = Self.facts()
        let failure = SourceFailure(.system, detail: "EADDRINUSE at 224.0.0.251", hint: "Stop the other program.")
        facts.table.sources = [Self.source(.mdns) { $0.interfaces = [Self.interface("lo", sent: 9, heard: 0)] }]
        #expect(verdict(facts)?.cause == .noMulticastInterface)
        facts.table.sources = [Self.source(.mdns) { $0.interfaces = [Self.interface("eth0", sent: 0, heard: 0, failure: failure)] }]
        #expect(verdict(facts) == Finding(.noMulticastInterface, evidence: "eth0: EADDRINUSE at 224.0.0.251", remedy: "Stop the other program."))
        let blocked = SourceFailure(.permission, detail: "sendto on eth0: Operation not permitted", hint: "Allow UDP port 5353.")
        facts.table.sources = [Self.source(.mdns, .failed(blocked, retryAfter: nil)) {
            $0.interfaces = [Self.interface("eth0", sent: 0, heard: 0, failure: blocked)]
        }]
        #expect(causes(facts) == [.nothingHeard, .unknownPeer])
    }

    @Test func othersAreHeardAndThePeerIsNot() {
        var facts = Self.facts()
        facts.table.sources = [Self.source(.mdns) {
            $0.heard = 7
            $0.interfaces = [Self.interface("eth0", sent: 9, heard: 31)]
        }]
        #expect(causes(facts) == [.unknownPeer])
        #expect(verdict(facts)?.evidence.contains("mDNS heard of 7") == true)
    }

    // MARK: Limits, clock, the node as a whole

    @Test func ourOwnLimit() {
        var facts = Self.facts("\(Self.peer)", [(Self.near, .failure(.limitReached("connections")))])
        (facts.connections, facts.connectionLimit) = (1_024, 1_024)
        #expect(causes(facts).prefix(2) == [.limitReached, .limitReached])
    }

    @Test func aClockThatIsOff() {
        var facts = Self.facts()
        facts.addressesLeftOut = 3
        facts.clockAhead = (Self.stranger, .seconds(7_300))
        #expect(causes(facts).first == .clockOff)
        #expect(verdict(facts)?.evidence.contains("2 h") == true)
    }

    @Test func theNodeAsAWhole() {
        var facts = Self.facts("")
        facts.connectedPeers = 2
        #expect(causes(facts) == [.connected])
        facts.connectedPeers = 0
        #expect(causes(facts) == [.unknownPeer])
        facts.refused = [(Self.near, .otherNetwork(.peerInNone), .seconds(2))]
        #expect(causes(facts).first == .otherNetwork)
    }

    /// Whatever the facts are, something is said, and nothing without evidence.
    @Test func neverEmpty() {
        let (peer, own, near) = ("\(Self.peer)", "\(Self.own)", "\(Self.near)")
        for target in ["", "x", peer, own, near, "\(near)/p2p/\(peer)", "/dns4/host.example/tcp/1", "/p2p/\(peer)"] {
            for results in [[], [(Self.near, Result<PeerID, DialError>.failure(.cancelled))], [(Self.near, .failure(.noAddresses))]] {
                let findings = Diagnostician.diagnose(Self.facts(target, results)).findings
                #expect(!findings.isEmpty, "\(target)")
                #expect(findings.allSatisfy { !$0.evidence.isEmpty })
            }
        }
    }
}
