import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Synchronization
import Testing

extension SystemTests {
    /// Nodes with real sockets that find each other by a control server.
    @Suite(.timeLimit(.minutes(2))) struct ControlSourceTests {
        static let key = "hskey-api-0123456789ab-secretsecretsecret"

        /// What the server says now.
        final class Tailnet: Sendable {
            private let nodes = Mutex<[String]>([])
            private let status = Mutex(200)
            func set(_ entries: [String]) { nodes.withLock { $0 = entries } }
            func answer(with code: Int) { status.withLock { $0 = code } }
            var answer: [UInt8] {
                let code = status.withLock { $0 }
                guard code == 200 else { return WebServer.response(code, "Unauthorized", type: "text/plain") }
                return WebServer.response(200, "{\"nodes\":[\(nodes.withLock { $0 }.joined(separator: ","))]}")
            }
        }

        let tailnet = Tailnet()
        let server: WebServer

        init() throws {
            let tailnet = tailnet
            server = try #require(WebServer { _, send in send(tailnet.answer) })
        }

        func entry(_ id: Int, of node: TestNode, peer: PeerID? = nil) -> String {
            let port = OwnPlace.places([node.address])[0].port
            let tags = ["tag:exo-port-\(port)"] + (peer.map { ["tag:exo-peer-\($0.base36)"] } ?? [])
            return #"{"id":"\#(id)","name":"n\#(id)","ipAddresses":["127.0.0.1"],"online":true,"expiry":null,"tags":\#(JSONText.array(tags))}"#
        }

        func finder(_ key: String = key, url: String? = nil) throws -> TestNode {
            try TestNode {
                $0.discovery.modes = [.headscale]
                var headscale = HeadscaleConfiguration(apiBaseURL: url ?? "http://127.0.0.1:\(server.port)/", apiKey: APIKey(key), port: 4_001)
                headscale.pollInterval = .seconds(1)
                $0.discovery.headscale = headscale
            }
        }

        func plain() throws -> TestNode { try TestNode { $0.discovery.modes = [] } }

        @Test func aNodeThatAppearsIsConnected() throws {
            let a = try finder(), b = try plain(), c = try plain()
            defer { for node in [a, b, c] { node.engine.close() } }
            try a.event { if case .discoverySource(.headscale, .running) = $0 { () } else { nil } }
            // With and without a peer id in its tags.
            tailnet.set([entry(1, of: b), entry(2, of: c, peer: c.engine.localPeer), entry(3, of: a)])
            var found: Set<PeerID> = []
            while found.count < 2 { found.insert(try a.event { if case .connected(let connection) = $0 { connection.peer } else { nil } }) }
            #expect(found == [b.engine.localPeer, c.engine.localPeer])
            #expect(server.connections == 1, "one connection, used again")
            #expect(server.requests.first?.header("authorization") == "Bearer \(Self.key)")
        }

        @Test func aServerInTroubleEndsNoConnectionAndHealsByItself() throws {
            let a = try finder(), b = try plain(), c = try plain()
            defer { for node in [a, b, c] { node.engine.close() } }
            tailnet.set([entry(1, of: b)])
            try a.awaitConnected()
            tailnet.answer(with: 503)
            let failure = try a.event { (event) -> SourceFailure? in
                if case .discoverySource(.headscale, .failed(let failure, _)) = event { failure } else { nil }
            }
            #expect(failure.kind == .serverError)
            tailnet.set([entry(1, of: b), entry(2, of: c)])
            tailnet.answer(with: 200)
            // The next connection comes before any end of one.
            let next: PeerID? = try a.event {
                switch $0 {
                case .connected(let connection): .some(connection.peer)
                case .disconnected: .some(nil)
                default: nil
                }
            }
            #expect(next == c.engine.localPeer)
        }

        @Test func refusedAndWrongKeysAreEventsWithoutTheKey() throws {
            tailnet.answer(with: 500)
            for (key, kind) in [(Self.key, SourceFailureKind.unauthorized), ("hskey-auth-0123456789ab-secretsecret", .wrongKeyKind)] {
                let node = try finder(key)
                let event = try node.event { (event) -> Event? in if case .discoverySource(.headscale, .failed) = event { event } else { nil } }
                guard case .discoverySource(_, .failed(let failure, _)) = event else { return }
                #expect(failure.kind == kind)
                #expect(!"\(event)".contains("secret"))
                #expect(failure.hint.contains("headscale apikeys create"))
                node.engine.close()
            }
        }

        @Test func aServerThatIsNotThereIsToldSo() throws {
            let node = try finder(url: "http://127.0.0.1:1")
            defer { node.engine.close() }
            let failure = try node.event { (event) -> SourceFailure? in
                if case .discoverySource(.headscale, .failed(let failure, _)) = event { failure } else { nil }
            }
            #expect(failure.kind == .unreachable)
            #expect(failure.detail.contains("127.0.0.1"))
        }

        @Test func theSourceIsChangedAndEndedWhileTheNodeRuns() throws {
            let a = try TestNode { $0.discovery.modes = [] }, b = try plain()
            defer { for node in [a, b] { node.engine.close() } }
            tailnet.set([entry(1, of: b)])
            var discovery = DiscoveryConfiguration()
            discovery.modes = [.headscale]
            discovery.headscale = HeadscaleConfiguration(apiBaseURL: "http://127.0.0.1:\(server.port)", apiKey: APIKey(Self.key), port: 1)
            _ = try a.engine.call(.configureDiscovery(discovery), timeout: TestNode.patience)
            try a.awaitConnected()
            discovery.modes = []
            _ = try a.engine.call(.configureDiscovery(discovery), timeout: TestNode.patience)
            try a.event { if case .discoverySource(.headscale, .off) = $0 { () } else { nil } }
        }

        @Test func aTailnetIsReadFromTailscaled() throws {
            let path = "/tmp/meshnet-tailscaled-\(getpid()).sock"
            unlink(path)
            defer { unlink(path) }
            let a = try plain()
            defer { a.engine.close() }
            let status = """
                {"BackendState":"Running","Self":null,"Peer":{"nodekey:1":{"ID":"1","HostName":"a","TailscaleIPs":["127.0.0.1"],"Online":true,
                "Tags":["tag:exo-port-\(OwnPlace.places([a.address])[0].port)"]}}}
                """
            let daemon = WebServer(path: path) { request, send in
                send(request.path == "/localapi/v0/status" ? WebServer.response(200, status) : WebServer.response(404, ""))
            }
            #expect(daemon != nil)
            let b = try TestNode {
                $0.discovery.modes = [.tailscale]
                $0.discovery.tailscale.socketPath = path
            }
            defer { b.engine.close() }
            let found = try b.event { (event) -> PeerID? in if case .connected(let connection) = event { connection.peer } else { nil } }
            #expect(found == a.engine.localPeer)
        }
    }
}
