/// The statements of a store, prepared once.
struct StoreStatements {
    let begin: Statement
    let commit: Statement
    let updateNode: Statement
    let setIncarnation: Statement
    let insertPeer: Statement
    let updatePeer: Statement
    let updateNumbers: Statement
    let deletePeer: Statement
    let insertOutbound: Statement
    let deleteBelow: Statement
    let deleteOutbound: Statement
    let raiseNumbers: Statement
    let settleNumbers: Statement
    let deleteQueue: Statement
    let insertInbound: Statement
    let deleteInbound: Statement

    init(_ database: Database) throws(DatabaseFailure) {
        begin = try database.prepare("BEGIN IMMEDIATE")
        commit = try database.prepare("COMMIT")
        updateNode = try database.prepare("UPDATE node SET last_active = ?1, last_request = ?2")
        setIncarnation = try database.prepare("UPDATE node SET incarnation = ?1")
        insertPeer = try database.prepare("INSERT INTO peers (id, peer) VALUES (?1, ?2)")
        updatePeer = try database.prepare(
            "UPDATE peers SET incarnation = ?2, addresses = ?3, closed_here = ?4, close_reason = ?5, last_heard = ?6 WHERE id = ?1")
        updateNumbers = try database.prepare("""
            UPDATE peers SET next_0 = ?2, acknowledged_0 = ?3, expected_0 = ?4, next_1 = ?5, acknowledged_1 = ?6, expected_1 = ?7,
                next_2 = ?8, acknowledged_2 = ?9, expected_2 = ?10, sent_0 = ?11, sent_1 = ?12, sent_2 = ?13 WHERE id = ?1
            """)
        deletePeer = try database.prepare("DELETE FROM peers WHERE id = ?1")
        insertOutbound = try database.prepare("""
            INSERT OR REPLACE INTO outbound (peer, lane, sequence, kind, reply_to, request, deadline, spool, size, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            """)
        deleteBelow = try database.prepare("DELETE FROM outbound WHERE peer = ?1 AND lane = ?2 AND sequence < ?3")
        deleteOutbound = try database.prepare("DELETE FROM outbound WHERE peer = ?1 AND lane = ?2 AND sequence = ?3")
        // In two steps: while rows change one after another no two of them may have one number.
        raiseNumbers = try database.prepare("UPDATE outbound SET sequence = -(sequence + ?3) WHERE peer = ?1 AND lane = ?2")
        settleNumbers = try database.prepare("UPDATE outbound SET sequence = -sequence WHERE peer = ?1 AND lane = ?2 AND sequence < 0")
        deleteQueue = try database.prepare("DELETE FROM outbound WHERE peer = ?1")
        insertInbound = try database.prepare("""
            INSERT OR REPLACE INTO inbound (peer, lane, sequence, incarnation, arrival, request, spool, size, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            """)
        deleteInbound = try database.prepare("DELETE FROM inbound WHERE peer = ?1 AND lane = ?2 AND sequence = ?3 AND incarnation = ?4")
    }
}

/// How what is sent lies in the column `kind`.
enum StoredKind: Int64 {
    case message = 0
    case request = 1
    case reply = 2
}
