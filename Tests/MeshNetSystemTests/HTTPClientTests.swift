import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite(.timeLimit(.minutes(1))) struct HTTPClientTests {
        static let tokenBase: UInt64 = 1_000
        let readiness: Readiness
        let names: NameServer
        let client: HTTPClient

        init() throws {
            readiness = try Readiness(system: .kernel)
            names = try #require(NameServer())
            client = HTTPClient(readiness: readiness, tokenBase: Self.tokenBase, nameServers: names.text)
        }

        func request(
            _ server: WebServer, _ path: String = "/list", host: String = "127.0.0.1", _ change: (inout HTTPRequest) -> Void = { _ in }
        ) throws -> HTTPRequest {
            var request = HTTPRequest(try ServerAddress("http://\(host):\(server.port)"), path)
            change(&request)
            return request
        }

        /// Starts the request and turns a loop of one's own until it ended.
        func result(_ request: HTTPRequest) throws -> Result<HTTPResponse, HTTPFailure> {
            client.start(request, id: 1, now: .now())
            return try #require(outcome()).result
        }

        func outcome() -> HTTPClient.Outcome? {
            var ready: [Ready] = []
            let limit = Instant.now() + .seconds(30)
            while Instant.now() < limit {
                if let outcome = client.poll() { return outcome }
                readiness.wait(until: earlier(client.deadline(now: .now()), limit), into: &ready)
                for report in ready {
                    client.ready(Int32(report.token - Self.tokenBase), readable: report.readable, writable: report.writable, now: .now())
                }
                client.handleTimeout(now: .now())
            }
            return nil
        }

        @Test func answersAreReadAndTheConnectionIsUsedAgain() throws {
            let server = try #require(WebServer { request, send in
                send(WebServer.response(200, "[1]", type: "application/json; charset=utf-8", headers: [
                    "Date: Mon, 01 Jun 2026 00:00:00 GMT", "Retry-After: 7",
                ]))
            })
            for _ in 0..<3 {
                let response = try result(request(server) { $0.bearer = APIKey("topsecret") }).get()
                #expect(response == HTTPResponse(
                    status: 200, contentType: "application/json", date: fixtureTime, retryAfter: .seconds(7), body: Array("[1]".utf8)))
            }
            #expect(server.connections == 1)
            #expect(server.requests.map(\.path) == ["/list", "/list", "/list"])
            #expect(server.requests[0].header("authorization") == "Bearer topsecret")
        }

        @Test func aConnectionThatTheServerClosedIsReplaced() throws {
            let server = try #require(WebServer { _, send in
                _ = send(WebServer.response(200, "{}"))
                return false
            })
            for _ in 0..<3 { #expect(try result(request(server)).get().status == 200) }
            #expect(server.connections == 3)
        }

        @Test func postsCarryTheirContent() throws {
            let server = try #require(WebServer { _, send in send(WebServer.response(200, "{}")) })
            _ = try result(request(server) { $0.content = HTTPRequest.Content(type: "application/json", text: APIKey("{\"tags\":[]}")) })
            #expect(server.requests.first?.head.hasPrefix("POST /list ") == true)
            #expect(server.requests.first?.header("content-type") == "application/json")
            #expect(server.requests.first?.body == "{\"tags\":[]}")
        }

        @Test func chunkedAnswersAreRead() throws {
            let server = try #require(WebServer { _, send in
                send(Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".utf8))
            })
            #expect(try result(request(server)).get().body == Array("abcde".utf8))
        }

        @Test func redirectionsAreNotFollowed() throws {
            let server = try #require(WebServer { _, send in
                send(WebServer.response(302, "", headers: ["Location: http://evil.example/list"]))
            })
            let response = try result(request(server) { $0.bearer = APIKey("topsecret") }).get()
            #expect(response.status == 302)
            #expect(response.location == "http://evil.example/list")
            #expect(server.requests.count == 1)
        }

        @Test func errorsOfTheServerAreAnswers() throws {
            let server = try #require(WebServer { _, send in send(WebServer.response(502, "<html></html>", type: "text/html")) })
            let response = try result(request(server)).get()
            #expect(response.status == 502)
            #expect(response.contentType == "text/html")
        }

        @Test func aBodyWithoutEndIsCutAtTheLimit() throws {
            // With its length told first, and without.
            for head in ["Content-Length: 1000000000", "Connection: close"] {
                let server = try #require(WebServer { _, send in
                    guard send(Array("HTTP/1.1 200 OK\r\n\(head)\r\n\r\n".utf8)) else { return false }
                    let piece = [UInt8](repeating: 0x20, count: 65_536)
                    for _ in 0..<16_384 where !send(piece) { return false }
                    return false
                })
                #expect(try result(request(server) { $0.bodyLimit = 1 << 20 }) == .failure(.tooLarge(limit: 1 << 20)))
            }
        }

        @Test func headersWithoutEndAreCutAtTheLimit() throws {
            let server = try #require(WebServer { _, send in
                guard send(Array("HTTP/1.1 200 OK\r\n".utf8)) else { return false }
                let line = Array("X-Line: \(String(repeating: "x", count: 1_000))\r\n".utf8)
                for _ in 0..<100_000 where !send(line) { return false }
                return false
            })
            #expect(try result(request(server)) == .failure(.tooLarge(limit: HTTPClient.headerLimit)))
        }

        @Test func serversThatHangOrDripAreGivenUp() throws {
            let timeout = Duration.milliseconds(300)
            let silent = try #require(WebServer { _, _ in
                Thread.sleep(forTimeInterval: 5)
                return false
            })
            #expect(try result(request(silent) { $0.timeout = timeout }) == .failure(.timedOut(connected: true, after: timeout)))
            let slow = try #require(WebServer { _, send in
                guard send(Array("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".utf8)) else { return false }
                while send([0x20]) { Thread.sleep(forTimeInterval: 0.05) }
                return false
            })
            #expect(try result(request(slow) { $0.timeout = timeout }) == .failure(.timedOut(connected: true, after: timeout)))
        }

        @Test func whatIsNotHTTPIsToldSo() throws {
            let server = try #require(WebServer { _, send in
                _ = send(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8))
                return false
            })
            guard case .failure(.broken) = try result(request(server)) else {
                Issue.record("taken for HTTP")
                return
            }
        }

        @Test func refusedConnectionsHaveTheirErrno() throws {
            var server = WebServer { _, _ in false }
            let wanted = try request(#require(server))
            server = nil
            guard case .failure(.unreachable(let code, _)) = try result(wanted) else {
                Issue.record("a server that is gone answered")
                return
            }
            #expect(code == ECONNREFUSED)
        }

        @Test func namesAreLookedUpWithoutAThread() throws {
            let server = try #require(WebServer { _, send in send(WebServer.response(200, "{}")) })
            _ = try result(request(server)).get()
            let before = Set(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task"))
            // From the hosts file; the server listens on IPv4 alone.
            client.start(try request(server, host: "localhost"), id: 1, now: .now())
            let during = Set(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task"))
            #expect(during.subtracting(before).filter { name(ofThread: $0).hasPrefix("curl") }.isEmpty)
            #expect(try #require(outcome()).result.get().status == 200)
            #expect(try result(request(server, host: "nobody.test")) == .failure(.unresolved(host: "nobody.test", reason: "no such name")))
            let silent = try result(request(server, host: "silent.test") { $0.timeout = .milliseconds(200) })
            #expect(silent == .failure(.unresolved(host: "silent.test", reason: "no name server answered in time")))
        }

        private func name(ofThread id: String) -> String { (try? String(contentsOfFile: "/proc/self/task/\(id)/comm", encoding: .utf8)) ?? "" }

        @Test func socketsAtAPathAreReached() throws {
            let path = "/tmp/meshnet-\(getpid()).sock"
            defer { unlink(path) }
            let server = try #require(WebServer(path: path) { _, send in send(WebServer.response(200, "{}")) })
            var wanted = HTTPRequest(try ServerAddress("http://local-tailscaled.sock"), "/localapi/v0/status")
            wanted.unixSocket = path
            #expect(try result(wanted).get().status == 200)
            #expect(server.requests.first?.header("host") == "local-tailscaled.sock")
            #expect(server.requests.first?.header("origin") == nil)
            wanted.unixSocket = path + ".nobody"
            guard case .failure(.unreachable) = try result(wanted) else {
                Issue.record("nobody answered")
                return
            }
        }

        @Test func proxiesOfTheEnvironmentAreNotUsed() throws {
            let server = try #require(WebServer { _, send in send(WebServer.response(200, "{}")) })
            setenv("http_proxy", "http://127.0.0.1:1", 1)
            defer { unsetenv("http_proxy") }
            #expect(try result(request(server)).get().status == 200)
        }

        @Test func requestsBeyondTheLimitAreRefusedAndClosingForgetsThem() throws {
            let server = try #require(WebServer { _, _ in
                Thread.sleep(forTimeInterval: 2)
                return false
            })
            for id in 0...UInt64(HTTPClient.maximumRequests) { client.start(try request(server), id: id, now: .now()) }
            #expect(client.poll()?.result == .failure(.busy(limit: HTTPClient.maximumRequests)))
            client.close()
            #expect(client.poll() == nil)
            #expect(client.deadline(now: .now()) == nil)
        }

        @Test func openingAndClosingLeavesNoDescriptor() throws {
            let server = try #require(WebServer { _, send in send(WebServer.response(200, "{}")) })
            _ = try result(request(server))
            client.close()
            // Those of the server's connections are closed by its threads: ours are counted by what they lead to.
            func ours() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
                    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
                }.filter { $0.hasPrefix("socket:") }.count
            }
            let limit = Instant.now() + .seconds(10)
            let before = try ours()
            for _ in 0..<5 {
                let other = HTTPClient(readiness: readiness, tokenBase: Self.tokenBase)
                other.start(try request(server), id: 1, now: .now())
                other.close()
            }
            while try ours() > before, Instant.now() < limit { Thread.sleep(forTimeInterval: 0.01) }
            #expect(try ours() <= before)
        }
    }
}
