import Glibc
import MeshNetProtocol
import Testing
@testable import MeshNetSystem

/// Which sockets are reported only when many bytes wait, and for how long.
@Suite struct BulkReadingTests {
    private let start = Instant(nanoseconds: 1_000_000_000)
    private let share = 524_288

    /// Reads so many shares, one in 0.1 ms; returns how often the mark changed.
    private func steady(_ reading: inout BulkReading, _ count: Int, from: Instant) -> (changes: Int, end: Instant) {
        var now = from, changes = 0
        for _ in 0..<count {
            now = now + .microseconds(100)
            if reading.read(share, now: now) { changes += 1 }
        }
        return (changes, now)
    }

    @Test func itTakesEightMebibytesWithoutAPause() {
        var reading = BulkReading()
        #expect(reading.read(share, now: start) == false, "after a pause, so it is not counted")
        let (early, now) = steady(&reading, 15, from: start)
        #expect(early == 0 && !reading.isOn && reading.deadline == nil)
        #expect(reading.read(share, now: now) == true)
        #expect(reading.isOn && reading.deadline == now + .milliseconds(1))
        #expect(steady(&reading, 100, from: now).changes == 0)
    }

    @Test func aPauseBeginsTheCountAnew() {
        var reading = BulkReading()
        let (_, now) = steady(&reading, 15, from: start)
        let later = now + .milliseconds(2)
        #expect(reading.read(share, now: later) == false)
        #expect(steady(&reading, 15, from: later).changes == 0)
    }

    /// What is left at the end is fewer bytes than the mark: it ends at once, and small frames are reported again.
    @Test func aShortReadEndsIt() {
        var reading = BulkReading()
        let (changes, now) = steady(&reading, 40, from: start)
        #expect(changes == 1 && reading.isOn)
        #expect(reading.read(1_000, now: now) == true)
        #expect(!reading.isOn && reading.deadline == nil)
        #expect(reading.read(64, now: now + .microseconds(10)) == false)
        #expect(!reading.isOn)
    }

    @Test func theKernelIsTold() throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(socket) }
        var reading = BulkReading()
        for expected in [BulkReading.lowWaterMark, 1] {
            if expected > 1 { _ = steady(&reading, 40, from: start) } else { _ = reading.read(0, now: start) }
            reading.apply(to: socket)
            var mark: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            #expect(getsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &mark, &length) == 0)
            // Before a connection has buffers, the kernel takes half of the smaller ones that it begins with.
            #expect(expected == 1 ? mark == 1 : mark > 1)
        }
    }
}
