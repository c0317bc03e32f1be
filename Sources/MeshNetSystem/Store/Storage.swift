package import MeshNetProtocol
package import MeshNetSwarm

/// What of a node lies on a disk: its store, when it has a state directory, and the files of large messages. Reactor thread only, once it is opened.
package final class Storage {
    /// That the node is alive is written so often, when nothing else is.
    package static let activityInterval: Duration = .seconds(60)
    /// After a commit that failed the next one is tried after this; what wants to be stored waits.
    package static let retryInterval: Duration = .milliseconds(100)
    /// The same trouble is told again after this.
    package static let repeatInterval: Duration = .seconds(60)

    package let spool: SpoolFiles
    package private(set) var store: MessageStore?
    private var directory: StateDirectory?
    /// For `Swarm.restore`; nil without a state directory.
    package private(set) var restored: StoredState?
    /// What the application is to be told of the start.
    package let problems: [StorageProblem]
    private let synchronizesDisk: Bool
    private var activityDue: Instant
    private var retryAt: Instant?
    private var told: (problem: StorageProblem, at: Instant)?
    private var buffer: UnsafeMutableRawBufferPointer?

    /// Blocks for the disk. Throws `.inUse`, `.full` and `.failed`.
    package init(_ configuration: MessageConfiguration, now: Instant, wallClock: Int64) throws(StorageProblem) {
        synchronizesDisk = configuration.synchronizesDisk
        activityDue = now + Self.activityInterval
        guard let path = configuration.stateDirectory else {
            spool = SpoolFiles(folder: SpoolFolder(directory: nil), byteLimit: configuration.spoolBytes)
            problems = []
            return
        }
        let directory = try StateDirectory(path), folder = SpoolFolder(directory: directory.spoolPath)
        let files = try folder.scan()
        let opened = try MessageStore.open(directory, synchronizesDisk: synchronizesDisk, files: files, now: wallClock)
        spool = SpoolFiles(folder: folder, byteLimit: configuration.spoolBytes)
        spool.restore(files, opened.state)
        self.directory = directory
        store = opened.store
        restored = opened.state
        problems = opened.problems
    }

    deinit { buffer?.deallocate() }

    /// Memory for one read at a time, of the largest size so far.
    package func readBuffer(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        if let buffer, buffer.count >= byteCount { return UnsafeMutableRawBufferPointer(rebasing: buffer[..<byteCount]) }
        buffer?.deallocate()
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        buffer = memory
        return memory
    }

    /// Gives what the store held, once: it may be large.
    package func takeRestored() -> StoredState? { restored.take() }

    // MARK: Changes

    package func apply(_ change: StoreChange) {
        guard let store else { return }
        if synchronizesDisk, let spool = change.spool {
            do throws(StorageProblem) { try self.spool.synchronize(spool) } catch { store.refuse(error) }
        }
        store.apply(change)
    }

    /// Nobody needs the file any more. It goes at once, unless the store may still name it.
    package func discard(_ spool: SpoolID) {
        self.spool.discard(spool)
        guard let store, store.hasChanges || store.hasWaiting else { return self.spool.deleteDiscarded() }
    }

    /// Whether there is something to commit, and the last failure is long enough ago.
    package func wantsCommit(now: Instant) -> Bool {
        guard let store, store.hasChanges else { return false }
        return retryAt.map { $0 <= now } ?? true
    }

    /// Everything applied so far is on the disk, or none of it. Throws `.full` and `.failed`.
    package func commit(now: Instant, wallClock: Int64) throws(StorageProblem) {
        guard let store else { return }
        let isActivityDue = isActivityDue(now: now)
        if isActivityDue { activityDue = now + Self.activityInterval }
        do throws(StorageProblem) {
            if isActivityDue { try store.commitActivity(now: wallClock) } else { try store.commit(now: wallClock) }
            retryAt = nil
            spool.deleteDiscarded()
        } catch {
            retryAt = now + Self.retryInterval
            throw error
        }
    }

    /// When `commit` is due at the latest; nil without a store.
    package var deadline: Instant? {
        guard let store else { return nil }
        return store.hasChanges ? retryAt ?? activityDue : activityDue
    }

    package func isActivityDue(now: Instant) -> Bool { store != nil && activityDue <= now }

    /// Whether the application hears of it: not of the same again and again.
    package func shouldTell(_ problem: StorageProblem, now: Instant) -> Bool {
        if let told, told.problem == problem, now < told.at + Self.repeatInterval { return false }
        told = (problem, now)
        return true
    }

    /// Writes what is left, and frees the directory for others. What cannot be written is as after a sudden death.
    package func close(wallClock: Int64) {
        do throws(StorageProblem) {
            try store?.commitActivity(now: wallClock)
            spool.deleteDiscarded()
        } catch {}
        // In this order: who gets the lock next finds nobody at the file.
        store = nil
        directory = nil
    }
}

extension StoreChange {
    fileprivate var spool: SpoolID? {
        switch self {
        case .outbound(_, let message): if case .spooled(let spool, _) = message.body { spool } else { nil }
        case .inbound(let message): if case .spooled(let spool, _) = message.body { spool } else { nil }
        default: nil
        }
    }
}
