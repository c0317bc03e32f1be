import Testing
@testable import MeshNetProtocol
@testable import MeshNetSwarm

@Suite struct PipelineStreamTests {
    private func joined(seed: UInt64 = 1, limits: Limits = Limits(), protocols: [String] = ["/echo", "/sink"]) -> PipelinePair {
        var pair = PipelinePair(seed: seed, limits: limits, protocols: protocols)
        #expect(pair.handshake() == true)
        return pair
    }

    @Test func oneProtocolIsAgreedWithTheFirstData() throws {
        var pair = joined()
        let stream = try pair.open("/echo")
        #expect(pair.client.put([1, 2, 3], stream) > 0)
        pair.client.pipeline.closeWrite(stream)
        pair.run()
        #expect(pair.server.log.suffix(2) == ["opened 1 /echo", "ended 1"])
        #expect(pair.client.log.last == "agreed 1 /echo")
        pair.server.pipeline.closeWrite(stream)
        pair.run()
        #expect(pair.client.log.suffix(2) == ["ended 1", "closed 1"])
        #expect(pair.server.log.last == "closed 1")
        #expect(pair.client.pipeline.streamCount == 0 && pair.server.pipeline.streamCount == 0)
        #expect(pair.pool.outstanding == 0)
    }

    @Test func theFirstCommonProtocolOfSeveralIsTaken() throws {
        var pair = joined()
        let stream = try pair.open("/unknown", "/sink", "/echo")
        #expect(pair.client.put([1], stream) == 0)
        pair.client.pipeline.closeWrite(stream)
        pair.run()
        #expect(pair.client.log.last == "agreed 1 /sink")
        #expect(pair.server.log.suffix(2) == ["opened 1 /sink", "ended 1"])
    }

    @Test func noneOfTheProtocolsIsARefusal() throws {
        var pair = joined()
        let several = try pair.open("/a", "/b"), lazy = try pair.open("/c")
        #expect(pair.client.put([1], lazy) > 0)
        pair.run()
        #expect(pair.client.log.contains("refused \(several.rawValue)") && pair.client.log.contains("refused \(lazy.rawValue)"))
        #expect(pair.server.log == ["established"])
        #expect(pair.server.pipeline.inboundStreamsFailed == 2)
        #expect(pair.client.pipeline.streamCount == 0 && pair.server.pipeline.streamCount == 0)
    }

    @Test func protocolsCanChange() throws {
        var pair = joined()
        pair.server.pipeline.setProtocols(["/new"])
        _ = try pair.open("/new")
        pair.run()
        #expect(pair.server.log.last == "opened 1 /new")
    }

    @Test func streamsOpenInBothDirections() throws {
        var pair = joined()
        _ = try pair.open("/echo")
        _ = try pair.server.pipeline.openStream(["/sink"], now: pair.now)
        pair.run()
        #expect(pair.client.log.suffix(2).sorted() == ["agreed 1 /echo", "opened 2 /sink"])
    }

    @Test func whatCannotBeOpenedSaysWhy() throws {
        var pair = PipelinePair()
        #expect(throws: StreamOpenError.notOpen) { try pair.open("/echo") }
        #expect(pair.handshake() == true)
        #expect(throws: StreamOpenError.invalidProtocol("")) { try pair.client.pipeline.openStream([], now: pair.now) }
        #expect(throws: StreamOpenError.invalidProtocol("/a\n")) { try pair.open("/a\n") }
        for _ in 0..<256 { _ = try pair.open("/echo") }
        #expect(throws: StreamOpenError.tooManyStreams(limit: 256)) { try pair.open("/echo") }
        pair.client.pipeline.close(now: pair.now)
        #expect(throws: StreamOpenError.notOpen) { try pair.open("/echo") }
    }

    @Test func aResetReachesTheOtherSide() throws {
        var pair = joined()
        let stream = try pair.open("/echo")
        pair.run()
        pair.client.pipeline.reset(stream)
        pair.run()
        #expect(pair.server.log.last == "reset 1 peer(code: 0)")
        #expect(pair.client.log.last == "agreed 1 /echo")
        #expect(pair.client.put([1], stream) == 0)
        pair.client.pipeline.closeWrite(stream)
        pair.client.pipeline.consumed(stream, 10, now: pair.now)
        pair.run()
        #expect(pair.client.pipeline.isEstablished && pair.client.cause == nil)
    }

    // MARK: Bounds and time

    @Test func aNegotiationThatIsNeverAnsweredTimesOut() throws {
        var pair = joined()
        pair.tamper = { towardsServer, bytes in if towardsServer { bytes = [] } }
        let stream = try pair.open("/echo")
        pair.turn()
        let first = pair.client.pipeline.deadline
        let deadline = try #require(first)
        #expect(deadline <= pair.now + .seconds(10))
        pair.client.pipeline.handleTimeout(now: deadline)
        pair.client.drain(now: deadline)
        #expect(pair.client.log.last == "reset \(stream.rawValue) negotiationTimedOut")
        let clientDeadline = pair.client.pipeline.deadline
        #expect(clientDeadline == nil && pair.client.pipeline.streamCount == 0)
    }

    /// A raw yamux peer: what it sends goes through its own session beside the pipeline's.
    private func inject(_ pair: inout PipelinePair, _ frames: [UInt8]) {
        let space = pair.client.pipeline.output.space(for: frames.count)
        space.copyBytes(from: frames)
        pair.client.pipeline.output.commit(frames.count)
        pair.run()
    }

    @Test func streamsInNegotiationAreBoundedAndTimeOut() {
        var pair = joined()
        inject(&pair, (0..<200).flatMap { YamuxHeader(.windowUpdate, .syn, stream: UInt32(1 + 2 * $0), length: 0).bytes })
        #expect(pair.server.pipeline.streamCount == ConnectionPipeline.maximumNegotiatingStreams)
        #expect(pair.server.pipeline.inboundStreamsFailed == 200 - ConnectionPipeline.maximumNegotiatingStreams)
        pair.server.pipeline.handleTimeout(now: pair.now + .seconds(11))
        let serverDeadline = pair.server.pipeline.deadline
        #expect(pair.server.pipeline.streamCount == 0 && serverDeadline == nil)
        #expect(pair.server.log == ["established"], "the swarm never hears of streams without a protocol")
    }

    @Test func aStreamThatSpeaksNoMultistreamIsReset() {
        var pair = joined()
        inject(&pair, YamuxHeader(.data, .syn, stream: 1, length: 5).bytes + [4, 1, 2, 3, 10])
        #expect(pair.server.pipeline.streamCount == 0 && pair.server.pipeline.inboundStreamsFailed == 1)
        #expect(pair.server.cause == nil)
    }

    @Test func aStreamThatEndsWhileNegotiatingIsReset() {
        var pair = joined()
        inject(&pair, YamuxHeader(.data, [.syn, .fin], stream: 1, length: 0).bytes)
        #expect(pair.server.pipeline.streamCount == 0 && pair.server.pipeline.inboundStreamsFailed == 1)
    }

    @Test func aViolationEndsTheConnectionOnBothSides() {
        var pair = joined()
        inject(&pair, YamuxHeader(.data, .syn, stream: 1, length: 262_145).bytes)
        guard case .protocolViolation(let text)? = pair.server.cause else {
            Issue.record("\(String(describing: pair.server.cause))")
            return
        }
        #expect(text.contains("262145"))
        #expect(pair.client.cause == .protocolViolation("the peer ended the session with go-away code 1"))
        #expect(pair.pool.outstanding == 0)
    }

    @Test func emptyNoiseFramesAreNothing() throws {
        var pair = joined()
        for _ in 0..<1_000 {
            var frame = [UInt8](repeating: 0, count: 18)
            frame[1] = 16
            try frame.withUnsafeMutableBytes { try pair.client.pipeline.output.cipher?.seal(UnsafeMutableRawBufferPointer(rebasing: $0[2...]), count: 0) }
            pair.client.pipeline.output.append(frame)
        }
        pair.run()
        #expect(pair.server.cause == nil && pair.server.pipeline.isEstablished)
        _ = try pair.open("/echo")
        pair.run()
        #expect(pair.client.log.last == "agreed 1 /echo")
    }

    @Test(arguments: [0, 1, 15]) func aNoiseFrameWithoutRoomForItsTagEndsTheConnection(length: UInt8) {
        var pair = joined()
        pair.client.pipeline.output.append([0, length] + [UInt8](repeating: 0, count: Int(length)))
        pair.run()
        guard case .protocolViolation? = pair.server.cause else {
            Issue.record("\(String(describing: pair.server.cause))")
            return
        }
    }

    @Test func aPeerThatAsksAndDoesNotReadIsCutOff() {
        var pair = joined(limits: .sending(262_144))
        pair.tamper = { towardsServer, bytes in if !towardsServer { bytes = [] } }
        let negotiation = YamuxHeader(.data, [.syn], stream: 1, length: 20).bytes + [19] + Array("/multistream/1.0.0\n".utf8)
        var id: UInt32 = 1
        var rounds = 0
        while pair.server.cause == nil, !pair.server.pipeline.session.isOver, rounds < 40_000 {
            var frames = negotiation
            frames.withUnsafeMutableBytes { YamuxHeader(.data, .syn, stream: id, length: 20).encode(into: $0) }
            frames += YamuxHeader(.data, .rst, stream: id, length: 0).bytes
            id += 2
            rounds += 1
            let space = pair.client.pipeline.output.space(for: frames.count)
            space.copyBytes(from: frames)
            pair.client.pipeline.output.commit(frames.count)
            pair.client.finishTurn(now: pair.now)
            let bytes = pair.client.transmit(limit: .max, now: pair.now)
            _ = pair.server.receive(bytes[...], now: pair.now)
            pair.server.drain(now: pair.now)
            pair.server.pipeline.flush(now: pair.now)
            #expect(pair.server.pipeline.output.queuedBytes < 600_000)
        }
        pair.server.pipeline.handleTimeout(now: pair.now + .seconds(2))
        pair.server.drain(now: pair.now)
        guard case .limitReached? = pair.server.cause else {
            Issue.record("\(String(describing: pair.server.cause)) after \(rounds)")
            return
        }
    }

    // MARK: End

    @Test func closingTellsThePeerBehindEverythingWritten() throws {
        var pair = joined()
        let stream = try pair.open("/sink")
        let data = [UInt8](repeating: 9, count: 200_000)
        #expect(pair.client.put(data, stream) == data.count)
        pair.client.pipeline.close(now: pair.now)
        #expect(pair.client.pipeline.poll() == nil, "not before the output has drained")
        pair.run()
        #expect(pair.server.receivedCount[stream] == data.count)
        #expect(pair.server.cause == .closedByPeer && pair.client.cause == .closedByUs)
        #expect(pair.client.pipeline.poll() == nil && pair.server.pipeline.poll() == nil)
        #expect(pair.pool.outstanding == 0)
    }

    @Test func aCloseThatDoesNotDrainEndsAfterItsTime() throws {
        var pair = joined()
        _ = try pair.open("/sink")
        pair.client.pipeline.close(cause: .shutdown, now: pair.now)
        let clientDeadline = pair.client.pipeline.deadline
        let deadline = try #require(clientDeadline)
        #expect(deadline == pair.now + .seconds(1))
        pair.client.pipeline.handleTimeout(now: deadline)
        pair.client.drain(now: deadline)
        #expect(pair.client.cause == .shutdown)
        pair.client.pipeline.flush(now: deadline)
        pair.server.pipeline.flush(now: deadline)
        #expect(pair.pool.outstanding == 0)
    }

    @Test func aLostSocketIsReportedAfterWhatCameBefore() throws {
        var pair = joined()
        let stream = try pair.open("/sink")
        #expect(pair.client.put([1, 2, 3], stream) > 0)
        pair.client.finishTurn(now: pair.now)
        let bytes = pair.client.transmit(limit: .max, now: pair.now)
        _ = pair.server.receive(bytes[...], now: pair.now)
        pair.server.pipeline.receiveEnd(.failed(errno: 104), now: pair.now)
        pair.server.drain(now: pair.now)
        #expect(pair.server.receivedCount[stream] == 3)
        #expect(pair.server.cause == .connectionLost(errno: 104))
    }
}

extension YamuxHeader {
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withUnsafeMutableBytes { encode(into: $0) }
        return bytes
    }
}
