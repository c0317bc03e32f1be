import MeshNetProtocol

/// Connections in numbered slots: found without hashing, walked in slot order (the same in every run).
///
/// An id holds the slot in its low 32 bits and the slot's generation above, so that an id is never used twice.
struct ConnectionTable {
    private struct Slot {
        var generation: UInt32
        var connection: Connection?
    }

    private var slots: [Slot] = []
    private var free: [Int] = []
    private(set) var count = 0

    /// Ids of all connections in slot order.
    var ids: [ConnectionID] {
        slots.indices.compactMap { slots[$0].connection == nil ? nil : id(slot: $0) }
    }

    mutating func insert(_ make: (ConnectionID) -> Connection) -> ConnectionID {
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
        } else {
            slots.append(Slot(generation: 1, connection: nil))
            slot = slots.count - 1
        }
        let id = id(slot: slot)
        slots[slot].connection = make(id)
        count += 1
        return id
    }

    @discardableResult
    mutating func remove(_ id: ConnectionID) -> Connection? {
        guard let slot = slot(of: id), let connection = slots[slot].connection else { return nil }
        slots[slot].connection = nil
        // A slot whose generations are used up stays empty for ever rather than repeating an id.
        if slots[slot].generation < .max {
            slots[slot].generation += 1
            free.append(slot)
        }
        count -= 1
        return connection
    }

    subscript(_ id: ConnectionID) -> Connection? { slot(of: id).flatMap { slots[$0].connection } }

    private func slot(of id: ConnectionID) -> Int? {
        let slot = Int(id.rawValue & 0xffff_ffff)
        guard slot < slots.count, slots[slot].generation == UInt32(id.rawValue >> 32) else { return nil }
        return slot
    }

    private func id(slot: Int) -> ConnectionID {
        ConnectionID(rawValue: UInt64(slots[slot].generation) << 32 | UInt64(slot))
    }
}
