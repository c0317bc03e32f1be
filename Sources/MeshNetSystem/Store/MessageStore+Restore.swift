import MeshNetProtocol
import MeshNetSwarm

// What a store held, taken over at the start.
extension MessageStore {
    /// Numbers of our messages stay below this; a larger one in the file is damage, and arithmetic with them is safe.
    static let maximumNumber: UInt64 = 1 << 62

    struct Restored {
        let state: StoredState
        let problems: [StorageProblem]
    }

    func restore(files: [SpoolID: Int], now: Int64) throws(DatabaseFailure) -> Restored {
        var reader = StoreReader(database, files: files, now: now)
        try reader.read()
        for peer in reader.peers where rows.restore(peer.id, peer.known, peer.row) == nil { throw .damage("a peer is there twice") }
        restored(NodeNumbers(lastRequest: reader.state.lastRequest, lastArrival: reader.lastArrival), lastActive: reader.state.lastActive)
        guard !reader.dropped.isEmpty else { return Restored(state: reader.state, problems: []) }
        drop(reader.dropped)
        let words = "\(reader.dropped.count) messages could not be read back and are lost, the first because \(reader.dropped[0].reason)"
        let problem = StorageProblem.failed(path: directory.databasePath, reason: words)
        return Restored(state: reader.state, problems: [problem])
    }

    /// Rows that cannot be used go at once, so that they are reported once. Where that fails, they are again at the next start.
    private func drop(_ dropped: [StoreReader.Dropped]) {
        do throws(DatabaseFailure) {
            try statements.begin.run()
            for row in dropped {
                let statement = row.incarnation == nil ? statements.deleteOutbound : statements.deleteInbound
                statement.bind(1, row.peer)
                statement.bind(2, row.lane)
                statement.bind(3, row.sequence)
                try (row.incarnation ?? []).withView { view throws(DatabaseFailure) in
                    if row.incarnation != nil { statement.bind(4, view) }
                    try statement.run()
                }
            }
            try statements.commit.run()
        } catch {
            if database.isInTransaction { try? database.execute("ROLLBACK") }
        }
    }
}

/// Reads all of a store, row by row, and believes nothing. Memory is bounded by what was accepted before: nothing is left out for being much.
struct StoreReader {
    /// Addresses of a peer that are read back.
    static let maximumAddresses = 64

    /// A row that names what cannot be.
    struct Dropped {
        let peer: Int64
        let lane: Int64
        let sequence: Int64
        /// Of a row of `inbound`.
        let incarnation: [UInt8]?
        let reason: String
    }

    struct Peer {
        let id: Int64
        let known: PeerID
        var row: PeerRow
    }

    private let database: Database
    private let files: [SpoolID: Int]
    private(set) var state: StoredState
    /// As `state.channels`.
    private(set) var peers: [Peer] = []
    private var places: [Int64: Int] = [:]
    private(set) var dropped: [Dropped] = []
    private(set) var lastArrival: Int64 = 0

    init(_ database: Database, files: [SpoolID: Int], now: Int64) {
        self.database = database
        self.files = files
        state = StoredState(now: now)
    }

    mutating func read() throws(DatabaseFailure) {
        try readNode()
        try readPeers()
        try readOutbound()
        try readInbound()
        for place in peers.indices { findWithdrawn(place) }
    }

    private mutating func readNode() throws(DatabaseFailure) {
        let row = try database.prepare("SELECT incarnation, last_active, last_request FROM node")
        guard try row.step() else { throw .damage("the row of the node is gone") }
        state.incarnation = Incarnation(row.bytes(0))
        state.lastActive = row.optionalInteger(1)
        state.lastRequest = row.bits(2)
    }

    private mutating func readPeers() throws(DatabaseFailure) {
        let row = try database.prepare("""
            SELECT id, peer, incarnation, addresses, closed_here, close_reason, last_heard, next_0, acknowledged_0, expected_0,
                next_1, acknowledged_1, expected_1, next_2, acknowledged_2, expected_2, sent_0, sent_1, sent_2 FROM peers ORDER BY id
            """)
        while try row.step() {
            guard let peer = try? PeerID(multihash: row.bytes(1)), row.integer(0) > 0, row.integer(0) < Int64.max else {
                throw .damage("the row of a peer does not name one")
            }
            var channel = StoredState.Channel(peer: peer)
            channel.known.incarnation = Incarnation(row.bytes(2))
            channel.known.addresses = StoredAddresses.decode(row.bytes(3), limit: Self.maximumAddresses)
            if let byUs = row.optionalInteger(4) { channel.known.closed = Closing(byUs: byUs != 0, reason: row.text(5) ?? "") }
            channel.known.lastHeard = max(row.integer(6), 0)
            var numbers = PeerRow()
            numbers.exists = true
            for lane in Lane.allCases {
                let first = 7 + 3 * Int32(lane.rawValue), sent = row.optionalInteger(16 + Int32(lane.rawValue)).map { UInt64(bitPattern: $0) }
                numbers[lane] = LaneNumbers(next: row.bits(first), acknowledged: row.bits(first + 1), expected: max(row.bits(first + 2), 1), sent: sent)
                guard (1...MessageStore.maximumNumber).contains(numbers[lane].next), (1...numbers[lane].next).contains(numbers[lane].acknowledged),
                    (1...MessageStore.maximumNumber).contains(sent ?? 1)
                else {
                    throw .damage("the numbers of a peer's messages cannot be")
                }
            }
            places[row.integer(0)] = peers.count
            peers.append(Peer(id: row.integer(0), known: peer, row: numbers))
            state.channels.append(channel)
        }
    }

    private mutating func readOutbound() throws(DatabaseFailure) {
        let row = try database.prepare("""
            SELECT peer, lane, sequence, spool, size, body, kind, reply_to, request, deadline FROM outbound ORDER BY peer, lane, sequence
            """)
        while try row.step() {
            do throws(Unusable) {
                let (place, lane) = try owner(row)
                let sequence = row.bits(2), numbers = peers[place].row[lane]
                guard (numbers.acknowledged..<MessageStore.maximumNumber).contains(sequence) else { throw Unusable("its number cannot be") }
                guard let kind = kind(row) else { throw Unusable("its kind is unknown") }
                let request = row.optionalInteger(8).map { UInt64(bitPattern: $0) }
                state.channels[place].outbound.append(StoredOutbound(
                    lane: lane, sequence: sequence, kind: kind, request: request, deadline: row.optionalInteger(9), body: try body(row)))
                peers[place].row[lane].next = max(numbers.next, sequence + 1)
                if let request { state.lastRequest = max(state.lastRequest, request) }
            } catch {
                drop(row, nil, error)
            }
        }
    }

    private mutating func readInbound() throws(DatabaseFailure) {
        let row = try database.prepare("SELECT peer, lane, sequence, spool, size, body, incarnation, arrival, request FROM inbound")
        var arrived: [(arrival: Int64, message: StoredInbound)] = []
        while try row.step() {
            let incarnationBytes = row.bytes(6)
            do throws(Unusable) {
                let (place, lane) = try owner(row)
                guard let incarnation = Incarnation(incarnationBytes) else { throw Unusable("its sender's incarnation is none") }
                let arrival = row.integer(7)
                guard arrival >= 0, arrival < Int64.max / 2 else { throw Unusable("its place in the order cannot be") }
                let message = InboundMessage(
                    peer: peers[place].known, incarnation: incarnation, lane: lane, sequence: row.bits(2),
                    request: row.optionalInteger(8).map { UInt64(bitPattern: $0) }, isRedelivered: true)
                arrived.append((arrival, StoredInbound(message: message, body: try body(row))))
                lastArrival = max(lastArrival, arrival)
            } catch {
                drop(row, incarnationBytes, error)
            }
        }
        arrived.sort { $0.arrival < $1.arrival }
        state.inbound = arrived.map(\.message)
    }

    /// What is neither waiting nor passed by the peer was withdrawn; so is what was dropped here.
    private mutating func findWithdrawn(_ place: Int) {
        for lane in Lane.allCases {
            let index = Int(lane.rawValue), numbers = peers[place].row[lane]
            var cursor = numbers.acknowledged
            for message in state.channels[place].outbound where message.lane == lane {
                if message.sequence > cursor { state.channels[place].withdrawn[index].append(cursor..<message.sequence) }
                cursor = message.sequence + 1
            }
            if numbers.next > cursor { state.channels[place].withdrawn[index].append(cursor..<numbers.next) }
            state.channels[place].nextSequence[index] = numbers.next
            state.channels[place].expected[index] = numbers.expected
            state.channels[place].sentBelow[index] = numbers.sent
        }
    }

    // MARK: Columns that both queues have

    private struct Unusable: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private func owner(_ row: Statement) throws(Unusable) -> (place: Int, Lane) {
        guard let place = places[row.integer(0)] else { throw Unusable("its peer is gone") }
        guard let lane = UInt8(exactly: row.integer(1)).flatMap(Lane.init) else { throw Unusable("its lane is none") }
        return (place, lane)
    }

    private func kind(_ row: Statement) -> MessageKind? {
        switch StoredKind(rawValue: row.integer(6)) {
        case .message: .message
        case .request: .request
        case .reply: row.optionalInteger(7).map { .reply(UInt64(bitPattern: $0)) }
        case nil: nil
        }
    }

    private mutating func body(_ row: Statement) throws(Unusable) -> ReceivedBody {
        guard let size = Int(exactly: row.integer(4)), size >= 0 else { throw Unusable("its size cannot be") }
        guard let number = row.optionalInteger(3) else {
            let bytes = row.bytes(5)
            guard !row.isNull(5), bytes.count == size else { throw Unusable("its bytes are not complete") }
            return .bytes(bytes)
        }
        let spool = SpoolID(rawValue: UInt64(bitPattern: number))
        guard files[spool] == size else { throw Unusable("its file is not complete") }
        if !spool.isOfDriver { state.lastSpool = max(state.lastSpool, spool.rawValue) }
        return .spooled(spool, byteCount: size)
    }

    private mutating func drop(_ row: Statement, _ incarnation: [UInt8]?, _ why: Unusable) {
        dropped.append(Dropped(
            peer: row.integer(0), lane: row.integer(1), sequence: row.integer(2), incarnation: incarnation, reason: why.reason))
    }
}

extension SpoolID {
    static let driverBit: UInt64 = 1 << 63
    /// Drawn here, for a message that the application spooled.
    var isOfDriver: Bool { rawValue & Self.driverBit != 0 }
}
