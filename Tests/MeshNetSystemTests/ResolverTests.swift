import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite(.timeLimit(.minutes(1))) struct ResolverTests {
        let readiness: Readiness
        let server: NameServer
        let resolver: Resolver

        init() throws {
            readiness = try Readiness(system: .kernel)
            server = try #require(NameServer())
            resolver = Resolver(readiness: readiness, tokenBase: 1_000, servers: server.text, timeout: .milliseconds(50))
        }

        /// Runs a loop of one's own until so many answers are there.
        func answers(_ count: Int) -> [UInt64: Result<[SocketAddress], ResolveFailure>] {
            var found: [UInt64: Result<[SocketAddress], ResolveFailure>] = [:], ready: [Ready] = []
            let limit = Instant.now() + .seconds(20)
            while true {
                while let answer = resolver.poll() { found[answer.query] = answer.result }
                if found.count >= count || Instant.now() > limit { return found }
                readiness.wait(until: earlier(resolver.deadline(now: .now()), limit), into: &ready)
                for report in ready { resolver.ready(Int32(report.token - 1_000), readable: report.readable, writable: report.writable) }
                resolver.handleTimeout()
            }
        }

        func answer(_ host: String, _ family: AddressFamily) -> Result<[SocketAddress], ResolveFailure>? {
            resolver.resolve(query: 1, host: host, family: family)
            return answers(1)[1]
        }

        let four1 = SocketAddress(ip: [192, 0, 2, 1], port: 0), four2 = SocketAddress(ip: [192, 0, 2, 2], port: 0)
        let six = SocketAddress(ip: [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [7], port: 0)

        @Test func familiesAreToldApart() throws {
            #expect(try answer("many.test", .ipv4)?.get() == [four1, four2])
            #expect(try answer("many.test", .ipv6)?.get() == [six])
            #expect(try Set(answer("many.test", .any)?.get() ?? []) == [four1, four2, six])
        }

        @Test func failuresHaveWords() {
            #expect(answer("nobody.test", .any) == .failure(ResolveFailure(reason: "no such name")))
            #expect(answer("four.test", .ipv6) == .failure(ResolveFailure(reason: "the name has no address of this family")))
            #expect(answer("silent.test", .ipv4) == .failure(ResolveFailure(reason: "no name server answered in time")))
            let long = [String](repeating: "a", count: 70).joined()
            #expect(throws: ResolveFailure.self) { try answer(long + ".test", .any)?.get() }
            #expect(throws: ResolveFailure.self) { try answer("", .any)?.get() }
        }

        @Test func hostsFileIsHonoured() throws {
            #expect(try answer("localhost", .ipv4)?.get() == [SocketAddress(ip: [127, 0, 0, 1], port: 0)])
            #expect(server.queryCount == 0)
        }

        @Test func numbersAreTakenAsTheyStand() throws {
            #expect(try answer("192.0.2.1", .any)?.get() == [four1])
        }

        @Test func manyQueriesRunAtOnceUpToTheLimit() {
            for query in 0..<UInt64(Resolver.maximumQueries) { resolver.resolve(query: query, host: "silent.test", family: .ipv4) }
            resolver.resolve(query: 9_999, host: "four.test", family: .ipv4)
            #expect(throws: ResolveFailure.self) { try answers(1)[9_999]?.get() }
            #expect(answers(Resolver.maximumQueries).count == Resolver.maximumQueries)
        }

        @Test func closingEndsWhatIsUnderWay() {
            resolver.resolve(query: 5, host: "silent.test", family: .ipv4)
            resolver.close()
            #expect(throws: ResolveFailure.self) { try answers(1)[5]?.get() }
        }
    }
}
