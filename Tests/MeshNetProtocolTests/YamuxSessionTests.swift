import Testing
@testable import MeshNetProtocol

@Suite struct YamuxSessionTests {
    // MARK: Opening and closing

    @Test func synRidesOnTheFirstData() {
        var us = YamuxHarness(role: .client)
        let id = try! us.session.open(now: .zero)
        #expect(us.write(id, [1, 2]).frame == [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2])
        #expect(us.sent().isEmpty)
    }

    @Test func anOpenedStreamWithoutDataIsAnnouncedByItself() {
        var us = YamuxHarness(role: .server)
        _ = try! us.session.open(now: .zero)
        #expect(us.sent() == [YamuxHeader(.windowUpdate, .syn, stream: 2, length: 0)])
    }

    @Test func ackRidesOnTheFirstData() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.windowUpdate, .syn, stream: 1, length: 0))
        #expect(us.sent().isEmpty)
        #expect(Array(us.write(1, [9]).frame.prefix(12)) == YamuxHeader(.data, .ack, stream: 1, length: 1).bytes)
        #expect(Array(us.write(1, [9]).frame.prefix(12)) == YamuxHeader(.data, [], stream: 1, length: 1).bytes)
    }

    @Test func bothEndsInEitherOrderCloseTheStream() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.data, [.syn, .fin], stream: 1, length: 0))
        us.session.closeWrite(1)
        us.drain()
        #expect(us.takeLog() == ["opened 1", "ended 1", "closed 1"])
        #expect(us.sent() == [YamuxHeader(.data, [.ack, .fin], stream: 1, length: 0)])
        us.feed(YamuxHeader(.data, .syn, stream: 3, length: 0))
        us.session.closeWrite(3)
        #expect(us.write(3, [1]).taken == 0)
        us.feed(YamuxHeader(.data, .fin, stream: 3, length: 0))
        #expect(us.takeLog() == ["opened 3", "ended 3", "closed 3"])
        #expect(us.session.streamCount == 0)
    }

    @Test func aResetSilencesWhatWasStillToBeReported() {
        var us = YamuxHarness(role: .server)
        let bytes = YamuxHeader(.data, [.syn, .fin], stream: 1, length: 3).bytes + [1, 2, 3]
        let left = bytes.withUnsafeBytes { view in
            us.session.receive(view, now: .zero)
            while let action = us.session.poll() {
                if case .data = action { break }
            }
            us.session.reset(1)
            return us.session.poll()
        }
        #expect(left == nil)
        #expect(us.sent() == [YamuxHeader(.data, .rst, stream: 1, length: 0)])
    }

    @Test func aStreamThePeerNeverHeardOfIsResetWithoutAFrame() {
        var us = YamuxHarness(role: .client)
        let id = try! us.session.open(now: .zero)
        us.session.reset(id)
        #expect(us.sent().isEmpty)
        #expect(us.session.streamCount == 0)
    }

    @Test func callsOnDeadStreamsDoNothing() {
        var us = YamuxHarness(role: .client)
        us.session.closeWrite(7)
        us.session.reset(7)
        us.session.consumed(7, 100, now: .zero)
        us.session.awaitWindow(7)
        #expect(us.session.sendWindow(7) == nil)
        #expect(us.write(7, [1]).taken == 0)
        let hasControl = us.session.hasControl
        #expect(!hasControl)
    }

    /// CVE-2026-21438 (webtransport-go) kept closed streams in its map.
    @Test func aMillionStreamsLeaveNothingBehind() {
        var us = YamuxHarness(role: .server)
        let rounds = 1_000_000
        var id: UInt32 = 1
        var frame = [UInt8](repeating: 0, count: 12)
        var closed = 0
        for _ in 0..<rounds {
            frame.withUnsafeMutableBytes { YamuxHeader(.data, [.syn, .fin], stream: id, length: 0).encode(into: $0) }
            frame.withUnsafeBytes { view in
                us.session.receive(view, now: .zero)
                while let action = us.session.poll() {
                    if case .ended(let id) = action { us.session.closeWrite(id) }
                    if case .closed = action { closed += 1 }
                }
            }
            frame.withUnsafeMutableBytes { _ = us.session.writeControl(into: $0, now: .zero) }
            id += 2
        }
        #expect(closed == rounds)
        #expect(us.session.streamCount == 0 && us.session.inboundStreamCount == 0)
        let hasControl = us.session.hasControl
        #expect(!hasControl && us.session.grownBytes == 0)
    }

    // MARK: Bounds

    @Test func streamsOfOursAreBounded() {
        var limits = YamuxLimits()
        limits.outboundStreams = 3
        var us = YamuxHarness(role: .client, limits: limits)
        for _ in 0..<3 { _ = try! us.session.open(now: .zero) }
        #expect(throws: YamuxOpenError.tooManyStreams(limit: 3)) { try us.session.open(now: .zero) }
        us.session.reset(1)
        #expect(throws: Never.self) { try us.session.open(now: .zero) }
    }

    @Test func unacknowledgedStreamsAreBounded() throws {
        var limits = YamuxLimits()
        limits.outboundStreams = 1_000
        var us = YamuxHarness(role: .client, limits: limits)
        for _ in 0..<256 { _ = try us.session.open(now: .zero) }
        #expect(throws: YamuxOpenError.tooManyUnacknowledged(limit: 256)) { try us.session.open(now: .zero) }
        us.feed(YamuxHeader(.windowUpdate, .ack, stream: 1, length: 0))
        us.feed(YamuxHeader(.windowUpdate, .ack, stream: 1, length: 0))
        _ = try us.session.open(now: .zero)
        #expect(throws: YamuxOpenError.tooManyUnacknowledged(limit: 256)) { try us.session.open(now: .zero) }
    }

    @Test func idsNeverWrap() throws {
        var us = YamuxHarness(role: .client)
        us.session.nextID = .max
        #expect(try us.session.open(now: .zero) == .max)
        #expect(throws: YamuxOpenError.identifiersExhausted) { try us.session.open(now: .zero) }
    }

    @Test func aPeerThatDoesNotReadAnswersIsCutOff() {
        var limits = YamuxLimits()
        limits.inboundStreams = 0
        limits.controlFrames = 100
        var us = YamuxHarness(role: .server, limits: limits)
        for id in stride(from: UInt32(1), to: 201, by: 2) { us.feed(YamuxHeader(.data, .syn, stream: id, length: 0)) }
        #expect(!us.session.isOver)
        us.feed(YamuxHeader(.data, .syn, stream: 201, length: 0))
        #expect(us.takeLog() == ["finished violation(MeshNetProtocol.YamuxError.answersNotRead(limit: 100))"])
        #expect(us.sent() == [YamuxHeader(.goAway, [], stream: 0, length: 1)])
    }

    @Test func endsThatAreNotReadCountToo() {
        var limits = YamuxLimits()
        limits.controlFrames = 100
        var us = YamuxHarness(role: .server, limits: limits)
        for index in 0...100 {
            let id = UInt32(1 + 2 * index)
            us.feed(YamuxHeader(.data, [.syn, .fin], stream: id, length: 0))
            us.session.closeWrite(id)
        }
        us.drain()
        #expect(us.takeLog().last == "finished violation(MeshNetProtocol.YamuxError.answersNotRead(limit: 100))")
    }

    @Test func afterTheEndEveryCallDoesNothing() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.data, .syn, stream: 1, length: 0))
        us.session.goAway(.internalError)
        us.feed(YamuxHeader(.data, [], stream: 1, length: 1), body: [1])
        #expect(us.write(1, [1]).taken == 0)
        #expect(throws: YamuxOpenError.sessionOver) { try us.session.open(now: .zero) }
        #expect(us.sent() == [YamuxHeader(.goAway, [], stream: 0, length: 2)])
        #expect(us.takeLog() == ["opened 1"])
    }

    // MARK: Flow control

    @Test func writesStopAtTheWindowAndGoOnWithCredit() {
        var us = YamuxHarness(role: .client)
        let id = try! us.session.open(now: .zero)
        let data = [UInt8](repeating: 7, count: 300_000)
        var sent = 0
        while case let taken = us.write(id, Array(data[sent...])).taken, taken > 0 { sent += taken }
        #expect(sent == 262_144)
        us.feed(YamuxHeader(.windowUpdate, .ack, stream: id, length: 0))
        #expect(us.takeLog() == [])
        us.feed(YamuxHeader(.windowUpdate, [], stream: id, length: 10))
        #expect(us.takeLog() == ["writable 1"])
        #expect(us.write(id, Array(data[sent...])).taken == 10)
    }

    @Test func aSmallRegionGetsASmallFrame() {
        var us = YamuxHarness(role: .client)
        let id = try! us.session.open(now: .zero)
        #expect(us.write(id, [1, 2, 3], room: 12).frame == [])
        #expect(us.write(id, [1, 2, 3], room: 14).taken == 2)
        #expect(us.write(id, [], room: 14).taken == 0)
    }

    @Test func creditComesWhenHalfTheWindowIsConsumed() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.data, .syn, stream: 1, length: 200_000), body: [UInt8](repeating: 0, count: 200_000))
        us.session.consumed(1, 131_071, now: .zero)
        #expect(us.sent().isEmpty)
        us.session.consumed(1, 1, now: .zero)
        #expect(us.sent().last == YamuxHeader(.windowUpdate, .ack, stream: 1, length: 131_072))
        // More than was ever delivered counts no more than that.
        us.session.consumed(1, .max, now: .zero)
        us.session.consumed(1, -5, now: .zero)
        us.feed(YamuxHeader(.data, [], stream: 1, length: 193_217))
        #expect(us.takeLog().last?.hasPrefix("finished violation") == true)
    }

    @Test func severalReadsOfOneTurnShareOneUpdate() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.data, .syn, stream: 1, length: 262_144), body: [UInt8](repeating: 0, count: 262_144))
        us.session.consumed(1, 140_000, now: .zero)
        us.session.consumed(1, 100_000, now: .zero)
        #expect(us.sent().filter { $0.type == .windowUpdate } == [YamuxHeader(.windowUpdate, .ack, stream: 1, length: 240_000)])
    }

    @Test func anEndedStreamGetsNoCredit() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.data, [.syn, .fin], stream: 1, length: 200_000), body: [UInt8](repeating: 0, count: 200_000))
        us.session.consumed(1, 200_000, now: .zero)
        #expect(us.sent().isEmpty)
    }

    /// Streams have windows, the session has none (specification, "Flow Control"): 256 peers' streams may all be full.
    @Test func thereIsNoSessionWindow() {
        var us = YamuxHarness(role: .server)
        let body = [UInt8](repeating: 1, count: 262_144)
        for id in stride(from: UInt32(1), to: 201, by: 2) { us.feed(YamuxHeader(.data, .syn, stream: id, length: 262_144), body: body) }
        #expect(!us.session.isOver)
        #expect(us.received.count == 100)
    }

    @Test func bodiesAreDeliveredAsTheyCome() {
        var us = YamuxHarness(role: .server)
        us.feed(YamuxHeader(.data, [.syn, .fin], stream: 1, length: 10).bytes + [0, 1, 2])
        #expect(us.received[1] == [0, 1, 2])
        us.feed([3, 4, 5, 6, 7, 8, 9], pieces: 3)
        #expect(us.received[1] == Array(0..<10))
        #expect(us.takeLog() == ["opened 1", "data 1 00010203040506070809", "ended 1"])
        #expect(us.dataActions == 4)
    }
}
