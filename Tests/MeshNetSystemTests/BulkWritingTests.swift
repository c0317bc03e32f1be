import CSystem
import Glibc
import MeshNetProtocol
import Testing
@testable import MeshNetSwarm
@testable import MeshNetSystem

/// Which sockets may hold more unsent bytes, and for how long.
@Suite struct BulkWritingTests {
    private let start = Instant(nanoseconds: 1_000_000_000)
    private let share = 524_288

    /// Sends so many shares with a pause before each; returns how often the limit changed.
    private func send(
        _ writing: inout BulkWriting, _ count: Int, of offered: Int = 524_288, each pause: Duration, from: Instant
    ) -> (changes: Int, end: Instant) {
        var now = from, changes = 0
        for _ in 0..<count {
            now = now + pause
            if writing.sent(min(share, offered), of: offered, now: now) { changes += 1 }
        }
        return (changes, now)
    }

    @Test func itTakesEightMebibytesInSixteenMilliseconds() {
        var writing = BulkWriting()
        let (early, now) = send(&writing, 15, each: .milliseconds(1), from: start)
        #expect(early == 0 && !writing.isOn)
        #expect(writing.sent(share, of: share, now: now) == true)
        #expect(writing.isOn)
        #expect(send(&writing, 100, each: .milliseconds(1), from: now).changes == 0)
        #expect(writing.isOn)
    }

    @Test func aSlowConnectionNeverBegins() {
        var writing = BulkWriting()
        #expect(send(&writing, 200, each: .microseconds(1_100), from: start).changes == 0)
    }

    @Test(arguments: [Duration.milliseconds(17), .milliseconds(2)]) func whatBecomesSlowEndsIt(pause: Duration) {
        var writing = BulkWriting()
        let (changes, now) = send(&writing, 16, each: .microseconds(100), from: start)
        #expect(changes == 1 && writing.isOn)
        #expect(send(&writing, 10, each: pause, from: now).changes == 1)
        #expect(!writing.isOn)
    }

    /// Messages on the lanes below control stay under `SendTurns.patientCeiling`, so that control passes.
    @Test func whatLeavesRoomForUrgentBytesNeverBegins() {
        var writing = BulkWriting()
        let offered = SendTurns.patientCeiling + 2 * BufferPool.pageByteCount
        #expect(offered < BulkWriting.smallestOffer)
        #expect(send(&writing, 1_000, of: offered, each: .microseconds(10), from: start).changes == 0)
    }

    @Test func theKernelIsTold() {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(socket) }
        var writing = BulkWriting()
        for expected in [BulkWriting.unsentLimit, Socket.unsentLimit] {
            _ = send(&writing, 20, each: expected > Socket.unsentLimit ? .microseconds(100) : .milliseconds(2), from: start)
            writing.apply(to: socket)
            var limit: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            #expect(getsockopt(socket, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &limit, &length) == 0)
            #expect(limit == expected)
        }
    }
}
