import Glibc
package import MeshNetSwarm

/// A store at the start, with what it held.
package struct OpenedStore {
    package let store: MessageStore
    package let state: StoredState
    /// To be told to the application: a file that was set aside, messages that could not be read back.
    package fileprivate(set) var problems: [StorageProblem]
}

extension MessageStore {
    /// Opens the store of a directory and reads all of it; makes one where there is none. A damaged one is renamed, and a new one made.
    /// - Parameter files: what lies in the spool directory, with its size. A message whose file is not whole is dropped and reported.
    /// - Parameter now: the wall clock, nanoseconds since 1970.
    /// Throws `.inUse`, `.full` and `.failed`, the last also for a store of a newer version.
    package static func open(
        _ directory: StateDirectory, synchronizesDisk: Bool = false, files: [SpoolID: Int] = [:], now: Int64
    ) throws(StorageProblem) -> OpenedStore {
        var problems: [StorageProblem] = []
        if directory.hasStrayLog { problems.append(try setAside(directory, "there is a log without its file")) }
        if directory.hasDatabase {
            do throws(DatabaseFailure) {
                return try openExisting(directory, synchronizesDisk, files, now)
            } catch {
                guard isDamage(error, directory) else { throw .of(error, directory.databasePath) }
                problems.append(try setAside(directory, error.reason))
            }
        }
        let temporary = try directory.makeDatabase()
        do throws(DatabaseFailure) { try fill(temporary) } catch { throw .of(error, directory.databasePath) }
        try directory.publishDatabase()
        do throws(DatabaseFailure) {
            var opened = try openExisting(directory, synchronizesDisk, [:], now)
            opened.problems = problems
            return opened
        } catch {
            throw .of(error, directory.databasePath)
        }
    }

    private static func openExisting(
        _ directory: StateDirectory, _ synchronizesDisk: Bool, _ files: [SpoolID: Int], _ now: Int64
    ) throws(DatabaseFailure) -> OpenedStore {
        let database = try Database(directory.databasePath)
        try database.execute(settings(synchronizesDisk: synchronizesDisk))
        guard try database.value("PRAGMA application_id") == String(applicationID) else { throw .damage("it is no store of messages") }
        let version = Int(try database.value("PRAGMA user_version") ?? "") ?? 0
        guard version <= schemaVersion else { throw .newer("it is of version \(version), and this library knows up to \(schemaVersion)") }
        guard version > 0 else { throw .damage("it has no version") }
        // The indices are few and small: this reads every page once, as the restoring does, and finds what that would not.
        let verdict = try database.value("PRAGMA integrity_check(1)") ?? ""
        guard verdict == "ok" else { throw .damage(verdict) }
        guard try database.value("PRAGMA journal_mode = WAL") == "wal" else { throw .system("the file system cannot keep a log beside it") }
        if version == 1 { try database.execute(renewalOfVersion1) }
        let store = try MessageStore(directory, database)
        store.synchronizesDisk = synchronizesDisk
        let restored = try store.restore(files: files, now: now)
        return OpenedStore(store: store, state: restored.state, problems: restored.problems)
    }

    private static func fill(_ path: String) throws(DatabaseFailure) {
        let database = try Database(path)
        try database.execute(settings(synchronizesDisk: true))
        try database.execute(making)
    }

    private static func setAside(_ directory: StateDirectory, _ reason: String) throws(StorageProblem) -> StorageProblem {
        .damaged(path: directory.databasePath, setAsideAs: try directory.setDatabaseAside(), reason: reason)
    }

    /// Whether the failure lies in what the file holds. A header that forbids writing is damage where the kernel allows it.
    private static func isDamage(_ failure: DatabaseFailure, _ directory: StateDirectory) -> Bool {
        failure.isOfFile || (failure.isReadOnly && directory.canWriteDatabase)
    }
}
