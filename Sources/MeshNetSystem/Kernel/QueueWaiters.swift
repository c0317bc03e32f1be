import MeshNetSwarm

/// Asynchronous consumers of a queue, in the order of their coming. Under the queue's lock: continuations are resumed outside of it.
struct QueueWaiters<Value: Sendable> {
    typealias Continuation = CheckedContinuation<Result<Value, CallError>, Never>

    private var waiting = StableFifo<(id: UInt64, continuation: Continuation)>()
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

    mutating func park(_ id: UInt64, _ continuation: Continuation) { waiting.append((id, continuation)) }

    mutating func popFirst() -> Continuation? { waiting.popFirst()?.continuation }

    /// The continuation to resume, when it waits. Cancellation may also come before the waiter parked, or after it was served.
    mutating func cancel(_ id: UInt64) -> Continuation? {
        if arriving[id] != nil { arriving[id] = true }
        return waiting.removeFirst(where: { $0.id == id })?.continuation
    }

    mutating func removeAll() -> [Continuation] {
        var ended: [Continuation] = []
        while let continuation = popFirst() { ended.append(continuation) }
        return ended
    }
}
