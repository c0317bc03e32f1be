package import MeshNetProtocol
import MeshNetSwarm
import Synchronization

/// What the application is done with, gathered for the reactor, which looks in each turn: however many messages are settled before it does, they wake it once,
/// and not even that as long as nothing depends on them. Where a peer is held back it is woken for a good piece of room: a consumer that is slower than the
/// peer would otherwise wake it for each message. But for any room when nothing waits for the application, which may keep what it has and wait for more.
/// Bound: the messages that were delivered, which the swarm's budgets hold. After the close, and in a child after `fork`, nothing is kept.
package final class Settlements: Sendable {
    enum Item {
        case one(Delivery)
        /// Of runs: how many, and the bytes of their bodies.
        case several(MessageSource, Lane, count: Int, byteCount: Int)
    }

    private struct State {
        var waiting: [Item] = []
        /// Of what waits, by `LaneSender.messageOverhead`.
        var cost = 0
        var isClosed = false
        /// The cost that is worth a turn: `Swarm.awaitedSettlements`.
        var awaited: Int?
        /// The reactor was woken, and did not look yet.
        var isTold = false

        /// True when the reactor is to be woken.
        mutating func add(_ item: Item, isDrained: Bool) -> Bool {
            guard !isClosed else { return false }
            append(item)
            cost += item.cost
            return tells(isDrained: isDrained)
        }

        mutating func tells(isDrained: Bool) -> Bool {
            guard isWanted(isDrained: isDrained) || waiting.count >= Settlements.quietCount else { return false }
            defer { isTold = true }
            return !isTold
        }

        func isWanted(isDrained: Bool) -> Bool {
            guard let awaited, !waiting.isEmpty else { return false }
            return isDrained || cost >= awaited
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
    /// Nothing waits for the application. Whoever drains sets this, and then looks under the lock for what was settled before.
    private let isDrained = Atomic(true)

    init(wakeup: Wakeup) { self.wakeup = wakeup }

    /// Precondition: once for each delivery.
    package func settle(_ delivery: Delivery) { add(.one(delivery)) }

    /// Messages of runs, in whatever order. Precondition: once for each.
    package func settle(_ source: MessageSource, _ lane: Lane, count: Int, byteCount: Int) {
        add(.several(source, lane, count: count, byteCount: byteCount))
    }

    private func add(_ item: Item) {
        guard !state.ownerProcessIsGone else { return }
        if state.with({ $0.add(item, isDrained: isDrained.load(ordering: .relaxed)) }) { wakeup.signal() }
    }

    /// Messages come to wait for the application. Before they can be taken.
    func filled() { isDrained.store(false, ordering: .relaxed) }

    /// The last message that waited was taken.
    func drained() {
        isDrained.store(true, ordering: .relaxed)
        if state.with({ $0.tells(isDrained: true) }) { wakeup.signal() }
    }

    /// Swaps what waits for an empty array. Reactor thread.
    func take(into settled: inout [Item]) {
        settled.removeAll(keepingCapacity: settled.capacity <= 4_096)
        state.with { state in
            swap(&state.waiting, &settled)
            state.cost = 0
            state.isTold = false
        }
    }

    /// What is worth a turn from now on: `Swarm.awaitedSettlements`. True when there is as much to take. Reactor thread.
    func setAwaited(_ cost: Int?) -> Bool {
        state.with { state in
            state.awaited = cost
            return state.isWanted(isDrained: isDrained.load(ordering: .relaxed))
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

extension Settlements.Item {
    fileprivate var cost: Int {
        switch self {
        case .one(let delivery): delivery.byteCount + LaneSender.messageOverhead
        case .several(_, _, let count, let byteCount): byteCount + count * LaneSender.messageOverhead
        }
    }
}

/// Identity: each life of a peer has its own.
extension MessageSource {
    static func ~= (pattern: MessageSource, value: MessageSource) -> Bool { pattern === value }
}
