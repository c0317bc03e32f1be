import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// What tests of discovery say in place of the sources of a real node.
extension Simulation {
    func report(_ report: SourceReport, from source: DiscoverySource, at node: Int) {
        with(node) { $0.receive(report, from: source, now: $1) }
    }

    /// Node `target` as a source would tell of it to node `node`.
    func find(_ target: Int, from source: DiscoverySource, at node: Int, isNamed: Bool = true, key: String? = nil, lifetime: Duration? = nil) {
        report(.found(candidate(target, isNamed: isNamed, key: key, lifetime: lifetime)), from: source, at: node)
    }

    func candidate(_ target: Int, isNamed: Bool = true, key: String? = nil, lifetime: Duration? = nil) -> Candidate {
        let node = nodes[target]
        return Candidate(
            key: key ?? "key\(target)", peer: isNamed ? node.peer : nil, addresses: [node.address.multiaddr], lifetime: lifetime)
    }

    func table(_ node: Int) -> DiscoveryTable {
        let ticket = perform(.discoveryTable, at: node)
        guard case .success(.discovery(let table)) = nodes[node].completions[ticket] else { return DiscoveryTable() }
        return table
    }

    func status(_ source: DiscoverySource, at node: Int) throws -> SourceStatus {
        try #require(table(node).sources.first { $0.source == source })
    }

    func rows(_ source: DiscoverySource, at node: Int) -> [DiscoveryEntry] { table(node).entries.filter { $0.source == source } }

    /// Asked at every step of a run: so without a look at the events.
    func isConnected(_ node: Int, to target: Int) -> Bool { nodes[node].swarm?.peers[nodes[target].peer] != nil }

    /// How many TCP dials the body causes.
    func dials(during body: () -> Void) -> Int {
        let before = dials
        body()
        return dials - before
    }

    func discoveries(_ node: Int) -> [Discovery] {
        nodes[node].events.compactMap { if case .discovered(let discovery) = $0.event { discovery } else { nil } }
    }

    func sourceEvents(_ node: Int) -> [(DiscoverySource, SourceState)] {
        nodes[node].events.compactMap { if case .discoverySource(let source, let state) = $0.event { (source, state) } else { nil } }
    }

    func disconnects(_ node: Int) -> [DisconnectCause] {
        nodes[node].events.compactMap { if case .disconnected(_, let cause) = $0.event { cause } else { nil } }
    }
}

/// Peers that somebody invented: nobody is at their addresses.
struct FakePeers {
    var random: RandomSource

    init(seed: UInt64) { random = RandomSource(testSeed: seed) }

    mutating func peer() throws -> PeerID { try PeerID(multihash: [0x12, 0x20] + random.bytes(32)) }

    /// In a network of their own, each with an address.
    mutating func candidate(_ index: Int) throws -> Candidate {
        let address = try Multiaddr("/ip4/10.9.\(index / 250 % 250).\(index % 250 + 1)/tcp/\(1_000 + index / 62_500)")
        return Candidate(key: "fake\(index)", peer: try peer(), addresses: [address])
    }
}
