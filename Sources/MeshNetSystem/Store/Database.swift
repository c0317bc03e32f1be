import CSQLite
import Glibc
import MeshNetProtocol

/// A call of SQLite that failed.
struct DatabaseFailure: Error, Equatable {
    /// The extended result code (sqlite.org, "Result and Error Codes").
    let code: Int32
    let systemErrno: Int32
    let reason: String

    private var primary: Int32 { code & 0xff }

    /// Quotas end as an I/O error with their own errno.
    var isFull: Bool { primary == SQLITE_FULL || (primary == SQLITE_IOERR && (systemErrno == ENOSPC || systemErrno == EDQUOT)) }
    /// Another connection has the file; ours waits for none.
    var isBusy: Bool { primary == SQLITE_BUSY || primary == SQLITE_LOCKED }
    var isReadOnly: Bool { primary == SQLITE_READONLY }
    /// What the file holds is the cause. All else is the environment's doing: the file may well be sound.
    var isOfFile: Bool {
        switch primary {
        case SQLITE_PERM, SQLITE_NOMEM, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_NOLFS, SQLITE_AUTH, SQLITE_INTERRUPT: false
        case SQLITE_IOERR: code == Self.shortRead
        default: !isFull && !isBusy
        }
    }

    static func damage(_ reason: String) -> DatabaseFailure { DatabaseFailure(code: SQLITE_CORRUPT, systemErrno: 0, reason: reason) }
    static func system(_ reason: String) -> DatabaseFailure { DatabaseFailure(code: SQLITE_CANTOPEN, systemErrno: 0, reason: reason) }
    static let full = DatabaseFailure(code: SQLITE_FULL, systemErrno: ENOSPC, reason: "the disk is full")
    /// Neither damaged nor of use to us.
    static func newer(_ reason: String) -> DatabaseFailure { DatabaseFailure(code: SQLITE_NOLFS, systemErrno: 0, reason: reason) }

    /// SQLITE_IOERR_SHORT_READ, a macro that Swift does not see: the file ends within a page.
    static let shortRead: Int32 = SQLITE_IOERR | (2 << 8)
}

/// One connection to one SQLite file. Of one thread at a time: it has no mutex.
final class Database {
    private let handle: OpaquePointer

    /// The file must be there: SQLite would make it readable by others. Waits for no other connection.
    init(_ path: String) throws(DatabaseFailure) {
        var opened: OpaquePointer?
        // No SQLITE_OPEN_URI: a path is a path.
        let code = sqlite3_open_v2(path, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nil)
        guard let opened else { throw DatabaseFailure(code: SQLITE_NOMEM, systemErrno: ENOMEM, reason: "out of memory") }
        handle = opened
        sqlite3_extended_result_codes(opened, 1)
        guard code == SQLITE_OK else { throw failure(code) }
    }

    // v2: statements that are still there end first.
    deinit { sqlite3_close_v2(handle) }

    /// Statements without parameters; rows are left unread.
    func execute(_ sql: String) throws(DatabaseFailure) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code) }
    }

    func prepare(_ sql: String) throws(DatabaseFailure) -> Statement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(code) }
        return Statement(statement, of: self)
    }

    /// The first column of the first row, as text; nil without a row.
    func value(_ sql: String) throws(DatabaseFailure) -> String? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(0) : nil
    }

    /// Whether a transaction is open. SQLite ends one by itself after some failures.
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Moves what the log holds into the file as far as that is possible, so that the next transaction writes at the start of the log again.
    func restartLog() { sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_RESTART, nil, nil) }

    /// Waits until the disk itself has what the log holds. A disk that cannot say so loses it only together with its power, and fails the next checkpoint.
    func synchronizeLog() {
        guard let name = sqlite3_db_filename(handle, nil).flatMap({ sqlite3_filename_wal($0) }) else { return }
        let descriptor = open(name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fdatasync(descriptor)
        close(descriptor)
    }

    func failure(_ code: Int32) -> DatabaseFailure {
        let reason = sqlite3_errmsg(handle).map { String(cString: $0) } ?? "error \(code)"
        return DatabaseFailure(code: code == SQLITE_OK ? SQLITE_ERROR : code, systemErrno: sqlite3_system_errno(handle), reason: reason)
    }
}

/// A prepared statement. Parameters count from 1 and columns from 0, as in SQLite.
final class Statement {
    private let handle: OpaquePointer
    /// Unowned would do, but for the order of destruction.
    private let database: Database

    init(_ handle: OpaquePointer, of database: Database) {
        self.handle = handle
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    // MARK: Parameters. They keep their value until they are bound again; a failure to bind shows in `step`.

    func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(handle, index, value) }

    func bind(_ index: Int32, _ value: Int64?) {
        if let value { bind(index, value) } else { sqlite3_bind_null(handle, index) }
    }

    /// All 64 bits are kept; the order of SQL is that of signed numbers.
    func bind(_ index: Int32, bits value: UInt64) { bind(index, Int64(bitPattern: value)) }

    /// Without a copy: the memory must stay until `run` returned.
    func bind(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty {
            // A blob without address would be NULL.
            sqlite3_bind_zeroblob(handle, index, 0)
        } else {
            sqlite3_bind_blob64(handle, index, bytes.baseAddress, UInt64(bytes.count), nil)
        }
    }

    /// UTF-8, likewise without a copy; NULL when empty.
    func bind(_ index: Int32, text: UnsafeRawBufferPointer) {
        guard let address = text.baseAddress, !text.isEmpty else { return bindNull(index) }
        sqlite3_bind_text64(handle, index, address.assumingMemoryBound(to: CChar.self), UInt64(text.count), nil, UInt8(SQLITE_UTF8))
    }

    func bindNull(_ index: Int32) { sqlite3_bind_null(handle, index) }

    // MARK: Running

    /// Whether there is a row.
    func step() throws(DatabaseFailure) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            let failure = database.failure(code)
            sqlite3_reset(handle)
            throw failure
        }
    }

    /// To the end; ready for the next run.
    func run() throws(DatabaseFailure) {
        while try step() {}
        sqlite3_reset(handle)
    }

    // MARK: Columns of the current row

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
    func optionalInteger(_ column: Int32) -> Int64? { isNull(column) ? nil : integer(column) }
    func bits(_ column: Int32) -> UInt64 { UInt64(bitPattern: integer(column)) }

    func bytes(_ column: Int32) -> [UInt8] {
        // The address first: it may convert, which changes the count.
        let address = sqlite3_column_blob(handle, column)
        return [UInt8](UnsafeRawBufferPointer(start: address, count: address == nil ? 0 : Int(sqlite3_column_bytes(handle, column))))
    }

    /// nil for NULL and for what is not UTF-8.
    func text(_ column: Int32) -> String? {
        guard let address = sqlite3_column_text(handle, column) else { return nil }
        return String(validating: UnsafeBufferPointer(start: address, count: Int(sqlite3_column_bytes(handle, column))), as: UTF8.self)
    }
}
