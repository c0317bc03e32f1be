import CSystem
import Glibc
package import MeshNetProtocol
package import MeshNetSwarm

/// The bounded queue from the reactor thread to the application. Any number of consumers, blocking, asynchronous or by the descriptor; each
/// item reaches one of them.
///
/// Bounds, by kind (`QueueState` has the rules): messages and notices by `Limits.eventQueueCount` and `eventQueueBytes`, beyond which they are
/// dropped and counted; found peers by `DiscoveryConfiguration.offerQueue`; streams by `Limits.pendingAccepts`; completions by the calls that wait;
/// connection events by the connections.
package final class EventQueue: TaskQueue {
    private let state: Awaited<QueueState>
    private let event: Descriptor

    package init(limits: Limits, helm: Helm? = nil) throws(SystemError) {
        event = try Wakeup.eventDescriptor()
        state = Awaited(QueueState(limits: limits, event: event.number), helm: helm)
    }

    /// An eventfd that is readable while items wait or after the close. Poll it, never read it; then call `next(timeout: .zero)` until nil.
    /// It stays open as long as this object lives.
    package var descriptor: Int32 {
        guard !state.ownerProcessIsGone else { return event.number }
        state.with { $0.showReadiness() }
        return event.number
    }

    /// The next item; waits up to `timeout` (nil: without limit, zero: not at all). nil when the time is up.
    /// Throws `.closed` after the engine closed and everything was drained.
    package func next(timeout: Duration?) throws(CallError) -> QueueItem? {
        guard !state.ownerProcessIsGone else { throw .closed }
        return try state.wait(until: .deadline(after: timeout)) { (queue: inout QueueState) throws(CallError) -> QueueItem? in
            if let item = queue.take() { return item }
            if queue.isClosed { throw .closed }
            return nil
        }
    }

    /// Up to `count` (at least 1) items that wait, those of a `.messages` counted; waits for the first of them. None when the time is up.
    package func next(upTo count: Int, timeout: Duration?) throws(CallError) -> [QueueItem] {
        guard !state.ownerProcessIsGone else { throw .closed }
        return try state.wait(until: .deadline(after: timeout)) { (queue: inout QueueState) throws(CallError) -> [QueueItem]? in
            var items: [QueueItem] = [], room = count
            while room > 0, let item = queue.take(upTo: room) {
                items.append(item)
                room -= item.count
            }
            if !items.isEmpty { return items }
            if queue.isClosed { throw .closed }
            return nil
        } ?? []
    }

    package func announce() throws(CallError) -> UInt64 {
        guard !state.ownerProcessIsGone else { throw .closed }
        return state.with { $0.makeWaiter() }
    }

    package func wait(_ waiter: UInt64, _ resume: @escaping @Sendable (Result<QueueItem, CallError>) -> Void) {
        if let ready = state.with({ $0.park(waiter, resume) }) { resume(ready) }
    }

    package func cancel(_ waiter: UInt64) { state.with { $0.cancel(waiter) }?(.failure(.cancelled)) }

    /// Puts the completion of a call that a face started, with a ticket of the face's own, behind what waits. Completions are never dropped; the
    /// faces bound how many calls wait. Returns false, and keeps nothing, once the queue is closed.
    @discardableResult
    package func post(_ ticket: Ticket, _ result: Result<Outcome, CallError>) -> Bool {
        guard !state.ownerProcessIsGone else { return false }
        return put(.completion(ticket, result)) != .closed
    }

    /// The same for the reply to a request.
    package func post(_ ticket: Ticket, reply: Delivery.Body, of peer: PeerID) {
        if !state.ownerProcessIsGone { put(.reply(ticket, peer, reply)) }
    }

    /// The same for a message that is in its queue, before its completion.
    package func post(accepted ticket: Ticket) {
        if !state.ownerProcessIsGone { put(.accepted(ticket)) }
    }

    /// So many `.discovered` may wait; those that wait already stay.
    package func setOfferLimit(_ limit: Int) {
        guard !state.ownerProcessIsGone else { return }
        state.with { $0.offerLimit = limit }
    }

    /// What became of an item.
    package enum Acceptance: Sendable, Equatable { case taken, dropped, closed }

    /// Never blocks. A dropped message or notice is counted and reported; a dropped `.streamOpened` must be reset by the caller.
    @discardableResult
    package func put(_ item: QueueItem) -> Acceptance {
        let (acceptance, waiter) = state.with { $0.put(item) }
        if let waiter {
            waiter(.success(item))
        } else if acceptance == .taken {
            state.wakeOne()
        }
        return acceptance
    }

    /// The same for messages that came together, under one lock.
    package func put(_ messages: TopicRun) {
        var resumed: [(QueueState.Waiter, QueueItem)] = [], taken = 0
        state.with { queue in
            if queue.putWhole(messages) { return taken = messages.count }
            for index in 0..<messages.count {
                let item = QueueItem.event(.message(messages.message(index)))
                let (acceptance, waiter) = queue.put(item)
                if let waiter { resumed.append((waiter, item)) } else if acceptance == .taken { taken += 1 }
            }
        }
        for (waiter, item) in resumed { waiter(.success(item)) }
        if taken == 1 { state.wakeOne() } else if taken > 1 { state.wakeAll() }
    }

    /// What waits can still be taken; consumers that wait in vain end with `.closed`.
    package func close() {
        guard !state.ownerProcessIsGone else { return }
        let waiters = state.with { $0.close() }
        state.wakeAll()
        for resume in waiters { resume(.failure(.closed)) }
    }

    /// Whether `next` returns at once.
    var isReady: Bool { state.with { $0.isClosed || $0.count > 0 } }

    /// Items that wait, for metrics and tests.
    package var count: Int { state.with { $0.count } }
}
