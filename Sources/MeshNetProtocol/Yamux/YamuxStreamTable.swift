/// One stream as yamux sees it. 56 bytes.
struct YamuxStream {
    let id: UInt32
    /// Bytes that we may send.
    var sendWindow = YamuxLimits.protocolWindow
    /// Bytes that the peer may send.
    var receiveWindow = YamuxLimits.protocolWindow
    /// What the receive window is topped up to; grows with the bandwidth-delay product.
    var windowSize: UInt32
    /// Bytes announced to us and not yet reported as consumed.
    var unconsumed: UInt32 = 0
    /// When the window was last topped up.
    var epoch: Instant
    /// Granted since `epoch`, on a short window.
    var epochBytes: UInt32 = 0
    /// SYN or ACK, until a frame of ours carried it.
    var greeting: YamuxHeader.Flags
    /// Ours, and the peer has not answered on it.
    var awaitsAnswer: Bool
    var updateQueued = false
    var localEnded = false
    var remoteEnded = false
    /// A write took fewer bytes than given for want of window.
    var blocked = false
    /// See `YamuxSession.keepShort`.
    var keepsShort = false

    /// Bytes of credit that a window update would grant now.
    var credit: UInt32 {
        // The peer's bytes are counted once in `receiveWindow` or `unconsumed`, so this cannot go below zero; held there all the same.
        windowSize.subtractingClamped(receiveWindow).subtractingClamped(unconsumed)
    }
}

extension UInt32 {
    func subtractingClamped(_ other: UInt32) -> UInt32 { other > self ? 0 : self - other }
}

/// The live streams of a session: dense storage that is reused, found by id through a hash table that is never iterated.
struct YamuxStreamTable {
    private var slots: [YamuxStream] = []
    private var positions: [UInt32: Int] = [:]
    private var lastID: UInt32 = 0
    private var lastPosition = -1

    var count: Int { slots.count }

    /// Where the stream is, until the next insert or remove.
    mutating func find(_ id: UInt32) -> Int? {
        if id == lastID, lastPosition >= 0 { return lastPosition }
        guard let position = positions[id] else { return nil }
        lastID = id
        lastPosition = position
        return position
    }

    func contains(_ id: UInt32) -> Bool { positions[id] != nil }

    subscript(position: Int) -> YamuxStream {
        _read { yield slots[position] }
        _modify { yield &slots[position] }
    }

    mutating func insert(_ stream: YamuxStream) {
        positions[stream.id] = slots.count
        slots.append(stream)
    }

    /// The last stream takes the place of the removed one.
    mutating func remove(at position: Int) {
        lastPosition = -1
        positions[slots[position].id] = nil
        guard let last = slots.popLast(), position < slots.count else { return }
        slots[position] = last
        positions[last.id] = position
    }

    mutating func removeAll() {
        slots = []
        positions = [:]
        lastPosition = -1
    }
}
