@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

@Suite struct TailnetTests {
    let peer = KeyPair.generate().peerID

    // MARK: Tags

    @Test func peerIdsAreReadInEveryForm() {
        let forms = [
            "tag:exo_peer_id=\(peer)", "tag:exo_peer_id=\(peer.base36)", "tag:exo-peer-id-\(peer.base36)", "tag:exo-peer-\(peer.base36)",
            "tag:exo-peer-\(peer.base32)", "tag:meshnet-peer-\(peer.base36)", "meshnet-peer-\(peer)",
        ]
        for form in forms { #expect(TailnetTags.peer(["tag:exo", form]) == peer, "\(form)") }
        #expect(TailnetTags.peer(forms) == peer, "that agree")
    }

    @Test func peerIdsThatContradictEachOtherOrAreNoneTellNothing() {
        #expect(TailnetTags.peer(["tag:exo-peer-\(peer.base36)", "tag:exo-peer-\(KeyPair.generate().peerID.base36)"]) == nil)
        for tag in ["tag:exo-peer-", "tag:exo-peer-xyz", "tag:exo-peer-id-", "tag:exo", "", "tag:"] { #expect(TailnetTags.peer([tag]) == nil) }
    }

    @Test func portsAreReadInEveryForm() {
        for form in ["tag:exo_port=52415", "tag:exo-port-52415", "tag:meshnet-port-52415"] { #expect(TailnetTags.port([form]) == 52_415) }
        for form in ["tag:exo-port-0", "tag:exo-port-65536", "tag:exo-port-+1", "tag:exo-port--1", "tag:exo-port-"] {
            #expect(TailnetTags.port([form]) == nil)
        }
        #expect(TailnetTags.port(["tag:exo-port-1", "tag:exo-port-2"]) == nil)
    }

    // MARK: Times

    @Test func timesAreReadAsGoWritesThem() {
        #expect(Timestamp.seconds("1970-01-01T00:00:00Z") == 0)
        #expect(Timestamp.seconds("2026-06-01T00:00:00Z") == fixtureTime)
        #expect(Timestamp.seconds("2026-06-01T00:00:00.123456789Z") == fixtureTime)
        #expect(Timestamp.seconds("2026-06-01T02:30:00.1+02:30") == fixtureTime)
        #expect(Timestamp.seconds("2026-05-31T23:00:00-01:00") == fixtureTime)
        #expect(Timestamp.seconds("2024-02-29T00:00:00Z") == 1_709_164_800)
        #expect(Timestamp.seconds("0001-01-01T00:00:00Z") == -62_135_596_800)
        #expect(Timestamp.set("0001-01-01T00:00:00Z") == nil)
        #expect(Timestamp.set("1970-01-01T00:00:00Z") == nil)
        for text in ["", "whenever", "2026-06-01", "2026-06-01T00:00:00", "2026-13-01T00:00:00Z", "2026-06-01T00:00:00.Z", "2026-06-01T00:00:00Zx"] {
            #expect(Timestamp.seconds(text) == nil, "\(text)")
        }
    }

    // MARK: When to ask

    /// Delays between questions, none of which fails.
    func delays(_ count: Int, interval: Duration, peers: Int) -> [Double] {
        var random = RandomSource(testSeed: 3), schedule = PollSchedule(interval: interval, now: .zero), now = Instant.zero
        schedule.connectedPeers(peers, now: now)
        return (0..<count).map { _ in
            schedule.asked()
            schedule.succeeded(now: now, random: &random)
            let delay = schedule.next! - now
            now = schedule.next!
            return Double(delay.saturatedNanoseconds) / 1e9
        }
    }

    @Test func connectedNodesAskEveryIntervalAndLonelyOnesMoreOften() {
        #expect(delays(20, interval: .seconds(30), peers: 1).allSatisfy { (27...33).contains($0) })
        let lonely = delays(20, interval: .seconds(30), peers: 0)
        #expect((2.7...3.3).contains(lonely[0]))
        #expect(lonely.allSatisfy { $0 <= 16.5 })
        #expect((13.5...16.5).contains(lonely[19]))
        #expect(delays(5, interval: .seconds(5), peers: 0).allSatisfy { (1.8...2.75).contains($0) }, "never more often than every 2 s")
        #expect(Set(lonely).count == lonely.count, "jitter")
    }

    @Test func losingTheLastPeerBringsTheNextQuestionForward() {
        var random = RandomSource(testSeed: 3), schedule = PollSchedule(interval: .seconds(30), now: .zero)
        schedule.connectedPeers(2, now: .zero)
        schedule.asked()
        schedule.succeeded(now: .zero, random: &random)
        schedule.connectedPeers(0, now: .zero)
        #expect(schedule.next == .zero + .seconds(3))
    }

    @Test func failuresBackOffUpToFiveMinutesOrTheInterval() {
        for (trouble, cap) in [(PollSchedule.Trouble.refusing, 300.0), (.absent, 30.0)] {
            var random = RandomSource(testSeed: 3), schedule = PollSchedule(interval: .seconds(30), now: .zero), last = 0.0
            for round in 0..<20 {
                schedule.asked()
                let delay = schedule.failed(trouble, retryAfter: nil, now: .zero, random: &random)
                last = Double(delay.saturatedNanoseconds) / 1e9
                if round == 0 { #expect((2.7...3.3).contains(last)) }
                #expect(last <= cap * 1.1)
            }
            #expect(last >= cap * 0.9)
            schedule.connectedPeers(1, now: .zero)
            let planned = schedule.next
            schedule.connectedPeers(0, now: .zero)
            #expect(schedule.next == planned, "a server in trouble is not asked sooner")
        }
    }

    @Test func theServersWishIsHonouredUpToAnHour() {
        var random = RandomSource(testSeed: 3), schedule = PollSchedule(interval: .seconds(30), now: .zero)
        #expect(schedule.failed(.refusing, retryAfter: .seconds(120), now: .zero, random: &random) == .seconds(120))
        #expect(schedule.failed(.refusing, retryAfter: .seconds(90_000), now: .zero, random: &random) == .seconds(3_600))
    }

    @Test func intervalsAreHeldBetweenASecondAndAnHour() {
        #expect(PollSchedule(interval: .zero, now: .zero).interval == .seconds(1))
        #expect(PollSchedule(interval: .seconds(90_000), now: .zero).interval == .seconds(3_600))
    }

    // MARK: Lists

    @Test func aNodeIsCutToItsBounds() throws {
        let addresses = (1...20).map { "\"100.64.0.\($0)\"" }.joined(separator: ","), tags = (1...200).map { "\"tag:t\($0)\"" }.joined(separator: ",")
        let name = String(repeating: "n", count: 1_000)
        let text = #"{"nodes":[{"id":"\#(name)","name":"\#(name)","ipAddresses":[\#(addresses)],"tags":[\#(tags)]}]}"#
        let node = try #require(HeadscaleList.nodes(JSON(parsing: Array(text.utf8)))?.nodes.first)
        #expect(node.addresses.count == TailnetNode.maximumAddresses)
        #expect(node.tags.count == TailnetNode.maximumTags)
        #expect(node.name.utf8.count == TailnetNode.maximumTextByteCount)
        #expect(node.id.utf8.count == TailnetNode.maximumTextByteCount)
    }

    /// Bytes of lists changed at random, cut and repeated: whatever is left of them is read within the bounds.
    @Test(arguments: ["headscale-0.23", "headscale-odd", "tailscale-devices", "tailscaled-status"]) func damagedListsDoNoHarm(_ name: String) throws {
        let whole = try fixture(name), rules = TailnetRules(localPeer: peer, port: 4_001)
        var random = RandomSource(testSeed: 11), read = 0
        for _ in 0..<2_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: bytes[place..<min(place + 40, bytes.count)], at: place)
                default: bytes[place] = Array("\"{}[],:0-".utf8)[Int.random(in: 0..<9, using: &random)]
                }
            }
            guard let json = try? JSON(parsing: bytes) else { continue }
            read += 1
            let (nodes, malformed) = HeadscaleList.nodes(json) ?? TailnetLists.devices(json, time: fixtureTime) ?? TailnetLists.peers(json)
            var view = TailnetView(rules: rules)
            let reports = view.reports(of: nodes, malformed: malformed, own: OwnPlace(), time: fixtureTime)
            for case .replaced(let candidates) in reports {
                #expect(candidates.allSatisfy { !$0.addresses.isEmpty && $0.key.utf8.count <= 256 }, "seed 11")
            }
        }
        #expect(read > 100)
    }

    @Test func nodesWithOneIdAreOne() {
        let rules = TailnetRules(localPeer: peer, port: 4_001)
        var view = TailnetView(rules: rules)
        let node = TailnetNode(id: "1", name: "a", addresses: [[100, 64, 0, 1]], tags: [])
        guard case .replaced(let candidates) = view.reports(of: [node, node], malformed: 0, own: OwnPlace(), time: fixtureTime).first else { return }
        #expect(candidates.count == 1)
    }

    // MARK: JSON

    @Test func jsonIsHeldToItsBounds() throws {
        var limits = JSON.Limits()
        limits.depth = 3
        limits.containers = 5
        limits.values = 10
        #expect(throws: Never.self) { try JSON(parsing: Array("[[[]]]".utf8), limits: limits) }
        #expect(throws: JSON.ParseError.tooDeep(limit: 3)) { try JSON(parsing: Array("[[[[".utf8), limits: limits) }
        #expect(throws: JSON.ParseError.tooMany(limit: 5)) { try JSON(parsing: Array("[[],[],[],[],[]]".utf8), limits: limits) }
        #expect(throws: JSON.ParseError.tooMany(limit: 10)) { try JSON(parsing: Array("[1,1,1,1,1,1,1,1,1,1]".utf8), limits: limits) }
        // Brackets and commas in texts do not count, whatever is escaped there.
        let text = #"["[[[[[[,,,,,,,,,,\"[[\\"]"#
        #expect(try JSON(parsing: Array(text.utf8), limits: limits).elements?.first?.string == #"[[[[[[,,,,,,,,,,"[[\"#)
    }

    @Test func jsonIsReadLeniently() throws {
        let json = try JSON(parsing: Array(#"{"a":1,"b":"x","c":[1,"y",null],"d":null,"e":{"f":true}}"#.utf8))
        #expect(json["a"]?.string == nil)
        #expect(json["a"]?.integer == 1)
        #expect(json["b"]?["x"] == nil)
        #expect(json["c"]?.strings(limit: 3) == ["y"])
        #expect(json["c"]?.strings(limit: 1) == [])
        #expect(json["d"]?.isNull == true)
        #expect(json["e"]?["f"]?.bool == true)
        #expect(json["e"]?.members?.count == 1)
        for bad in ["", "{", "[1,]", "{\"a\":99999999999999999999}", "\u{0}", "]]]][[[["] {
            #expect(throws: JSON.ParseError.self) { try JSON(parsing: Array(bad.utf8)) }
        }
        #expect(JSONText.array(["a\"b\\\n"]) == #"["a\"b\\\u000a"]"#)
    }

    // MARK: Addresses of servers

    @Test func addressesOfServersAreReadAsPeopleWriteThem() throws {
        let cases = [
            ("https://HS.example.com/", "https://hs.example.com"), (" https://hs.example.com:443\n", "https://hs.example.com"),
            ("http://hs:8080//", "http://hs:8080"), ("https://[fd00::1]:8443/a/b/", "https://[fd00::1]:8443/a/b"),
            ("HTTP://10.0.0.1", "http://10.0.0.1"),
        ]
        for (text, wanted) in cases { #expect(try ServerAddress(text).description == wanted) }
        let problems: [(String, ServerAddress.Problem)] = [
            ("", .empty), ("hs.example.com", .noScheme), ("ftp://x", .scheme("ftp")), ("https://u:p@h", .userInfo), ("https://", .host),
            ("https://h:0", .port("0")), ("https://h:1x", .port("1x")), ("https://h#x", .extra), ("https://hö", .badCharacter),
            ("https://[::1", .host),
            ("https://a%2e", .host), ("https://" + String(repeating: "a", count: 2_048), .tooLong(limit: 2_048)),
        ]
        for (text, problem) in problems { #expect(throws: problem) { try ServerAddress(text) } }
    }
}
