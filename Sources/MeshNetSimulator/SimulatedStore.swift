import MeshNetProtocol
package import MeshNetSwarm

/// A disk: what was committed outlives the swarm, what was only given out does not.
package struct SimulatedStore: Sendable {
    /// Commits fail while it is set.
    package var isFull = false
    package private(set) var commits = 0
    package private(set) var failedCommits = 0
    /// Given out and not committed.
    package private(set) var pending: [StoreChange] = []

    private var incarnation: Incarnation?
    private var lastActive: Int64?
    private var channels: [StoredState.Channel] = []
    package private(set) var inbound: [StoredInbound] = []
    private var lastRequest: UInt64 = 0
    private var lastSpool: UInt64 = 0

    package init() {}

    package mutating func add(_ change: StoreChange) { pending.append(change) }

    /// One transaction: all that is pending, or nothing.
    package mutating func commit(wallClock: Int64) -> Result<Void, StorageProblem> {
        defer { pending.removeAll() }
        guard !isFull else {
            failedCommits += 1
            return .failure(.full(path: "messages.db"))
        }
        for change in pending { apply(change) }
        lastActive = wallClock
        commits += 1
        return .success(())
    }

    /// The process died between giving out and committing.
    package mutating func abandon() { pending.removeAll() }

    /// What a new process finds.
    package func state(wallClock: Int64) -> StoredState {
        var state = StoredState(now: wallClock)
        state.incarnation = incarnation
        state.lastActive = lastActive
        state.channels = channels
        state.inbound = inbound.map { stored in
            var stored = stored
            stored.message.isRedelivered = true
            return stored
        }
        state.lastRequest = lastRequest
        state.lastSpool = lastSpool
        return state
    }

    /// Files that a row names; the others are deleted at a start.
    package var namedSpools: [SpoolID] {
        let bodies = channels.flatMap { $0.outbound.map(\.body) } + inbound.map(\.body)
        return bodies.compactMap { if case .spooled(let spool, _) = $0 { spool } else { nil } }
    }

    private mutating func apply(_ change: StoreChange) {
        switch change {
        case .incarnation(let new): incarnation = new
        case .peer(let peer, let known): update(peer) { $0.known = known }
        case .forget(let peer):
            channels.removeAll { $0.peer == peer }
            inbound.removeAll { $0.message.peer == peer }
        case .outbound(let peer, let message): add(message, to: peer)
        case .acknowledged(let peer, let lane, let below):
            update(peer) { channel in
                channel.outbound.removeAll { $0.lane == lane && $0.sequence < below }
                channel.withdrawn[lane].removeAll { $0 < below }
                channel.nextSequence[lane] = max(channel.nextSequence[lane], below)
            }
        case .withdrawn(let peer, let lane, let sequence):
            update(peer) { channel in
                channel.outbound.removeAll { $0.lane == lane && $0.sequence == sequence }
                channel.withdrawn[lane].append(sequence)
                channel.withdrawn[lane].sort()
                channel.nextSequence[lane] = max(channel.nextSequence[lane], sequence + 1)
            }
        case .inbound(let message):
            note(message.body)
            inbound.append(message)
            update(message.message.peer) { $0.expected[message.message.lane] = message.message.sequence + 1 }
        case .expected(let peer, let lane, let next): update(peer) { $0.expected[lane] = next }
        case .settled(let peer, let incarnation, let lane, let sequence):
            inbound.removeAll {
                $0.message.peer == peer && $0.message.incarnation == incarnation && $0.message.lane == lane && $0.message.sequence == sequence
            }
        case .reset(let peer):
            update(peer) { channel in
                channel.outbound = []
                channel.withdrawn = [[], [], []]
                channel.nextSequence = [1, 1, 1]
                channel.expected = [1, 1, 1]
            }
        }
    }

    private mutating func add(_ message: StoredOutbound, to peer: PeerID) {
        note(message.body)
        if let request = message.request { lastRequest = max(lastRequest, request) }
        update(peer) { channel in
            let place = channel.outbound.firstIndex { ($0.lane, $0.sequence) > (message.lane, message.sequence) } ?? channel.outbound.count
            channel.outbound.insert(message, at: place)
            channel.nextSequence[message.lane] = max(channel.nextSequence[message.lane], message.sequence + 1)
        }
    }

    private mutating func note(_ body: ReceivedBody) {
        if case .spooled(let spool, _) = body, spool.rawValue >> 63 == 0 { lastSpool = max(lastSpool, spool.rawValue) }
    }

    private mutating func update(_ peer: PeerID, _ body: (inout StoredState.Channel) -> Void) {
        if let index = channels.firstIndex(where: { $0.peer == peer }) { return body(&channels[index]) }
        var channel = StoredState.Channel(peer: peer)
        body(&channel)
        channels.append(channel)
    }
}

extension Array {
    fileprivate subscript(lane: Lane) -> Element {
        get { self[Int(lane.rawValue)] }
        set { self[Int(lane.rawValue)] = newValue }
    }
}
