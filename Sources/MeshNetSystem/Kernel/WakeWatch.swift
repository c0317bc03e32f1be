import CSystem
import Glibc
package import MeshNetProtocol
package import MeshNetSwarm

/// Finds out that the machine slept, or that the process stood still, from two clocks that nobody can set. Decides without I/O.
///
/// CLOCK_BOOTTIME goes on while the machine is suspended, CLOCK_MONOTONIC does not: what the one gained over the other is the sleep. Where both
/// stood still or both went on (a stopped process, a frozen virtual machine) the look itself comes too late. The wall clock has no say.
package struct WakeRule {
    /// Less is the time between two readings of clocks.
    static let leastSleep: Duration = .seconds(1)

    private let configuration: WakeConfiguration
    private var last: Clocks

    package struct Clocks: Sendable, Equatable {
        package var monotonic: Instant
        package var boot: Instant

        package init(monotonic: Instant, boot: Instant) {
            self.monotonic = monotonic
            self.boot = boot
        }
    }

    package init(_ configuration: WakeConfiguration, now: Clocks) {
        self.configuration = configuration
        last = now
    }

    /// Called every `interval`, or later: how long nothing ran, if that is a wake.
    package mutating func look(_ now: Clocks) -> Duration? {
        let ran = now.monotonic - last.monotonic, passed = now.boot - last.boot
        last = now
        if passed - ran >= Self.leastSleep { return passed - ran }
        return ran > configuration.interval + configuration.jump ? ran - configuration.interval : nil
    }
}

/// Wakes the reactor every `interval` of the time that also goes on in a suspended machine, so right after a sleep.
final class WakeWatch {
    /// Of a configured interval: less would cost more than it tells.
    static let leastInterval: Duration = .seconds(1)

    private let timer: Descriptor
    private var rule: WakeRule

    var descriptor: Int32 { timer.number }

    /// nil when the interval is zero, or where the kernel gives no such timer.
    init?(_ configuration: WakeConfiguration) {
        guard configuration.interval > .zero else { return nil }
        let number = timerfd_create(Int32(CLOCK_BOOTTIME), Int32(TFD_NONBLOCK | TFD_CLOEXEC))
        guard number >= 0 else { return nil }
        timer = Descriptor(owning: number)
        var configuration = configuration
        configuration.interval = max(configuration.interval, Self.leastInterval)
        rule = WakeRule(configuration, now: Self.clocks())
        let nanoseconds = configuration.interval.saturatedNanoseconds
        let period = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        var setting = itimerspec(it_interval: period, it_value: period)
        guard timerfd_settime(number, 0, &setting, nil) == 0 else { return nil }
    }

    /// The timer is due: how long nothing ran, if that is a wake.
    func look() -> Duration? {
        var expirations: UInt64 = 0
        _ = read(timer.number, &expirations, MemoryLayout<UInt64>.size)
        return rule.look(Self.clocks())
    }

    private static func clocks() -> WakeRule.Clocks {
        // In this order: a sleep between the two readings is not lost, it counts at the next look.
        let monotonic = Instant.now()
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return .init(monotonic: monotonic, boot: Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)))
    }
}
