import CSystem
import Glibc
import MeshNetProtocol
import Synchronization

/// Which thread runs the loop: the reactor thread, or a caller that waits for something and does the work itself meanwhile.
///
/// Two rights, each with one thread at a time. Who **steers** runs a turn, under the lock of `loop`. Who keeps the **watch** takes the reports of
/// descriptors: the reactor thread for a turn, a caller for as long as its call waits. The reactor thread sleeps at the gate, which a caller shuts
/// while it keeps the watch; timers and what a caller must not serve stay with the reactor thread, which may steer between two turns of the caller.
/// So a call costs no change of threads, and a caller that stays away costs nothing either (decision 011).
package final class Helm: Sendable {
    private let loop = Guarded<Loop?>(nil)
    private let mailbox: Mailbox
    private let gate: Gate
    private let system: SystemCalls
    // Used by who keeps the watch.
    nonisolated(unsafe) let readiness: Readiness
    nonisolated(unsafe) private var reports: [Ready] = []
    nonisolated(unsafe) private var looking = Looking()
    /// 0: nobody.
    private let steering = Atomic<UInt>(0)
    private let watching = Atomic<UInt>(0)
    private let lastCaller = Atomic<UInt>(0)
    /// How long the reactor thread sleeps unless it is rung for, in nanoseconds of `Instant`.
    private let sleepsUntil = Atomic<Int64>(.min)
    /// Who would sleep now has something to do first (`Loop.useIdleTime`).
    private let hasUseForIdleTime = Atomic<Bool>(false)
    /// Until then the next bytes are looked for, in nanoseconds of `Instant`.
    private let looksUntil = Atomic<Int64>(.min)

    init(mailbox: Mailbox, system: SystemCalls) throws(SystemError) {
        self.mailbox = mailbox
        self.system = system
        readiness = try Readiness(system: system)
        gate = try Gate(readiness)
        ForkPause.add(self)
    }

    deinit { ForkPause.remove(self) }

    /// Whether the calling thread is in a turn: then it must not wait for another one.
    var isSteeredHere: Bool { steering.load(ordering: .relaxed) == Self.thread }

    /// For tests.
    var isInATurn: Bool { steering.load(ordering: .relaxed) != 0 }

    /// For tests.
    var wantsIdleTime: Bool { hasUseForIdleTime.load(ordering: .relaxed) }

    /// For tests, between two turns; nil once the node is closed.
    func inspect<R>(_ look: (Loop) -> R) -> R? { loop.with { $0.map(look) } }

    /// For tests: the thread that keeps the watch, 0 for none.
    var keeper: UInt { watching.load(ordering: .acquiring) }

    // MARK: A fork

    /// No turn begins until `goOn`. False: one is under way, of this thread, or for longer than that.
    func pause(until deadline: Instant) -> Bool { !isSteeredHere && loop.hold(until: deadline) }

    func goOn() { loop.release() }

    // MARK: The reactor thread

    /// Before the reactor thread begins; the loop is nobody else's from now on.
    func give(_ loop: sending Loop) {
        nonisolated(unsafe) let loop = loop
        self.loop.with { $0 = loop }
    }

    func run() {
        // The first turn has no reports: the swarm has things to say before anything happens.
        var ready: [Ready] = [], isWatching = takeWatch(), hasSlept = true, isIdle = false, courtesy = Courtesy()
        while true {
            ForkPause.letPass()
            let wake = loop.with { loop in
                let wake = steer(loop!) { isIdle ? $0.useIdleTime() : $0.turn(ready) }
                sleepsUntil.store(wake?.nanoseconds ?? .max, ordering: .relaxed)
                courtesy.isWanted = loop!.express.isCourteous(now: loop!.now)
                return wake
            }
            if isWatching, mailbox.isClosing { break }
            if isWatching { watching.store(0, ordering: .releasing) }
            if courtesy.isWanted, !hasSlept { system.yield(false) }
            // A caller that keeps the watch sees to it itself, before it sleeps.
            let hasUseForTime = hasUseForIdleTime.load(ordering: .relaxed) && watching.load(ordering: .relaxed) == 0
            if !hasUseForTime { lookBriefly(before: wake) }
            let start = Instant.now()
            isWatching = sleep(until: hasUseForTime ? .zero : wake)
            hasSlept = Instant.now() - start > Courtesy.shortestSleep
            if isWatching { readiness.wait(until: .zero, into: &ready) } else { ready.removeAll(keepingCapacity: true) }
            isIdle = hasUseForTime && isWatching && ready.isEmpty && !(wake.map { $0 <= Instant.now() } ?? false)
        }
        // The watch stays here: whoever waits from now on sleeps.
        loop.with { loop in
            _ = steer(loop!) { $0.leave() }
            loop = nil
        }
    }

    /// At the gate, leaving the processor to whoever else wants it.
    private func lookBriefly(before wake: Instant?) {
        let end = min(looksUntilNow, wake ?? looksUntilNow)
        while Instant.now() < end, !gate.isReady { system.yield(true) }
    }

    private var looksUntilNow: Instant { Instant(nanoseconds: looksUntil.load(ordering: .relaxed)) }

    /// At the gate, until there is something to do. True: the watch is ours.
    private func sleep(until wake: Instant?) -> Bool {
        while true {
            let isRung = gate.wait(until: wake)
            if takeWatch() { return true }
            if isRung { return false }
            // A caller has opened the gate, and was interrupted before it let go of the watch.
            sched_yield()
        }
    }

    // MARK: Callers

    /// Whether the calling thread was the last that kept the watch while it waited: it is about to do so again.
    var isCallerAtHome: Bool { lastCaller.load(ordering: .relaxed) == Self.thread }

    /// Serves what was posted: here, or where a turn is under way.
    func serve() {
        if !turn([], waits: false) { mailbox.wakeup.signal() }
    }

    /// As `Guarded.wait`; meanwhile the caller keeps the watch, if nobody does.
    func wait<State, R, E: Error>(on awaited: Awaited<State>, until deadline: Instant?, _ attempt: (inout State) throws(E) -> R?) throws(E) -> R? {
        if let value = try awaited.with(attempt) { return value }
        if let deadline, Instant.now() >= deadline { return nil }
        if takeWatch() {
            lastCaller.store(Self.thread, ordering: .relaxed)
            gate.shut()
            awaited.isWatchKept.store(true, ordering: .releasing)
            defer {
                awaited.isWatchKept.store(false, ordering: .relaxed)
                giveBackWatch()
            }
            switch try keepWatch(for: awaited, until: deadline, attempt) {
            case .value(let value): return value
            case .late: return nil
            case .left: break
            }
        }
        return try awaited.sleep(until: deadline, attempt)
    }

    /// Whether `isThere` becomes true within `Looking.longest`: meanwhile the caller serves what comes, if nobody else does, and does not sleep.
    func look(for isThere: () -> Bool) -> Bool {
        if isThere() { return true }
        guard takeWatch() else { return false }
        gate.shut()
        defer { giveBackWatch() }
        let start = Instant.now()
        while !mailbox.isClosing {
            look(from: start, until: start + Looking.longest)
            guard !reports.isEmpty, reports.allSatisfy({ Token($0.token).isServedByCallers }) else { break }
            _ = turn(reports, waits: true)
            if isThere() { return true }
        }
        return isThere()
    }

    /// What its keeper waits for may have come, from somebody else.
    func wakeWatch() {
        if watching.load(ordering: .acquiring) != Self.thread { mailbox.wakeup.signal() }
    }

    private enum Watch<Value> { case value(Value), late, left }

    private func keepWatch<State, R, E: Error>(
        for awaited: Awaited<State>, until deadline: Instant?, _ attempt: (inout State) throws(E) -> R?
    ) throws(E) -> Watch<R> {
        while !mailbox.isClosing {
            if let value = try awaited.with(attempt) { return .value(value) }
            if let deadline, Instant.now() >= deadline { return .late }
            waitForReports(until: deadline)
            guard reports.allSatisfy({ Token($0.token).isServedByCallers }) else { return .left }
            if !reports.isEmpty { _ = turn(reports, waits: true) }
        }
        return .left
    }

    private func waitForReports(until deadline: Instant?) {
        useIdleTime()
        guard reports.isEmpty else { return }
        let start = Instant.now()
        let end = max(looking.isWorthwhile ? start + Looking.longest : start, looksUntilNow)
        if start < end { look(from: start, until: end) }
        if reports.isEmpty { readiness.wait(until: deadline, into: &reports) }
        looking.waited(Instant.now() - start)
    }

    /// Until something is ready.
    private func useIdleTime() {
        reports.removeAll(keepingCapacity: true)
        while reports.isEmpty, hasUseForIdleTime.load(ordering: .relaxed), !mailbox.isClosing {
            readiness.wait(until: .zero, into: &reports)
            if reports.isEmpty, !turn(waits: true, { $0.useIdleTime() }) { return }
        }
    }

    /// Without sleeping, and leaving the processor to whoever else wants it.
    private func look(from start: Instant, until end: Instant) {
        var now = start, away = Duration.zero
        while true {
            readiness.wait(until: .zero, into: &reports)
            if !reports.isEmpty || now >= end { return }
            // Whoever it was did not bring what is waited for.
            if away > Looking.disturbance { return looking.disturbed() }
            sched_yield()
            let before = now
            now = Instant.now()
            away = now - before
        }
    }

    private func takeWatch() -> Bool {
        watching.compareExchange(expected: 0, desired: Self.thread, ordering: .acquiringAndReleasing).exchanged
    }

    /// In this order, or what is ready in between wakes nobody.
    private func giveBackWatch() {
        gate.open()
        watching.store(0, ordering: .releasing)
        // The signal of the close may be used up.
        if mailbox.isClosing { gate.ring() }
    }

    // MARK: Turns

    /// A caller's turn. False when there was none: `waits` is false and another one is under way, or the node is closed.
    private func turn(_ ready: [Ready], waits: Bool) -> Bool { turn(waits: waits) { $0.turn(ready, servesTimers: false) } }

    private func turn(waits: Bool, _ work: (Loop) -> Void) -> Bool {
        // A thread that is cancelled in a system call of the loop would take the lock along.
        var cancellation: Int32 = 0
        pthread_setcancelstate(Int32(PTHREAD_CANCEL_DISABLE), &cancellation)
        defer { pthread_setcancelstate(cancellation, nil) }
        let body: (inout Loop?) -> Bool = { [self] loop in
            guard let loop else { return false }
            let wake = steer(loop, work)
            if let wake, wake.nanoseconds < sleepsUntil.load(ordering: .relaxed) { gate.ring() }
            return true
        }
        guard waits else { return loop.tryWith(body) ?? false }
        ForkPause.letPass()
        return loop.with(body)
    }

    /// Under the lock. Returns when the loop wants to be woken.
    private func steer(_ loop: Loop, _ work: (Loop) -> Void) -> Instant? {
        steering.store(Self.thread, ordering: .relaxed)
        defer { steering.store(0, ordering: .relaxed) }
        work(loop)
        hasUseForIdleTime.store(loop.hasUseForIdleTime, ordering: .relaxed)
        if let look = loop.longestLook() { looksUntil.store((Instant.now() + look).nanoseconds, ordering: .relaxed) }
        return loop.wakeTime
    }

    private static var thread: UInt { UInt(pthread_self()) }
}
