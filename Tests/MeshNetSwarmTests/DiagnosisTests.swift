import MeshNetProtocol
import MeshNetSimulator
import TestSupport
import Testing

@testable import MeshNetSwarm

/// `diagnose` of nodes in the virtual network: the probes, their time and their bounds.
@Suite struct DiagnosisTests {
    /// Asks, and gives the answer, which must come within the 10 s that are promised.
    private func diagnose(_ target: String, at node: Int, of network: Simulation) throws -> Diagnosis {
        let ticket = network.perform(.diagnose(target), at: node)
        #expect(network.run(atMost: .seconds(10)) { $0.nodes[node].completions[ticket] != nil }, "no answer in 10 s")
        guard case .success(.diagnosis(let diagnosis))? = network.nodes[node].completions[ticket] else {
            throw Unanswered(what: "\(String(describing: network.nodes[node].completions[ticket]))")
        }
        return diagnosis
    }
    private struct Unanswered: Error { let what: String }

    private func key(_ byte: UInt8) -> PreSharedKey? { PreSharedKey(bytes: [UInt8](repeating: byte, count: 32)) }

    @Test func aPeerThatNobodyTriedIsReached() throws {
        let network = Simulation(seed: 1)
        let a = network.addNode(), b = network.addNode()
        let diagnosis = try diagnose(network.nodes[b].multiaddr, at: a, of: network)
        #expect(diagnosis.findings.map(\.cause) == [.reachable])
        #expect(diagnosis.peer == network.nodes[b].peer)
        let again = try diagnose("\(network.nodes[b].peer)", at: a, of: network)
        #expect(again.findings.map(\.cause) == [.connected])
        // By its address too, where no name is given.
        #expect(try diagnose("\(network.nodes[b].address.multiaddr)", at: a, of: network).findings.map(\.cause) == [.connected])
    }

    @Test func aNodeThatIsDownRefuses() throws {
        let network = Simulation(seed: 2)
        let a = network.addNode(), b = network.addNode()
        network.kill(b)
        let findings = try diagnose(network.nodes[b].multiaddr, at: a, of: network).findings
        #expect(findings.first?.cause == .refused)
        // The application is told by the answer, and by nothing else.
        #expect(!network.nodes[a].events.contains { if case .dialFailed = $0.event { true } else { false } })
    }

    @Test func anAddressThatDropsEverythingIsAnsweredInTime() throws {
        let network = Simulation(seed: 3)
        let a = network.addNode(), b = network.addNode()
        network.partition([0, 1])
        let findings = try diagnose(network.nodes[b].multiaddr, at: a, of: network).findings
        #expect(findings.first?.cause == .firewall)
        #expect(network.nodes[a].swarm?.connectionCount == 0 && network.nodes[a].swarm?.dials.isEmpty == true)
    }

    @Test func anotherNode() throws {
        let network = Simulation(seed: 4)
        let a = network.addNode(), b = network.addNode(), c = network.addNode()
        let findings = try diagnose("\(network.nodes[b].address.multiaddr)/p2p/\(network.nodes[c].peer)", at: a, of: network).findings
        #expect(findings.first?.cause == .wrongPeer)
        #expect(findings.first?.evidence.contains("\(network.nodes[b].peer)") == true)
    }

    @Test func anotherNetwork() throws {
        let network = Simulation(seed: 5)
        let a = network.addNode { $0.preSharedKey = key(1) }, b = network.addNode { $0.preSharedKey = key(2) }
        let findings = try diagnose(network.nodes[b].multiaddr, at: a, of: network).findings
        #expect(findings.first?.cause == .otherNetwork)
        #expect(findings.first?.evidence.contains(try #require(key(1)).fingerprint.prefix(8)) == true)
        // The listener knows it as well, without dialling.
        #expect(try diagnose("", at: b, of: network).findings.first?.cause == .otherNetwork)
    }

    @Test func aNameWithoutAddress() throws {
        let network = Simulation(seed: 6)
        let a = network.addNode()
        #expect(try diagnose("/dns4/nowhere/tcp/4001", at: a, of: network).findings.first?.cause == .unresolved)
    }

    @Test func aPeerThatNobodyKnows() throws {
        let network = Simulation(seed: 7)
        let a = network.addNode(), b = network.addNode()
        #expect(try diagnose("\(network.nodes[b].peer)", at: a, of: network).findings.map(\.cause) == [.unknownPeer])
        #expect(try diagnose("nonsense", at: a, of: network).findings.map(\.cause) == [.badTarget])
        #expect(try diagnose("\(network.nodes[a].peer)", at: a, of: network).findings.map(\.cause) == [.own])
    }

    @Test func aCloneIsNamed() throws {
        let network = Simulation(seed: 8)
        let a = network.addNode()
        let identity = network.nodes[a].configuration.identity
        _ = network.addNode(bootstrap: ["/ip4/10.0.0.1/tcp/4001"]) { $0.identity = identity }
        network.run(for: .seconds(5))
        #expect(try diagnose("\(network.nodes[a].peer)", at: a, of: network).findings.first?.cause == .duplicateIdentity)
        #expect(try diagnose("", at: a, of: network).findings.first?.cause == .duplicateIdentity)
    }

    /// Every address that a source tells is tried, each with its own failure; and the lists hold for probes too.
    @Test func addressesOfTheTableAreTried() throws {
        let network = Simulation(seed: 9)
        let a = network.addNode { 
            $0.discovery.modes = .dns
            $0.discovery.deniedNetworks = ["10.9.0.0/16"]
        }
        let b = network.addNode()
        let peer = network.nodes[b].peer
        network.kill(b)
        let addresses = ["/ip4/10.0.0.2/tcp/4001", "/ip4/10.8.0.1/tcp/4001", "/ip4/10.9.0.1/tcp/4001"].map { try! Multiaddr($0) }
        network.with(a) { swarm, now in
            swarm.receive(.found(Candidate(key: "b", peer: peer, addresses: addresses)), from: .dns, now: now)
        }
        network.run(for: .seconds(5))
        let findings = try diagnose("\(peer)", at: a, of: network).findings, causes = findings.map(\.cause)
        #expect(causes.contains(.refused) && causes.contains(.unreachable) && causes.contains(.filteredByList), "\(findings)")
    }

    @Test func theWholeNodeTriesItsBootstrapPeers() throws {
        let network = Simulation(seed: 10)
        let gone = network.addNode()
        network.kill(gone)
        let a = network.addNode(bootstrap: [network.nodes[gone].multiaddr, "/ip4/10.7.0.1/tcp/4001"])
        network.run(for: .seconds(2))
        let causes = try diagnose("", at: a, of: network).findings.map(\.cause)
        #expect(causes.contains(.refused) && causes.contains(.unreachable))
    }

    @Test func diagnosesAndProbesAreBounded() throws {
        let network = Simulation(seed: 11)
        let a = network.addNode(), b = network.addNode()
        network.partition([0, 1])
        var addresses: [Multiaddr] = []
        for port in 1...UInt16(100) { addresses.append(SocketAddress(ip: network.nodes[b].address.ip, port: port).multiaddr) }
        network.with(a) { swarm, now in
            swarm.receive(.found(Candidate(key: "b", addresses: Array(addresses.prefix(60)))), from: .dns, now: now)
        }
        let tickets = (0...PendingDiagnosis.maximum).map { _ in network.perform(.diagnose(network.nodes[b].multiaddr), at: a) }
        guard case .failure(.limitReached)? = network.nodes[a].completions[tickets[PendingDiagnosis.maximum]] else {
            Issue.record("the last one is not refused")
            return
        }
        let whole = try #require(network.nodes[a].swarm?.diagnoses.values.map(\.addresses.count).max())
        #expect(whole <= PendingDiagnosis.maximumProbes)
        network.run(for: .seconds(10))
        #expect(network.nodes[a].swarm?.diagnoses.isEmpty == true)
        #expect(tickets.allSatisfy { network.nodes[a].completions[$0] != nil })
    }

    @Test func aShutdownEndsADiagnosis() {
        let network = Simulation(seed: 12)
        let a = network.addNode(), b = network.addNode()
        network.partition([0, 1])
        let ticket = network.perform(.diagnose(network.nodes[b].multiaddr), at: a)
        network.with(a) { swarm, now in swarm.shutdown(now: now) }
        guard case .failure(.closed)? = network.nodes[a].completions[ticket] else {
            Issue.record("\(String(describing: network.nodes[a].completions[ticket]))")
            return
        }
    }

    /// Our clock a day behind: records of others are from our future.
    @Test func aClockThatIsBehindIsNamed() throws {
        let day: UInt64 = 86_400_000_000_000, today: UInt64 = 1_700_000_000_000_000_000
        let network = Simulation(seed: 13)
        let b = network.addNode { $0.firstSequenceNumber = today }
        let a = network.addNode(bootstrap: [network.nodes[b].multiaddr]) { $0.firstSequenceNumber = today - day }
        network.run(for: .seconds(5))
        let findings = try diagnose("", at: a, of: network).findings
        #expect(findings.contains { $0.cause == .clockOff && $0.evidence.contains("23 h in our future") })
        #expect(try !diagnose("", at: b, of: network).findings.contains { $0.cause == .clockOff })
    }
}
