import Testing

@testable import MeshNetProtocol

@Suite struct RetainedTests {
    private static let topic = "t"
    /// 2023, in nanoseconds.
    private static let clock: UInt64 = 1_700_000_000_000_000_000

    private static func keys(_ number: UInt64) -> KeyPair {
        var random = RandomSource(testSeed: 2_000_000 + number)
        return KeyPair(random: &random)
    }

    private static func header(
        _ author: KeyPair, _ sequence: UInt64, _ data: [UInt8], topic: String = topic, older: [UInt64] = []
    ) -> RetainedHeader {
        var header = RetainedHeader(topic: topic, author: author.peerID, sequence: sequence, data: data, older: older)
        header.sign(with: author)
        return header
    }

    /// A machine that follows the topic, with its clock; gossip has nothing.
    private final class Bench {
        var machine: Retained
        var now = Instant(nanoseconds: 5_000_000_000)
        var delivered: [[UInt8]] = []
        var sent: [(peer: PeerID, message: RetainedMessage)] = []
        var silenced: [PeerID] = []
        /// Of the messages that gossip has, by number.
        var gossip: [UInt64: [UInt8]] = [:]

        init(limits: RetainedLimits = RetainedLimits(), policy: GossipsubSignaturePolicy = .strictSign, clock: UInt64? = RetainedTests.clock) {
            machine = Retained(identity: RetainedTests.keys(0), policy: policy, limits: limits, clock: clock, now: now)
            machine.subscribed(RetainedTests.topic, now: now)
        }

        func connect(_ peers: KeyPair...) { for peer in peers { machine.connected(peer.peerID, now: now) } }

        func tell(_ message: RetainedMessage, from peer: KeyPair) {
            message.encoded.withView { machine.receive($0, from: peer.peerID, now: now) }
            drain()
        }

        func tell(_ headers: RetainedHeader..., from peer: KeyPair, isFresh: Bool = false) {
            var message = RetainedMessage()
            message.have = headers
            message.isFresh = isFresh
            tell(message, from: peer)
        }

        /// Everything in parts.
        func give(_ header: RetainedHeader, _ data: [UInt8], from peer: KeyPair) {
            var offset = 0
            repeat {
                let end = min(data.count, offset + RetainedMessage.partByteCount)
                var message = RetainedMessage()
                message.part = .init(name: .init(topic: header.topic, hash: header.hash), offset: offset, bytes: Array(data[offset..<end]))
                tell(message, from: peer)
                offset = end
            } while offset < data.count
        }

        func publish(_ data: [UInt8], topic: String = RetainedTests.topic, to peers: KeyPair...) throws {
            try machine.prepare(topic, byteCount: data.count)
            machine.publish(topic, data, sequence: machine.nextSequence(topic, now: now), now: now)
            drain(listeners: peers.map(\.peerID))
        }

        func wait(_ duration: Duration) {
            let end = now + duration
            while let due = machine.deadline, due <= end {
                now = max(now, due)
                machine.handleTimeout(now: now)
                drain()
            }
            now = end
        }

        func drain(listeners: [PeerID] = []) {
            while let action = machine.poll() {
                switch action {
                case .send(let peer, let frame):
                    let message = frame.withView { view in
                        var reader = ByteReader(view)
                        _ = try? reader.readVarint()
                        return try? RetainedMessage(decoding: reader.readRest())
                    }
                    if let message { sent.append((peer, message)) }
                    machine.written(peer, now: now)
                case .look(let header): machine.looked(header, gossip[header.sequence], now: now)
                case .deliver(_, let data, _): delivered.append(data)
                case .announce(let topic, let isOwn): machine.announce(topic, to: isOwn ? listeners : [], isFresh: true, now: now)
                case .silenced(let peer): silenced.append(peer)
                case .dropped, .malformed: break
                }
            }
        }

        func asked(_ peer: KeyPair) -> Int { sent.count { $0.peer == peer.peerID && !$0.message.want.isEmpty } }
    }

    private let author = keys(1), holder = keys(2), other = keys(3)

    // MARK: - Getting a value

    @Test func aValueIsFetchedVerifiedAndDeliveredOnce() {
        let bench = Bench(), data = [UInt8](repeating: 7, count: 100_000)
        let header = Self.header(author, Self.clock, data)
        bench.connect(holder, other)
        bench.tell(header, from: holder)
        bench.tell(header, from: other)
        bench.give(header, data, from: holder)
        bench.give(header, data, from: other)
        #expect(bench.delivered == [data])
        #expect(bench.asked(holder) == 1 && bench.asked(other) == 0)
        #expect(bench.machine.counters.verified == 1)
        #expect(bench.machine.value(of: Self.topic)?.data == data)
        #expect(bench.machine.fetches == 0 && bench.machine.asking == 0)
    }

    @Test func anEmptyValueIsAValue() {
        let bench = Bench(), header = Self.header(author, Self.clock, [])
        bench.connect(holder)
        bench.tell(header, from: holder)
        bench.give(header, [], from: holder)
        #expect(bench.delivered == [[]])
    }

    @Test func whatGossipBringsIsNotFetched() {
        let bench = Bench(), header = Self.header(author, Self.clock, [1, 2])
        bench.connect(holder)
        bench.tell(header, from: holder, isFresh: true)
        bench.gossip[Self.clock] = [1, 2]
        bench.wait(.seconds(1))
        #expect(bench.asked(holder) == 0)
        #expect(bench.delivered.isEmpty, "gossip delivers it")
        #expect(bench.machine.value(of: Self.topic)?.data == [1, 2], "and it is kept")
    }

    @Test func whatGossipDoesNotBringIsFetched() {
        let bench = Bench(), header = Self.header(author, Self.clock, [1, 2])
        bench.connect(holder)
        bench.tell(header, from: holder, isFresh: true)
        #expect(bench.asked(holder) == 0)
        bench.wait(.seconds(1))
        #expect(bench.asked(holder) == 1)
    }

    @Test func aHolderThatIsGoneSilentOrLyingIsReplaced() {
        let third = Self.keys(4)
        for fault in 0..<3 {
            let bench = Bench(), header = Self.header(author, Self.clock, [1, 2])
            bench.connect(holder, other, third)
            for peer in [holder, other, third] { bench.tell(header, from: peer) }
            switch fault {
            case 0: bench.machine.disconnected(holder.peerID, now: bench.now)
            case 1: bench.wait(.seconds(6))
            default: bench.give(header, [2, 1], from: holder)
            }
            bench.drain()
            #expect(bench.asked(other) == 1, "fault \(fault)")
            var gone = RetainedMessage()
            gone.gone = [.init(topic: header.topic, hash: header.hash)]
            bench.tell(gone, from: other)
            #expect(bench.asked(third) == 1, "fault \(fault)")
            bench.give(header, [1, 2], from: third)
            #expect(bench.delivered == [[1, 2]], "fault \(fault)")
            #expect(bench.machine.asking == 0 && bench.machine.fetches == 0)
        }
    }

    @Test func aSlowHolderIsAskedAgainAndTheValueGivenUpInTheEnd() {
        var limits = RetainedLimits()
        limits.attempts = 3
        let bench = Bench(limits: limits), header = Self.header(author, Self.clock, [1])
        bench.connect(holder)
        bench.tell(header, from: holder)
        bench.wait(.seconds(60))
        #expect(bench.asked(holder) == 3)
        let deadline = bench.machine.deadline
        #expect(bench.machine.fetches == 0 && bench.machine.asking == 0 && deadline == nil)
        #expect(bench.machine.counters.dropped(.notFetched) == 1)
        bench.tell(header, from: holder)
        #expect(bench.asked(holder) == 4, "told again, it is tried again")
    }

    @Test func fewValuesAreFetchedAtOnce() {
        var limits = RetainedLimits()
        limits.fetches = 2
        let bench = Bench(limits: limits)
        bench.connect(holder)
        let headers = (0..<5).map { Self.header(author, Self.clock, [UInt8($0)], topic: "t\($0)") }
        for header in headers { bench.machine.subscribed(header.topic, now: bench.now) }
        for header in headers { bench.tell(header, from: holder) }
        #expect(bench.asked(holder) == 2)
        for index in 0..<5 { bench.give(headers[index], [UInt8(index)], from: holder) }
        #expect(bench.delivered.count == 5)
        #expect(bench.machine.asking == 0)
    }

    // MARK: - Which one is the last

    @Test func anOlderValueNeverComesAfterANewerOne() {
        let bench = Bench(), old = Self.header(author, Self.clock, [1]), new = Self.header(other, Self.clock + 1, [2])
        bench.connect(holder, other)
        bench.tell(new, from: holder)
        bench.tell(old, from: other)
        bench.give(old, [1], from: other)
        bench.give(new, [2], from: holder)
        bench.tell(old, from: other)
        bench.give(old, [1], from: other)
        #expect(bench.delivered == [[2]])
        #expect(bench.sent.contains { $0.peer == other.peerID && $0.message.have == [new] }, "who holds the older one learns of the newer")
    }

    @Test func aNewerValueTakesThePlaceOfOneThatIsBeingFetched() {
        let bench = Bench(), old = Self.header(author, Self.clock, [1]), new = Self.header(author, Self.clock + 1, [2])
        bench.connect(holder)
        bench.tell(old, from: holder)
        bench.tell(new, from: holder)
        bench.give(old, [1], from: holder)
        bench.give(new, [2], from: holder)
        #expect(bench.delivered == [[2]])
    }

    @Test func equalNumbersAreDecidedAlikeEverywhere() {
        let values = [(author, [1]), (other, [2]), (holder, [3]), (author, [4])] as [(KeyPair, [UInt8])]
        let headers = values.map { Self.header($0.0, Self.clock, $0.1) }
        var winners: Set<[UInt8]> = []
        for start in 0..<headers.count {
            let bench = Bench()
            bench.connect(holder)
            for index in 0..<headers.count {
                let header = headers[(start + index) % headers.count]
                bench.tell(header, from: holder)
                bench.give(header, values[(start + index) % headers.count].1, from: holder)
            }
            winners.insert(bench.machine.value(of: Self.topic)?.data ?? [])
        }
        #expect(winners.count == 1 && winners.first?.isEmpty == false)
    }

    @Test func ourNextValueIsNewerThanAllThatIsKnown() throws {
        let bench = Bench(), ahead = Self.header(author, Self.clock + 3_600_000_000_000, [1])
        bench.connect(holder)
        bench.tell(ahead, from: holder)
        bench.give(ahead, [1], from: holder)
        try bench.publish([2], to: holder)
        #expect(bench.machine.value(of: Self.topic)?.data == [2])
        #expect(bench.sent.last?.message.have.first?.sequence == ahead.sequence + 1)
        #expect(bench.sent.last?.message.isFresh == true)
    }

    @Test func theNumbersOfOurEarlierValuesAreNamed() throws {
        let bench = Bench()
        bench.connect(holder)
        for index in 0..<12 { try bench.publish([UInt8(index)], to: holder) }
        let last = try #require(bench.sent.last?.message.have.first)
        #expect(last.older.count == RetainedHeader.maximumOlder)
        #expect(last.isGenuine(.strictSign))
        #expect(last.older == last.older.sorted() && last.older.allSatisfy { $0 < last.sequence })
    }

    // MARK: - Those who lie

    @Test func onlyTheAuthorCanMakeAValue() {
        let bench = Bench()
        bench.connect(holder)
        let genuine = Self.header(author, Self.clock, [1])
        var changes: [RetainedHeader] = []
        for change in 0..<6 {
            var header = genuine
            switch change {
            case 0: header.sequence += 1
            case 1: header.hash[0] ^= 1
            case 2: header.size += 1
            case 3: header.older = [1]
            case 4: header.author = other.peerID
            default: header.signature = []
            }
            changes.append(header)
        }
        var elsewhere = Self.header(author, Self.clock, [1], topic: "u")
        elsewhere.topic = Self.topic
        for header in changes + [elsewhere] { bench.tell(header, from: holder) }
        #expect(bench.machine.counters.dropped(.forged) == 7)
        #expect(bench.machine.fetches == 0 && bench.asked(holder) == 0)
    }

    @Test func aPlainMessageOfTheAuthorIsNoValue() {
        let bench = Bench()
        bench.connect(holder)
        // Signed for pubsub over the same fields.
        var header = RetainedHeader(topic: Self.topic, author: author.peerID, sequence: Self.clock, data: [1], older: [])
        header.signature = author.sign(GossipsubSigning.prefix + [1])
        bench.tell(header, from: holder)
        #expect(bench.machine.counters.dropped(.forged) == 1)
    }

    @Test func whoForgesTooMuchIsSilenced() {
        let bench = Bench()
        bench.connect(holder)
        for index in 0..<30 {
            var header = Self.header(author, Self.clock + UInt64(index), [1])
            header.signature[3] ^= 1
            bench.tell(header, from: holder)
        }
        #expect(bench.silenced == [holder.peerID])
        #expect(bench.machine.counters.verified == bench.machine.limits.faults)
        bench.machine.disconnected(holder.peerID, now: bench.now)
        bench.connect(holder)
        #expect(!bench.machine.isSilenced(holder.peerID))
    }

    @Test func hugeAndFutureValuesAreNotTaken() {
        let bench = Bench()
        bench.connect(holder)
        var huge = RetainedHeader(topic: Self.topic, author: author.peerID, sequence: Self.clock, data: [1], older: [])
        huge.size = bench.machine.limits.valueBytes + 1
        huge.sign(with: author)
        bench.tell(huge, from: holder)
        #expect(bench.machine.counters.dropped(.tooLarge) == 1)
        for sequence in [Self.clock + 2 * 86_400_000_000_000, UInt64(Int64.max) + 1, .max] {
            bench.tell(Self.header(author, sequence, [1]), from: holder)
        }
        #expect(bench.machine.counters.dropped(.future) == 3)
        #expect(bench.asked(holder) == 0)
    }

    @Test func aNodeWhoseClockWasNeverSetTakesValuesOfOthers() {
        let bench = Bench(clock: 86_400_000_000_000)
        bench.connect(holder)
        bench.tell(Self.header(author, Self.clock, [1]), from: holder)
        #expect(bench.asked(holder) == 1)
        #expect(bench.machine.nextSequence(Self.topic, now: bench.now) == Self.clock + 1)
    }

    @Test func partsThatNobodyAskedForAreDropped() {
        let bench = Bench(), header = Self.header(author, Self.clock, [1, 2, 3])
        bench.connect(holder, other)
        bench.give(header, [1, 2, 3], from: holder)
        bench.tell(header, from: holder)
        bench.give(header, [1, 2, 3], from: other)
        bench.give(header, [1, 2, 3, 4], from: holder)
        #expect(bench.machine.counters.dropped(.unasked) == 3)
        #expect(bench.delivered.isEmpty)
        bench.give(header, [1, 2, 3], from: holder)
        #expect(bench.delivered == [[1, 2, 3]])
    }

    @Test func aFloodIsLimitedAndGrowsNothing() {
        let bench = Bench(), mine = Self.header(author, Self.clock + 9, [9]), old = Self.header(author, Self.clock, [1])
        bench.connect(holder)
        bench.tell(mine, from: holder)
        bench.give(mine, [9], from: holder)
        bench.sent = []
        // It tells of the old one again and again, and asks for what there is not; it takes nothing.
        let unread = Self.keys(5)
        bench.connect(unread)
        var message = RetainedMessage()
        message.have = [old]
        message.want = [.init(topic: "nowhere", hash: old.hash)]
        for _ in 0..<3_000 {
            message.encoded.withView { bench.machine.receive($0, from: unread.peerID, now: bench.now) }
            while bench.machine.poll() != nil {}
        }
        let neighbour = bench.machine.neighbours[unread.peerID]
        #expect((neighbour?.news.count ?? 0) <= 1)
        #expect((neighbour?.gone.count ?? 0) <= bench.machine.limits.requestsPerPeer)
        #expect(bench.machine.counters.dropped(.rateLimited) > 3_000)
        let headers = (0..<64).map { Self.header(author, Self.clock, [1], topic: "foreign\($0)") }
        for header in headers { bench.tell(header, from: holder) }
        #expect(bench.machine.counters.dropped(.notFollowed) == 64)
        #expect(bench.machine.topics.count == 1)
    }

    @Test func malformedMessagesAreFaults() {
        let bench = Bench()
        bench.connect(holder)
        for bytes in [[0x0a], [0x0a, 0x01, 0xff], [0x12, 0x00], [0x22, 0x00], [0x07]] as [[UInt8]] {
            bytes.withView { bench.machine.receive($0, from: holder.peerID, now: bench.now) }
        }
        #expect(bench.machine.neighbours[holder.peerID]?.faults == 5)
    }

    // MARK: - Room

    @Test func valuesOfOthersMakeRoomForOursButNotOursForTheirs() throws {
        var limits = RetainedLimits()
        limits.totalBytes = 250
        let bench = Bench(limits: limits), theirs = [UInt8](repeating: 1, count: 100)
        bench.connect(holder)
        for index in 0..<2 {
            let header = Self.header(author, Self.clock + UInt64(index), theirs, topic: "their\(index)")
            bench.machine.subscribed(header.topic, now: bench.now)
            bench.tell(header, from: holder)
            bench.give(header, theirs, from: holder)
        }
        try bench.publish([UInt8](repeating: 2, count: 150))
        #expect(bench.machine.value(of: "their0") == nil && bench.machine.value(of: "their1") != nil, "the lowest number goes first")
        try bench.publish([UInt8](repeating: 2, count: 100), topic: "second")
        #expect(bench.machine.value(of: "their1") == nil)
        #expect(throws: RetainedError.noRoom(limit: 250)) { try bench.publish([0], topic: "third") }
        #expect(throws: RetainedError.tooLarge(size: 1 << 20 + 1, limit: 1 << 20)) { try bench.machine.prepare("x", byteCount: 1 << 20 + 1) }
        #expect(bench.machine.byteCount == 250)
        let header = Self.header(author, Self.clock + 9, theirs, topic: "their0")
        bench.delivered = []
        bench.tell(header, from: holder)
        bench.give(header, theirs, from: holder)
        #expect(bench.delivered == [theirs] && bench.machine.value(of: "their0") == nil, "delivered, not kept")
        #expect(bench.machine.counters.dropped(.noRoom) == 1)
        #expect(bench.machine.byteCount == 250)
    }

    @Test func topicsWithAValueOfOursAreBounded() throws {
        var limits = RetainedLimits()
        limits.ownTopics = 2
        let bench = Bench(limits: limits)
        try bench.publish([1], topic: "a")
        try bench.publish([1], topic: "b")
        #expect(throws: RetainedError.tooManyTopics(limit: 2)) { try bench.publish([1], topic: "c") }
        for index in 0..<10 {
            bench.machine.subscribed("s\(index)", now: bench.now)
            try bench.publish([1], topic: "s\(index)")
        }
        for index in 0..<10 { bench.machine.unsubscribed("s\(index)", now: bench.now) }
        #expect(bench.machine.topics.count == 3, "two of ours, and the one that is followed")
    }

    @Test func leavingATopicLetsGoOfWhatOthersSaid() throws {
        let bench = Bench(), header = Self.header(author, Self.clock, [1])
        bench.connect(holder)
        bench.tell(header, from: holder)
        bench.machine.unsubscribed(Self.topic, now: bench.now)
        #expect(bench.machine.topics.isEmpty && bench.machine.fetches == 0 && bench.machine.asking == 0)
        try bench.publish([2])
        bench.tell(Self.header(author, Self.clock + 3_600_000_000_000, [3]), from: holder)
        #expect(bench.machine.value(of: Self.topic) == nil, "somebody else's word is the last")
        try bench.publish([4])
        #expect(bench.machine.value(of: Self.topic)?.header.sequence == Self.clock + 3_600_000_000_001)
    }

    // MARK: - Giving values

    @Test func valuesGoOutInPartsWithinTheRate() throws {
        var limits = RetainedLimits()
        limits.sentParts = 4
        limits.sentPartsPerSecond = 2
        let bench = Bench(limits: limits), data = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        bench.connect(holder)
        try bench.publish(data, to: holder)
        var message = RetainedMessage()
        message.want = [.init(topic: Self.topic, hash: try #require(bench.machine.value(of: Self.topic)).header.hash)]
        bench.tell(message, from: holder)
        #expect(bench.sent.compactMap(\.message.part).count == 4)
        bench.wait(.seconds(5))
        let parts = bench.sent.compactMap(\.message.part)
        #expect(parts.count == 7 && parts.flatMap(\.bytes) == data)
        #expect(parts.map(\.offset) == (0..<7).map { $0 * RetainedMessage.partByteCount })
    }

    @Test func withoutSignaturesTheNumberAloneDecides() throws {
        let bench = Bench(policy: .strictNoSign)
        bench.connect(holder)
        let header = RetainedHeader(topic: Self.topic, author: nil, sequence: Self.clock, data: [1], older: [])
        bench.tell(Self.header(author, Self.clock, [2]), from: holder)
        #expect(bench.machine.counters.dropped(.forged) == 1, "a signed one has no place there")
        bench.tell(header, from: holder)
        bench.give(header, [1], from: holder)
        #expect(bench.delivered == [[1]])
        try bench.publish([3], to: holder)
        #expect(bench.machine.value(of: Self.topic)?.header.author == nil)
    }

    @Test(arguments: 0..<200 as Range<UInt64>) func encodingIsReadBack(seed: UInt64) {
        var random = RandomSource(testSeed: seed)
        var message = RetainedMessage()
        for index in 0..<Int.random(in: 0...4, using: &random) {
            let data = random.bytes(Int.random(in: 0...50, using: &random))
            message.have.append(Self.header(author, random.next() >> 1, data, topic: "t\(index)", older: [random.next(), 0]))
        }
        message.want = (0..<Int.random(in: 0...3, using: &random)).map { .init(topic: "w\($0)", hash: random.bytes(32)) }
        message.gone = (0..<Int.random(in: 0...3, using: &random)).map { .init(topic: "g\($0)", hash: random.bytes(32)) }
        if Bool.random(using: &random) { message.part = .init(name: .init(topic: "p", hash: random.bytes(32)), offset: 9, bytes: random.bytes(5)) }
        message.isFresh = Bool.random(using: &random)
        let read = message.encoded.withView { try? RetainedMessage(decoding: $0) }
        #expect(read == message, "seed \(seed)")
        #expect(message.have.allSatisfy { $0.isGenuine(.strictSign) })
    }
}
