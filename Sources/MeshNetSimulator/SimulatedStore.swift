package import MeshNetProtocol
package import MeshNetSwarm

/// What a node keeps on its virtual disk: it outlives `kill`. Changes are gathered and committed together, as a driver does.
package struct SimulatedStore {
    /// What stands for one peer.
    struct Rows {
        var known = StoredPeer()
        var next: [UInt64] = [1, 1, 1]
        var expected: [UInt64] = [1, 1, 1]
        var sentBelow: [UInt64?] = [nil, nil, nil]
        var outbound: [[UInt64: StoredOutbound]] = [[:], [:], [:]]
        var withdrawn: [Set<UInt64>] = [[], [], []]
    }

    package private(set) var incarnation: Incarnation?
    var peers: [PeerID: Rows] = [:]
    var inbound: [StoredInbound] = []
    var lastRequest: UInt64 = 0
    var lastSpool: UInt64 = 0
    var lastWritten: Int64?
    /// Given by the swarm and not committed: lost with the process.
    var pending: [StoreChange] = []
    /// Commits so far.
    package internal(set) var commits = 0
    /// Commits fail while it is set. What only takes away, or replaces what was known, is made up for afterwards, since nobody says it again.
    package var problem: StorageProblem? {
        didSet {
            guard problem == nil else { return }
            for change in waiting { apply(change) }
            waiting = []
        }
    }
    private var waiting: [StoreChange] = []
    /// The process dies in place of the commit of this number.
    package var diesAtCommit: Int?
    /// It dies only when that commit is done, before anybody hears of it.
    package var diesAfterwards = false

    package init() {}

    /// Messages kept, of ours and for the application.
    package var outboundCount: Int { peers.values.reduce(0) { $0 + $1.outbound.reduce(0) { $0 + $1.count } } }
    package var inboundCount: Int { inbound.count }

    mutating func commit(wall: Int64) {
        for change in pending { apply(change) }
        pending = []
        commits += 1
        lastWritten = wall
    }

    mutating func fail() {
        for change in pending {
            switch change {
            case .outbound, .inbound, .expected, .sent: break
            // Of numbers that the failed transaction would have given there is nothing to take away.
            case .acknowledged(let peer, let lane, let below):
                guard let next = lastingNext(peer, lane) else { continue }
                waiting.append(.acknowledged(peer, lane, below: min(below, next)))
            case .withdrawn(let peer, let lane, let sequence):
                if let next = lastingNext(peer, lane), sequence < next { waiting.append(change) }
            case .renumbered(let peer, _, _): if peers[peer] != nil { waiting.append(change) }
            case .incarnation, .peer, .forget, .settled, .reset: waiting.append(change)
            }
        }
        pending = []
    }

    /// The next number of ours once all that waits is made up for.
    private func lastingNext(_ peer: PeerID, _ lane: Lane) -> UInt64? {
        guard var next = peers[peer]?.next[Int(lane.rawValue)] else { return nil }
        for case .renumbered(peer, lane, let delta) in waiting { next += delta }
        return next
    }

    private mutating func apply(_ change: StoreChange) {
        switch change {
        case .incarnation(let own): incarnation = own
        case .peer(let peer, let known): peers[peer, default: Rows()].known = known
        case .forget(let peer): peers[peer] = nil
        case .outbound(let peer, let message):
            let lane = Int(message.lane.rawValue)
            peers[peer, default: Rows()].outbound[lane][message.sequence] = message
            peers[peer]?.withdrawn[lane].remove(message.sequence)
            peers[peer]?.next[lane] = message.sequence + 1
            lastRequest = max(lastRequest, message.request ?? 0)
            note(message.body)
        case .acknowledged(let peer, let lane, let below):
            let at = Int(lane.rawValue)
            guard var rows = peers[peer] else { return }
            rows.outbound[at] = rows.outbound[at].filter { $0.key >= below }
            rows.withdrawn[at] = rows.withdrawn[at].filter { $0 >= below }
            rows.next[at] = max(rows.next[at], below)
            peers[peer] = rows
        case .renumbered(let peer, let lane, let delta):
            let at = Int(lane.rawValue)
            guard var rows = peers[peer] else { return }
            let raised = rows.outbound[at].values.map { message in
                var message = message
                message.sequence += delta
                return (message.sequence, message)
            }
            rows.outbound[at] = Dictionary(uniqueKeysWithValues: raised)
            rows.withdrawn[at] = Set(rows.withdrawn[at].map { $0 + delta })
            rows.next[at] += delta
            rows.sentBelow[at]? += delta
            peers[peer] = rows
        case .sent(let peer, let lane, let below): peers[peer, default: Rows()].sentBelow[Int(lane.rawValue)] = below
        case .withdrawn(let peer, let lane, let sequence):
            let at = Int(lane.rawValue)
            if peers[peer]?.outbound[at].removeValue(forKey: sequence) != nil { peers[peer]?.withdrawn[at].insert(sequence) }
        case .inbound(let message):
            inbound.append(message)
            peers[message.message.peer, default: Rows()].expected[Int(message.message.lane.rawValue)] = message.message.sequence + 1
            note(message.body)
        case .expected(let peer, let lane, let next): peers[peer, default: Rows()].expected[Int(lane.rawValue)] = next
        case .settled(let peer, let incarnation, let lane, let sequence):
            inbound.removeAll {
                $0.message.peer == peer && $0.message.incarnation == incarnation && $0.message.lane == lane && $0.message.sequence == sequence
            }
        case .reset(let peer):
            let known = peers[peer]?.known ?? StoredPeer()
            peers[peer] = Rows()
            peers[peer]?.known = known
        }
    }

    private mutating func note(_ body: ReceivedBody) {
        if case .spooled(let spool, _) = body, spool.rawValue < 1 << 63 { lastSpool = max(lastSpool, spool.rawValue) }
    }

    /// What a node that starts now finds.
    func state(now wall: Int64) -> StoredState {
        var state = StoredState(now: wall)
        state.incarnation = incarnation
        state.lastActive = lastWritten
        state.lastRequest = lastRequest
        state.lastSpool = lastSpool
        for peer in peers.keys.sorted() {
            guard let rows = peers[peer] else { continue }
            var channel = StoredState.Channel(peer: peer)
            channel.known = rows.known
            channel.nextSequence = rows.next
            channel.expected = rows.expected
            channel.sentBelow = rows.sentBelow
            for lane in 0..<3 {
                channel.outbound += rows.outbound[lane].values.sorted { $0.sequence < $1.sequence }
                channel.withdrawn[lane] = Self.runs(rows.withdrawn[lane].sorted())
            }
            state.channels.append(channel)
        }
        state.inbound = inbound.map { stored in
            var stored = stored
            stored.message.isRedelivered = true
            return stored
        }
        return state
    }

    private static func runs(_ numbers: [UInt64]) -> [Range<UInt64>] {
        numbers.reduce(into: []) { runs, number in
            if let last = runs.last, last.upperBound == number {
                runs[runs.count - 1] = last.lowerBound..<number + 1
            } else {
                runs.append(number..<number + 1)
            }
        }
    }

    /// Files that something kept refers to.
    var spools: Set<SpoolID> {
        var found: Set<SpoolID> = []
        for message in inbound { if case .spooled(let spool, _) = message.body { found.insert(spool) } }
        for rows in peers.values {
            for lane in rows.outbound { for message in lane.values { if case .spooled(let spool, _) = message.body { found.insert(spool) } } }
        }
        return found
    }
}

/// What the application of a simulated node does with its messages.
package enum InboxPolicy: Sendable {
    case settlesAtOnce
    /// Each message after this, one at a time.
    case settlesAfter(Duration)
    case never
}

/// A message that reached the application.
package struct Delivery: Equatable {
    package let at: Instant
    package let message: InboundMessage
    /// Of a file: what it held then.
    package let body: [UInt8]
    package let isSpooled: Bool
}

/// The application's side of messages, of one node.
package struct SimulatedInbox {
    package var policy = InboxPolicy.settlesAtOnce
    package internal(set) var deliveries: [Delivery] = []
    package internal(set) var accepted: [Ticket] = []
    /// Of messages sent together: how many are queued.
    package internal(set) var acceptedRuns: [Ticket: Int] = [:]
    /// Delivered and not settled, the oldest first.
    package internal(set) var unsettled: [(message: InboundMessage, byteCount: Int)] = []
    /// Every request is answered at once by this; nil: none is.
    package var answers: (@Sendable ([UInt8]) -> [UInt8])?
    /// Files by number.
    package internal(set) var files: [SpoolID: [UInt8]] = [:]
    /// Operations on files fail while it is set.
    package var fileProblem: StorageProblem?
    /// Largest number of bytes that files held at once.
    package internal(set) var fileBytes = 0

    var settleDueAt: Instant?
    var reads: [(spool: SpoolID, offset: Int, count: Int)] = []
    var fileFailures: [SpoolID] = []
    var replies: [(InboundMessage, [UInt8])] = []
    var nextFile: UInt64 = 1 << 63
}
