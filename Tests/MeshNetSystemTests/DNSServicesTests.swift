@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// What `DNSServices` decides, by answers made up here.
@Suite struct DNSServicesTests {
    typealias Answers = (_ name: String, _ kind: DNSRecordKind) -> Result<DNSRecords, DNSLookupFailure>

    static let nothing = Result<DNSRecords, DNSLookupFailure>.failure(DNSLookupFailure(.unresolved, "no such name"))
    static let silence = Result<DNSRecords, DNSLookupFailure>.failure(DNSLookupFailure(.timedOut, "no name server answered in time"))

    /// A machine, its clock, and a name server that answers at once.
    final class Bench {
        var machine: DNSServices
        var now = Instant(nanoseconds: 1_000_000_000)
        var answers: Answers
        private(set) var reports: [SourceReport] = []
        private(set) var asked: [(at: Instant, name: String)] = []
        var most = 0

        init(_ services: [String], interval: Duration = .seconds(30), answers: @escaping Answers) {
            self.answers = answers
            machine = DNSServices(services, interval: interval, random: RandomSource(testSeed: 4), now: now)
            pass(.zero)
        }

        func pass(_ duration: Duration) {
            let end = now + duration
            drain()
            while let due = machine.deadline, due <= end {
                now = max(now, due)
                machine.handleTimeout(now: now)
                drain()
            }
            now = end
        }

        private func drain() {
            while true {
                var waiting: [(UInt64, String, DNSRecordKind)] = []
                while let action = machine.poll() {
                    switch action {
                    case .report(let report): reports.append(report)
                    case .lookup(let query, let name, let kind): waiting.append((query, name, kind))
                    }
                }
                if waiting.isEmpty { return }
                most = max(most, waiting.count)
                for (query, name, kind) in waiting {
                    asked.append((now, name))
                    machine.answered(query, answers(name, kind), now: now)
                }
            }
        }

        /// What the last list had.
        var addresses: [String]? {
            for case .replaced(let candidates) in reports.reversed() { return candidates.flatMap { $0.addresses.map(\.description) } }
            return nil
        }

        var candidates: [Candidate] {
            for case .replaced(let candidates) in reports.reversed() { return candidates }
            return []
        }

        var failure: SourceFailure? { if case .failed(let failure, _)? = reports.last { failure } else { nil } }
        var isRunning: Bool { reports.last == .running }
        func filtered(_ filter: DiscoveryFilter) -> Int { reports.count { if case .filtered(filter, _, _) = $0 { true } else { false } } }
        func forget() { reports = [] }
    }

    static func addresses(_ range: Range<Int>) -> Result<DNSRecords, DNSLookupFailure> {
        .success(.addresses(range.map { SocketAddress(ip: [10, 0, UInt8($0 >> 8), UInt8($0 & 255)], port: 0) }))
    }

    static func texts(_ texts: [String]) -> Result<DNSRecords, DNSLookupFailure> { .success(.texts(texts.map { Array($0.utf8) })) }

    static let peer = KeyPair(secret: [UInt8](repeating: 3, count: 32))?.peerID
    static let other = KeyPair(secret: [UInt8](repeating: 4, count: 32))?.peerID

    // MARK: Forms

    @Test func formsAreToldApart() throws {
        #expect(try DNSService("pods.mesh:4001") == .addresses(name: "pods.mesh", port: 4001))
        #expect(try DNSService("pods.mesh.:4001") == .addresses(name: "pods.mesh.", port: 4001))
        #expect(try DNSService("_p2p._tcp.mesh") == .targets(name: "_p2p._tcp.mesh"))
        #expect(try DNSService("dnsaddr:mesh.example") == .dnsaddr(name: "mesh.example", peer: nil))
        #expect(try DNSService("/dnsaddr/mesh.example") == .dnsaddr(name: "mesh.example", peer: nil))
        let peer = try #require(Self.peer)
        #expect(try DNSService("/dnsaddr/mesh.example/p2p/\(peer)") == .dnsaddr(name: "mesh.example", peer: peer))
    }

    @Test(arguments: [
        "", "pods", ":4001", "pods:0", "pods:65536", "pods:x", "a..b:1", "po ds:1", "/ip4/10.0.0.1/tcp/1", "/dnsaddr/a/tcp/1", "dnsaddr:", "_p2p._tcp..",
        String(repeating: "a", count: 64) + ":1", String(repeating: "a.", count: 130) + "a:1", "é:1",
    ]) func whatCannotBeReadIsSaid(text: String) {
        let bench = Bench([text]) { _, _ in Self.nothing }
        #expect(bench.failure?.kind == .badConfiguration)
        #expect(bench.failure?.hint.contains("name:port") == true)
        bench.pass(.seconds(100))
        #expect(bench.asked.isEmpty)
    }

    @Test func noServiceAtAllIsSaid() {
        #expect(Bench([]) { _, _ in Self.nothing }.failure?.kind == .badConfiguration)
    }

    @Test func servicesBeyondTheLimitAreSaid() {
        let bench = Bench((0..<40).map { "pods\($0):1" }) { _, _ in Self.addresses(1..<2) }
        #expect(Set(bench.asked.map(\.name)).count == DNSServices.maximumServices)
        #expect(bench.failure?.kind == .limitReached)
        // The others work.
        #expect(bench.addresses == ["/ip4/10.0.0.1/tcp/1"])
    }

    // MARK: Addresses

    @Test func everyPodIsACandidate() {
        let bench = Bench(["pods.mesh:4001"]) { name, kind in kind == .addresses && name == "pods.mesh" ? Self.addresses(1..<4) : Self.nothing }
        #expect(bench.addresses == ["/ip4/10.0.0.1/tcp/4001", "/ip4/10.0.0.2/tcp/4001", "/ip4/10.0.0.3/tcp/4001"])
        #expect(bench.candidates.allSatisfy { $0.peer == nil && $0.lifetime == nil && $0.addresses.count == 1 })
        #expect(Set(bench.candidates.map(\.key)).count == 3)
        #expect(bench.isRunning)
    }

    @Test func theIntervalIsHeldWithinATenth() {
        let bench = Bench(["pods:1"], interval: .seconds(10)) { _, _ in Self.addresses(1..<2) }
        bench.pass(.seconds(1_000))
        let times = bench.asked.map(\.at)
        for (a, b) in zip(times, times.dropFirst()) { #expect(b - a >= .seconds(9) && b - a <= .seconds(11)) }
        #expect((90...112).contains(times.count))
        #expect(Set(zip(times, times.dropFirst()).map { $1 - $0 }).count > 20)
    }

    @Test func podsComeAndGo() {
        let bench = Bench(["pods:1"], interval: .seconds(10)) { _, _ in Self.addresses(1..<3) }
        bench.answers = { _, _ in Self.addresses(2..<5) }
        bench.pass(.seconds(11))
        #expect(bench.addresses == ["/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.3/tcp/1", "/ip4/10.0.0.4/tcp/1"])
    }

    @Test func ourOwnAddressIsNotReported() throws {
        let bench = Bench(["pods:1"], interval: .seconds(10)) { _, _ in Self.addresses(1..<3) }
        bench.machine.listening(on: [try Multiaddr("/ip4/10.0.0.1/tcp/1")])
        bench.pass(.seconds(11))
        #expect(bench.addresses == ["/ip4/10.0.0.2/tcp/1"])
    }

    @Test func aThousandAddressesAreBoundedAndStayTheSameWhenShuffled() {
        let bench = Bench(["pods:1"], interval: .seconds(10)) { _, _ in Self.addresses(0..<1_000) }
        #expect(bench.addresses?.count == DNSRound.maximumAddresses)
        let first = Set(bench.addresses ?? [])
        #expect(bench.filtered(.limit) == 1)
        bench.answers = { _, _ in
            guard case .success(.addresses(let all)) = Self.addresses(0..<1_000) else { return Self.nothing }
            return .success(.addresses(all.reversed()))
        }
        bench.pass(.seconds(11))
        #expect(Set(bench.addresses ?? []) == first)
    }

    // MARK: Failures

    @Test func aFailureKeepsTheListAndHealsByItself() {
        let bench = Bench(["pods:1"], interval: .seconds(10)) { _, _ in Self.addresses(1..<3) }
        bench.forget()
        bench.answers = { _, _ in Self.silence }
        bench.pass(.seconds(60))
        #expect(bench.addresses == nil)
        #expect(bench.failure == SourceFailure(
            .timedOut, detail: "pods:1: no name server answered in time", hint: bench.failure?.hint ?? ""))
        bench.answers = { _, _ in Self.addresses(1..<3) }
        bench.pass(.seconds(11))
        #expect(bench.isRunning)
        #expect(bench.addresses?.count == 2)
    }

    @Test func retriesComeSoonerThanTheIntervalAndNeverInALoop() {
        let bench = Bench(["pods:1"], interval: .seconds(30)) { _, _ in Self.silence }
        bench.pass(.seconds(600))
        let gaps = zip(bench.asked, bench.asked.dropFirst()).map { $1.at - $0.at }
        #expect(gaps[0] >= .milliseconds(500) && gaps[0] <= .seconds(1))
        #expect(gaps.allSatisfy { $0 >= .milliseconds(500) && $0 <= .seconds(30) })
        #expect(gaps.dropFirst(6).allSatisfy { $0 >= .seconds(15) })
    }

    @Test func aServiceIsGoneAfterTwoEmptyAnswers() {
        let bench = Bench(["pods:1"], interval: .seconds(10)) { _, _ in Self.addresses(1..<3) }
        bench.forget()
        var count = 0
        bench.answers = { _, _ in
            count += 1
            return count == 1 ? Self.nothing : Self.addresses(1..<3)
        }
        bench.pass(.seconds(30))
        #expect(!bench.reports.contains(.replaced([])))
        bench.answers = { _, _ in Self.nothing }
        bench.pass(.seconds(30))
        #expect(bench.addresses == [])
        #expect(bench.failure?.kind == .unresolved)
    }

    @Test func oneBadServiceDoesNotDisturbTheOther() {
        let bench = Bench(["bad:1", "good:2"], interval: .seconds(10)) { name, _ in name == "good" ? Self.addresses(1..<2) : Self.silence }
        bench.pass(.seconds(100))
        #expect(bench.addresses == ["/ip4/10.0.0.1/tcp/2"])
        #expect(bench.failure?.detail.hasPrefix("bad:1:") == true)
        // Said all the time, since a state that flaps tells nobody anything.
        #expect(!bench.reports.contains(.running))
    }

    // MARK: SRV

    @Test func targetsAreOrderedByPriorityAndKeepTheirPorts() {
        let bench = Bench(["_p2p._tcp.mesh"]) { name, kind in
            switch (name, kind) {
            case ("_p2p._tcp.mesh", .service):
                .success(.services([
                    DNSServiceTarget(host: "c.mesh", port: 3, priority: 20, weight: 0), DNSServiceTarget(host: "b.mesh", port: 2, priority: 10, weight: 1),
                    DNSServiceTarget(host: "a.mesh", port: 1, priority: 10, weight: 9), DNSServiceTarget(host: ".", port: 1, priority: 0, weight: 0),
                    DNSServiceTarget(host: "", port: 1, priority: 0, weight: 0), DNSServiceTarget(host: "zero.mesh", port: 0, priority: 0, weight: 0),
                ]))
            case ("a.mesh.", .addresses): Self.addresses(1..<2)
            case ("b.mesh.", .addresses): Self.addresses(2..<4)
            case ("c.mesh.", .addresses): Self.addresses(4..<5)
            default: Self.nothing
            }
        }
        #expect(bench.addresses == ["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/2", "/ip4/10.0.0.3/tcp/2", "/ip4/10.0.0.4/tcp/3"])
        #expect(bench.filtered(.malformed) == 1)
    }

    @Test func aTargetThatCannotBeLookedUpKeepsWhatWasKnown() {
        let targets = ["a", "b"].map { DNSServiceTarget(host: $0, port: 1, priority: 1, weight: 1) }
        let all: Answers = { name, kind in
            if kind == .service { return .success(.services(targets)) }
            return name == "a." ? Self.addresses(1..<2) : Self.addresses(2..<3)
        }
        let bench = Bench(["_p2p._tcp.mesh"], interval: .seconds(10), answers: all)
        bench.answers = { name, kind in name == "b." ? Self.silence : all(name, kind) }
        bench.pass(.seconds(11))
        #expect(bench.addresses?.count == 2)
        #expect(bench.failure?.kind == .timedOut)
        // Gone is something else than not answered.
        bench.answers = { name, kind in name == "b." ? Self.nothing : all(name, kind) }
        bench.pass(.seconds(11))
        #expect(bench.addresses == ["/ip4/10.0.0.1/tcp/1"])
        #expect(bench.isRunning)
    }

    @Test func aCrowdOfTargetsIsBounded() {
        let targets = (0..<500).map { DNSServiceTarget(host: "t\($0)", port: 1, priority: 1, weight: 1) }
        let bench = Bench(["_p2p._tcp.mesh"]) { name, kind in
            kind == .service ? .success(.services(targets)) : Self.addresses(0..<1_000)
        }
        #expect(bench.asked.count == DNSRound.maximumLookups)
        #expect(bench.most <= DNSServices.lookupsAtOnce)
        #expect(bench.addresses?.count == DNSRound.maximumAddresses)
    }

    // MARK: dnsaddr

    @Test func dnsaddrIsFollowed() throws {
        let peer = try #require(Self.peer), other = try #require(Self.other)
        let bench = Bench(["/dnsaddr/mesh"]) { name, kind in
            switch (name, kind) {
            case ("_dnsaddr.mesh", .text):
                Self.texts([
                    "dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/\(peer)", "dnsaddr=/ip6/fd00::1/tcp/1/p2p/\(peer)", "dnsaddr=/dnsaddr/more.mesh/p2p/\(other)",
                    "dnsaddr=/dns4/name.mesh/tcp/4", "v=spf1", "dnsaddr=", "dnsaddr=/ip4/10.0.0.1/udp/1/quic-v1/p2p/\(peer)", "dnsaddr=nonsense",
                ])
            case ("_dnsaddr.more.mesh", .text): Self.texts(["dnsaddr=/ip4/10.0.0.9/tcp/9/p2p/\(peer)", "dnsaddr=/ip4/10.0.0.8/tcp/8/p2p/\(other)"])
            default: Self.nothing
            }
        }
        #expect(bench.candidates.map(\.peer) == [peer, nil, other])
        #expect(bench.candidates.map { $0.addresses.map(\.description) } == [
            ["/ip4/10.0.0.1/tcp/1", "/ip6/fd00::1/tcp/1"], ["/dns4/name.mesh/tcp/4"], ["/ip4/10.0.0.8/tcp/8"],
        ])
        #expect(bench.filtered(.malformed) == 1 && bench.filtered(.noAddress) == 1)
        #expect(bench.isRunning)
    }

    @Test func dnsaddrLoopsEnd() {
        let bench = Bench(["dnsaddr:a"], interval: .seconds(10)) { name, _ in
            Self.texts(["dnsaddr=/dnsaddr/a", "dnsaddr=/dnsaddr/A", "dnsaddr=/dnsaddr/b", "dnsaddr=/ip4/10.0.0.1/tcp/1"])
        }
        #expect(bench.asked.count == 2)
        #expect(bench.addresses == ["/ip4/10.0.0.1/tcp/1"])
    }

    @Test func dnsaddrIsBoundedInDepthAndInWork() {
        var count = 0
        let deep = Bench(["dnsaddr:n0"]) { _, _ in
            count += 1
            return Self.texts(["dnsaddr=/dnsaddr/n\(count)"])
        }
        #expect(deep.asked.count == DNSRound.maximumDepth + 1)
        var number = 0
        let wide = Bench(["dnsaddr:w"]) { _, _ in
            Self.texts((0..<50).map { _ in
                number += 1
                return "dnsaddr=/dnsaddr/w\(number)"
            })
        }
        #expect(wide.asked.count == DNSRound.maximumLookups)
        #expect(wide.filtered(.limit) == 1)
    }

    @Test func aNameInTwoServicesIsOneCandidate() {
        let bench = Bench(["a:1", "b:1"]) { _, _ in Self.addresses(1..<3) }
        #expect(bench.candidates.count == 2)
    }

    @Test func anyAnswersKeepTheBounds() {
        var random = RandomSource(testSeed: 12)
        let bench = Bench(["a:1", "_x._tcp.b", "dnsaddr:c"], interval: .seconds(5)) { _, _ in Self.nothing }
        bench.answers = { _, kind in
            let low = Int.random(in: 0..<500, using: &random), number = Int.random(in: 0..<300, using: &random) >> (kind == .addresses ? 0 : 3)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: return Self.silence
            case 1: return Self.nothing
            default: break
            }
            switch kind {
            case .addresses: return number == 0 ? Self.nothing : Self.addresses(low..<low + number)
            case .service:
                return .success(.services((0..<number).map { DNSServiceTarget(host: "h\($0)", port: UInt16($0 % 3), priority: UInt16(low), weight: 0) }))
            case .text: return Self.texts((0..<number).map { $0 % 4 == 0 ? "dnsaddr=/dnsaddr/x\(low + $0)" : "dnsaddr=/ip4/10.1.0.\($0 % 256)/tcp/1" })
            }
        }
        for _ in 0..<40 {
            bench.pass(.seconds(5))
            #expect(bench.most <= DNSServices.lookupsAtOnce)
            #expect(bench.candidates.count <= 3 * DNSRound.maximumAddresses)
            #expect(Set(bench.candidates.map(\.key)).count == bench.candidates.count)
            #expect(bench.candidates.allSatisfy { !$0.addresses.isEmpty })
            bench.forget()
        }
    }
}
