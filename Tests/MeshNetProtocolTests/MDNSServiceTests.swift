import TestSupport
import Testing

@testable import MeshNetProtocol

@Suite struct MDNSServiceTests {
    private let other = MDNSHarness.identities[1].peerID
    private let address = "/ip4/192.168.1.9/tcp/4001"

    private func offsets(_ packets: [(at: Instant, interface: UInt32, packet: [UInt8])]) -> [Double] {
        packets.map { Double(($0.at - Instant(nanoseconds: 1_000_000_000)).saturatedNanoseconds) / 1e9 }
    }

    @Test func asksAtOnceThenSlowerAndForEver() {
        var node = MDNSHarness()
        node.run(for: .seconds(600))
        let times = offsets(node.queries)
        #expect(times[0] >= 0.02 && times[0] <= 0.12)
        var expected = 0.25
        for (before, after) in zip(times, times.dropFirst()) {
            #expect(after - before <= expected && after - before >= expected * 0.9, "\(before) to \(after)")
            expected = min(60, expected * 2)
        }
        #expect(times.count >= 17)
        #expect(node.queries.allSatisfy { $0.packet == MDNSHarness.query })
    }

    @Test func anAnswerNeverStopsTheAsking() {
        var node = MDNSHarness()
        node.receive(MDNSHarness.announcement(other, [address]))
        node.run(for: .seconds(130))
        #expect(node.queries.count >= 9)
    }

    @Test func announcesItselfTwiceAfterTheStart() {
        var node = MDNSHarness()
        node.run(for: .seconds(30))
        let times = offsets(node.answers)
        #expect(times.count == 2)
        #expect(times[0] >= 0.02 && times[0] <= 0.12)
        #expect(abs(times[1] - times[0] - 1) < 1e-9)
    }

    @Test func theAnswerHasTheLayoutThatEverybodyReads() throws {
        var node = MDNSHarness(listen: ["/ip4/192.168.1.2/tcp/4001", "/ip4/127.0.0.1/tcp/4001"])
        node.run(for: .seconds(1))
        let message = try #require(node.answerMessages.first)
        let service = DNSName("_p2p._udp.local")!
        #expect(message.questions.isEmpty)
        #expect(message.answers.count == 1)
        guard case .pointer(let instance)? = message.answers.first?.content else {
            Issue.record("no PTR")
            return
        }
        #expect(message.answers.first?.name == service)
        #expect(message.answers.first?.flushesCache == false, "the name is shared with other peers")
        #expect(instance.wire.suffix(service.wire.count) == service.wire[...])
        #expect((32...63).contains(Int(instance.wire[0])))
        let label = instance.wire[1...Int(instance.wire[0])]
        let host = DNSName(label: String(decoding: label, as: UTF8.self), in: DNSName("local")!)!
        #expect(message.additionals.map(\.name) == [instance, instance, host])
        #expect(message.additionals.map(\.content) == [
            .text([Array("dnsaddr=/ip4/192.168.1.2/tcp/4001/p2p/\(MDNSHarness.identities[0].peerID)".utf8)]),
            .service(port: 4001, target: host), .ipv4([192, 168, 1, 2]),
        ])
        #expect(message.additionals.allSatisfy { $0.flushesCache && $0.timeToLive == 360 })
    }

    @Test func eachInterfaceIsToldItsOwnAddresses() {
        let docker = MDNSInterface(id: 3, name: "docker0", addresses: [.init(ip: [172, 17, 0, 1], prefixLength: 16)])
        let listen = ["/ip4/172.17.0.1/tcp/4001", "/ip4/192.168.1.2/tcp/4001", "/ip4/127.0.0.1/tcp/4001"]
        var node = MDNSHarness(interfaces: [docker, MDNSHarness.lan], listen: listen)
        node.run(for: .seconds(1))
        for (id, ip) in [(UInt32(2), "192.168.1.2"), (3, "172.17.0.1")] {
            let records = node.answers.filter { $0.interface == id }.flatMap { node.message($0.packet)?.additionals ?? [] }
            let texts = records.compactMap { record -> [[UInt8]]? in
                if case .text(let strings) = record.content { strings } else { nil }
            }
            #expect(!texts.isEmpty)
            #expect(texts.allSatisfy { $0 == [Array("dnsaddr=/ip4/\(ip)/tcp/4001/p2p/\(MDNSHarness.identities[0].peerID)".utf8)] }, "interface \(id)")
        }
    }

    @Test func withoutAnAddressOnTheInterfaceNothingIsAnnounced() {
        var node = MDNSHarness(listen: ["/ip4/10.0.0.1/tcp/4001"])
        node.receive(MDNSHarness.query)
        node.run(for: .seconds(5))
        #expect(node.answers.isEmpty)
        #expect(!node.queries.isEmpty)
    }

    @Test func answersAreJitteredAndAtMostOnePerSecond() {
        var delays: [Duration] = []
        for seed in 0..<20 as Range<UInt64> {
            var node = MDNSHarness(seed: seed)
            node.run(for: .seconds(10))
            node.sent = []
            let asked = node.now
            node.receive(MDNSHarness.query)
            node.run(for: .milliseconds(130))
            guard let answer = node.answers.first else {
                Issue.record("no answer, seed \(seed)")
                continue
            }
            delays.append(answer.at - asked)
            for _ in 0..<200 {
                node.receive(MDNSHarness.query)
                node.run(for: .milliseconds(10))
            }
            #expect(node.answers.count <= 3, "seed \(seed)")
        }
        #expect(delays.allSatisfy { (.milliseconds(20)...(.milliseconds(120))).contains($0) })
        #expect(Set(delays).count > 5)
    }

    @Test func whoKnowsUsGetsNoAnswer() throws {
        var node = MDNSHarness()
        node.run(for: .seconds(10))
        let own = try #require(node.answerMessages.first).answers[0]
        for (ttl, answers) in [(UInt32(360), 0), (180, 0), (179, 1)] {
            node.sent = []
            var query = DNSMessage(isResponse: false)
            query.questions = [DNSQuestion(name: own.name, type: DNSType.pointer)]
            query.answers = [DNSRecord(name: own.name, timeToLive: ttl, flushesCache: false, content: own.content)]
            node.receive(query.encoded())
            node.run(for: .seconds(1))
            #expect(node.answers.count == answers, "\(ttl)")
        }
    }

    @Test func theListOfServicesNamesOurs() throws {
        var node = MDNSHarness()
        node.run(for: .seconds(10))
        node.sent = []
        var query = DNSMessage(isResponse: false)
        query.questions = [DNSQuestion(name: DNSName("_services._dns-sd._udp.local")!, type: DNSType.pointer)]
        for _ in 0..<50 { node.receive(query.encoded()) }
        node.run(for: .milliseconds(500))
        #expect(node.answers.count == 1)
        #expect(node.answerMessages.first?.answers.first?.content == .pointer(DNSName("_p2p._udp.local")!))
    }

    @Test func anotherTagIsAnotherNetwork() {
        var node = MDNSHarness(tag: "_CHORUS-peer-discovery._udp.local")
        node.receive(MDNSHarness.announcement(other, [address]))
        #expect(node.discovered.isEmpty)
        #expect(node.service.counters.dropped(.otherTag) == 1)
        node.receive(MDNSHarness.announcement(other, [address], tag: "_chorus-peer-discovery._udp.local"))
        #expect(node.discovered.map(\.peer) == [other])
        for tag in ["CHORUS-peer-discovery", "_chorus-peer-discovery._udp", "_chorus-peer-discovery._udp.local."] {
            var short = MDNSHarness(tag: tag)
            short.receive(MDNSHarness.announcement(other, [address], tag: "_chorus-peer-discovery._udp.local"))
            #expect(short.discovered.map(\.peer) == [other], "\(tag)")
        }
        #expect(MDNSService(localPeer: other, tag: "a..b", random: RandomSource(testSeed: 1)) == nil)
        #expect(MDNSService(localPeer: other, tag: "", random: RandomSource(testSeed: 1)) == nil)
    }

    @Test func peersOfAnotherTagAreCountedAndNamed() {
        var node = MDNSHarness(tag: "_CHORUS-peer-discovery._udp.local")
        node.receive(MDNSHarness.announcement(other, [address]))
        #expect(node.ignored.map(\.reason) == [.otherTag])
        #expect(node.ignored.map(\.what) == ["_p2p._udp.local"])
        // A printer is nobody's peer.
        var printer = DNSMessage(isResponse: true)
        printer.answers = [
            DNSRecord(name: DNSName("_ipp._tcp.local")!, timeToLive: 120, flushesCache: false, content: .pointer(DNSName("laser._ipp._tcp.local")!)),
            DNSRecord(name: DNSName("laser._ipp._tcp.local")!, timeToLive: 120, flushesCache: true, content: .text([Array("color=yes".utf8)])),
        ]
        node.receive(printer.encoded())
        #expect(node.ignored.count == 1 && node.service.counters.dropped(.otherService) == 1)
    }

    @Test func whatIsSaidOfTheApplicationIsToldAndRead() throws {
        let attributes = MDNSAttributes(appID: "peat", endpointID: "pod-7")
        var node = MDNSHarness(attributes: attributes)
        node.run(for: .seconds(1))
        let packet = try #require(node.answers.first?.packet)
        var plain = MDNSHarness(peer: other, seed: 2)
        plain.receive(packet)
        #expect(plain.discovered.map(\.appID) == ["peat"] && plain.discovered.map(\.endpointID) == ["pod-7"])
        // Everybody else reads the addresses as ever, and no text is longer than a TXT string may be.
        for case .text(let strings) in node.answerMessages[0].additionals.map(\.content) {
            #expect(strings.map { String(decoding: $0, as: UTF8.self) } == [
                "dnsaddr=/ip4/192.168.1.2/tcp/4001/p2p/\(MDNSHarness.identities[0].peerID)", "app_id=peat", "endpoint_id=pod-7",
            ])
        }
    }

    @Test func onlyTheSameApplicationIsDialled() {
        var node = MDNSHarness(attributes: MDNSAttributes(appID: "peat"))
        node.receive(MDNSHarness.announcement(other, [address], texts: ["app_id=peat"]))
        node.receive(MDNSHarness.announcement(MDNSHarness.identities[2].peerID, [address], name: "b", texts: ["APP_ID=chorus"]))
        node.receive(MDNSHarness.announcement(MDNSHarness.identities[3].peerID, [address], name: "c"))
        #expect(node.discovered.map(\.peer) == [other])
        #expect(node.ignored.map(\.reason) == [.otherApp, .otherApp])
        #expect(node.ignored[0].what.contains("chorus") && node.ignored[1].what.contains("no app_id"))
        // A peer that changes its application is let go.
        node.receive(MDNSHarness.announcement(other, [address], texts: ["app_id=chorus"]))
        #expect(node.expired == [other])
    }

    @Test(arguments: [("", nil), (String(repeating: "a", count: 65), nil), (nil, "")] as [(String?, String?)])
    func attributesHaveBounds(_ appID: String?, _ endpointID: String?) {
        let attributes = MDNSAttributes(appID: appID, endpointID: endpointID)
        #expect(MDNSService(localPeer: other, attributes: attributes, random: RandomSource(testSeed: 1)) == nil)
    }

    @Test func anAttributeOfAnotherThatIsTooLongIsNone() {
        var node = MDNSHarness()
        node.receive(MDNSHarness.announcement(other, [address], texts: ["app_id=" + String(repeating: "x", count: 65), "endpoint_id="]))
        #expect(node.discovered.map(\.appID) == [nil] && node.discovered.map(\.endpointID) == [nil])
    }

    @Test func loopbackAddressesLeadSomewhereOnTheLoopbackAlone() {
        let lo = MDNSInterface(id: 1, name: "lo", addresses: [.init(ip: [127, 0, 0, 1], prefixLength: 8)])
        var node = MDNSHarness(interfaces: [lo, MDNSHarness.lan])
        let packet = MDNSHarness.announcement(other, ["/ip4/127.0.0.1/tcp/4001", "/ip6/::1/tcp/4001"])
        node.receive(packet, interface: 2)
        #expect(node.discovered.isEmpty)
        node.receive(packet, interface: 1)
        #expect(node.discovered.first?.addresses.count == 2)
    }

    @Test func linkLocalAddressesAreToldWhereThereIsNoOther() throws {
        let ip = [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [9]
        let told = try Multiaddr("/ip6/fe80::9/tcp/4001")
        var cable = MDNSInterface(id: 2, name: "usb0", addresses: [.init(ip: ip, prefixLength: 64)])
        cable.linkLocalAddresses = [told]
        var node = MDNSHarness(interfaces: [cable])
        node.run(for: .seconds(1))
        #expect(node.answerMessages.first?.additionals.last?.content == .ipv6(ip))
        cable.addresses.append(.init(ip: [192, 168, 1, 2], prefixLength: 24))
        node = MDNSHarness(interfaces: [cable])
        node.run(for: .seconds(1))
        #expect(node.answerMessages.first?.additionals.map(\.content).contains(.ipv6(ip)) == false)
    }

    @Test func whatWentNowhereIsSaidAgain() {
        var node = MDNSHarness()
        node.run(for: .seconds(300))
        node.sent = []
        node.with { $0.restart(interface: 2, now: $1) }
        node.run(for: .seconds(2))
        #expect(node.queries.count >= 4)
        #expect(node.answers.count == 2)
    }

    @Test func thoseInOurSubnetComeFirst() {
        var node = MDNSHarness()
        node.receive(MDNSHarness.announcement(other, ["/ip4/10.9.0.1/tcp/1", "/ip6/2001:db8::1/tcp/1", address]))
        #expect(node.discovered.first?.addresses.map(\.description).first == "\(address)/p2p/\(other)")
        #expect(node.discovered.first?.addresses.count == 3)
    }

    @Test func addressesThatCannotLeadThereAreNotTaken() {
        var node = MDNSHarness()
        node.receive(MDNSHarness.announcement(other, ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/ip4/0.0.0.0/tcp/1", "/ip6zone/x/ip6/fe80::1/tcp/1"]))
        #expect(node.discovered.isEmpty)
        #expect(node.service.counters.dropped(.noAddress) == 1)
        node.receive(MDNSHarness.announcement(other, ["/ip6/fe80::1/tcp/1"]))
        #expect(node.discovered.first?.addresses.map(\.description) == ["/ip6zone/eth0/ip6/fe80::1/tcp/1/p2p/\(other)"])
    }

    // MARK: Time

    @Test func whoIsNotHeardAgainExpires() {
        var node = MDNSHarness()
        node.receive(MDNSHarness.announcement(other, [address], ttl: 100))
        node.run(for: .seconds(90))
        node.receive(MDNSHarness.announcement(other, [address], ttl: 100))
        node.run(for: .seconds(90))
        #expect(node.expired.isEmpty)
        node.with { $0.signOfLife(of: other, now: $1) }
        node.run(for: .seconds(99))
        #expect(node.expired.isEmpty, "a connection is a sign of life")
        node.run(for: .seconds(3))
        #expect(node.expired == [other])
        #expect(node.service.addresses(of: other).isEmpty)
        node.receive(MDNSHarness.announcement(other, [address]))
        #expect(node.discovered.count == 3)
    }

    @Test func aNewStartReplacesTheOldPortAtOnce() {
        var node = MDNSHarness()
        node.receive(MDNSHarness.announcement(other, ["/ip4/192.168.1.9/tcp/1000"], name: "first", ttl: 2_500))
        node.receive(MDNSHarness.announcement(other, ["/ip4/192.168.1.9/tcp/2000"], name: "second", ttl: 2_500, isComplete: false))
        #expect(node.service.addresses(of: other).map(\.description) == ["/ip4/192.168.1.9/tcp/2000/p2p/\(other)"])
        // The old life's goodbye, late, does not hurt the new one.
        node.receive(MDNSHarness.announcement(other, ["/ip4/192.168.1.9/tcp/1000"], name: "first", ttl: 0))
        #expect(node.expired.isEmpty)
        node.receive(MDNSHarness.announcement(other, ["/ip4/192.168.1.9/tcp/2000"], name: "second", ttl: 0))
        #expect(node.expired == [other])
    }

    @Test func aCompleteAnnouncementReplacesOlderAddressesOfTheSameName() {
        var node = MDNSHarness()
        node.receive(MDNSHarness.announcement(other, ["/ip4/192.168.1.9/tcp/1"]))
        node.receive(MDNSHarness.announcement(other, ["/ip4/192.168.1.10/tcp/1"]))
        #expect(node.service.addresses(of: other).count == 2, "two packets of one moment belong together")
        node.run(for: .seconds(5))
        node.receive(MDNSHarness.announcement(other, ["/ip4/192.168.1.11/tcp/1"]))
        #expect(node.service.addresses(of: other).map(\.description) == ["/ip4/192.168.1.11/tcp/1/p2p/\(other)"])
        node.run(for: .seconds(5))
        node.receive(MDNSHarness.announcement(other, ["/ip4/192.168.1.12/tcp/1"], isComplete: false))
        #expect(node.service.addresses(of: other).count == 2)
    }

    @Test func closeSaysGoodbye() throws {
        var a = MDNSHarness(), b = MDNSHarness(peer: other, seed: 2)
        a.run(for: .seconds(2))
        b.receive(try #require(a.answers.first).packet)
        #expect(b.discovered.map(\.peer) == [MDNSHarness.identities[0].peerID])
        a.sent = []
        a.with { service, _ in service.close() }
        #expect(a.sent.count == 1)
        b.receive(try #require(a.sent.first).packet)
        #expect(b.expired == [MDNSHarness.identities[0].peerID])
        let deadline = a.service.deadline
        #expect(deadline == nil)
        a.receive(MDNSHarness.query)
        a.run(for: .seconds(100))
        #expect(a.sent.count == 1)
    }

    // MARK: Interfaces

    @Test func anInterfaceThatGoesTakesItsPeersAlong() {
        let second = MDNSInterface(id: 3, name: "eth1", addresses: [.init(ip: [10, 1, 0, 1], prefixLength: 24)])
        var node = MDNSHarness(interfaces: [MDNSHarness.lan, second])
        node.receive(MDNSHarness.announcement(other, [address]), interface: 2)
        node.receive(MDNSHarness.announcement(other, ["/ip4/10.1.0.9/tcp/1"]), interface: 3)
        node.with { $0.setInterfaces([second], now: $1) }
        #expect(node.expired.isEmpty)
        #expect(node.service.addresses(of: other).map(\.description) == ["/ip4/10.1.0.9/tcp/1/p2p/\(other)"])
        node.with { $0.setInterfaces([], now: $1) }
        #expect(node.expired == [other])
        node.receive(MDNSHarness.announcement(other, [address]))
        #expect(node.service.counters.dropped(.unknownInterface) == 1)
    }

    @Test func aRenumberedInterfaceAsksAndAnnouncesAgain() {
        var node = MDNSHarness()
        node.run(for: .seconds(200))
        node.sent = []
        let renumbered = MDNSInterface(id: 2, name: "eth0", addresses: [.init(ip: [192, 168, 7, 2], prefixLength: 24)])
        node.with { service, now in
            service.setListenAddresses([Multiaddr(ip: [192, 168, 7, 2], tcpPort: 4001)!], now: now)
            service.setInterfaces([renumbered], now: now)
        }
        node.run(for: .seconds(2))
        #expect(node.queries.count >= 3)
        let last = node.answers.last.flatMap { node.message($0.packet) }
        #expect(last?.additionals.contains { $0.content == .ipv4([192, 168, 7, 2]) } == true)
        #expect(node.answers.first.flatMap { node.message($0.packet) }?.answers.first?.timeToLive == 0, "the old address is taken back")
    }

    // MARK: Hostile

    @Test func tenThousandFakePeersTakeBoundedMemoryAndTheRealOneComesBack() {
        var limits = MDNSLimits()
        limits.packetsPerSecond = .max
        var node = MDNSHarness(limits: limits)
        var random = RandomSource(testSeed: 5)
        node.receive(MDNSHarness.announcement(other, [address]))
        for index in 0..<10_000 {
            let digest = try? PeerID(multihash: [0x12, 0x20] + random.bytes(32))
            guard let digest else { continue }
            node.receive(MDNSHarness.announcement(digest, ["/ip4/192.168.1.66/tcp/1"], name: "fake\(index)", ttl: .max))
        }
        #expect(node.service.entryCount == limits.entries)
        #expect(node.service.counters.dropped(.evicted) == 10_001 - limits.entries)
        node.receive(MDNSHarness.announcement(other, [address]))
        #expect(node.discovered.last?.peer == other)
    }

    @Test func aStormIsCutOff() {
        var node = MDNSHarness()
        for _ in 0..<10_000 { node.receive(MDNSHarness.query) }
        #expect(node.service.counters.dropped(.rateLimited) == 10_000 - MDNSLimits().packetsPerSecond)
        node.run(for: .seconds(2))
        node.receive(MDNSHarness.announcement(other, [address]))
        #expect(node.discovered.count == 1)
    }

    @Test func manyAddressesOfOnePeerAreCut() {
        var node = MDNSHarness()
        for round in 0..<3 {
            let addresses = (1...14).map { "/ip4/192.168.1.\($0 + 14 * round)/tcp/1" }
            node.receive(MDNSHarness.announcement(other, addresses, isComplete: false))
        }
        #expect(node.service.addresses(of: other).count == MDNSLimits().addressesPerEntry)
    }

    @Test func tooManyInterfacesAndAddressesAreLeftOut() {
        var limits = MDNSLimits()
        limits.interfaces = 2
        let many = (1...5).map { MDNSInterface(id: UInt32($0), name: "e\($0)", addresses: [.init(ip: [10, 0, UInt8($0), 1], prefixLength: 24)]) }
        var node = MDNSHarness(limits: limits, interfaces: many)
        #expect(node.sent.isEmpty)
        node.run(for: .milliseconds(150))
        #expect(Set(node.queries.map(\.interface)) == [1, 2])

        let full = MDNSInterface(id: 2, name: "e", addresses: (1...30).map { .init(ip: [0xfd] + [UInt8](repeating: 0xaa, count: 14) + [$0], prefixLength: 64) })
        let listen = full.addresses.map { Multiaddr(ip: $0.ip, tcpPort: 65_535)!.description }
        var crowded = MDNSHarness(interfaces: [full], listen: listen)
        crowded.run(for: .seconds(1))
        let packet = crowded.answers.first?.packet ?? []
        #expect(!packet.isEmpty && packet.count <= 1_432, "one packet of 1,500 bytes with its headers: \(packet.count)")
    }

    @Test func oneSeedGivesOneRun() {
        func run(_ seed: UInt64) -> [[UInt8]] {
            var node = MDNSHarness(seed: seed)
            node.run(for: .seconds(100))
            return node.sent.map { Array("\($0.at)".utf8) + $0.packet }
        }
        #expect(run(3) == run(3))
        #expect(run(3) != run(4))
    }
}
