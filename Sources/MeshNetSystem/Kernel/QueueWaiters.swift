package import MeshNetSwarm

/// A queue from which tasks can take: the module above makes its asynchronous `next` of these. No `async` here, because one alone brings Swift's
/// runtime of tasks, 700 KB, into the shared library, which has no use for it.
package protocol TaskQueue: Sendable {
    associatedtype Item: Sendable

    /// Announces who will wait, so that a cancellation may come before it does. Throws `.closed` in a forked child.
    func announce() throws(CallError) -> UInt64
    /// Calls `resume` once, on any thread: with the next item, `.cancelled`, or `.closed` after close and drained.
    func wait(_ waiter: UInt64, _ resume: @escaping @Sendable (Result<Item, CallError>) -> Void)
    /// Ends the wait with `.cancelled`, unless it has ended. Any thread.
    func cancel(_ waiter: UInt64)
}

/// Asynchronous consumers of a queue, in the order of their coming. Under the queue's lock: they are resumed outside of it.
struct QueueWaiters<Value: Sendable> {
    typealias Resume = @Sendable (Result<Value, CallError>) -> Void

    private var waiting = StableFifo<(id: UInt64, resume: Resume)>()
    /// On their way to `park`; true: cancelled before they came.
    private var arriving: [UInt64: Bool] = [:]
    private var last: UInt64 = 0

    var isEmpty: Bool { waiting.isEmpty }

    mutating func make() -> UInt64 {
        last += 1
        arriving[last] = false
        return last
    }

    /// Before `park`. True when it was cancelled meanwhile.
    mutating func arrive(_ id: UInt64) -> Bool { arriving.removeValue(forKey: id) == true }

    mutating func park(_ id: UInt64, _ resume: @escaping Resume) { waiting.append((id, resume)) }

    mutating func popFirst() -> Resume? { waiting.popFirst()?.resume }

    /// Whom to resume, when it waits. Cancellation may also come before the waiter parked, or after it was served.
    mutating func cancel(_ id: UInt64) -> Resume? {
        if arriving[id] != nil { arriving[id] = true }
        return waiting.removeFirst(where: { $0.id == id })?.resume
    }

    mutating func removeAll() -> [Resume] {
        var ended: [Resume] = []
        while let resume = popFirst() { ended.append(resume) }
        return ended
    }
}
