import CSystem
import Glibc

/// How the reactor thread shares a processor with another thread that has as much to do: one of the application, or the reactor of a node beside it.
///
/// The kernel changes from one busy thread to another by its tick, every 4 ms where it ticks 250 times a second, and a request behind bulk waits for such
/// changes on its way. So while messages of the control lane come and go (`Express.courtesy`), a reactor that finds its next work without having slept
/// offers the processor first. As who yields gives up the rest of a slice (EEVDF, from Linux 6.6 on), it has short ones meanwhile, which the kernel takes
/// from 6.12 on (sched(7), sched_setattr(2)). Bulk alone is slower for it where three threads share two processors, so otherwise it does neither.
struct Courtesy {
    /// The shortest slice that the kernel takes.
    static let slice: Duration = .microseconds(100)
    /// A wait that takes longer was a sleep.
    static let shortestSleep: Duration = .microseconds(5)

    /// Whether somebody may be in a hurry. Set by the reactor thread only.
    var isWanted = false {
        didSet { if isWanted != oldValue { changeSlices() } }
    }

    /// Nanoseconds: what the thread had before.
    private var usualSlice: UInt64 = 0

    /// If the thread has the policy that threads have unless told otherwise. Without it all works, only slower.
    private mutating func changeSlices() {
        var attributes = meshnet_sched_attributes()
        guard meshnet_sched_getattr(&attributes) == 0, attributes.policy == UInt32(SCHED_OTHER) else { return }
        if isWanted { usualSlice = attributes.runtime }
        attributes.runtime = isWanted ? UInt64(Self.slice / .nanoseconds(1)) : usualSlice
        _ = meshnet_sched_setattr(&attributes)
    }
}
