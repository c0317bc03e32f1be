import CAllocationCounter
import Testing
@testable import MeshNetProtocol
@testable import MeshNetSwarm

@Suite struct PipelineTransferTests {
    static let key = PreSharedKey(bytes: [UInt8](repeating: 7, count: 32))!

    /// Both directions at once, any cuts, with and without a private network, readers that take their time.
    @Test(arguments: 0..<8) func bulkArrivesAsWritten(seed: UInt64) throws {
        let key = seed % 2 == 0 ? Self.key : nil
        var pair = PipelinePair(seed: seed, clientKey: key, serverKey: key)
        let cut = [100_000, 70_000, 300_000, 5_000][Int(seed / 2)]
        #expect(pair.handshake(cut: cut) == true)
        let stream = try pair.open("/sink")
        let up = pair.random.bytes(700_000), down = pair.random.bytes(900_000)
        pair.client.outgoing.append((stream, up, 0, true))
        pair.client.consumes = seed < 4
        pair.server.consumes = seed < 4
        var hasAnswered = false
        pair.run(cut: cut) { pair in
            if !hasAnswered, pair.server.streams["/sink"] != nil {
                hasAnswered = true
                pair.server.outgoing.append((stream, down, 0, true))
            }
            pair.consumeSomething()
            return pair.client.pipeline.streamCount == 0 && pair.server.pipeline.streamCount == 0 && hasAnswered
        }
        let isWhole = pair.server.received[stream] == up && pair.client.received[stream] == down
        #expect(isWhole, "seed \(seed)")
        #expect(pair.client.log.suffix(2).sorted() == ["closed 1", "ended 1"], "seed \(seed)")
        pair.run()
        #expect(pair.pool.outstanding == 0, "seed \(seed)")
    }

    @Test func aReaderThatStopsHoldsTheWriterBack() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        pair.server.consumes = false
        let stream = try pair.open("/sink")
        pair.client.outgoing.append((stream, [UInt8](repeating: 1, count: 2_000_000), 0, true))
        pair.run()
        #expect(pair.server.receivedCount[stream] == 262_144 - 27, "27 bytes of the window went to the negotiation")
        #expect(pair.client.pipeline.output.queuedBytes == 0, "nothing is sealed that the peer has no window for")
        pair.server.consumes = true
        pair.server.pipeline.consumed(stream, 262_144, now: pair.now)
        pair.run()
        #expect(pair.server.receivedCount[stream] == 2_000_000)
    }

    @Test func theSendBufferIsBounded() throws {
        var pair = PipelinePair(limits: .sending(262_144))
        #expect(pair.handshake() == true)
        var limits = 0
        let streams = try (0..<4).map { _ in try pair.open("/sink") }
        let data = [UInt8](repeating: 1, count: 1_000_000)
        for stream in streams { limits += pair.client.put(data, stream) }
        #expect(limits > 200_000 && pair.client.pipeline.output.queuedBytes <= 262_144 + 4 * 18)
        // Urgent bytes pass the line and the bound, by one frame.
        #expect(pair.client.put([1, 2], streams[3], .urgent) == 2)
        for _ in 0..<100 { _ = pair.client.put(data, streams[3], .urgent) }
        #expect(pair.client.pipeline.output.queuedBytes <= 262_144 + 2 * 65_537)
    }

    /// Else the sealing of what is behind them would delay urgent bytes.
    @Test func whatIsPatientWaitsUntilAnExpressWriteHasLeft() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        let bulk = try pair.open("/sink"), control = try pair.open("/sink"), data = [UInt8](repeating: 1, count: 1_000)
        #expect(pair.client.put(data, bulk, .patient) == 1_000)
        #expect(pair.client.put([1, 2, 3], control, .express) == 3)
        #expect(pair.client.put(data, bulk, .patient) == 0 && pair.client.put(data, control, .urgent) == 1_000)
        pair.client.pipeline.flush(now: pair.now)
        let sealed = pair.client.pipeline.output.sealedBytes
        pair.client.pipeline.didTransmit(sealed - 1, now: pair.now)
        #expect(pair.client.put(data, bulk, .patient) == 0)
        let neededPoll = pair.client.pipeline.needsPoll
        #expect(!neededPoll)
        pair.client.pipeline.didTransmit(1, now: pair.now)
        let clientNeedsPoll = pair.client.pipeline.needsPoll
        #expect(clientNeedsPoll, "it is told that it may write")
        #expect(pair.client.put(data, bulk, .patient) == 1_000)
    }

    @Test func eightStreamsShareTheWireEvenly() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        pair.server.keeps = false
        for _ in 0..<8 {
            let stream = try pair.open("/sink")
            pair.client.outgoing.append((stream, [UInt8](repeating: 1, count: 8_000_000), 0, true))
        }
        var unfair = 0
        pair.run(cut: 131_072) { pair in
            let counts = pair.server.receivedCount.values
            if counts.count == 8, let most = counts.max(), let least = counts.min(), most < 8_000_000 { unfair = max(unfair, most - least) }
            return pair.server.log.count { $0.hasPrefix("ended") } == 8
        }
        #expect(pair.server.receivedCount.values.allSatisfy { $0 == 8_000_000 })
        // The first to write may fill the send buffer and the window of a stream may be short when its turn comes: some frames apart, in 8 MB.
        #expect(unfair <= 16 * SendTurns.share, "not \(unfair) bytes")
    }

    @Test func smallFramesOfOneTurnShareANoiseFrame() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        let streams = try (0..<10).map { _ in try pair.open("/sink") }
        pair.run()
        let before = pair.client.pipeline.bytesSent
        for stream in streams { #expect(pair.client.put([7], stream) == 1) }
        pair.client.finishTurn(now: pair.now)
        let bytes = pair.client.transmit(limit: .max, now: pair.now)
        #expect(bytes.count == 10 * (12 + 1) + 2 + 16)
        #expect(pair.client.pipeline.bytesSent - before == UInt64(bytes.count))
    }

    @Test func bulkFillsNoiseFrames() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        let stream = try pair.open("/sink")
        pair.run()
        let data = [UInt8](repeating: 1, count: 1_000_000)
        let taken = pair.client.put(data, stream)
        pair.client.pipeline.flush(now: pair.now)
        let sizes = pair.client.pipeline.transmitBuffers { $0.map(\.count) }
        #expect(sizes.prefix(3) == [65_537, 65_537, 65_537])
        #expect(taken >= 3 * SendTurns.share)
    }

    @Test func idleConnectionsHoldNoBuffer() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        pair.run()
        #expect(pair.pool.outstanding == 0)
        _ = pair.server.pipeline.receiveSpace()
        #expect(pair.pool.outstanding == 1)
        pair.server.pipeline.receive(count: 0, now: pair.now)
        #expect(pair.pool.outstanding == 0)
    }

    @Test func bulkReadsGetLargeBuffersAndQuietOnesSmall() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        func space() -> Int {
            defer { pair.server.pipeline.receive(count: 0, now: pair.now) }
            return pair.server.pipeline.receiveSpace().count
        }
        #expect(space() == BufferPool.Size.frame.byteCount)
        let stream = try pair.open("/sink")
        pair.client.outgoing.append((stream, [UInt8](repeating: 1, count: 500_000), 0, false))
        pair.run { $0.server.receivedCount[stream, default: 0] > 100_000 }
        pair.server.pipeline.flush(now: pair.now)
        #expect(space() >= 262_144)
        pair.run()
        #expect(pair.client.put([1], stream) == 1)
        pair.run()
        #expect(space() == BufferPool.Size.frame.byteCount)
    }

    /// The turn of a stream that does not come passes to the next, also when nothing is left to be sent.
    @Test func anUnusedTurnPassesOn() throws {
        var pair = PipelinePair(limits: .sending(262_144))
        #expect(pair.handshake() == true)
        let streams = try (0..<7).map { _ in try pair.open("/sink") }
        pair.run()
        // The first fills the send buffer; four of the others are told when it has drained, and do not come.
        let data = [UInt8](repeating: 1, count: 262_000)
        for stream in streams { _ = pair.client.put(data, stream) }
        var told: [PipelineStream] = []
        for _ in 0..<10 {
            pair.client.pipeline.flush(now: pair.now)
            while pair.client.pipeline.hasOutput { _ = pair.client.transmit(limit: .max, now: pair.now) }
            while pair.client.pipeline.needsPoll, let action = pair.client.pipeline.poll() {
                if case .streamWritable(let stream) = action { told.append(stream) }
            }
        }
        #expect(told == Array(streams[1...]))
    }

    /// The window follows the path: at 100 ms it must grow far beyond its first size.
    @Test func windowsGrowWithTheRoundTrip() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        pair.server.keeps = false
        let stream = try pair.open("/sink")
        pair.client.outgoing.append((stream, [UInt8](repeating: 1, count: 20_000_000), 0, true))
        var inFlight: [(at: Instant, up: Bool, bytes: [UInt8])] = []
        var turns = 0
        while pair.server.log.last?.hasPrefix("ended") != true, turns < 100_000 {
            turns += 1
            pair.now = pair.now + .milliseconds(1)
            for isUp in [true, false] {
                let arrived = inFlight.filter { $0.up == isUp && $0.at <= pair.now }.flatMap(\.bytes)
                var rest = arrived[...]
                while !rest.isEmpty {
                    let count = isUp ? pair.server.receive(rest, now: pair.now) : pair.client.receive(rest, now: pair.now)
                    rest = rest.dropFirst(count)
                    if isUp { pair.server.drain(now: pair.now) } else { pair.client.drain(now: pair.now) }
                }
            }
            inFlight.removeAll { $0.at <= pair.now }
            pair.client.finishTurn(now: pair.now)
            pair.server.finishTurn(now: pair.now)
            inFlight.append((pair.now + .milliseconds(50), true, pair.client.transmit(limit: .max, now: pair.now)))
            inFlight.append((pair.now + .milliseconds(50), false, pair.server.transmit(limit: .max, now: pair.now)))
        }
        #expect(pair.server.receivedCount[stream] == 20_000_000)
        let roundTrip = try #require(pair.server.pipeline.roundTrip)
        #expect(roundTrip >= .milliseconds(100) && roundTrip <= .milliseconds(110))
        // 20 MB at 262,144 bytes a round trip would take 7.6 s.
        #expect(turns < 3_000)
    }

    /// A link of 1 Gbit/s with a round trip of 60 ms, which 7.5 MB under way fill: a second and a half after the first byte the window holds them.
    @Test func oneStreamFillsALongLink() throws {
        var pair = PipelinePair()
        #expect(pair.handshake() == true)
        pair.server.keeps = false
        let stream = try pair.open("/sink")
        let data = [UInt8](repeating: 1, count: 262_144), perMillisecond = 125_000
        var up = Array(repeating: [UInt8](), count: 30), down = up
        func turn() {
            pair.now = pair.now + .milliseconds(1)
            for (isUp, bytes) in [(true, up.removeFirst()), (false, down.removeFirst())] {
                var rest = bytes[...]
                while !rest.isEmpty {
                    rest = rest.dropFirst(isUp ? pair.server.receive(rest, now: pair.now) : pair.client.receive(rest, now: pair.now))
                    if isUp { pair.server.drain(now: pair.now) } else { pair.client.drain(now: pair.now) }
                }
            }
            while pair.client.put(data, stream) > 0 {}
            pair.client.finishTurn(now: pair.now)
            pair.server.finishTurn(now: pair.now)
            up.append(pair.client.transmit(limit: perMillisecond, now: pair.now))
            down.append(pair.server.transmit(limit: perMillisecond, now: pair.now))
        }
        for _ in 0..<1_500 { turn() }
        let before = pair.server.receivedCount[stream, default: 0]
        for _ in 0..<500 { turn() }
        let share = Double(pair.server.receivedCount[stream, default: 0] - before) / Double(500 * perMillisecond)
        #expect(share > 0.98, "of the bandwidth")
        #expect(up.reduce(0) { $0 + $1.count } > 29 * perMillisecond, "bytes under way in one direction")
    }

    /// Whatever a read brought before, the next one of a bulk transfer ends with a full frame if the socket has as much.
    @Test(arguments: [0, 2, 100, 40_000, 65_536]) func bulkReadsEndWithAFrame(unfinished: Int) throws {
        var input = PipelineInput(pool: BufferPool())
        let frame = [UInt8](repeating: 0xff, count: 65_537)
        func read(_ count: Int) {
            let space = input.space()
            for offset in 0..<count { space[offset] = frame[offset % frame.count] }
            _ = input.received(count)
        }
        read(65_537)
        input.consume(65_537)
        read(65_537 + unfinished)
        input.consume(65_537)
        let space = input.space().count
        #expect(space >= 262_144 && (unfinished + space) % frame.count == 0, "not \(space)")
    }

    /// Optimised (`swift test -c release -Xswiftc -enable-testing`), frames cost no heap allocation: neither those of the data nor the window updates.
    /// Unoptimised code allocates for its coroutines; the bound there keeps anything from growing with the transfer.
    @Test(
        .enabled(if: allocation_count() >= 0, "the heap of a sanitizer is not counted"),
        arguments: [nil, key]
    ) func framesCostNoAllocation(key: PreSharedKey?) throws {
        let start = allocation_count()
        _ = BufferPool().take(.frame)
        #expect(allocation_count() > start, "the counter stands before malloc")
        var pair = PipelinePair(clientKey: key, serverKey: key)
        #expect(pair.handshake() == true)
        let stream = try pair.open("/sink")
        pair.run()
        let data = [UInt8](repeating: 1, count: 262_144)
        var delivered = 0
        // From here on these are the pipelines; the pair is not touched any more.
        var client = pair.client.pipeline, server = pair.server.pipeline
        let now = pair.now
        func round() {
            data.withUnsafeBytes { _ = client.write(stream, $0) }
            client.flush(now: now)
            delivered += move(&client, &server, now: now)
            delivered += move(&server, &client, now: now)
        }
        for _ in 0..<200 { round() }
        delivered = 0
        let before = allocation_count()
        for _ in 0..<200 { round() }
        let allocations = allocation_count() - before
        #expect(delivered > 200 * 190_000, "the transfer stood still: \(delivered)")
        #if DEBUG
        #expect(allocations <= 50 * delivered / SendTurns.share)
        #else
        #expect(allocations == 0, "over \(delivered / SendTurns.share) frames")
        #endif
    }

    /// Everything that one side has to send into the other, which consumes all of it. Returns the data bytes.
    private func move(_ from: inout ConnectionPipeline, _ to: inout ConnectionPipeline, now: Instant) -> Int {
        var data = 0
        while from.hasOutput {
            let space = to.receiveSpace()
            let count = from.transmitBuffers { list in
                var count = 0
                for buffer in list {
                    let size = min(buffer.count, space.count - count)
                    UnsafeMutableRawBufferPointer(rebasing: space[count..<count + size]).copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<size]))
                    count += size
                }
                return count
            }
            from.didTransmit(count, now: now)
            to.receive(count: count, now: now)
            while let action = to.poll() {
                if case .streamData(let stream, let view) = action {
                    data += view.count
                    to.consumed(stream, view.count, now: now)
                }
            }
            while from.poll() != nil {}
        }
        to.flush(now: now)
        return data
    }
}

extension PipelinePair {
    /// A slow reader: some of what waits, of one end.
    mutating func consumeSomething() {
        for (stream, count) in client.unconsumed where count > 0 && random.next() % 3 == 0 {
            let some = Int.random(in: 1...count, using: &random)
            client.unconsumed[stream]! -= some
            client.pipeline.consumed(stream, some, now: now)
        }
        for (stream, count) in server.unconsumed where count > 0 && random.next() % 3 == 0 {
            let some = Int.random(in: 1...count, using: &random)
            server.unconsumed[stream]! -= some
            server.pipeline.consumed(stream, some, now: now)
        }
    }
}
