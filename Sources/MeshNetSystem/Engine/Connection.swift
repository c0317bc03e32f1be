import MeshNetSwarm

/// The socket of one connection. Reactor thread only.
final class Connection {
    let id: ConnectionID
    let descriptor: Int32
    var isConnecting: Bool
    var isOpen = true
    /// Known once it is connected.
    var isWithinHost = false
    /// The swarm wants to read, and the socket has not ended.
    var wantsBytes = true
    var hasEnded = false
    /// The socket took fewer bytes than given: wait until it is writable.
    var isFull = false
    /// What the kernel watches it for now.
    var interest: Interest
    var isQueued = false
    /// nil while it is off.
    var keepalive: Keepalive?
    /// Looked at until the peer has all bytes.
    var isUnderWay = false
    var bulkWriting = BulkWriting()
    private var turn: UInt64 = 0
    private var sent = 0

    init(_ id: ConnectionID, _ descriptor: Int32, isConnecting: Bool) {
        self.id = id
        self.descriptor = descriptor
        self.isConnecting = isConnecting
        interest = isConnecting ? .writable : .readable
    }

    var wantedInterest: Interest {
        if isConnecting { return .writable }
        var wanted: Interest = []
        if wantsBytes, !hasEnded { wanted.insert(.readable) }
        if isFull { wanted.insert(.writable) }
        return wanted
    }

    func sent(inTurn number: UInt64) -> Int { turn == number ? sent : 0 }

    func count(sent bytes: Int, inTurn number: UInt64) {
        sent = sent(inTurn: number) + bytes
        turn = number
    }
}
