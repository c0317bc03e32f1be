// The tables of a store, version 2.
extension MessageStore {
    /// Says that the file is a store of ours: "mesh" in ASCII.
    static let applicationID = 0x6d65_7368
    /// A library that changes the tables counts it up, and reads all older ones.
    static let schemaVersion = 2

    /// Memory for pages of the file.
    static let cacheKiB = 4_096
    /// Pages of 4 KiB in the log, after which a commit moves them into the file; and the bytes of the log that stay allocated then.
    static let logPages = 1_000
    static let logBytes = 16 << 20

    /// STRICT: a damaged value shows as such. Without secondary indices: a change touches one tree, and what belongs together in time lies together.
    /// The numbers of lanes 0 to 2 lie in the row of the peer, so that a commit writes one row for each peer that it concerns.
    static let schema = """
        CREATE TABLE node (
            only INTEGER PRIMARY KEY CHECK (only = 1), incarnation BLOB, last_active INTEGER, last_request INTEGER NOT NULL
        ) STRICT;
        INSERT INTO node VALUES (1, NULL, NULL, 0);
        CREATE TABLE peers (
            id INTEGER PRIMARY KEY, peer BLOB NOT NULL, incarnation BLOB, addresses BLOB, closed_here INTEGER, close_reason TEXT,
            last_heard INTEGER NOT NULL DEFAULT 0,
            next_0 INTEGER NOT NULL DEFAULT 1, acknowledged_0 INTEGER NOT NULL DEFAULT 1, expected_0 INTEGER NOT NULL DEFAULT 1,
            next_1 INTEGER NOT NULL DEFAULT 1, acknowledged_1 INTEGER NOT NULL DEFAULT 1, expected_1 INTEGER NOT NULL DEFAULT 1,
            next_2 INTEGER NOT NULL DEFAULT 1, acknowledged_2 INTEGER NOT NULL DEFAULT 1, expected_2 INTEGER NOT NULL DEFAULT 1,
            sent_0 INTEGER, sent_1 INTEGER, sent_2 INTEGER
        ) STRICT;
        CREATE TABLE outbound (
            peer INTEGER NOT NULL REFERENCES peers (id) ON DELETE CASCADE, lane INTEGER NOT NULL, sequence INTEGER NOT NULL,
            kind INTEGER NOT NULL, reply_to INTEGER, request INTEGER, deadline INTEGER,
            spool INTEGER, size INTEGER NOT NULL, body BLOB,
            PRIMARY KEY (peer, lane, sequence)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE inbound (
            peer INTEGER NOT NULL REFERENCES peers (id) ON DELETE CASCADE, lane INTEGER NOT NULL, sequence INTEGER NOT NULL,
            incarnation BLOB NOT NULL, arrival INTEGER NOT NULL, request INTEGER,
            spool INTEGER, size INTEGER NOT NULL, body BLOB,
            PRIMARY KEY (peer, lane, sequence, incarnation)
        ) STRICT, WITHOUT ROWID;
        """

    /// Of the connection, before it reads anything. EXCLUSIVE keeps the index of the log in our memory: no third file, and nothing mapped that
    /// another process could cut short.
    static func settings(synchronizesDisk: Bool) -> String {
        """
        PRAGMA locking_mode = EXCLUSIVE;
        PRAGMA trusted_schema = OFF;
        PRAGMA cell_size_check = ON;
        PRAGMA mmap_size = 0;
        PRAGMA temp_store = MEMORY;
        PRAGMA foreign_keys = ON;
        PRAGMA cache_size = -\(cacheKiB);
        PRAGMA synchronous = \(synchronizesDisk ? "FULL" : "NORMAL");
        PRAGMA wal_autocheckpoint = \(logPages);
        PRAGMA journal_size_limit = \(logBytes);
        """
    }

    /// Version 1 did not know which messages were sent: all may have been.
    static let renewalOfVersion1 = """
        BEGIN;
        ALTER TABLE peers ADD COLUMN sent_0 INTEGER;
        ALTER TABLE peers ADD COLUMN sent_1 INTEGER;
        ALTER TABLE peers ADD COLUMN sent_2 INTEGER;
        PRAGMA user_version = \(schemaVersion);
        COMMIT;
        """

    static let making = """
        PRAGMA journal_mode = WAL;
        BEGIN;
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(schemaVersion);
        \(schema)
        COMMIT;
        """
}
