import Testing

@testable import MeshNetProtocol

@Suite struct PeerExchangeTests {
    /// A node's keys and its record, one for each number.
    struct Node {
        let keys: KeyPair
        var peer: PeerID { keys.peerID }

        init(_ number: UInt64) {
            var random = RandomSource(testSeed: 1_000_000 + number)
            keys = KeyPair(random: &random)
        }

        func record(_ addresses: [String], sequence: UInt64 = 1) -> PeerRecord {
            PeerRecord(peer: peer, sequence: sequence, addresses: addresses.compactMap { try? Multiaddr($0) })
        }

        func envelope(_ addresses: [String] = ["/ip4/10.1.2.3/tcp/4001"], sequence: UInt64 = 1) -> [UInt8] {
            PeerRecord.sealed(by: keys, sequence: sequence, addresses: record(addresses).addresses)
        }
    }

    /// A machine with its clock.
    final class Bench {
        var machine: PeerExchange
        var now = Instant(nanoseconds: 1_000_000_000)
        let me = Node(0)

        init(limits: PeerExchangeLimits = PeerExchangeLimits()) {
            machine = PeerExchange(localPeer: me.peer, limits: limits, random: RandomSource(testSeed: 1), now: now)
        }

        func connect(_ node: Node, opens: Bool = true, isOnThisHost: Bool = false) {
            machine.connected(node.peer, isOnThisHost: isOnThisHost, now: now)
            if opens { machine.opened(node.peer, now: now) }
        }

        func identify(_ node: Node, _ addresses: [String] = ["/ip4/10.1.2.3/tcp/4001"], sequence: UInt64 = 1) {
            machine.learned(node.record(addresses, sequence: sequence), envelope: node.envelope(addresses, sequence: sequence), now: now)
        }

        func tell(_ envelopes: [[UInt8]], age: UInt64 = 0, from node: Node) {
            for start in stride(from: 0, to: envelopes.count, by: PeerExchangeMessage.maximumRecords) {
                var message = PeerExchangeMessage()
                message.records = envelopes[start..<min(envelopes.count, start + PeerExchangeMessage.maximumRecords)].map { .init(envelope: $0, age: age) }
                message.encoded.withView { machine.receive($0, from: node.peer, now: now) }
            }
        }

        func actions() -> [PeerExchangeAction] {
            var all: [PeerExchangeAction] = []
            while let action = machine.poll() { all.append(action) }
            return all
        }

        func found() -> [PeerExchangeDiscovery] { actions().compactMap { if case .found(let found) = $0 { found } else { nil } } }

        /// Lets time pass; frames are taken at once.
        func pass(_ duration: Duration) -> [PeerExchangeAction] {
            let end = now + duration
            var all: [PeerExchangeAction] = []
            func take() {
                for action in actions() {
                    all.append(action)
                    if case .send(let peer, _) = action { machine.written(peer, now: now) }
                }
            }
            take()
            while let due = machine.deadline, due <= end {
                now = max(now, due)
                machine.handleTimeout(now: now)
                repeat { take() } while machine.counters.messagesSent > 0 && !machine.actions.isEmpty
            }
            now = end
            return all
        }

        func told(_ actions: [PeerExchangeAction], to node: Node) -> [(peer: PeerID, age: UInt64)] {
            actions.flatMap { action -> [(peer: PeerID, age: UInt64)] in
                guard case .send(node.peer, let frame) = action else { return [] }
                var frames = LengthPrefixedFrames(limit: PeerExchangeMessage.maximumSentByteCount)
                return frame.withView { view in
                    var rest = view
                    guard let body = try? frames.next(&rest), rest.isEmpty else { return [] }
                    let message = body.withView { try? PeerExchangeMessage(decoding: $0) }
                    return (message?.records ?? []).compactMap { record in
                        (try? PeerRecord(envelope: record.envelope)).map { ($0.peer, record.age) }
                    }
                }
            }
        }
    }

    let a = Node(1), b = Node(2), c = Node(3)

    // MARK: What is told

    @Test func aNewStreamIsToldEverythingAtOnce() {
        let bench = Bench()
        bench.connect(a)
        bench.identify(a)
        bench.connect(b)
        bench.identify(b)
        let told = bench.told(bench.actions(), to: b)
        #expect(told.map(\.peer) == [a.peer])
        #expect(told.map(\.age) == [0])
    }

    @Test func newsReachTheOthersWithinASecondAndAHalf() {
        let bench = Bench()
        bench.connect(a)
        bench.identify(a)
        _ = bench.pass(.seconds(3))
        bench.connect(b)
        bench.identify(b)
        let actions = bench.pass(.milliseconds(1_500))
        #expect(bench.told(actions, to: a).map(\.peer) == [b.peer])
        // Once: nothing is told twice until the refresh.
        #expect(bench.told(bench.pass(.seconds(300)), to: a).isEmpty)
        #expect(bench.told(bench.pass(.seconds(320)), to: a).map(\.peer) == [b.peer])
    }

    @Test func noPeerIsToldOfItself() {
        let bench = Bench()
        for node in [a, b, c] {
            bench.connect(node)
            bench.identify(node)
        }
        let actions = bench.pass(.seconds(2_000))
        for node in [a, b, c] { #expect(!bench.told(actions, to: node).contains { $0.peer == node.peer }) }
    }

    @Test func hearsayIsPassedOnButNotBack() {
        let bench = Bench()
        bench.connect(a)
        bench.connect(b)
        bench.tell([c.envelope()], age: 100, from: a)
        let actions = bench.pass(.milliseconds(1_500))
        #expect(bench.told(actions, to: a).isEmpty)
        let told = bench.told(actions, to: b)
        #expect(told.map(\.peer) == [c.peer])
        // Older with the time that it waited here, never younger.
        #expect(told.allSatisfy { (101...102).contains($0.age) })
    }

    @Test func oneFrameIsOnItsWayAtATime() {
        let bench = Bench()
        let crowd = (10..<600).map { Node($0) }
        bench.connect(a)
        bench.tell(crowd.map { $0.envelope() }, from: a)
        _ = bench.actions()
        bench.connect(b)
        var told: [PeerID] = [], messages = 0
        while true {
            let sent = bench.told(bench.actions(), to: b)
            if sent.isEmpty { break }
            #expect(sent.count <= PeerExchangeMessage.maximumRecords)
            told += sent.map(\.peer)
            messages += 1
            bench.machine.written(b.peer, now: bench.now)
        }
        #expect(messages >= 3)
        #expect(Set(told) == Set(crowd.map(\.peer)) && told.count == crowd.count)
    }

    @Test func theSentRateIsHeld() {
        var limits = PeerExchangeLimits()
        limits.sentBurst = 20
        limits.sentPerSecond = 2
        let bench = Bench(limits: limits)
        bench.connect(a)
        bench.tell((10..<60).map { Node($0).envelope() }, from: a)
        bench.connect(b)
        #expect(bench.told(bench.pass(.zero), to: b).count == 20)
        let later = bench.told(bench.pass(.seconds(10)), to: b).count
        #expect((16...20).contains(later), "\(later)")
        #expect(bench.told(bench.pass(.seconds(10)), to: b).count == 30 - later)
    }

    // MARK: What is believed

    @Test func anUnsignedOrForgedRecordIsDroppedAndItsSenderSilenced() {
        let bench = Bench()
        bench.connect(a)
        let payload = c.record(["/ip4/10.6.6.6/tcp/1"]).payload
        // Signed by the teller about somebody else; a broken signature; no envelope at all.
        let other = SignedEnvelope.seal(payload, domain: PeerRecord.domain, payloadType: PeerRecord.payloadType, with: a.keys).encoded
        var broken = c.envelope()
        broken[broken.count - 1] ^= 1
        for forged in [other, broken, payload, []] { bench.tell([forged], from: a) }
        #expect(bench.actions() == [PeerExchangeAction](repeating: .dropped(.notSigned, from: a.peer), count: 4))
        #expect(bench.machine.entryCount == 0)
        bench.tell([[UInt8]](repeating: broken, count: 200), from: a)
        #expect(bench.actions().last == .silenced(a.peer))
        #expect(bench.machine.isSilenced(a.peer))
        // Sixteen signatures were looked at, and not one more.
        #expect(bench.machine.counters.verified == bench.machine.limits.faults)
        bench.tell([c.envelope()], from: a)
        #expect(bench.machine.entryCount == 0)
    }

    @Test func aMalformedMessageIsSaid() {
        let bench = Bench()
        bench.connect(a)
        [UInt8]([0x0a, 0x05, 1]).withView { bench.machine.receive($0, from: a.peer, now: bench.now) }
        #expect(bench.actions() == [.malformed(a.peer)])
    }

    @Test func theNewerRecordWins() {
        let bench = Bench()
        bench.connect(a)
        bench.tell([c.envelope(["/ip4/10.0.0.3/tcp/1"], sequence: 5)], from: a)
        #expect(bench.found().map(\.addresses.description) == ["[/ip4/10.0.0.3/tcp/1]"])
        bench.tell([c.envelope(["/ip4/10.0.0.3/tcp/2"], sequence: 4)], from: a)
        #expect(bench.found().isEmpty)
        bench.tell([c.envelope(["/ip4/10.0.0.3/tcp/3"], sequence: 6)], from: a)
        #expect(bench.found().map(\.addresses.description) == ["[/ip4/10.0.0.3/tcp/3]"])
    }

    @Test func aKnownRecordCostsNoSignature() {
        let bench = Bench()
        bench.connect(a)
        for _ in 0..<50 { bench.tell([c.envelope()], from: a) }
        #expect(bench.machine.counters.verified == 1)
    }

    @Test func recordsAboutOurselvesAreDropped() {
        let bench = Bench()
        bench.connect(a)
        bench.tell([bench.me.envelope()], from: a)
        #expect(bench.actions() == [.dropped(.own, from: a.peer)])
    }

    @Test func onlyAddressesThatMakeSenseAreUsed() {
        let bench = Bench()
        bench.connect(a)
        let useless = [
            "/ip4/127.0.0.1/tcp/4001", "/ip6/::1/tcp/4001", "/ip4/0.0.0.0/tcp/4001", "/ip4/169.254.1.1/tcp/4001", "/ip6/fe80::1/tcp/4001",
            "/ip6zone/eth0/ip6/fe80::1/tcp/4001", "/ip4/224.0.0.1/tcp/4001", "/ip4/10.0.0.1/udp/4001/quic-v1", "/ip4/10.0.0.1/tcp/0",
            "/dns4/localhost/tcp/4001", "/ip6/::ffff:10.0.0.1/tcp/4001", "/ip4/10.0.0.1/tcp/4001/ws",
            "/ip4/10.0.0.1/tcp/4001/p2p/\(b.peer)", "/ip4/10.0.0.1/tcp/4001/p2p/\(b.peer)/p2p-circuit",
        ]
        let useful = ["/ip4/192.168.1.5/tcp/4001", "/ip6/fd00::5/tcp/4001", "/dns4/node.example/tcp/4001"]
        bench.tell([c.envelope(useless + useful)], from: a)
        #expect(bench.found().flatMap(\.addresses).map(\.description) == useful)
        bench.tell([Node(4).envelope(useless)], from: a)
        #expect(bench.actions() == [.dropped(.noAddress, from: a.peer)])
    }

    @Test func loopbackStaysOnItsHost() {
        let bench = Bench()
        let local = ["/ip4/127.0.0.1/tcp/4001"]
        bench.connect(a, isOnThisHost: true)
        bench.identify(a, local)
        bench.connect(b, isOnThisHost: true)
        bench.connect(c)
        let actions = bench.pass(.seconds(5))
        #expect(bench.told(actions, to: b).map(\.peer) == [a.peer])
        #expect(bench.told(actions, to: c).isEmpty)
        bench.tell([Node(9).envelope(local)], from: b)
        #expect(bench.found().map(\.addresses.description) == ["[/ip4/127.0.0.1/tcp/4001]"])
    }

    // MARK: Expiry

    @Test func whoNobodyIsConnectedToIsForgotten() {
        let bench = Bench()
        bench.connect(a)
        bench.tell([c.envelope()], age: 600, from: a)
        #expect(bench.found().map(\.lifetime) == [.seconds(1_200)])
        // Hearsay of the same age a while later adds nothing.
        _ = bench.pass(.seconds(500))
        bench.tell([c.envelope()], age: 1_100, from: a)
        _ = bench.pass(.seconds(690))
        #expect(bench.machine.knows(c.peer))
        let actions = bench.pass(.seconds(20))
        #expect(!bench.machine.knows(c.peer))
        #expect(actions.contains(.lost(c.peer)))
        bench.tell([c.envelope()], age: 1_800, from: a)
        #expect(bench.actions() == [.dropped(.expired, from: a.peer)])
        #expect(bench.machine.entryCount == 0)
    }

    @Test func aNeighbourOfTheirsKeepsThemKnown() {
        let bench = Bench()
        bench.connect(a)
        for _ in 0..<10 {
            bench.tell([c.envelope()], age: 1, from: a)
            _ = bench.pass(.seconds(600))
        }
        #expect(bench.machine.knows(c.peer))
        #expect(bench.machine.counters.verified == 1)
    }

    @Test func whoWeAreConnectedToDoesNotExpire() {
        let bench = Bench()
        bench.connect(a)
        bench.identify(a)
        _ = bench.pass(.seconds(10_000))
        #expect(bench.machine.knows(a.peer))
        bench.machine.disconnected(a.peer, now: bench.now)
        #expect(bench.found().map(\.peer) == [a.peer])
        _ = bench.pass(.seconds(1_801))
        #expect(bench.machine.entryCount == 0)
        #expect(bench.machine.lines.isEmpty)
    }

    // MARK: Bounds

    @Test func theTableIsBoundedAndTheLoudestGivesUpItsOldest() {
        var limits = PeerExchangeLimits()
        limits.entries = 40
        let bench = Bench(limits: limits)
        bench.connect(a)
        bench.connect(b)
        let quiet = (100..<110).map { Node($0) }
        bench.tell(quiet.map { $0.envelope() }, age: 1_000, from: a)
        bench.tell((200..<400).map { Node($0).envelope() }, age: 1, from: b)
        #expect(bench.machine.entryCount == 40)
        #expect(quiet.allSatisfy { bench.machine.knows($0.peer) })
        #expect(bench.machine.counters.dropped(.evicted) == 170)
        #expect(bench.machine.verified.count == 40)
        // Connected peers are not for hearsay to drive out.
        for node in quiet { bench.connect(node, opens: false) }
        bench.tell((400..<600).map { Node($0).envelope() }, from: b)
        #expect(quiet.allSatisfy { bench.machine.knows($0.peer) })
        #expect(bench.machine.entryCount == 40)
    }

    @Test func aFloodIsLimited() {
        let bench = Bench()
        bench.connect(a)
        let envelopes = [[UInt8]](repeating: c.envelope(), count: 5_000)
        bench.tell(envelopes, from: a)
        let accepted = bench.machine.limits.acceptedBurst
        #expect(bench.machine.counters.dropped(.rateLimited) == 5_000 - accepted)
        _ = bench.pass(.seconds(10))
        bench.tell(envelopes, from: a)
        #expect(bench.machine.counters.dropped(.rateLimited) == 10_000 - accepted - 320)
    }

    @Test func messagesAreBounded() throws {
        var message = PeerExchangeMessage()
        message.records = (0...PeerExchangeMessage.maximumRecords).map { _ in .init(envelope: [1], age: 0) }
        #expect(throws: PeerExchangeError.tooManyRecords(limit: 256)) { try message.encoded.withView { try PeerExchangeMessage(decoding: $0) } }
        message.records = [.init(envelope: [UInt8](repeating: 1, count: 2_049), age: 0)]
        #expect(throws: PeerExchangeError.recordTooLong(count: 2_049, limit: 2_048)) {
            try message.encoded.withView { try PeerExchangeMessage(decoding: $0) }
        }
        message.records = [.init(envelope: [UInt8](repeating: 1, count: 2_048), age: .max), .init(envelope: [], age: 7)]
        #expect(try message.encoded.withView { try PeerExchangeMessage(decoding: $0) } == message)
        // Fields of later versions are skipped.
        let later = message.encoded + [0x12, 1, 0, 0x18, 9]
        #expect(try later.withView { try PeerExchangeMessage(decoding: $0) } == message)
    }

    @Test func ageMayBeAnything() {
        let bench = Bench()
        bench.connect(a)
        for age in [UInt64.max, UInt64(Int64.max), 1 << 40] { bench.tell([c.envelope()], age: age, from: a) }
        #expect(bench.actions() == [PeerExchangeAction](repeating: .dropped(.expired, from: a.peer), count: 3))
    }

    // MARK: Trials

    @Test func aThousandDeadPeersHoldUpOnlyTheirTeller() {
        let bench = Bench()
        bench.connect(a)
        bench.connect(b)
        bench.tell((1_000..<2_000).map { Node($0).envelope() }, from: a)
        #expect(bench.found().count == bench.machine.limits.triedAtOnce)
        bench.tell([c.envelope()], from: b)
        #expect(bench.found().map(\.peer) == [c.peer])
    }

    @Test func whoIsNotReachedRestsLongerEachTimeWhileOthersWait() {
        var limits = PeerExchangeLimits()
        limits.triedAtOnce = 1
        let bench = Bench(limits: limits)
        bench.connect(a)
        bench.tell([b.envelope(), c.envelope(), Node(4).envelope()], from: a)
        #expect(bench.found().map(\.peer) == [b.peer])
        for most in [5, 15, 45, 135, 405, 600, 600] {
            // Out, with another one behind it.
            bench.machine.lines[a.peer]?.waiting.removeAll { $0 == c.peer }
            bench.machine.entries[c.peer]?.state = .given
            bench.machine.dialFailed(c.peer, now: bench.now)
            #expect(bench.actions().contains(.lost(c.peer)))
            guard case .resting(let until)? = bench.machine.entries[c.peer]?.state else {
                #expect(Bool(false), "it does not rest")
                return
            }
            #expect(until - bench.now >= .milliseconds(most * 500) && until - bench.now <= .seconds(most))
        }
        // A newer record is worth its next turn.
        bench.tell([c.envelope(sequence: 2)], from: a)
        #expect(bench.machine.entries[c.peer]?.state == .waiting && bench.machine.entries[c.peer]?.failures == 0)
    }

    @Test func whoIsNotReachedStaysInTheTableWhereNobodyWaits() {
        let bench = Bench()
        bench.connect(a)
        bench.tell([c.envelope()], from: a)
        _ = bench.actions()
        for _ in 0..<10 { bench.machine.dialFailed(c.peer, now: bench.now) }
        #expect(!bench.actions().contains(.lost(c.peer)))
        #expect(bench.machine.lines.isEmpty)
    }

    @Test func whoIsNeitherReachedNorMissedMakesRoomForTheNext() {
        let bench = Bench()
        bench.connect(a)
        bench.tell((10..<74).map { Node($0).envelope() }, from: a)
        #expect(bench.found().count == 32)
        let later = bench.pass(.seconds(31)).count { if case .found = $0 { true } else { false } }
        #expect(later == 32)
    }

    @Test func anyOrderOfInputsKeepsTheBooks() {
        var random = RandomSource(testSeed: 77)
        var limits = PeerExchangeLimits()
        limits.entries = 30
        limits.triedAtOnce = 3
        let bench = Bench(limits: limits)
        let nodes = (0..<60).map { Node(500 + $0) }
        for step in 0..<6_000 {
            let node = nodes[Int.random(in: 0..<60, using: &random)], other = nodes[Int.random(in: 0..<60, using: &random)]
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bench.connect(node)
            case 1: bench.machine.disconnected(node.peer, now: bench.now)
            case 2: bench.identify(node, sequence: UInt64(step / 500))
            case 3: bench.machine.dialFailed(node.peer, now: bench.now)
            case 4: _ = bench.pass(.milliseconds(Int.random(in: 0..<90_000, using: &random)))
            default: bench.tell([other.envelope(sequence: UInt64(step / 700))], age: UInt64(step % 100), from: node)
            }
            let machine = bench.machine
            #expect(machine.entries.count <= 30)
            #expect(machine.verified.count == machine.entries.count)
            for (teller, line) in machine.lines {
                let own = machine.entries.filter { $0.value.teller == teller }
                #expect(line.tried == own.values.count { if case .tried = $0.state { true } else { false } }, "step \(step)")
                #expect(line.waiting.count == own.values.count { $0.state == .waiting }, "step \(step)")
            }
            for (peer, entry) in machine.entries { #expect((entry.state == .connected) == (machine.neighbours[peer] != nil), "step \(step)") }
        }
    }
}
