package import MeshNetSwarm

/// The bounded queue from the reactor thread to the application. Any number of consumers, blocking, asynchronous or by the descriptor; each item reaches one of them.
package final class EventQueue: Sendable {
    /// An eventfd that is readable while items wait or after the close. Poll it, never read it; then call `next(timeout: .zero)` until nil.
    /// It stays open as long as this object lives.
    package var descriptor: Int32 { -1 }

    /// The next item; waits up to `timeout` (nil: without limit, zero: not at all). nil when the time is up.
    /// Throws `.closed` after the engine closed and everything was drained.
    package func next(timeout: Duration?) throws(CallError) -> QueueItem? { throw .closed }

    /// The next item without blocking a thread. Throws `.cancelled` when the task is cancelled and `.closed` after close and drained.
    package func next() async throws(CallError) -> QueueItem { throw .closed }
}
