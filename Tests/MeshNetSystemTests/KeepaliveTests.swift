import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// What the kernel is told about silent connections, and what looks like a wake: decided without I/O.
@Suite struct KeepaliveTests {
    @Test func aSilentPeerOfTheLocalNetworkIsGivenUpAfterThreeSeconds() throws {
        let local = try #require(Keepalive(KeepaliveConfiguration(), isLocal: true))
        #expect([local.idle, local.interval, local.count] == [1, 1, 2])
        let remote = try #require(Keepalive(KeepaliveConfiguration(), isLocal: false))
        #expect([remote.idle, remote.interval, remote.count] == [15, 5, 3])
    }

    @Test func noConfigurationIsBeyondTheKernel() {
        for idle in [Duration.zero, .seconds(-5), .milliseconds(1), .seconds(Int64.max)] {
            for timeout in [Duration.milliseconds(1), .seconds(2), .seconds(Int64.max)] {
                var configuration = KeepaliveConfiguration()
                (configuration.localIdle, configuration.localTimeout) = (idle, timeout)
                guard let keepalive = Keepalive(configuration, isLocal: true) else { Issue.record("off"); continue }
                for value in [keepalive.idle, keepalive.interval] { #expect((1...32_767).contains(value)) }
                #expect(keepalive.count >= 1)
            }
        }
        var off = KeepaliveConfiguration()
        off.remoteTimeout = .zero
        #expect(Keepalive(off, isLocal: false) == nil)
    }

    @Test func whoIsLocal() throws {
        let interfaces = [
            NetworkInterface(name: "eth0", addresses: [try #require(NetworkPrefix(ip: [10, 1, 2, 3], length: 16))]),
            NetworkInterface(name: "tailscale0", addresses: [try #require(NetworkPrefix(ip: [100, 64, 0, 1], length: 32))]),
        ]
        func isLocal(_ ip: [UInt8]) -> Bool { Keepalive.isLocal(SocketAddress(ip: ip, port: 1), interfaces) }
        let prefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        let near: [[UInt8]] = [
            [10, 1, 9, 9], [127, 0, 0, 1], [169, 254, 1, 1], [0xfe, 0x80] + prefix + [0, 0, 0, 9], prefix + [0, 0, 0, 0, 0, 1],
            prefix + [255, 255, 10, 1, 0, 1],
        ]
        let far: [[UInt8]] = [[10, 2, 0, 1], [100, 64, 0, 2], [0x20, 1] + prefix + [0, 0, 0, 1], prefix + [255, 255, 10, 2, 0, 1]]
        for ip in near { #expect(isLocal(ip), "\(ip)") }
        for ip in far { #expect(!isLocal(ip), "\(ip)") }
    }

    private func progress(_ packets: Int, _ retransmissions: Int, _ probes: Int, _ silence: Duration, bytes: Int = 100) -> Keepalive.Progress {
        .init(bytesUnderWay: bytes, packets: packets, retransmissions: retransmissions, probes: probes, silence: silence)
    }

    @Test func bytesUnderWayWithoutAnswerAreADeadPeer() throws {
        let keepalive = try #require(Keepalive(KeepaliveConfiguration(), isLocal: true))
        #expect(keepalive.isDead(progress(1, 2, 0, .milliseconds(2_500))))
        #expect(keepalive.isDead(progress(0, 0, 2, .milliseconds(2_500))), "its window was closed before")
        for alive in [
            progress(1, 2, 0, .milliseconds(2_499)),
            // Just sent, after a silence.
            progress(1, 0, 0, .seconds(100)), progress(1, 1, 0, .seconds(100)),
            // The program stands still: its kernel answers, less and less often.
            progress(0, 0, 0, .seconds(100)), progress(0, 9, 1, .seconds(100)),
            // Nothing under way: the kernel's own business.
            progress(0, 0, 9, .seconds(100), bytes: 0),
        ] { #expect(!keepalive.isDead(alive), "\(alive)") }
    }
}

@Suite struct WakeTests {
    /// Clocks that a test sets.
    private struct Machine {
        var monotonic: Int64 = 1_000
        var boot: Int64 = 5_000
        var rule: WakeRule

        init(_ configuration: WakeConfiguration = WakeConfiguration()) { rule = WakeRule(configuration, now: Self.clocks(1_000, 5_000)) }

        static func clocks(_ monotonic: Int64, _ boot: Int64) -> WakeRule.Clocks {
            .init(monotonic: Instant(nanoseconds: monotonic * 1_000_000), boot: Instant(nanoseconds: boot * 1_000_000))
        }

        /// Milliseconds.
        mutating func run(_ time: Int64, sleeping: Int64 = 0) -> Duration? {
            monotonic += time
            boot += time + sleeping
            return rule.look(Self.clocks(monotonic, boot))
        }
    }

    @Test func aSleepIsAWake() {
        var machine = Machine()
        for _ in 0..<10 {
            let early = machine.run(15_000)
            #expect(early == nil)
        }
        let woke = machine.run(3_000, sleeping: 3_600_000), after = machine.run(15_000)
        #expect(woke == .seconds(3_600))
        #expect(after == nil, "once")
        let short = machine.run(15_000, sleeping: 999), second = machine.run(15_000, sleeping: 1_000)
        #expect(short == nil)
        #expect(second == .seconds(1))
    }

    /// ocap-kernel's rule: 15 s and 30 s. The process was stopped, or the whole machine frozen.
    @Test func aLookThatComesMuchTooLateIsAWake() {
        var machine = Machine()
        let late = machine.run(45_000), tooLate = machine.run(45_001)
        #expect(late == nil)
        #expect(tooLate == .milliseconds(30_001))
        let loaded = machine.run(20_000)
        #expect(loaded == nil)
    }

    /// A manual change of the wall clock is no wake: neither the timer nor the rule knows that clock (ocap-kernel reads it).
    @Test func theTimerIsNotOfTheWallClock() throws {
        let watch = try #require(WakeWatch(WakeConfiguration()))
        let info = try String(contentsOfFile: "/proc/self/fdinfo/\(watch.descriptor)", encoding: .utf8)
        #expect(info.contains("clockid: \(CLOCK_BOOTTIME)\n"), "\(info)")
    }

    @Test func theTimerOfTheKernelLooks() throws {
        var configuration = WakeConfiguration()
        configuration.interval = .zero
        #expect(WakeWatch(configuration) == nil)
        configuration.interval = .milliseconds(1)
        let watch = try #require(WakeWatch(configuration))
        #expect(watch.descriptor >= 0)
        #expect(watch.look() == nil)
    }
}
