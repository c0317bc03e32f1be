package import MeshNetProtocol
import MeshNetSwarm

/// What the application is done with, gathered for the reactor, which looks in each turn: however many messages are settled before it does, they wake it once,
/// and not even that as long as nothing depends on them.
/// Bound: the messages that were delivered, which the swarm's budgets hold. After the close, and in a child after `fork`, nothing is kept.
package final class Settlements: Sendable {
    enum Item {
        case one(Delivery)
        /// Of runs: how many, and the bytes of their bodies.
        case several(MessageSource, Lane, count: Int, byteCount: Int)
    }

    private struct State {
        var waiting: [Item] = []
        var isClosed = false
        /// Something depends on what is settled: `Swarm.awaitsSettlements`.
        var isAwaited = false
        /// The reactor was woken, and did not look yet.
        var isTold = false

        /// True when the reactor is to be woken.
        mutating func add(_ item: Item) -> Bool {
            guard !isClosed else { return false }
            append(item)
            guard isAwaited || waiting.count >= Settlements.quietCount else { return false }
            defer { isTold = true }
            return !isTold
        }

        private mutating func append(_ item: Item) {
            if case .several(let source, let lane, let count, let byteCount) = item, case .several(source, lane, let before, let bytesBefore)? = waiting.last {
                waiting[waiting.count - 1] = .several(source, lane, count: before + count, byteCount: bytesBefore + byteCount)
            } else {
                waiting.append(item)
            }
        }
    }

    /// So many wake the reactor even where nothing depends on them.
    private static let quietCount = 1_024

    private let state = Guarded(State())
    private let wakeup: Wakeup

    init(wakeup: Wakeup) { self.wakeup = wakeup }

    /// Precondition: once for each delivery.
    package func settle(_ delivery: Delivery) { add(.one(delivery)) }

    /// Messages of runs, in whatever order. Precondition: once for each.
    package func settle(_ source: MessageSource, _ lane: Lane, count: Int, byteCount: Int) {
        add(.several(source, lane, count: count, byteCount: byteCount))
    }

    private func add(_ item: Item) {
        guard !state.ownerProcessIsGone else { return }
        if state.with({ $0.add(item) }) { wakeup.signal() }
    }

    /// Swaps what waits for an empty array. Reactor thread.
    func take(into settled: inout [Item]) {
        settled.removeAll(keepingCapacity: settled.capacity <= 4_096)
        state.with { state in
            swap(&state.waiting, &settled)
            state.isTold = false
        }
    }

    /// Whether something depends on what is settled from now on: `Swarm.awaitsSettlements`. True when there is something to take. Reactor thread.
    func setAwaited(_ isAwaited: Bool) -> Bool {
        state.with { state in
            state.isAwaited = isAwaited
            return !state.waiting.isEmpty
        }
    }

    /// Nothing is kept from now on. Returns what waits.
    @discardableResult
    func close() -> [Item] {
        state.with { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting
        }
    }
}

/// Identity: each life of a peer has its own.
extension MessageSource {
    static func ~= (pattern: MessageSource, value: MessageSource) -> Bool { pattern === value }
}
