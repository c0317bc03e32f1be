import MeshNetProtocol

/// How a write gives way to others.
package enum WriteUrgency {
    /// Leaves the send buffer short, so that what is urgent waits for little.
    case patient
    case ordinary
    /// Passes streams that wait, and may use a reserve of one frame beyond the send buffer.
    case urgent
    /// As urgent; and what is patient waits until it has left, so that no sealing of bytes behind it delays it.
    case express
}

/// Who may write next: streams that found the send buffer full wait in line, and each gets the share of one full frame when it is its turn.
struct SendTurns {
    /// One share: what fits a full Noise frame behind a yamux header. Bytes.
    static let share = NoiseFrame.maximumPlaintext - YamuxHeader.byteCount

    /// Bytes in the send buffer beyond which patient streams wait, so that what is urgent waits for little: two full frames.
    static let patientCeiling = 2 * share

    /// Bytes of an express write have not left yet.
    var isExpressQueued = false

    private var waiting = Fifo<UInt32>()
    /// Streams that leave most of the send buffer to others.
    private var patient = Fifo<UInt32>()
    /// Told to write in this turn of the loop, and not yet come.
    private var granted: [UInt32] = []

    /// Bytes that a stream may write now, when so many are free.
    mutating func allowance(_ stream: UInt32, free: Int) -> Int {
        if !granted.isEmpty, let position = granted.firstIndex(of: stream) {
            granted.remove(at: position)
            // A share is for others who wait; alone, a stream may have all.
            return waiting.isEmpty && granted.isEmpty ? free : min(free, Self.share)
        }
        return waiting.isEmpty ? free - granted.count * Self.share : 0
    }

    mutating func waitPatiently(_ stream: UInt32) {
        for offset in 0..<patient.count where patient[offset] == stream { return }
        patient.append(stream)
    }

    mutating func wait(_ stream: UInt32) {
        for offset in 0..<waiting.count where waiting[offset] == stream { return }
        waiting.append(stream)
    }

    /// Somebody waits, and there is room for one share besides those already granted.
    func hasRoom(free: Int, capacity: Int) -> Bool {
        let room = free - granted.count * Self.share
        if !waiting.isEmpty { return room >= min(Self.share, capacity) }
        return !isExpressQueued && !patient.isEmpty && room >= min(Self.share, capacity) && capacity - room <= Self.patientCeiling - Self.share
    }

    /// The next in line if there is room for it.
    mutating func next(free: Int, capacity: Int) -> UInt32? {
        guard hasRoom(free: free, capacity: capacity) else { return nil }
        return waiting.popFirst() ?? patient.popFirst()
    }

    mutating func grant(_ stream: UInt32) { granted.append(stream) }

    /// The turn is over: who did not come has nothing to write.
    mutating func endTurn() { granted.removeAll(keepingCapacity: true) }

    mutating func forget(_ stream: UInt32) {
        waiting.removeAll { $0 == stream }
        patient.removeAll { $0 == stream }
        granted.removeAll { $0 == stream }
    }
}
