/// Messages of one peer that were read and not looked at yet: views into the bytes that its call of `receive` borrows.
/// Between calls it is empty, which is why it may travel with its owner to another thread.
struct GossipsubArrivals: @unchecked Sendable {
    struct Message {
        let message: GossipsubWireMessage
        let key: GossipsubMessageKey
        /// In `ids`.
        let id: Range<Int>
    }

    /// Accesses to memory that a processor has under way at once, and more.
    static let maximum = 32

    /// Bytes of memory for ids that are kept between calls.
    private static let keptBytes = 1 << 16

    private(set) var messages: [Message] = []
    private(set) var ids: [UInt8] = []

    var isFull: Bool { messages.count >= Self.maximum }

    mutating func append(_ message: GossipsubWireMessage, _ key: GossipsubMessageKey, id: [UInt8]) {
        let start = ids.count
        ids += id
        messages.append(Message(message: message, key: key, id: start..<ids.count))
    }

    mutating func removeAll() {
        messages.removeAll(keepingCapacity: true)
        if ids.capacity > Self.keptBytes { ids = [] } else { ids.removeAll(keepingCapacity: true) }
    }
}
