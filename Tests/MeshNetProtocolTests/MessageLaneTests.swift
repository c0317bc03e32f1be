import Testing

@testable import MeshNetProtocol

/// A sender and a receiver of one lane, with what was delivered.
private struct LanePair {
    let pool = BufferPool()
    var sender: LaneSender
    var receiver: LaneReceiver
    var delivered: [[UInt8]] = []
    var sequences: [UInt64] = []
    var skips = 0
    var duplicates = 0
    var asks = 0
    /// What nextRun is asked for; zero: it is not asked.
    var roomOfRuns = 0
    var runs = 0
    private var body: [UInt8] = []
    static let own = Incarnation([UInt8](0..<16))!

    init() {
        sender = LaneSender(pool: pool)
        receiver = LaneReceiver(pool: pool)
    }

    @discardableResult
    mutating func send(_ bytes: [UInt8], asks: Bool = false) -> UInt64 { bytes.withView { sender.append(.message, $0, asks: asks) } }

    /// As far as they are small in one call.
    mutating func sendTogether(_ bodies: [[UInt8]]) {
        let bytes = bodies.flatMap { $0 }
        bytes.withView { view in
            var views: [UnsafeRawBufferPointer] = [], start = 0
            for body in bodies {
                views.append(UnsafeRawBufferPointer(rebasing: view[start..<start + body.count]))
                start += body.count
            }
            var rest = views[...]
            while let first = rest.first {
                let count = sender.append(rest, room: LaneSender.Room(messages: .max, bytes: .max, memory: .max))
                if count == 0 { _ = sender.append(.message, first, asks: false) }
                rest = rest.dropFirst(max(1, count))
            }
        }
    }

    /// What the sender writes now, at most so many bytes; the rest stays with it.
    mutating func write(atMost limit: Int = .max) -> [UInt8] {
        var written: [UInt8] = []
        while written.count < limit {
            let room = limit - written.count
            switch sender.next() {
            case .nothing, .read, .gate: return written
            case .control:
                let piece = sender.control[sender.controlSent...].prefix(room)
                written += piece
                sender.wroteControl(piece.count)
            case .bytes(let view):
                let piece = UnsafeRawBufferPointer(rebasing: view[..<min(room, view.count)])
                written.append(contentsOf: piece)
                sender.wrote(piece.count)
            }
        }
        return written
    }

    /// A new stream: HELLO and WELCOME, which tells where to go on. Gives what was written at once behind HELLO.
    mutating func connect() throws {
        receiver.detach()
        sender.detach()
        sender.attach(own: Self.own, receiver: nil, lane: .normal)
        var replies = MessageReplies()
        let atOnce = sender.flows
        let hello = try sender.control.withView { view throws(MessageError) in
            var rest = view
            return try replies.hello(&rest)
        }
        sender.wroteControl(sender.control.count)
        #expect(hello?.first == sender.firstSequence && hello?.flowsAtOnce == atOnce)
        receiver.attach(first: atOnce ? sender.firstSequence : receiver.expected)
        if !atOnce { _ = try sender.resume(at: receiver.expected, held: receiver.held) }
    }

    mutating func receive(_ bytes: [UInt8]) throws {
        try bytes.withView { view throws(MessageError) in
            var rest = view
            while true {
                if roomOfRuns > 0, let run = receiver.nextRun(&rest, room: roomOfRuns) {
                    take(run)
                } else if let item = try receiver.next(&rest) {
                    take(item)
                } else {
                    break
                }
            }
        }
        for buffer in receiver.retired { pool.recycle(buffer) }
        receiver.retired = []
    }

    private mutating func take(_ run: LaneRun) {
        runs += 1
        var position = 0
        for index in 0..<run.count {
            let body = LaneRun.body(in: run.frames, at: position)
            delivered.append([UInt8](run.frames[body]))
            sequences.append(run.sequence + UInt64(index))
            position = body.upperBound
        }
        #expect(position == run.frames.count)
        #expect(run.bodyByteCount == delivered.suffix(run.count).reduce(0) { $0 + $1.count })
    }

    private mutating func take(_ item: LaneItem) {
        switch item {
        case .message(_, let sequence, let view):
            delivered.append([UInt8](view))
            sequences.append(sequence)
        case .begin(_, _, _, let held): if held == 0 { body = [] }
        case .piece(let view): body.append(contentsOf: view)
        case .complete(_, let sequence, let byteCount):
            #expect(body.count == byteCount)
            delivered.append(body)
            sequences.append(sequence)
        case .abandoned, .skipped: skips += 1
        case .ask: asks += 1
        case .duplicate: duplicates += 1
        case .goodbye: break
        }
    }
}

private func body(_ number: Int, _ size: Int) -> [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size / 2) + [UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size - size / 2)
}

@Suite struct MessageLaneTests {
    // MARK: - Known answers (docs/protocols/message.md)

    @Test func framesLookAsDocumented() {
        var bytes: [UInt8] = []
        let own = Incarnation([UInt8](0..<16))!
        bytes.append(MessageHello(incarnation: own, receiver: nil, lane: .bulk, first: 300, flowsAtOnce: true))
        #expect(bytes == [21, 0x01] + [UInt8](0..<16) + [2, 2, 0xac, 0x02])
        bytes = []
        bytes.append(MessageReply.welcome(MessageWelcome(incarnation: own, isTaken: true, next: 7, held: 0)))
        #expect(bytes == [20, 0x11] + [UInt8](0..<16) + [0, 7, 0])
        bytes = []
        bytes.append(MessageReply.acknowledge(next: 128))
        #expect(bytes == [3, 0x12, 0x80, 0x01])
        bytes = []
        bytes.append(MessageReply.refuse(.tooLarge(sequence: 5, limit: 9)))
        #expect(bytes == [4, 0x13, 1, 5, 9])
        bytes = []
        bytes.append(MessageReply.goodbye(.closed(reason: "off")))
        #expect(bytes == [5, 0x09, 0, 0x6f, 0x66, 0x66])
        var pair = LanePair()
        pair.send([1, 2, 3], asks: true)
        pair.sender.attach(own: own, receiver: own, lane: .control)
        #expect(pair.write() == [36, 0x01] + [UInt8](0..<16) + [3] + [UInt8](0..<16) + [0, 1] + [4, 0x02, 1, 2, 3] + [1, 0x08])
    }

    @Test func requestsAndRepliesCarryTheirNumbers() throws {
        var sender = LaneSender(pool: BufferPool())
        _ = [9].withView { sender.append(.request(300, milliseconds: 5), $0, asks: false) }
        _ = [8].withView { sender.append(.reply(300), $0, asks: false) }
        sender.attach(own: LanePair.own, receiver: nil, lane: .normal)
        sender.wroteControl(sender.control.count)
        guard case .bytes(let view) = sender.next() else { throw MessageError.emptyFrame }
        #expect([UInt8](view) == [5, 0x03, 0xac, 0x02, 5, 9] + [4, 0x04, 0xac, 0x02, 8])
    }

    // MARK: - The stream

    @Test(arguments: [1, 2, 3, 7, 100, 65_536]) func messagesOfEverySizeComeWholeThroughAnyCut(cut: Int) throws {
        var pair = LanePair()
        let sizes = cut < 7 ? [0, 1, 126, 127, 128, 300] : [0, 1, 126, 127, 128, 16_382, 16_383, 65_535, 65_536, 65_537, 131_072, 131_073, 300_000]
        for (number, size) in sizes.enumerated() { pair.send(body(number, size)) }
        try pair.connect()
        while true {
            let bytes = pair.write(atMost: cut)
            if bytes.isEmpty { break }
            try pair.receive(bytes)
        }
        #expect(pair.delivered.map(\.count) == sizes)
        #expect(pair.delivered.enumerated().allSatisfy { $1 == body($0, sizes[$0]) })
        #expect(pair.receiver.expected == UInt64(sizes.count) + 1)
    }

    /// The connection is lost after each possible number of bytes; everything arrives once, in order.
    @Test func aStreamCutAtEveryByteLosesAndDoublesNothing() throws {
        let sizes = [3, 200, 0, 70_000, 1, 130_000, 5], bodies = sizes.enumerated().map { body($0, $1) }
        var whole = LanePair()
        for each in bodies { whole.send(each) }
        try whole.connect()
        let total = whole.write().count
        // Every byte around the frames, and some within large bodies.
        for cut in 0...total where cut < 270 || cut % 9_973 == 0 || total - cut < 20 {
            var pair = LanePair()
            for each in bodies { pair.send(each) }
            try pair.connect()
            try pair.receive(pair.write(atMost: cut))
            try pair.connect()
            try pair.receive(pair.write())
            #expect(pair.sequences == Array(1...UInt64(sizes.count)), "cut at \(cut)")
            let isWhole = pair.delivered == bodies
            #expect(isWhole, "cut at \(cut)")
            #expect(pair.duplicates == 0)
            try pair.sender.acknowledge(below: pair.receiver.expected)
            let senderMemory = pair.sender.memory
            #expect(pair.sender.isEmpty && senderMemory == 0 && pair.sender.byteCount == 0)
        }
    }

    @Test func whatWasWithdrawnIsPassed() throws {
        var pair = LanePair()
        for number in 0..<10 { pair.send(body(number, 10)) }
        var withdrawn = [1, 4, 5, 10].map { pair.sender.withdraw($0) }
        withdrawn += [4, 11].map { pair.sender.withdraw($0) }
        #expect(withdrawn == [true, true, true, true, false, false])
        #expect(pair.sender.messageCount == 6)
        try pair.connect()
        try pair.receive(pair.write())
        #expect(pair.sequences == [2, 3, 6, 7, 8, 9])
        #expect(pair.skips == 3 && pair.receiver.expected == 11)
        try pair.sender.acknowledge(below: 11)
        #expect(pair.sender.isEmpty)
    }

    @Test func aSenderThatForgotTakesTheNumbersOfTheReceiver() throws {
        var pair = LanePair()
        for number in 0..<5 { pair.send(body(number, 10)) }
        try pair.connect()
        try pair.receive(pair.write())
        // A new channel of the same incarnation: nothing that it sent at once was taken.
        pair.sender = LaneSender(pool: pair.pool)
        pair.send(body(7, 3))
        pair.sender.attach(own: LanePair.own, receiver: nil, lane: .normal)
        _ = pair.write()
        pair.sender.nothingTaken()
        pair.sender.attach(own: LanePair.own, receiver: nil, lane: .normal, mustWait: true)
        pair.sender.wroteControl(pair.sender.control.count)
        pair.receiver.attach(first: pair.receiver.expected)
        let resent = try pair.sender.resume(at: 6, held: 0), shift = pair.sender.takeShift()
        #expect(resent == 0 && shift == 5)
        try pair.receive(pair.write())
        #expect(pair.sequences.last == 6 && pair.delivered.last == body(7, 3))
    }

    /// A receiver that claims to expect what nobody can have sent would bring our numbers to their end.
    @Test func numbersFarBeyondWhatCanBeCountedAreNotTakenOver() throws {
        for next in [LaneSender.maximumTaken, LaneReceiver.maximumSequence - 1, .max] {
            var pair = LanePair()
            pair.send(body(1, 3))
            pair.sender.attach(own: LanePair.own, receiver: nil, lane: .normal, mustWait: true)
            #expect(throws: MessageError.numbersExhausted) { try pair.sender.resume(at: next, held: 0) }
            #expect(pair.sender.firstSequence == 1 && pair.sender.takeShift() == 0)
        }
        var pair = LanePair()
        pair.send(body(1, 3))
        pair.sender.attach(own: LanePair.own, receiver: nil, lane: .normal, mustWait: true)
        #expect(try pair.sender.resume(at: LaneSender.maximumTaken - 1, held: 0) == 0)
        #expect(pair.sender.nextSequence == LaneSender.maximumTaken)
    }

    /// The oldest give way while the peer is away, for ever: neither entries nor bytes grow.
    @Test func endlessDisplacementHoldsNoMemory() {
        var pair = LanePair()
        for number in 0..<5_000 {
            pair.send(body(number, 100))
            if pair.sender.messageCount > 50, let oldest = pair.sender.oldestWaiting() { _ = pair.sender.withdraw(oldest) }
        }
        #expect(pair.sender.messageCount == 50)
        let senderMemory = pair.sender.memory
        #expect(senderMemory <= 2 * BufferPool.Size.frame.byteCount)
        #expect(pair.sender.placeCount <= 2 * 50 + 1_024 + 1)
    }

    @Test func whatTheStoreCouldNotTakeGivesItsNumberBack() throws {
        var pair = LanePair()
        for number in 0..<4 { _ = body(number, 10).withView { pair.sender.append(.message, $0, asks: false, isCommitted: false) } }
        pair.sender.commit(below: 3)
        try pair.connect()
        try pair.receive(pair.write())
        #expect(pair.sequences == [1, 2])
        pair.sender.revoke(from: 3) { _ in }
        #expect(pair.sender.nextSequence == 3 && pair.sender.messageCount == 2)
        pair.send(body(9, 5))
        try pair.receive(pair.write())
        #expect(pair.sequences == [1, 2, 3] && pair.delivered.last == body(9, 5))
    }

    // MARK: - Messages that pass together

    /// Queued together or each alone, taken together or each alone, and cut anywhere: the same bytes, the same messages.
    @Test(arguments: [1, 2, 3, 100, 4_099, 70_000]) func messagesThatPassTogetherAreTheSame(cut: Int) throws {
        let small = [0, 1, 2, 16, 125, 126, 127, 128, 129, 0, 3, 3, 3, 3, 200]
        let sizes = cut < 100 ? small : small + [16_381, 16_382, 16_383, 16_384, 40_000, 70_000]
        let bodies = (0..<sizes.count * 3).map { body($0, sizes[$0 % sizes.count]) }
        var expected: [UInt8]?
        for (isQueuedTogether, room) in [(false, 0), (true, 0), (false, 1), (true, 500), (true, .max)] {
            var pair = LanePair()
            pair.roomOfRuns = room
            try pair.connect()
            if isQueuedTogether { pair.sendTogether(bodies) } else { for body in bodies { pair.send(body) } }
            #expect(pair.sender.messageCount == bodies.count && pair.sender.nextSequence == UInt64(bodies.count + 1))
            let bytes = pair.write()
            #expect(expected == nil || bytes == expected)
            expected = bytes
            for start in stride(from: 0, to: bytes.count, by: cut) { try pair.receive(Array(bytes[start..<min(start + cut, bytes.count)])) }
            #expect(pair.delivered == bodies && pair.sequences == Array(1...UInt64(bodies.count)))
            if room == .max, cut > 100 { #expect(pair.runs > 0 && pair.runs < bodies.count / 2) }
            try pair.sender.acknowledge(below: pair.receiver.expected)
            let senderMemory = pair.sender.memory
            #expect(pair.sender.isEmpty && pair.sender.byteCount == 0 && senderMemory == 0)
        }
    }

    @Test func aRunEndsWhereThereIsNoRoom() throws {
        var pair = LanePair()
        try pair.connect()
        let views = Array(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: 10)[...]
        #expect(pair.sender.append(views, room: LaneSender.Room(messages: 3, bytes: .max, memory: .max)) == 3)
        #expect(pair.sender.append(views, room: LaneSender.Room(messages: 10, bytes: 2 * LaneSender.messageOverhead + 2, memory: .max)) == 2)
        #expect(pair.sender.append(views, room: LaneSender.Room(messages: 0, bytes: .max, memory: .max)) == 0)
        #expect(pair.sender.append(views, room: LaneSender.Room(messages: 10, bytes: .max, memory: -1)) == 0)
        let bytes = pair.write()
        bytes.withView { view in
            var rest = view
            let run = pair.receiver.nextRun(&rest, room: LaneSender.messageOverhead + 1)
            #expect(run?.count == 2 && run?.sequence == 1)
            #expect(pair.receiver.nextRun(&rest, room: .max)?.count == 3)
            #expect(rest.isEmpty && pair.receiver.nextRun(&rest, room: .max) == nil)
        }
    }

    /// Lengths that are longer than they need be, frames that are cut, other frames and what was there before: all that `next` decides.
    @Test func whatIsNoPlainMessageDoesNotPassTogether() throws {
        let frames: [[UInt8]] = [
            [0], [1], [0x80, 0x00, 0x02], [0x82, 0x00, 0x02, 5], [3, 0x02, 5], [0xff, 0xff, 0x01, 0x02], [2, 0x04, 1], [1, 0x08], [2, 0x05, 2],
        ]
        for frame in frames {
            var receiver = LaneReceiver(pool: BufferPool())
            receiver.attach(first: 1)
            frame.withView { view in
                var rest = view
                #expect(receiver.nextRun(&rest, room: .max) == nil && rest.count == frame.count)
            }
        }
        var receiver = LaneReceiver(pool: BufferPool())
        receiver.restore(expected: 5)
        receiver.attach(first: 3)
        try [2, 0x02, 9, 2, 0x02, 9, 2, 0x02, 9].withView { view throws(MessageError) in
            var rest = view
            for _ in 0..<2 {
                #expect(receiver.nextRun(&rest, room: .max) == nil)
                guard case .duplicate? = try receiver.next(&rest) else { return #expect(Bool(false), "it came twice") }
            }
            #expect(receiver.nextRun(&rest, room: .max)?.sequence == 5)
        }
    }

    // MARK: - Peers that break the rules

    private func receive(_ frames: [UInt8]..., first: UInt64 = 1) throws(MessageError) -> UInt64 {
        var receiver = LaneReceiver(pool: BufferPool())
        receiver.attach(first: first)
        for frame in frames {
            try frame.withView { view throws(MessageError) in
                var rest = view
                while try receiver.next(&rest) != nil {}
            }
        }
        return receiver.expected
    }

    @Test func brokenFramesEndTheStream() {
        func expect(_ error: MessageError, _ frames: [UInt8]...) {
            #expect(throws: error) {
                for cut in [frames.flatMap { $0 }] { _ = try receive(cut) }
            }
            // The same byte by byte.
            #expect(throws: error) {
                var receiver = LaneReceiver(pool: BufferPool())
                receiver.attach(first: 1)
                for byte in frames.joined() {
                    try [byte].withView { view throws(MessageError) in
                        var rest = view
                        while try receiver.next(&rest) != nil {}
                    }
                }
            }
        }
        expect(.emptyFrame, [0])
        expect(.wire(.tooLarge(announced: 65_569, limit: 65_568)), [0xa1, 0x80, 0x04])
        expect(.wire(.varintTooLong), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        expect(.outOfPlace(type: 0x01), [3, 0x01, 0, 0])
        expect(.outOfPlace(type: 0x06), [2, 0x06, 9])
        expect(.outOfPlace(type: 0x06), [4, 0x05, 2, 0, 0], [4, 0x06, 1, 1, 1])
        expect(.outOfPlace(type: 0x07), [2, 0x07, 0])
        expect(.wire(.truncated(needed: 1, available: 0)), [1, 0x07])
        expect(.unknownKind(9), [4, 0x05, 2, 9, 0])
        expect(.outOfPlace(type: 0x05), [4, 0x05, 2, 0, 0], [4, 0x05, 2, 0, 0])
        expect(.outOfPlace(type: 0x02), [4, 0x05, 2, 0, 0], [2, 0x02, 1])
        expect(.wrongOffset(5, held: 0), [4, 0x05, 9, 0, 5])
        expect(.numbersExhausted, [10, 0x07, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])
        expect(.wire(.truncated(needed: 1, available: 0)), [1, 0x03])
    }

    @Test func unknownTypesAreSkipped() throws {
        let expected = try receive([3, 0x77, 1, 2], [2, 0x02, 5], [2, 0x12, 5])
        #expect(expected == 2)
    }

    @Test func nothingIsConfirmedThatWasNotSent() throws {
        var pair = LanePair()
        for number in 0..<3 { pair.send(body(number, 100)) }
        func acknowledge(_ next: UInt64) throws(MessageError) { try pair.sender.acknowledge(below: next) }
        #expect(throws: MessageError.acknowledgedUnsent(next: 2, sent: 1)) { try acknowledge(2) }
        try pair.connect()
        _ = pair.write(atMost: 150)
        try pair.sender.acknowledge(below: 2)
        #expect(throws: MessageError.self) { try acknowledge(3) }
        #expect(throws: MessageError.self) { try acknowledge(1 << 61) }
        func resume(_ next: UInt64) throws(MessageError) { _ = try pair.sender.resume(at: next, held: 0) }
        #expect(throws: MessageError.numbersExhausted) { try resume(1 << 62) }
        #expect(pair.sender.messageCount == 2)
    }

    @Test func repliesThatAreNoneEndTheStream() {
        func read(_ bytes: [UInt8]) throws(MessageError) -> MessageReply? {
            var replies = MessageReplies()
            return try bytes.withView { view throws(MessageError) in
                var rest = view
                return try replies.next(&rest)
            }
        }
        #expect(throws: MessageError.emptyFrame) { try read([0]) }
        #expect(throws: MessageError.wire(.tooLarge(announced: 600, limit: 512))) { try read([0xd8, 0x04]) }
        #expect(throws: MessageError.wire(.truncated(needed: 16, available: 1))) { try read([2, 0x11, 0]) }
        #expect(throws: MessageError.wire(.truncated(needed: 1, available: 0))) { try read([1, 0x12]) }
        let unknown = try? read([2, 0x77, 0])
        #expect(unknown == .some(nil))
    }

    @Test func aHelloMustComeFirst() {
        var replies = MessageReplies()
        #expect(throws: MessageError.notAHello(type: 2)) {
            try [2, 0x02, 5].withView { view throws(MessageError) in
                var rest = view
                _ = try replies.hello(&rest)
            }
        }
    }
}
