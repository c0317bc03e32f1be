import MeshNetProtocol

/// The numbers of one lane to and from a peer. All of them count from 1 and only grow within a pair of incarnations.
struct LaneNumbers: Equatable {
    /// Of our next message.
    var next: UInt64 = 1
    /// The peer has all of ours below this.
    var acknowledged: UInt64 = 1
    /// Of the peer's next message.
    var expected: UInt64 = 1
    /// Ours below it may have been sent; nil: all.
    var sent: UInt64?
}

/// What the row of a peer holds beside what is replaced as a whole.
struct PeerRow: Equatable {
    /// The row is there.
    var exists = false
    private var control = LaneNumbers()
    private var normal = LaneNumbers()
    private var bulk = LaneNumbers()

    subscript(lane: Lane) -> LaneNumbers {
        get {
            switch lane {
            case .control: control
            case .normal: normal
            case .bulk: bulk
            }
        }
        set {
            switch lane {
            case .control: control = newValue
            case .normal: normal = newValue
            case .bulk: bulk = newValue
            }
        }
    }

    mutating func resetNumbers() {
        control = LaneNumbers()
        normal = LaneNumbers()
        bulk = LaneNumbers()
    }
}

/// The rows of all peers, as the open transaction leaves them and as the last commit left them. The numbers are written once for each commit.
struct PeerRows {
    struct Entry {
        let peer: PeerID
        /// In the table; kept from the first use on.
        let id: Int64
        var row: PeerRow
        var committed: PeerRow
        var isTouched = false
        /// In the open transaction all of its queues were voided: what it says after that is about nothing that was ever committed.
        var isVoided = false
    }

    private(set) var entries: [Entry] = []
    private var positions: [PeerID: Int] = [:]
    private var free: [Int] = []
    /// Positions with something to write, each once.
    private(set) var touched: [Int] = []
    private var lastID: Int64 = 0
    private var latest: (peer: PeerID, position: Int)?

    subscript(position: Int) -> Entry { entries[position] }

    /// For the start; nil when the peer is there already.
    mutating func restore(_ id: Int64, _ peer: PeerID, _ row: PeerRow) -> Int? {
        guard positions[peer] == nil else { return nil }
        entries.append(Entry(peer: peer, id: id, row: row, committed: row))
        positions[peer] = entries.count - 1
        lastID = max(lastID, id)
        return entries.count - 1
    }

    /// nil for a peer without row.
    func position(of peer: PeerID) -> Int? {
        if let latest, latest.peer == peer { return latest.position }
        return positions[peer]
    }

    /// The entry of a peer that a change is about, made when it is new.
    mutating func touch(_ peer: PeerID) -> Int {
        let position = position(of: peer) ?? add(peer)
        latest = (peer, position)
        if !entries[position].isTouched {
            entries[position].isTouched = true
            touched.append(position)
        }
        return position
    }

    mutating func update(_ position: Int, _ change: (inout PeerRow) -> Void) { change(&entries[position].row) }

    mutating func void(_ position: Int) { entries[position].isVoided = true }

    private mutating func add(_ peer: PeerID) -> Int {
        lastID += 1
        let entry = Entry(peer: peer, id: lastID, row: PeerRow(), committed: PeerRow())
        let position = free.popLast() ?? entries.count
        if position == entries.count { entries.append(entry) } else { entries[position] = entry }
        positions[peer] = position
        return position
    }

    /// The transaction is on disk, or never was.
    mutating func end(isCommitted: Bool) {
        for position in touched {
            entries[position].isTouched = false
            entries[position].isVoided = false
            if isCommitted {
                entries[position].committed = entries[position].row
            } else {
                entries[position].row = entries[position].committed
            }
            if !entries[position].row.exists { remove(position) }
        }
        touched.removeAll(keepingCapacity: true)
    }

    private mutating func remove(_ position: Int) {
        positions[entries[position].peer] = nil
        free.append(position)
        latest = nil
    }
}
