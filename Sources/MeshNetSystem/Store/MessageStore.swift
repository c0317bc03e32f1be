import MeshNetProtocol
package import MeshNetSwarm

/// What of a node's messages outlives its process, in a SQLite file. One thread at a time; every call may wait for the disk.
///
/// Changes gather in one transaction, which `commit` ends. After a failure nothing of it is there; changes that only take away or that replace what was
/// known of a peer are kept and come first in the next transaction, since nobody says them again.
package final class MessageStore {
    /// Changes kept after failures. Each row of the store can be taken away once, so that only a disk that is full for a very long time gets there; then
    /// the oldest go: messages that the application has settled come again after a restart.
    package static let maximumWaiting = 262_144
    /// The time of the last activity is written with a commit when it is so old.
    static let activityInterval: Int64 = 10_000_000_000

    package let directory: StateDirectory
    let database: Database
    let statements: StoreStatements
    var rows = PeerRows()
    var node = NodeNumbers()
    private var committedNode = NodeNumbers()
    private var failure: DatabaseFailure?
    /// Those of the open transaction, and those of failed ones, that are said once only.
    private var lasting: [StoreChange] = []
    private(set) var waiting: [StoreChange] = []
    /// By how much numbers of lanes grew since the last commit, failed transactions included.
    private var renumbered: [LanePlace: UInt64] = [:]
    private var isOpen = false
    /// The disk itself has every commit, and not only the kernel.
    var synchronizesDisk = false
    /// Once committed, the open transaction must lie on the disk itself.
    var awaitsDisk = false
    private var lastActive: Int64?

    /// For tests: how many transactions were committed, and failed.
    package private(set) var commits = 0
    package private(set) var failures = 0
    /// How often a commit waited for the disk for what it holds.
    package private(set) var synchronizations = 0

    private struct LanePlace: Hashable {
        let position: Int
        let lane: Lane
    }

    /// Numbers of the node that change with messages.
    struct NodeNumbers: Equatable {
        var lastRequest: UInt64 = 0
        var lastArrival: Int64 = 0
    }

    init(_ directory: StateDirectory, _ database: Database) throws(DatabaseFailure) {
        self.directory = directory
        self.database = database
        statements = try StoreStatements(database)
    }

    // MARK: Changes

    /// Whether `commit` has something to do.
    package var hasChanges: Bool { isOpen }
    /// Changes that an earlier commit could not make.
    package var hasWaiting: Bool { !waiting.isEmpty }

    /// A failure shows in `commit`.
    package func apply(_ change: StoreChange) {
        if change.isLasting, let lasting = stillTrueAfterFailure(change) { self.lasting.append(lasting) }
        attempt { () throws(DatabaseFailure) in
            try begin()
            try perform(change)
        }
    }

    /// The open transaction cannot be: what it would name is not on the disk.
    package func refuse(_ problem: StorageProblem) {
        attempt { () throws(DatabaseFailure) in
            if case .full = problem { throw .full } else { throw .system("\(problem)") }
        }
    }

    /// Ends the transaction; `now` is the wall clock in nanoseconds since 1970. After a failure nothing of it is on the disk: `.full`, `.failed`.
    package func commit(now: Int64) throws(StorageProblem) {
        guard isOpen || hasWaiting else { return }
        attempt { () throws(DatabaseFailure) in
            try begin()
            try finish(now: now)
        }
        guard let failure else {
            succeeded(now: now)
            return
        }
        failed(failure)
        // A full disk has room for what only takes away, mostly: in the log, once its start can be written again.
        if failure.isFull { retryWaiting(now: now) }
        throw .of(failure, directory.databasePath)
    }

    /// Writes that the node is alive, with whatever waits.
    package func commitActivity(now: Int64) throws(StorageProblem) {
        lastActive = nil
        attempt { () throws(DatabaseFailure) in try begin() }
        try commit(now: now)
    }

    private func attempt(_ body: () throws(DatabaseFailure) -> Void) {
        isOpen = true
        guard failure == nil else { return }
        do throws(DatabaseFailure) { try body() } catch { failure = error }
    }

    private func begin() throws(DatabaseFailure) {
        guard !database.isInTransaction else { return }
        try statements.begin.run()
        for change in waiting { try perform(change) }
    }

    private func finish(now: Int64) throws(DatabaseFailure) {
        for position in rows.touched { try writeNumbers(position) }
        let isDue = lastActive.map { now < $0 || now - $0 >= Self.activityInterval } ?? true
        if isDue || node.lastRequest != committedNode.lastRequest {
            statements.updateNode.bind(1, now)
            statements.updateNode.bind(2, bits: node.lastRequest)
            try statements.updateNode.run()
        }
        try statements.commit.run()
        if isDue { lastActive = now }
        if awaitsDisk, !synchronizesDisk {
            database.synchronizeLog()
            synchronizations += 1
        }
        awaitsDisk = false
    }

    private func succeeded(now: Int64) {
        rows.end(isCommitted: true)
        committedNode = node
        lasting.removeAll(keepingCapacity: lasting.capacity <= 4_096)
        waiting.removeAll()
        renumbered.removeAll()
        isOpen = false
        commits += 1
    }

    private func failed(_ failure: DatabaseFailure) {
        if database.isInTransaction { try? database.execute("ROLLBACK") }
        rows.end(isCommitted: false)
        node = committedNode
        waiting.append(contentsOf: lasting)
        if waiting.count > Self.maximumWaiting { waiting.removeFirst(waiting.count - Self.maximumWaiting) }
        lasting.removeAll()
        isOpen = false
        awaitsDisk = false
        self.failure = nil
        failures += 1
    }

    private func retryWaiting(now: Int64) {
        database.restartLog()
        guard hasWaiting else { return }
        attempt { () throws(DatabaseFailure) in
            try begin()
            try finish(now: now)
        }
        if let failure { failed(failure) } else { succeeded(now: now) }
    }

    /// nil for what is about rows that go with this transaction.
    private func stillTrueAfterFailure(_ change: StoreChange) -> StoreChange? {
        switch change {
        case .acknowledged(let peer, let lane, let below):
            guard let position = rows.position(of: peer), !rows[position].isVoided else { return nil }
            return .acknowledged(peer, lane, below: min(below, lastingNext(position, lane)))
        case .renumbered(let peer, let lane, let delta):
            guard let position = rows.position(of: peer), !rows[position].isVoided else { return nil }
            renumbered[LanePlace(position: position, lane: lane), default: 0] += delta
            return change
        case .withdrawn(let peer, let lane, let sequence):
            guard let position = rows.position(of: peer), !rows[position].isVoided else { return nil }
            return sequence < lastingNext(position, lane) ? change : nil
        case .reset(let peer), .forget(let peer):
            if let position = rows.position(of: peer) { for lane in Lane.allCases { renumbered[LanePlace(position: position, lane: lane)] = nil } }
            return change
        default: return change
        }
    }

    /// The next number of a lane in a store that has what lasts of this transaction, and of failed ones.
    private func lastingNext(_ position: Int, _ lane: Lane) -> UInt64 {
        rows[position].committed[lane].next + (renumbered[LanePlace(position: position, lane: lane)] ?? 0)
    }

    /// After the rows were read.
    func restored(_ node: NodeNumbers, lastActive: Int64?) {
        self.node = node
        committedNode = node
        self.lastActive = lastActive
    }
}

extension StoreChange {
    /// Whether it holds also when what else was in its transaction does not. Messages do not: their senders and callers are told.
    fileprivate var isLasting: Bool {
        switch self {
        // Nor does what is said of those that were sent: nothing follows it then.
        case .outbound, .inbound, .expected, .sent: false
        case .incarnation, .peer, .forget, .acknowledged, .renumbered, .withdrawn, .settled, .reset: true
        }
    }
}
