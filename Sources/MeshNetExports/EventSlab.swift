import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSwarm
import Synchronization

/// The event of a message of a topic. Those of a run lie together, behind the texts that they share; what one keeps is no more than
/// `EventSlab.largest`, or than itself.
struct MessageEvent {
    var form: meshnet_event_t
    let slab: EventSlab

    /// Precondition: the event was made by `EventSlab`, as all of messages are.
    static func free(_ event: UnsafeMutablePointer<meshnet_event_t>) {
        let slab = UnsafeMutableRawPointer(event).assumingMemoryBound(to: MessageEvent.self).pointee.slab
        slab.release()
    }
}

/// One allocation: a count of the events that were not freed, texts, events with their payloads.
struct EventSlab {
    static let largest = 16_384

    private typealias Left = Atomic<Int>
    private static let eventSize = MemoryLayout<MessageEvent>.stride

    private let memory: UnsafeMutableRawPointer

    private func left<R>(_ body: (borrowing Atomic<Int>) -> R) -> R { body(memory.assumingMemoryBound(to: Left.self).pointee) }

    fileprivate func release() {
        let isLast = left { $0.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
        if isLast { Glibc.free(memory) }
    }

    /// Gives the events of a run in order; false when there is no memory.
    static func make(_ run: TopicRun, isRetained: Bool = false, _ names: PeerNames, _ give: (UnsafeMutablePointer<meshnet_event_t>) -> Void) -> Bool {
        let origin = run.origin.map(names.text(of:))
        let neighbour = run.receivedFrom == run.origin ? origin : names.text(of: run.receivedFrom)
        let texts = [run.topic, origin, neighbour]
        let textSize = aligned(texts.reduce(0) { $0 + ($1.map { $0.utf8.count + 1 } ?? 0) })
        var index = 0
        while index < run.count {
            var size = MemoryLayout<Left>.stride + textSize, end = index
            repeat {
                size += Self.size(run.byteCount(end))
                end += 1
            } while end < run.count && size + Self.size(run.byteCount(end)) <= largest
            guard let slab = EventSlab(size, count: end - index) else { return false }
            slab.fill(run, index..<end, texts, isRetained, give)
            index = end
        }
        return true
    }

    private init?(_ size: Int, count: Int) {
        guard let memory = malloc(size) else { return nil }
        memory.bindMemory(to: Left.self, capacity: 1).initialize(to: Left(count))
        self.memory = memory
    }

    private func fill(
        _ run: TopicRun, _ range: Range<Int>, _ texts: [String?], _ isRetained: Bool, _ give: (UnsafeMutablePointer<meshnet_event_t>) -> Void
    ) {
        var place = memory + MemoryLayout<Left>.stride
        let written = texts.map { text -> UnsafePointer<CChar>? in
            guard let text else { return nil }
            let length = text.utf8.count + 1
            copyText(text, to: UnsafeMutableRawBufferPointer(start: place, count: length))
            defer { place += length }
            return UnsafePointer(place.assumingMemoryBound(to: CChar.self))
        }
        place = place.alignedUp(toMultipleOf: 8)
        var form = meshnet_event_t(MESHNET_EVENT_MESSAGE)
        form.topic = written[0]
        form.topic_length = run.topic.utf8.count
        form.origin = written[1]
        form.peer_id = written[2]
        form.retained = isRetained
        for index in range {
            let data = place + Self.eventSize, count = run.byteCount(index)
            run.withBytes(index) { if let bytes = $0.baseAddress { data.copyMemory(from: bytes, byteCount: count) } }
            data.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
            form.data = UnsafePointer(data.assumingMemoryBound(to: UInt8.self))
            form.data_length = count
            place.initializeMemory(as: MessageEvent.self, to: MessageEvent(form: form, slab: self))
            let event = place.assumingMemoryBound(to: meshnet_event_t.self)
            place += Self.size(count)
            give(event)
        }
    }

    /// With a NUL behind the payload.
    private static func size(_ byteCount: Int) -> Int { eventSize + aligned(byteCount + 1) }

    private static func aligned(_ count: Int) -> Int { (count + 7) & ~7 }
}
