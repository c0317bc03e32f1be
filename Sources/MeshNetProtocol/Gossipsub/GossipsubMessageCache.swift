/// Messages of the last heartbeats, kept as the frames that were sent, for IHAVE and IWANT (libp2p specs, gossipsub v1.0, "Message Cache").
///
/// Bounded by heartbeats and by bytes: the oldest goes first.
struct GossipsubMessageCache: Sendable {
    struct Entry: Sendable {
        let id: SharedBytes
        let topic: String
        /// With length prefix; shared with the queues of the peers.
        let frame: SharedBytes
        /// How often each peer was sent the message because it asked.
        var served: [Served] = []
    }

    struct Served: Sendable {
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

    private var entries: [GossipsubMessageKey: Entry] = [:]
    /// Newest first; in each the order of arrival.
    private var windows: [Fifo<GossipsubMessageKey>]
    private(set) var byteCount = 0

    init(historyLength: Int, gossipLength: Int, byteLimit: Int) {
        self.historyLength = max(1, historyLength)
        self.gossipLength = gossipLength
        self.byteLimit = byteLimit
        windows = [Fifo()]
    }

    var count: Int { entries.count }

    mutating func insert(_ key: GossipsubMessageKey, id: SharedBytes, topic: String, frame: SharedBytes) {
        let size = frame.count + Self.entryOverhead
        guard size <= byteLimit else { return }
        while byteCount + size > byteLimit, removeOldest() {}
        if let old = entries.updateValue(Entry(id: id, topic: topic, frame: frame), forKey: key) {
            entries[key] = old
            return
        }
        windows[0].append(key)
        byteCount += size
    }

    func contains(_ key: GossipsubMessageKey) -> Bool { entries[key] != nil }

    func frame(_ key: GossipsubMessageKey) -> SharedBytes? { entries[key]?.frame }

    /// The frame for a peer that asks for it: once for each RPC that asks, `limit` times at most.
    mutating func serve(_ key: GossipsubMessageKey, to peer: Int, request: UInt64, limit: Int) -> Service {
        guard let index = entries.index(forKey: key) else { return .unknown }
        let frame = entries.values[index].frame
        if let place = entries.values[index].served.firstIndex(where: { $0.peer == peer }) {
            let served = entries.values[index].served[place]
            guard served.count < limit, served.request != request else { return .tooOften }
            entries.values[index].served[place].count += 1
            entries.values[index].served[place].request = request
        } else {
            guard limit > 0 else { return .tooOften }
            entries.values[index].served.append(Served(peer: peer, count: 1, request: request))
        }
        return .frame(frame)
    }

    /// Ids to advertise for the topic, newest heartbeat first.
    func gossipIDs(topic: String) -> [SharedBytes] {
        var result: [SharedBytes] = []
        for window in windows.prefix(gossipLength) {
            for place in 0..<window.count {
                if let entry = entries[window[place]], entry.topic == topic { result.append(entry.id) }
            }
        }
        return result
    }

    /// A heartbeat passed.
    mutating func shift() {
        windows.insert(Fifo(), at: 0)
        guard windows.count > historyLength else { return }
        var ended = windows.removeLast()
        while let key = ended.popFirst() { remove(key) }
    }

    /// A slot of the peer table is given to another peer.
    mutating func forget(peer: Int) {
        for window in windows {
            for place in 0..<window.count { entries[window[place]]?.served.removeAll { $0.peer == peer } }
        }
    }

    private mutating func remove(_ key: GossipsubMessageKey) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        byteCount -= entry.frame.count + Self.entryOverhead
    }

    private mutating func removeOldest() -> Bool {
        for index in windows.indices.reversed() {
            guard let key = windows[index].popFirst() else { continue }
            remove(key)
            return true
        }
        return false
    }
}
