import MeshNetSwarm

/// What the application is done with, gathered for the reactor: however many messages are settled before it looks, they wake it once, and not at all
/// as long as nothing depends on them.
/// Bound: the messages that were delivered, which the swarm's budgets hold. After the close, and in a child after `fork`, nothing is kept.
package final class Settlements: Sendable {
    private struct State {
        var waiting: [Delivery] = []
        var isClosed = false
        var isUrgent = true
    }

    private let state = Guarded(State())
    private let wakeup: Wakeup

    init(wakeup: Wakeup) { self.wakeup = wakeup }

    /// Precondition: once for each delivery.
    package func settle(_ delivery: Delivery) {
        guard !state.ownerProcessIsGone else { return }
        let wakes = state.with { state -> Bool in
            guard !state.isClosed else { return false }
            state.waiting.append(delivery)
            return state.waiting.count == (state.isUrgent ? 1 : Self.quietCount)
        }
        if wakes { wakeup.signal() }
    }

    /// Messages that wait for the next turn, whenever that is, where nothing depends on them.
    private static let quietCount = 1_024

    /// Whether something depends on what is settled: `Swarm.awaitsSettlements`. Reactor thread.
    func setUrgent(_ isUrgent: Bool) {
        let wakes = state.with { state in
            defer { state.isUrgent = isUrgent }
            return isUrgent && !state.isUrgent && !state.waiting.isEmpty
        }
        if wakes { wakeup.signal() }
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
