import CSystem
import Glibc
package import MeshNetProtocol

/// State behind a mutex with a condition variable on the monotonic clock.
///
/// In a child after `fork` the mutex may be held for ever by a thread that does not exist there: ask `ownerProcessIsGone` before any lock.
package final class Guarded<State>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State
    private let forks = ForkCount.begin()

    package init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        // pthread_cond_destroy waits for waiters, and those of the parent never leave in a child: there the memory is left alone.
        guard !ownerProcessIsGone else { return }
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// True in a child after `fork`.
    package var ownerProcessIsGone: Bool { ForkCount.current != forks }

    package func with<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state)
    }

    /// For what must be held across functions. False: not before `deadline`; nil: however long it takes.
    @discardableResult
    func hold(until deadline: Instant?) -> Bool {
        guard let deadline else { return pthread_mutex_lock(mutex) == 0 }
        var time = timespec(deadline)
        return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &time) == 0
    }

    /// Of what the calling thread holds by `hold`; in a child after `fork`, what the forking thread held.
    func release() { pthread_mutex_unlock(mutex) }

    /// nil when the lock is held, also by the calling thread.
    package func tryWith<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R? {
        guard pthread_mutex_trylock(mutex) == 0 else { return nil }
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state)
    }

    /// Sleeps until `attempt` gives a value or the deadline passed; then nil. `attempt` runs under the lock after every wake.
    package func wait<R, E: Error>(until deadline: Instant?, _ attempt: (inout State) throws(E) -> R?) throws(E) -> R? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let value = try attempt(&state) { return value }
            guard let deadline else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            if Instant.now() >= deadline { return nil }
            var time = timespec(deadline)
            pthread_cond_timedwait(condition, mutex, &time)
        }
    }

    package func wakeOne() { pthread_cond_signal(condition) }
    package func wakeAll() { pthread_cond_broadcast(condition) }
}

extension timespec {
    fileprivate init(_ instant: Instant) {
        self.init(tv_sec: Int(instant.nanoseconds / 1_000_000_000), tv_nsec: Int(instant.nanoseconds % 1_000_000_000))
    }
}

extension Instant {
    /// nil: never.
    static func deadline(after timeout: Duration?) -> Instant? { timeout.map { Instant.now() + $0 } }
}
