import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSystem
import Synchronization

/// What every message begins with that C has.
struct MessageHead {
    var form = meshnet_message_t()
    /// Its memory, where it shares that with others; nil: a `MessageBlock`.
    var slab: Unmanaged<MessageSlab>?

    static func at(_ message: UnsafePointer<meshnet_message_t>) -> UnsafeMutablePointer<MessageHead> {
        UnsafeMutableRawPointer(mutating: UnsafeRawPointer(message)).assumingMemoryBound(to: MessageHead.self)
    }

    /// What is in it, wherever that lies.
    static func body(of message: UnsafePointer<meshnet_message_t>) -> Delivery.Body {
        guard at(message).pointee.slab != nil else { return MessageBlock.at(message).pointee.body }
        return .bytes([UInt8](UnsafeBufferPointer(start: message.pointee.data, count: message.pointee.data_length)))
    }
}

/// A message with memory of its own: `meshnet_message_t`, and behind it what its end and its reading need. Small bodies follow in the same allocation.
struct MessageBlock {
    private var head = MessageHead()
    let body: Delivery.Body
    /// nil in a reply.
    let delivery: Delivery?
    let settlements: Settlements?
    var isAnswered = false

    private static let headerSize = MemoryLayout<MessageBlock>.stride

    // MARK: Making

    private init(_ body: Delivery.Body, _ delivery: Delivery?, _ settlements: Settlements?) {
        self.body = body
        self.delivery = delivery
        self.settlements = settlements
    }

    /// nil when there is no memory.
    static func make(_ delivery: Delivery, _ settlements: Settlements) -> UnsafeMutablePointer<meshnet_message_t>? {
        let block = MessageBlock(delivery.body, delivery, settlements)
        return place(block, trailing: 0) { form, _ in
            form.peer_id = delivery.source.peerText
            form.incarnation = delivery.source.incarnationText
            form.lane = Int32(delivery.lane.rawValue)
            form.is_request = delivery.request != nil
            form.is_redelivered = delivery.isRedelivered
            form.sequence = delivery.sequence
        }
    }

    static func make(replyOf peer: String, _ body: Delivery.Body) -> UnsafeMutablePointer<meshnet_message_t>? {
        let length = peer.utf8.count + 1
        return place(MessageBlock(body, nil, nil), trailing: length) { form, memory in
            copyText(peer, to: UnsafeMutableRawBufferPointer(start: memory, count: length))
            form.peer_id = UnsafePointer(memory.assumingMemoryBound(to: CChar.self))
            form.incarnation = ("" as StaticString).cString
        }
    }

    /// `fill` gets the form and `trailing` bytes of memory behind the body.
    private static func place(
        _ block: MessageBlock, trailing: Int, _ fill: (inout meshnet_message_t, UnsafeMutableRawPointer) -> Void
    ) -> UnsafeMutablePointer<meshnet_message_t>? {
        let count = block.body.byteCount
        let own: UnsafeRawBufferPointer? = if case .block(let memory, let offset, _) = block.body, count > InboxBlock.largestShared {
            memory.bytes(offset, count)
        } else {
            nil
        }
        let isFile = if case .file = block.body { true } else { false }
        let copied = own == nil && !isFile ? count + 1 : 0
        guard let memory = malloc(headerSize + copied + trailing) else { return nil }
        var block = block
        block.head.form.data_length = count
        fill(&block.head.form, memory + headerSize + copied)
        if copied > 0 {
            let data = UnsafeMutableRawBufferPointer(start: memory + headerSize, count: copied)
            // From memory: this cannot fail.
            _ = try? block.body.read(offset: 0, into: UnsafeMutableRawBufferPointer(rebasing: data[..<count]))
            data[count] = 0
            block.head.form.data = UnsafePointer(data.baseAddress!.assumingMemoryBound(to: UInt8.self))
        } else if let own {
            block.head.form.data = own.baseAddress?.assumingMemoryBound(to: UInt8.self)
        }
        let place = memory.bindMemory(to: MessageBlock.self, capacity: 1)
        place.initialize(to: block)
        return UnsafeMutableRawPointer(place).assumingMemoryBound(to: meshnet_message_t.self)
    }

    // MARK: With the application

    /// What stands behind a message of ours. Precondition: it is in no slab.
    static func at(_ message: UnsafePointer<meshnet_message_t>) -> UnsafeMutablePointer<MessageBlock> {
        UnsafeMutableRawPointer(mutating: UnsafeRawPointer(message)).assumingMemoryBound(to: MessageBlock.self)
    }

    static func free(_ message: UnsafePointer<meshnet_message_t>) {
        if let slab = MessageHead.at(message).pointee.slab { return MessageSlab.free(slab, 1, message.pointee.data_length) }
        let place = at(message)
        let block = place.move()
        if let delivery = block.delivery { block.settlements?.settle(delivery) }
        Glibc.free(place)
    }

    /// Those that follow each other in one slab are settled together.
    static func free(_ messages: UnsafeBufferPointer<UnsafeMutablePointer<meshnet_message_t>?>) {
        var index = 0
        while index < messages.count {
            guard let message = messages[index] else {
                index += 1
                continue
            }
            guard let slab = MessageHead.at(message).pointee.slab else {
                free(message)
                index += 1
                continue
            }
            var count = 0, byteCount = 0
            while index < messages.count, let next = messages[index], let its = MessageHead.at(next).pointee.slab, its == slab {
                count += 1
                byteCount += next.pointee.data_length
                index += 1
            }
            MessageSlab.free(slab, count, byteCount)
        }
    }

    /// One lock for the short moment in which a request is marked.
    private static let answering = Mutex(())

    /// Marks a request as answered; false when it was.
    static func beginAnswer(_ place: UnsafeMutablePointer<MessageBlock>) -> Bool {
        nonisolated(unsafe) let place = place
        return answering.withLock { _ in
            defer { place.pointee.isAnswered = true }
            return !place.pointee.isAnswered
        }
    }

    /// The answer did not go out: another one may.
    static func undoAnswer(_ place: UnsafeMutablePointer<MessageBlock>) {
        nonisolated(unsafe) let place = place
        answering.withLock { _ in place.pointee.isAnswered = false }
    }
}
