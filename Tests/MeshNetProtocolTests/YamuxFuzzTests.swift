import Testing
@testable import MeshNetProtocol

@Suite struct YamuxFuzzTests {
    /// Any bytes, in any pieces: no trap, no unbounded state.
    @Test(arguments: 0..<40) func anyBytesAreSurvived(seed: UInt64) {
        var random = RandomSource(testSeed: seed)
        var us = YamuxHarness(role: seed % 2 == 0 ? .server : .client)
        for _ in 0..<400 where !us.session.isOver {
            us.feed(frame(&random), pieces: Int.random(in: 1...40, using: &random))
            _ = us.takeControl(24)
            #expect(us.session.streamCount <= 512, "seed \(seed)")
        }
    }

    /// Frames that are nearly right go deeper than noise does.
    private func frame(_ random: inout RandomSource) -> [UInt8] {
        let type = UInt8.random(in: 0...3, using: &random)
        let flags = UInt8.random(in: 0...31, using: &random) & UInt8.random(in: 0...15, using: &random)
        let stream = UInt8.random(in: 0...12, using: &random)
        let isData = type == 0
        let length = isData || Bool.random(using: &random) ? UInt32.random(in: 0...300, using: &random) : UInt32(truncatingIfNeeded: random.next())
        guard type != 3 || random.next() % 64 == 0 else { return [] }
        var bytes: [UInt8] = [random.next() % 200 == 0 ? 1 : 0, type, 0, flags, 0, 0, 0, stream]
        bytes.appendBigEndian(length)
        return bytes + (isData ? random.bytes(Int(length)) : [])
    }

    /// Two sessions joined by bytes that are cut anywhere carry what was written, in order, within the windows.
    @Test(arguments: 0..<10) func twoSessionsCarryWhatWasWritten(seed: UInt64) throws {
        var random = RandomSource(testSeed: seed)
        var client = YamuxHarness(role: .client), server = YamuxHarness(role: .server)
        let ids = try (0..<3).map { _ in try client.session.open(now: .zero) }
        var expected: [UInt32: [UInt8]] = [:]
        var sent: [UInt32: Int] = [:]
        for id in ids { expected[id] = random.bytes(Int.random(in: 0...700_000, using: &random)) }
        var done = 0
        for _ in 0..<20_000 where done < ids.count {
            var wire = client.takeControl(1_200)
            for id in ids where sent[id, default: 0] < expected[id]!.count {
                let from = sent[id, default: 0]
                let size = Int.random(in: 1...40_000, using: &random)
                let (taken, frame) = client.write(id, Array(expected[id]![from..<min(from + size, expected[id]!.count)]))
                sent[id, default: 0] += taken
                wire += frame
            }
            for id in ids where sent[id, default: 0] == expected[id]!.count { client.session.closeWrite(id) }
            wire += client.takeControl(1_200)
            let before = server.received.mapValues(\.count)
            server.feed(wire, pieces: Int.random(in: 1...50_000, using: &random))
            for id in ids { server.session.consumed(id, server.received[id, default: []].count - before[id, default: 0], now: .zero) }
            client.feed(server.takeControl(1_200), pieces: Int.random(in: 1...30, using: &random))
            done = server.log.count { $0.hasPrefix("ended") }
        }
        for id in ids { #expect(server.received[id, default: []] == expected[id]!, "seed \(seed)") }
        #expect(!client.session.isOver && !server.session.isOver, "seed \(seed)")
    }
}
