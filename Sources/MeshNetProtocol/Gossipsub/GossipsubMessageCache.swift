/// Messages of the last heartbeats, kept as the frames that were sent, for IHAVE and IWANT (libp2p specs, gossipsub v1.0, "Message Cache").
///
/// Bounded by heartbeats and by bytes: the oldest goes first. A message has the number that `GossipsubSeenCache` gave it.
struct GossipsubMessageCache: Sendable {
    private struct Entry {
        let number: UInt64
        let topic: String
        let message: GossipsubKeptMessage
    }

    private struct Served {
        let peer: Int
        var count: Int
        /// The RPC that asked last.
        var request: UInt64
    }

    /// What becomes of an IWANT for one id.
    enum Service: Equatable {
        case frame(SharedBytes)
        /// Not in the cache.
        case unknown
        /// Asked again in the same RPC, or too often.
        case tooOften
    }

    /// Bytes that an entry counts besides its frame.
    private static let entryOverhead = 256

    private let historyLength: Int
    private let gossipLength: Int
    private let byteLimit: Int

    /// In order of arrival, which is that of the numbers.
    private var entries = LongFifo<Entry>()
    /// How many of them are of each heartbeat, newest first.
    private var windows = [0]
    /// How often each peer was sent a message because it asked, by number: most are never asked for.
    private var served: [UInt64: [Served]] = [:]
    private(set) var byteCount = 0

    init(historyLength: Int, gossipLength: Int, byteLimit: Int) {
        self.historyLength = max(1, historyLength)
        self.gossipLength = gossipLength
        self.byteLimit = byteLimit
    }

    var count: Int { entries.count }

    /// Precondition: numbers rise.
    mutating func insert(_ number: UInt64, topic: String, _ message: GossipsubKeptMessage) {
        let size = message.frameByteCount + Self.entryOverhead
        guard size <= byteLimit else { return }
        while byteCount + size > byteLimit, !entries.isEmpty { removeOldest() }
        entries.append(Entry(number: number, topic: topic, message: message))
        windows[0] += 1
        byteCount += size
    }

    func frame(_ number: UInt64) -> SharedBytes? { place(number).map { entries[$0].message.frame } }

    /// The frame for a peer that asks for it: once for each RPC that asks, `limit` times at most.
    mutating func serve(_ number: UInt64, to peer: Int, request: UInt64, limit: Int) -> Service {
        guard let frame = frame(number) else { return .unknown }
        var list = served[number] ?? []
        if let place = list.firstIndex(where: { $0.peer == peer }) {
            guard list[place].count < limit, list[place].request != request else { return .tooOften }
            list[place].count += 1
            list[place].request = request
        } else {
            guard limit > 0 else { return .tooOften }
            list.append(Served(peer: peer, count: 1, request: request))
        }
        served[number] = list
        return .frame(frame)
    }

    /// Places of what can be advertised for the topic, newest heartbeat first; they hold until the cache is changed.
    func gossip(topic: String) -> [Int] {
        var places: [Int] = [], end = entries.count
        for count in windows.prefix(gossipLength) {
            for place in end - count..<end where entries[place].topic == topic { places.append(place) }
            end -= count
        }
        return places
    }

    /// The message id at such a place.
    func id(at place: Int) -> SharedBytes { entries[place].message.id }

    /// A heartbeat passed.
    mutating func shift() {
        windows.insert(0, at: 0)
        guard windows.count > historyLength else { return }
        for _ in 0..<windows[historyLength] { removeOldest() }
        windows.removeLast()
    }

    /// A slot of the peer table is given to another peer.
    mutating func forget(peer: Int) {
        if served.isEmpty { return }
        served = served.compactMapValues { list in
            let rest = list.filter { $0.peer != peer }
            return rest.isEmpty ? nil : rest
        }
    }

    private mutating func removeOldest() {
        guard let oldest = entries.popFirst() else { return }
        byteCount -= oldest.message.frameByteCount + Self.entryOverhead
        if !served.isEmpty { served[oldest.number] = nil }
        if let window = windows.lastIndex(where: { $0 > 0 }) { windows[window] -= 1 }
    }

    /// Whether this is the RPC that was kept as this message.
    func holds(_ number: UInt64, as rpc: UnsafeRawBufferPointer) -> Bool { place(number).map { entries[$0].message.isFrame(of: rpc) } ?? false }

    /// By halving, where a number was left out.
    private func place(_ number: UInt64) -> Int? {
        guard let first = entries.first?.number, number >= first else { return nil }
        if let place = Int(exactly: number - first), place < entries.count, entries[place].number == number { return place }
        var low = 0, high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].number == number ? low : nil
    }
}

/// A frame with its length prefix, shared with the queues of the peers, and behind it in the same bytes the id of its message.
struct GossipsubKeptMessage: Sendable {
    private let bytes: SharedBytes
    let frameByteCount: Int

    /// Precondition: the frame lies within.
    init(_ bytes: SharedBytes, frameByteCount: Int) {
        self.bytes = bytes
        self.frameByteCount = frameByteCount
    }

    /// Whether the frame is of this RPC, byte for byte.
    func isFrame(of rpc: UnsafeRawBufferPointer) -> Bool {
        let prefix = Varint.byteCount(UInt64(rpc.count))
        return prefix + rpc.count == frameByteCount && bytes.withBytes { UnsafeRawBufferPointer(rebasing: $0[prefix..<frameByteCount]).isEqual(to: rpc) }
    }

    var frame: SharedBytes { bytes[0..<frameByteCount] }
    var id: SharedBytes { bytes[frameByteCount..<bytes.count] }
}
