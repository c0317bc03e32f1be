package import MeshNetProtocol

/// A binary heap of deadlines. Entries are not taken out when they lose their meaning: whoever is called looks at its own state and may
/// find nothing to do. `removeAll(where:)` sweeps now and then. Equal deadlines fire in the order they were set, so that a run replays.
package struct TimerQueue<Key> {
    private struct Entry {
        var deadline: Instant
        var sequence: UInt64
        var key: Key

        func isBefore(_ other: Entry) -> Bool {
            deadline == other.deadline ? sequence < other.sequence : deadline < other.deadline
        }
    }

    private var heap: [Entry] = []
    private var sequence: UInt64 = 0

    package init() {}

    package var deadline: Instant? { heap.first?.deadline }
    package var count: Int { heap.count }

    package mutating func set(_ key: Key, at deadline: Instant) {
        heap.append(Entry(deadline: deadline, sequence: sequence, key: key))
        sequence += 1
        siftUp(heap.count - 1)
    }

    /// The first key whose deadline has come, or nil.
    package mutating func popExpired(now: Instant) -> Key? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown(0)
        }
        return first.key
    }

    /// Takes entries out whose owner is gone. The order of the others stays.
    package mutating func removeAll(where isDead: (Key) -> Bool) {
        heap.removeAll { isDead($0.key) }
        // A sorted array is a heap.
        heap.sort { $0.isBefore($1) }
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].isBefore(heap[smallest]) {
                smallest = child
            }
            guard smallest != parent else { return }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
