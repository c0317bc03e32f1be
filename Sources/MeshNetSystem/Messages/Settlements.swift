import MeshNetSwarm

/// What the application is done with, gathered for the reactor: however many messages are settled before it looks, they wake it once.
/// Bound: the messages that were delivered, which the swarm's budgets hold. After the close, and in a child after `fork`, nothing is kept.
package final class Settlements: Sendable {
    private struct State {
        var waiting: [Delivery] = []
        var isClosed = false
    }

    private let state = Guarded(State())
    private let wakeup: Wakeup

    init(wakeup: Wakeup) { self.wakeup = wakeup }

    /// Precondition: once for each delivery.
    package func settle(_ delivery: Delivery) {
        guard !state.ownerProcessIsGone else { return }
        let isFirst = state.with { state -> Bool in
            guard !state.isClosed else { return false }
            state.waiting.append(delivery)
            return state.waiting.count == 1
        }
        if isFirst { wakeup.signal() }
    }

    /// Swaps what waits for an empty array. Reactor thread.
    func take(into settled: inout [Delivery]) {
        settled.removeAll(keepingCapacity: settled.capacity <= 4_096)
        state.with { swap(&$0.waiting, &settled) }
    }

    /// Nothing is kept from now on. Returns what waits.
    @discardableResult
    func close() -> [Delivery] {
        state.with { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting
        }
    }
}
