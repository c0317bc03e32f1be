/// One RPC as views into the borrowed bytes (libp2p specs, pubsub and gossipsub v1.0-1.2, "Protobuf").
///
/// Reading checks the whole RPC before anything of it counts, and the number of entries before any is kept. Unknown fields are skipped.
/// Keep a value only within the call that lends the bytes, and `removeAll` it there: its arrays are reused from RPC to RPC.
/// Between calls it is empty, which is why it may travel with its owner to another thread.
struct GossipsubRPC: @unchecked Sendable {
    struct Subscription {
        var subscribes = false
        var topic = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// Ids lie in `ids`, so that no entry owns an array.
    struct Have {
        var topic = UnsafeRawBufferPointer(start: nil, count: 0)
        var ids: Range<Int>
    }

    struct Prune {
        var topic = UnsafeRawBufferPointer(start: nil, count: 0)
        /// Seconds; nil when absent.
        var backoff: UInt64?
        var peers: Range<Int>
    }

    struct OfferedPeer {
        var peer = UnsafeRawBufferPointer(start: nil, count: 0)
        var record = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    private(set) var subscriptions: [Subscription] = []
    private(set) var messages: [GossipsubWireMessage] = []
    private(set) var have: [Have] = []
    private(set) var want: [Range<Int>] = []
    private(set) var graft: [UnsafeRawBufferPointer] = []
    private(set) var prune: [Prune] = []
    private(set) var dontWant: [Range<Int>] = []
    private(set) var ids: [UnsafeRawBufferPointer] = []
    private(set) var offeredPeers: [OfferedPeer] = []
    /// Entries that were beyond a limit and are not among those above.
    private(set) var ignoredSubscriptions = 0
    private(set) var ignoredControl = 0

    init() {}

    init(_ bytes: UnsafeRawBufferPointer, limits: GossipsubLimits) throws(GossipsubRPCError) {
        try read(bytes, limits: limits)
    }

    mutating func read(_ bytes: UnsafeRawBufferPointer, limits: GossipsubLimits) throws(GossipsubRPCError) {
        removeAll()
        try Self.checkCounts(bytes, limits)
        do {
            var reader = ProtobufReader(bytes)
            while let field = try reader.next() { try readField(field, limits) }
        } catch { throw .malformed(error) }
    }

    mutating func removeAll() {
        if !subscriptions.isEmpty { subscriptions.removeAll(keepingCapacity: true) }
        if !messages.isEmpty { messages.removeAll(keepingCapacity: true) }
        if !have.isEmpty { have.removeAll(keepingCapacity: true) }
        if !want.isEmpty { want.removeAll(keepingCapacity: true) }
        if !graft.isEmpty { graft.removeAll(keepingCapacity: true) }
        if !prune.isEmpty { prune.removeAll(keepingCapacity: true) }
        if !dontWant.isEmpty { dontWant.removeAll(keepingCapacity: true) }
        if !ids.isEmpty { ids.removeAll(keepingCapacity: true) }
        if !offeredPeers.isEmpty { offeredPeers.removeAll(keepingCapacity: true) }
        ignoredSubscriptions = 0
        ignoredControl = 0
    }

    /// Messages are counted by number and all else by bytes, so that a large message leaves the allowance untouched.
    private static func checkCounts(_ bytes: UnsafeRawBufferPointer, _ limits: GossipsubLimits) throws(GossipsubRPCError) {
        var messages = 0, messageBytes = 0
        do {
            var reader = ProtobufReader(bytes)
            while messages <= limits.messagesPerRPC, let field = try reader.next() {
                guard field.number == 2 else { continue }
                messages += 1
                messageBytes += try field.bytes().count
            }
        } catch { throw .malformed(error) }
        guard messages <= limits.messagesPerRPC else { throw .tooManyMessages(limit: limits.messagesPerRPC) }
        let controlBytes = bytes.count - messageBytes - 2 * messages
        guard controlBytes <= limits.controlBytes else { throw .tooMuchControl(size: controlBytes, limit: limits.controlBytes) }
    }

    private mutating func readField(_ field: ProtobufReader.Field, _ limits: GossipsubLimits) throws(WireError) {
        switch field.number {
        case 1:
            let subscription = try Self.readSubscription(try field.bytes())
            if subscriptions.count < limits.subscriptionsPerRPC { subscriptions.append(subscription) } else { ignoredSubscriptions += 1 }
        case 2:
            messages.append(try GossipsubWireMessage(try field.bytes()))
        case 3:
            var reader = ProtobufReader(try field.bytes())
            while let entry = try reader.next() { try readControl(entry, limits) }
        default: break
        }
    }

    private static func readSubscription(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Subscription {
        var result = Subscription()
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: result.subscribes = try field.boolean()
            case 2: result.topic = try field.bytes()
            default: break
            }
        }
        return result
    }

    private mutating func readControl(_ entry: ProtobufReader.Field, _ limits: GossipsubLimits) throws(WireError) {
        guard (1...5).contains(entry.number) else { return }
        let bytes = try entry.bytes()
        let hasRoom = have.count + want.count + graft.count + prune.count + dontWant.count < limits.controlEntriesPerRPC
        if !hasRoom { ignoredControl += 1 }
        switch entry.number {
        case 1:
            let entry = try readHave(bytes, limits)
            if hasRoom { have.append(entry) }
        case 2:
            let range = try readIDs(bytes, limits)
            if hasRoom { want.append(range) }
        case 3:
            let topic = try Self.readTopic(bytes)
            if hasRoom { graft.append(topic) }
        case 4:
            let entry = try readPrune(bytes, limits)
            if hasRoom { prune.append(entry) }
        default:
            let range = try readIDs(bytes, limits)
            if hasRoom { dontWant.append(range) }
        }
    }

    private mutating func readHave(_ bytes: UnsafeRawBufferPointer, _ limits: GossipsubLimits) throws(WireError) -> Have {
        var result = Have(ids: ids.count..<ids.count)
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: result.topic = try field.bytes()
            case 2: appendID(try field.bytes(), limits)
            default: break
            }
        }
        result.ids = result.ids.lowerBound..<ids.count
        return result
    }

    private mutating func readIDs(_ bytes: UnsafeRawBufferPointer, _ limits: GossipsubLimits) throws(WireError) -> Range<Int> {
        let first = ids.count
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            if field.number == 1 { appendID(try field.bytes(), limits) }
        }
        return first..<ids.count
    }

    private mutating func appendID(_ id: UnsafeRawBufferPointer, _ limits: GossipsubLimits) {
        if ids.count < limits.idsPerRPC, !id.isEmpty, id.count <= limits.messageIDLength { ids.append(id) } else { ignoredControl += 1 }
    }

    private static func readTopic(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> UnsafeRawBufferPointer {
        var topic = UnsafeRawBufferPointer(start: nil, count: 0)
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            if field.number == 1 { topic = try field.bytes() }
        }
        return topic
    }

    private mutating func readPrune(_ bytes: UnsafeRawBufferPointer, _ limits: GossipsubLimits) throws(WireError) -> Prune {
        var result = Prune(peers: offeredPeers.count..<offeredPeers.count)
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: result.topic = try field.bytes()
            case 2:
                let offered = Self.readOfferedPeer(try field.bytes())
                let count = offeredPeers.count - result.peers.lowerBound
                if let offered, count < limits.peersPerPrune { offeredPeers.append(offered) } else { ignoredControl += 1 }
            case 3: result.backoff = try field.integer()
            default: break
            }
        }
        result.peers = result.peers.lowerBound..<offeredPeers.count
        return result
    }

    /// Nil for what cannot be read: the PRUNE around it still counts.
    private static func readOfferedPeer(_ bytes: UnsafeRawBufferPointer) -> OfferedPeer? {
        var result = OfferedPeer()
        do {
            var reader = ProtobufReader(bytes)
            while let field = try reader.next() {
                switch field.number {
                case 1: result.peer = try field.bytes()
                case 2: result.record = try field.bytes()
                default: break
                }
            }
        } catch { return nil }
        return result
    }
}

/// Why nothing of an RPC counts.
enum GossipsubRPCError: Error, Equatable, Sendable {
    case malformed(WireError)
    case tooMuchControl(size: Int, limit: Int)
    case tooManyMessages(limit: Int)
}

/// One message as views into the borrowed bytes; nil for absent fields. Of repeated fields the last counts, as in every protobuf reader.
struct GossipsubWireMessage {
    var from: UnsafeRawBufferPointer?
    var data: UnsafeRawBufferPointer?
    var sequence: UnsafeRawBufferPointer?
    var topic: UnsafeRawBufferPointer?
    var signature: UnsafeRawBufferPointer?
    var key: UnsafeRawBufferPointer?

    init() {}

    /// The message of an RPC that has nothing else in it, as forwarded ones have not; nil: read the whole RPC.
    init?(alone rpc: UnsafeRawBufferPointer) {
        var reader = ProtobufReader(rpc)
        guard let field = try? reader.next(), field.number == 2, reader.isAtEnd, let bytes = try? field.bytes(),
            let message = try? GossipsubWireMessage(bytes)
        else { return nil }
        self = message
    }

    init(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: from = try field.bytes()
            case 2: data = try field.bytes()
            case 3: sequence = try field.bytes()
            case 4: topic = try field.bytes()
            case 5: signature = try field.bytes()
            case 6: key = try field.bytes()
            default: break
            }
        }
    }
}
