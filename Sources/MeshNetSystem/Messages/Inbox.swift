import MeshNetProtocol
package import MeshNetSwarm

/// Messages of peers that wait for the application, beside the event queue. Any number of consumers, blocking, asynchronous or by the descriptor;
/// each message reaches one of them, the control lane first, then normal, then bulk.
///
/// Nothing is ever dropped here: the bound is what the swarm takes from each peer and lane before the application settled it
/// (`MessageConfiguration.receiveBytes`).
package final class Inbox: TaskQueue {
    private let state: Awaited<InboxState>
    private let event: Descriptor
    package let settlements: Settlements

    init(settlements: Settlements, helm: Helm? = nil) throws(SystemError) {
        event = try Wakeup.eventDescriptor()
        state = Awaited(InboxState(event: event.number), helm: helm)
        self.settlements = settlements
    }

    /// An eventfd that is readable while messages wait or after the close. Poll it, never read it. It stays open as long as this object lives.
    package var descriptor: Int32 {
        guard !state.ownerProcessIsGone else { return event.number }
        state.with { $0.showReadiness() }
        return event.number
    }

    /// The next message; waits up to `timeout` (nil: without limit, zero: not at all). nil when the time is up.
    /// Throws `.closed` after the engine closed and everything was drained.
    package func next(timeout: Duration?) throws(CallError) -> Delivery? {
        guard !state.ownerProcessIsGone else { throw .closed }
        let taken = try state.wait(until: .deadline(after: timeout)) { (inbox: inout InboxState) throws(CallError) -> (Delivery, isLast: Bool)? in
            if let delivery = inbox.take() { return (delivery, inbox.count == 0) }
            if inbox.isClosed { throw .closed }
            return nil
        }
        if taken?.isLast == true { settlements.drained() }
        return taken?.0
    }

    /// Up to `count` (at least 1) messages that wait; waits for the first of them. None when the time is up.
    package func next(upTo count: Int, timeout: Duration?) throws(CallError) -> [InboxItem] {
        guard !state.ownerProcessIsGone else { throw .closed }
        let taken = try state.wait(until: .deadline(after: timeout)) { (inbox: inout InboxState) throws(CallError) -> ([InboxItem], isLast: Bool)? in
            let taken = inbox.take(upTo: count)
            if !taken.isEmpty { return (taken, inbox.count == 0) }
            if inbox.isClosed { throw .closed }
            return nil
        }
        if taken?.isLast == true { settlements.drained() }
        return taken?.0 ?? []
    }

    package func announce() throws(CallError) -> UInt64 {
        guard !state.ownerProcessIsGone else { throw .closed }
        return state.with { $0.waiters.make() }
    }

    package func wait(_ waiter: UInt64, _ resume: @escaping @Sendable (Result<Delivery, CallError>) -> Void) {
        let (ready, isDrained) = state.with { ($0.park(waiter, resume), $0.count == 0) }
        if isDrained { settlements.drained() }
        if let ready { resume(ready) }
    }

    package func cancel(_ waiter: UInt64) { state.with { $0.waiters.cancel(waiter) }?(.failure(.cancelled)) }

    /// Moves a turn's messages in. Never blocks, never drops. Reactor thread.
    func put(_ batch: inout DeliveryBatch) {
        guard !batch.isEmpty else { return }
        settlements.filled()
        let (served, left) = state.with { $0.put(batch.lanes) }
        if left == 0 { settlements.drained() }
        batch.removeAll()
        for (resume, delivery) in served { resume(.success(delivery)) }
        // One message, one consumer; more may be too many for one.
        if left == 1 { state.wakeOne() } else if left > 1 { state.wakeAll() }
    }

    /// Consumers that wait in vain end with `.closed`. `keeping`: what waits can still be taken.
    func close(keeping: Bool) {
        guard !state.ownerProcessIsGone else { return }
        let (waiters, dropped) = state.with { $0.close(keeping: keeping) }
        state.wakeAll()
        for resume in waiters { resume(.failure(.closed)) }
        // Their files are closed outside the lock.
        _ = dropped
    }

    /// Whether `next` returns at once.
    var isReady: Bool { state.with { $0.isClosed || $0.count > 0 } }

    /// Messages that wait, for metrics and tests.
    package var count: Int { state.with { $0.count } }
}

/// The rules of `Inbox`, under its lock.
struct InboxState {
    typealias Waiter = QueueWaiters<Delivery>.Resume

    private var lanes = [Fifo<InboxItem>](repeating: Fifo(), count: Lane.allCases.count)
    private(set) var count = 0
    private(set) var isClosed = false
    /// They wait only while nothing else does.
    var waiters = QueueWaiters<Delivery>()
    private var signal: QueueSignal

    init(event: Int32) { signal = QueueSignal(event: event) }

    /// Whom to resume outside the lock, and how many messages came to wait.
    mutating func put(_ batch: [[InboxItem]]) -> (served: [(Waiter, Delivery)], left: Int) {
        guard !isClosed else { return ([], 0) }
        let before = count
        for lane in lanes.indices {
            for item in batch[lane] {
                lanes[lane].append(item)
                count += item.count
            }
        }
        var served: [(Waiter, Delivery)] = []
        while !waiters.isEmpty, let delivery = pop(), let waiter = waiters.popFirst() { served.append((waiter, delivery)) }
        updateReadiness()
        return (served, max(0, count - before))
    }

    private mutating func pop() -> Delivery? {
        for lane in lanes.indices {
            switch lanes[lane].first {
            case .one(let delivery):
                _ = lanes[lane].popFirst()
                count -= 1
                return delivery
            case .run(var run):
                let delivery = run.popFirst()
                if run.count == 0 { _ = lanes[lane].popFirst() } else { lanes[lane][0] = .run(run) }
                count -= 1
                return delivery
            case nil: continue
            }
        }
        return nil
    }

    mutating func take() -> Delivery? {
        defer { updateReadiness() }
        return pop()
    }

    mutating func take(upTo limit: Int) -> [InboxItem] {
        var taken: [InboxItem] = [], left = min(limit, count)
        guard left > 0 else { return [] }
        count -= left
        for lane in lanes.indices {
            while left > 0, let item = lanes[lane].first {
                if case .run(var run) = item, run.count > left {
                    taken.append(.run(run.split(left)))
                    lanes[lane][0] = .run(run)
                    left = 0
                } else {
                    _ = lanes[lane].popFirst()
                    taken.append(item)
                    left -= item.count
                }
            }
        }
        updateReadiness()
        return taken
    }

    /// A result when there is no need to wait; nil when `resume` was kept.
    mutating func park(_ id: UInt64, _ resume: @escaping Waiter) -> Result<Delivery, CallError>? {
        if waiters.arrive(id) { return .failure(.cancelled) }
        if let delivery = take() { return .success(delivery) }
        if isClosed { return .failure(.closed) }
        waiters.park(id, resume)
        return nil
    }

    mutating func close(keeping: Bool) -> (waiters: [Waiter], dropped: [Fifo<InboxItem>]) {
        guard !isClosed else { return ([], []) }
        isClosed = true
        var dropped: [Fifo<InboxItem>] = []
        if !keeping {
            dropped = lanes
            lanes = Array(repeating: Fifo(), count: lanes.count)
            count = 0
        }
        updateReadiness()
        return (waiters.removeAll(), dropped)
    }

    mutating func showReadiness() { signal.watch(isClosed || count > 0) }

    private mutating func updateReadiness() { signal.update(isClosed || count > 0) }
}
