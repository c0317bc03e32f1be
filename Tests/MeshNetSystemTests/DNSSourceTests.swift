import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    /// Against a real name server.
    @Suite(.timeLimit(.minutes(3)), .enabled(if: NameDaemon.program != nil, "dnsmasq is not installed")) struct DNSSourceTests {
        static let patience: Duration = .seconds(20)

        /// A source with a loop of its own.
        final class Bench {
            let readiness: Readiness
            let source: DNSSource
            private(set) var reports: [SourceReport] = []

            init(_ services: [String], _ daemon: NameDaemon) throws {
                readiness = try Readiness(system: .kernel)
                var configuration = DiscoveryConfiguration()
                configuration.modes = .dns
                configuration.dnsServices = services
                configuration.interval = .seconds(1)
                source = DNSSource(SourceContext(
                    configuration: configuration, localPeer: KeyPair.generate().peerID, preSharedKey: nil, readiness: readiness, tokenBase: 5_000,
                    random: RandomSource(testSeed: 1), nameServers: daemon.text, now: .now()))
            }

            deinit { source.close() }

            /// Runs until a report is as wanted; false when patience ends.
            func run(until wanted: (SourceReport) -> Bool) -> Bool {
                let limit = Instant.now() + DNSSourceTests.patience
                var ready: [Ready] = []
                while Instant.now() < limit {
                    if let due = source.deadline, due <= .now() { source.handleTimeout(now: .now()) }
                    while let report = source.poll() {
                        reports.append(report)
                        if wanted(report) { return true }
                    }
                    readiness.wait(until: earlier(source.deadline, limit), into: &ready)
                    for report in ready {
                        source.ready(Int32(report.token - 5_000), readable: report.readable, writable: report.writable, now: .now())
                    }
                }
                return false
            }

            func run(untilFound addresses: [String]) -> Bool {
                run { report in
                    guard case .replaced(let candidates) = report else { return false }
                    return candidates.flatMap { $0.addresses.map(\.description) }.sorted() == addresses.sorted()
                }
            }
        }

        let daemon: NameDaemon

        init() throws { daemon = try #require(NameDaemon()) }

        @Test func podsComeAndGo() throws {
            daemon.setAddresses(["pods.test": ["10.1.0.1", "10.1.0.2", "fd00::1"]])
            let bench = try Bench(["pods.test:4001"], daemon)
            #expect(bench.run(untilFound: ["/ip4/10.1.0.1/tcp/4001", "/ip4/10.1.0.2/tcp/4001", "/ip6/fd00::1/tcp/4001"]))
            #expect(bench.run { $0 == .running })
            daemon.setAddresses(["pods.test": ["10.1.0.2", "10.1.0.3"]])
            #expect(bench.run(untilFound: ["/ip4/10.1.0.2/tcp/4001", "/ip4/10.1.0.3/tcp/4001"]))
            // Scaled to nothing: the name is gone.
            daemon.setAddresses([:])
            #expect(bench.run(untilFound: []))
            #expect(bench.run { if case .failed(let failure, _) = $0 { failure.kind == .unresolved } else { false } })
            daemon.setAddresses(["pods.test": ["10.1.0.9"]])
            #expect(bench.run(untilFound: ["/ip4/10.1.0.9/tcp/4001"]))
        }

        @Test func aServerThatIsDownChangesNothingAndHeals() throws {
            daemon.setAddresses(["pods.test": ["10.1.0.1"]])
            let bench = try Bench(["pods.test:4001"], daemon)
            #expect(bench.run(untilFound: ["/ip4/10.1.0.1/tcp/4001"]))
            daemon.stop()
            let before = bench.reports.count
            #expect(bench.run { report in
                guard case .failed(let failure, let retry) = report else { return false }
                return [.unreachable, .timedOut].contains(failure.kind) && retry != nil
            })
            #expect(!bench.reports[before...].contains { if case .replaced(let all) = $0 { all.isEmpty } else { false } })
            daemon.start()
            #expect(bench.run { $0 == .running })
        }

        @Test func serviceRecordsAreFollowed() throws {
            daemon.setAddresses(["a.test": ["10.2.0.1"], "b.test": ["10.2.0.2", "fd00::2"]])
            daemon.setRecords(["srv-host=_p2p._tcp.mesh.test,b.test,4002,20", "srv-host=_p2p._tcp.mesh.test,a.test,4001,10"])
            let bench = try Bench(["_p2p._tcp.mesh.test"], daemon)
            #expect(bench.run(untilFound: ["/ip4/10.2.0.1/tcp/4001", "/ip4/10.2.0.2/tcp/4002", "/ip6/fd00::2/tcp/4002"]))
            daemon.setRecords(["srv-host=_p2p._tcp.mesh.test,a.test,4009,10"])
            #expect(bench.run(untilFound: ["/ip4/10.2.0.1/tcp/4009"]))
        }

        @Test func dnsaddrIsFollowed() throws {
            let peer = KeyPair.generate().peerID
            daemon.setRecords([
                "txt-record=_dnsaddr.mesh.test,dnsaddr=/dnsaddr/one.mesh.test", "txt-record=_dnsaddr.mesh.test,unrelated",
                // Longer than one string of a record may be: dnsmasq cuts it, and the reader joins it.
                "txt-record=_dnsaddr.one.mesh.test,\"dnsaddr=/ip4/10.3.0.1/tcp/4001/\",\"p2p/\(peer)\"",
                "txt-record=_dnsaddr.one.mesh.test,dnsaddr=/dnsaddr/mesh.test",
            ])
            let bench = try Bench(["/dnsaddr/mesh.test"], daemon)
            var found: [Candidate] = []
            #expect(bench.run { report in
                guard case .replaced(let candidates) = report, !candidates.isEmpty else { return false }
                found = candidates
                return true
            })
            #expect(found.map(\.peer) == [peer])
            #expect(found.first?.addresses.map(\.description) == ["/ip4/10.3.0.1/tcp/4001"])
        }

        /// Too long for a datagram: asked again by TCP, and bounded.
        @Test func aThousandAddressesAreBounded() throws {
            daemon.setAddresses(["crowd.test": (0..<1_000).map { "10.4.\($0 / 250).\($0 % 250 + 1)" }])
            let bench = try Bench(["crowd.test:4001"], daemon)
            var count = 0
            #expect(bench.run { report in
                guard case .replaced(let candidates) = report, !candidates.isEmpty else { return false }
                count = candidates.count
                return true
            })
            #expect(count == DNSRound.maximumAddresses)
            #expect(bench.reports.contains(.filtered(.limit, what: "crowd.test:4001: 744 more than are used", interface: nil)))
        }

        @Test func shortNamesAreCompletedByTheSearchDomains() throws {
            // c-ares takes the search domains from here before it looks into resolv.conf.
            setenv("LOCALDOMAIN", "ns.svc.test svc.test", 1)
            defer { unsetenv("LOCALDOMAIN") }
            daemon.setAddresses(["pods.svc.test": ["10.5.0.1"]])
            daemon.setRecords(["srv-host=_p2p._tcp.pods.svc.test,pods.svc.test,4005"])
            let bench = try Bench(["pods:4001", "_p2p._tcp.pods", "pods.:4003"], daemon)
            #expect(bench.run(untilFound: ["/ip4/10.5.0.1/tcp/4001", "/ip4/10.5.0.1/tcp/4005"]))
            #expect(bench.run { if case .failed(let failure, _) = $0 { failure.detail.hasPrefix("pods.:4003") } else { false } })
        }
    }
}
