import MeshNet
import Testing

/// Discovery as users of the Swift interface have it.
@Suite struct NodeDiscoveryTests {
    private func node(_ change: (inout Configuration) -> Void = { _ in }) throws -> Node {
        var configuration = Configuration(identity: .generate(), bootstrapPeers: [], listenPort: 0)
        configuration.listenAddresses = ["/ip4/127.0.0.1/tcp/0"]
        configuration.readsEnvironment = false
        configuration.discovery.modes = []
        change(&configuration)
        return try Node(configuration)
    }

    @Test(.timeLimit(.minutes(1))) func theTableTellsWhoWasFoundByWhat() async throws {
        let a = try node(), b = try node()
        let address = try #require(a.listenAddresses().first)
        try await b.addBootstrapPeer(address)
        for await case .connected in b.events { break }
        let table = try await b.discoveryTable()
        let entry = try #require(table.entries.first { $0.state == .connected })
        #expect(entry.source == .bootstrap && entry.peer == a.peerID)
        #expect(table.sources.first { $0.source == .bootstrap }?.succeeded == 1)
    }

    @Test(.timeLimit(.minutes(1))) func aDiagnosisNamesTheCause() async throws {
        let a = try node()
        let refused = try await a.diagnose("/ip4/127.0.0.1/tcp/1")
        #expect(refused.findings.first?.cause == .refused)
        #expect(refused.findings.first?.evidence.isEmpty == false && refused.findings.first?.remedy.isEmpty == false)
        #expect(try await a.diagnose("nonsense").findings.first?.cause == .badTarget)
        #expect(try await a.diagnose(a.peerID.description).findings.first?.cause == .own)
    }

    @Test(.timeLimit(.minutes(1))) func whatIsConfiguredLaterIsCheckedAsAtTheStart() async throws {
        let a = try node()
        var discovery = DiscoveryConfiguration()
        discovery.modes = .dns
        await #expect(throws: CallError.self) { try await a.configureDiscovery(discovery) }
        discovery.modes = .gossip
        try await a.configureDiscovery(discovery)
        discovery.deniedNetworks = ["nonsense"]
        await #expect(throws: CallError.self) { try await a.configureDiscovery(discovery) }
    }

    @Test(.timeLimit(.minutes(1))) func peersAreProtected() async throws {
        let a = try node(), b = try node()
        #expect(try await a.protect(b.peerID))
        #expect(try await !a.protect(b.peerID))
        #expect(try await a.unprotect(b.peerID))
    }

    @Test(.timeLimit(.minutes(1))) func nodesOfOneMachineFindEachOtherWithoutAnyAddress() async throws {
        let tag = "_t\(KeyPair.generate().peerID.base36.suffix(8))._udp"
        func finder() throws -> Node {
            try node { configuration in
                configuration.listenAddresses = []
                configuration.discovery.modes = .mdns
                configuration.discovery.mdnsBackend = .embedded
                configuration.discovery.serviceTag = tag
            }
        }
        let a = try finder(), b = try finder()
        for await case .connected(let connection) in a.events {
            #expect(connection.peer == b.peerID)
            break
        }
    }
}
