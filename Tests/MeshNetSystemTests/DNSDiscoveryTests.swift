import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    /// Nodes that find each other through a real name server.
    @Suite(.timeLimit(.minutes(3)), .enabled(if: NameDaemon.program != nil, "dnsmasq is not installed")) struct DNSDiscoveryTests {
        private func pod(_ address: String, port: UInt16 = 0) throws -> TestNode {
            try TestNode {
                $0.listenAddresses = ["/ip4/\(address)/tcp/\(port)"]
                $0.discovery.modes = []
            }
        }

        private func peers(of node: TestNode) throws -> Set<PeerID> {
            guard case .peers(let peers) = try node.engine.call(.peers, timeout: TestNode.patience) else { return [] }
            return Set(peers.map(\.peer))
        }

        private func knows(_ node: TestNode, _ address: String) throws -> Bool {
            guard case .discovery(let table) = try node.engine.call(.discoveryTable, timeout: TestNode.patience) else { return false }
            return table.entries.contains { $0.source == .dns && $0.address.description.hasPrefix(address) }
        }

        @Test func podsAreDialledAndLetGoAndAServerThatIsDownCostsNothing() throws {
            let daemon = try #require(NameDaemon())
            let first = try pod("127.0.0.2")
            guard case .tcp(let port)? = first.address.components.last else { return #expect(Bool(false), "no port") }
            let second = try pod("127.0.0.3", port: port)
            daemon.setAddresses(["pods.test": ["127.0.0.2"]])
            let node = try TestNode(nameServers: daemon.text) {
                $0.discovery.modes = .dns
                $0.discovery.dnsServices = ["pods.test:\(port)"]
                $0.discovery.interval = .seconds(1)
            }
            defer { for each in [first, second, node] { each.engine.close() } }
            let one = first.engine.localPeer, two = second.engine.localPeer
            #expect(try node.event { if case .connected(let connection) = $0 { connection.peer } else { nil } } == one)

            daemon.setAddresses(["pods.test": ["127.0.0.2", "127.0.0.3"]])
            #expect(try node.event { if case .connected(let connection) = $0 { connection.peer } else { nil } } == two)

            daemon.stop()
            let failure = try node.event { if case .discoverySource(.dns, .failed(let failure, _)) = $0 { failure } else { nil } }
            #expect([.unreachable, .timedOut].contains(failure.kind) && failure.detail.contains("pods.test"))
            #expect(try peers(of: node) == [one, two])
            daemon.start()
            try node.event { if case .discoverySource(.dns, .running) = $0 { () } else { nil } }
            #expect(try peers(of: node) == [one, two])

            // Gone from the answer: not dialled again, and not cut off either.
            daemon.setAddresses(["pods.test": ["127.0.0.2"]])
            let limit = Instant.now() + TestNode.patience
            while try knows(node, "/ip4/127.0.0.3/"), Instant.now() < limit { usleep(50_000) }
            #expect(try !knows(node, "/ip4/127.0.0.3/"))
            #expect(try peers(of: node) == [one, two])
            second.engine.close()
            #expect(try node.event { if case .disconnected(let connection, _) = $0 { connection.peer } else { nil } } == two)
            #expect(try peers(of: node) == [one])
        }
    }
}
