import MeshNetProtocol
import MeshNetSwarm

// Each change as statements, within the open transaction.
extension MessageStore {
    func perform(_ change: StoreChange) throws(DatabaseFailure) {
        switch change {
        case .incarnation(let incarnation):
            try incarnation.bytes.withView { view throws(DatabaseFailure) in
                statements.setIncarnation.bind(1, view)
                try statements.setIncarnation.run()
            }
        case .peer(let peer, let known): try replace(peer, known)
        case .forget(let peer): try forget(peer)
        case .outbound(let peer, let message): try insert(message, to: peer)
        case .acknowledged(let peer, let lane, let below): try acknowledge(peer, lane, below)
        case .renumbered(let peer, let lane, let delta): try renumber(peer, lane, by: delta)
        case .sent(let peer, let lane, let below):
            let position = try existing(peer)
            rows.update(position) { $0[lane].sent = below }
            if below == nil { awaitsDisk = true }
        case .withdrawn(let peer, let lane, let sequence): try withdraw(peer, lane, sequence)
        case .inbound(let message): try insert(message)
        case .expected(let peer, let lane, let next):
            let position = try existing(peer)
            rows.update(position) { $0[lane].expected = next }
        case .settled(let peer, let incarnation, let lane, let sequence): try settle(peer, incarnation, lane, sequence)
        case .reset(let peer): try reset(peer)
        }
    }

    /// The entry of a peer, with its row.
    private func existing(_ peer: PeerID) throws(DatabaseFailure) -> Int {
        let position = rows.touch(peer)
        guard !rows[position].row.exists else { return position }
        statements.insertPeer.bind(1, rows[position].id)
        try peer.multihash.withView { view throws(DatabaseFailure) in
            statements.insertPeer.bind(2, view)
            try statements.insertPeer.run()
        }
        rows.update(position) { $0.exists = true }
        return position
    }

    /// The entry of a peer that has a row.
    private func known(_ peer: PeerID) -> Int? {
        guard let position = rows.position(of: peer), rows[position].row.exists else { return nil }
        return rows.touch(peer)
    }

    func writeNumbers(_ position: Int) throws(DatabaseFailure) {
        let entry = rows[position]
        guard entry.row.exists, entry.row != entry.committed else { return }
        statements.updateNumbers.bind(1, entry.id)
        var index: Int32 = 2
        for lane in Lane.allCases {
            let numbers = entry.row[lane]
            statements.updateNumbers.bind(index, bits: numbers.next)
            statements.updateNumbers.bind(index + 1, bits: numbers.acknowledged)
            statements.updateNumbers.bind(index + 2, bits: numbers.expected)
            statements.updateNumbers.bind(11 + Int32(lane.rawValue), numbers.sent.map { Int64(bitPattern: $0) })
            index += 3
        }
        try statements.updateNumbers.run()
    }

    // MARK: Peers

    private func replace(_ peer: PeerID, _ known: StoredPeer) throws(DatabaseFailure) {
        let position = try existing(peer), statement = statements.updatePeer
        statement.bind(1, rows[position].id)
        statement.bind(4, known.closed.map { $0.byUs ? 1 : 0 })
        statement.bind(6, known.lastHeard)
        let addresses = StoredAddresses.encode(known.addresses), reason = Array((known.closed?.reason ?? "").utf8)
        let incarnation = known.incarnation?.bytes
        try (incarnation ?? []).withView { incarnationView throws(DatabaseFailure) in
            if incarnation == nil { statement.bindNull(2) } else { statement.bind(2, incarnationView) }
            try addresses.withView { view throws(DatabaseFailure) in
                statement.bind(3, view)
                try reason.withView { reasonView throws(DatabaseFailure) in
                    statement.bind(5, text: reasonView)
                    try statement.run()
                }
            }
        }
    }

    private func forget(_ peer: PeerID) throws(DatabaseFailure) {
        guard let position = known(peer) else { return }
        statements.deletePeer.bind(1, rows[position].id)
        try statements.deletePeer.run()
        rows.void(position)
        rows.update(position) { $0 = PeerRow() }
    }

    private func reset(_ peer: PeerID) throws(DatabaseFailure) {
        guard let position = known(peer) else { return }
        statements.deleteQueue.bind(1, rows[position].id)
        try statements.deleteQueue.run()
        rows.void(position)
        rows.update(position) { $0.resetNumbers() }
    }

    // MARK: Outbound

    private func insert(_ message: StoredOutbound, to peer: PeerID) throws(DatabaseFailure) {
        let position = try existing(peer), statement = statements.insertOutbound
        statement.bind(1, rows[position].id)
        statement.bind(2, Int64(message.lane.rawValue))
        statement.bind(3, bits: message.sequence)
        switch message.kind {
        case .message: statement.bind(4, StoredKind.message.rawValue)
        case .request: statement.bind(4, StoredKind.request.rawValue)
        case .reply: statement.bind(4, StoredKind.reply.rawValue)
        }
        if case .reply(let number) = message.kind { statement.bind(5, bits: number) } else { statement.bindNull(5) }
        statement.bind(6, message.request.map { Int64(bitPattern: $0) })
        statement.bind(7, message.deadline)
        try statement.run(8, message.body)
        rows.update(position) { $0[message.lane].next = max($0[message.lane].next, message.sequence + 1) }
        if let request = message.request { node.lastRequest = max(node.lastRequest, request) }
    }

    private func acknowledge(_ peer: PeerID, _ lane: Lane, _ below: UInt64) throws(DatabaseFailure) {
        guard let position = known(peer) else { return }
        statements.deleteBelow.bind(1, rows[position].id)
        statements.deleteBelow.bind(2, Int64(lane.rawValue))
        statements.deleteBelow.bind(3, bits: below)
        try statements.deleteBelow.run()
        let limit = min(below, Self.maximumNumber)
        rows.update(position) {
            $0[lane].acknowledged = max($0[lane].acknowledged, limit)
            $0[lane].next = max($0[lane].next, limit)
        }
    }

    private func renumber(_ peer: PeerID, _ lane: Lane, by delta: UInt64) throws(DatabaseFailure) {
        guard let position = known(peer) else { return }
        for statement in [statements.raiseNumbers, statements.settleNumbers] {
            statement.bind(1, rows[position].id)
            statement.bind(2, Int64(lane.rawValue))
            if statement === statements.raiseNumbers { statement.bind(3, bits: delta) }
            try statement.run()
        }
        rows.update(position) {
            $0[lane].acknowledged += delta
            $0[lane].next += delta
            $0[lane].sent? += delta
        }
    }

    /// A number without message and below the next is a withdrawn one: the rows that are left say which.
    private func withdraw(_ peer: PeerID, _ lane: Lane, _ sequence: UInt64) throws(DatabaseFailure) {
        guard let position = known(peer) else { return }
        statements.deleteOutbound.bind(1, rows[position].id)
        statements.deleteOutbound.bind(2, Int64(lane.rawValue))
        statements.deleteOutbound.bind(3, bits: sequence)
        try statements.deleteOutbound.run()
        rows.update(position) { $0[lane].next = max($0[lane].next, sequence + 1) }
    }

    // MARK: Inbound

    private func insert(_ stored: StoredInbound) throws(DatabaseFailure) {
        let message = stored.message, position = try existing(message.peer), statement = statements.insertInbound
        node.lastArrival += 1
        statement.bind(1, rows[position].id)
        statement.bind(2, Int64(message.lane.rawValue))
        statement.bind(3, bits: message.sequence)
        statement.bind(5, node.lastArrival)
        statement.bind(6, message.request.map { Int64(bitPattern: $0) })
        try message.incarnation.bytes.withView { view throws(DatabaseFailure) in
            statement.bind(4, view)
            try statement.run(7, stored.body)
        }
        rows.update(position) { $0[message.lane].expected = message.sequence &+ 1 }
    }

    private func settle(_ peer: PeerID, _ incarnation: Incarnation, _ lane: Lane, _ sequence: UInt64) throws(DatabaseFailure) {
        guard let position = known(peer) else { return }
        statements.deleteInbound.bind(1, rows[position].id)
        statements.deleteInbound.bind(2, Int64(lane.rawValue))
        statements.deleteInbound.bind(3, bits: sequence)
        try incarnation.bytes.withView { view throws(DatabaseFailure) in
            statements.deleteInbound.bind(4, view)
            try statements.deleteInbound.run()
        }
    }
}

extension Statement {
    /// Binds the columns spool, size and body from `first` on, and runs.
    fileprivate func run(_ first: Int32, _ body: ReceivedBody) throws(DatabaseFailure) {
        bind(first + 1, Int64(body.byteCount))
        switch body {
        case .spooled(let spool, _):
            bind(first, bits: spool.rawValue)
            bindNull(first + 2)
            try run()
        case .bytes(let bytes):
            bindNull(first)
            try bytes.withView { view throws(DatabaseFailure) in
                bind(first + 2, view)
                defer { bindNull(first + 2) }
                try run()
            }
        }
    }
}

/// Addresses in one column: each with its length as a varint in front.
enum StoredAddresses {
    static func encode(_ addresses: [Multiaddr]) -> [UInt8] {
        var bytes: [UInt8] = []
        for address in addresses {
            Varint.append(UInt64(address.bytes.count), to: &bytes)
            bytes += address.bytes
        }
        return bytes
    }

    /// As far as they can be read.
    static func decode(_ bytes: [UInt8], limit: Int) -> [Multiaddr] {
        bytes.withView { view in
            var reader = ByteReader(view), addresses: [Multiaddr] = []
            while !reader.isAtEnd, addresses.count < limit {
                guard let count = try? reader.readLength(limit: view.count), let piece = try? reader.readBytes(count) else { break }
                if let address = try? Multiaddr(bytes: piece) { addresses.append(address) }
            }
            return addresses
        }
    }
}
