/// Messages for the application that came one after another, of one topic, author and neighbour: they travel as one.
package struct TopicRun: Sendable, Equatable {
    package let topic: String
    /// The author; nil under StrictNoSign.
    package let origin: PeerID?
    /// The neighbour that brought them first.
    package let receivedFrom: PeerID
    private var payloads = SharedRun()
    /// Those of `payloads` that are meant: a part shares the others' memory.
    private var first: UInt32 = 0
    private var end: UInt32 = 0

    package init(topic: String, origin: PeerID?, receivedFrom: PeerID) {
        self.topic = topic
        self.origin = origin
        self.receivedFrom = receivedFrom
    }

    package var count: Int { Int(end - first) }

    /// The payload of a message. Precondition: the index is below `count`.
    package subscript(index: Int) -> SharedBytes { payloads[Int(first) + index] }

    package func withBytes<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R { payloads.withBytes(Int(first) + index, body) }

    /// Bytes of all payloads.
    package var byteCount: Int { payloads.byteCount(Int(first)..<Int(end)) }

    package func byteCount(_ index: Int) -> Int { payloads.byteCount(Int(first) + index) }

    /// Precondition: nothing was taken from it.
    package mutating func append(_ payload: SharedBytes) {
        payloads.append(payload)
        end += 1
    }

    /// Takes so many from the front. Precondition: there are as many.
    package mutating func removeFirst(_ count: Int) -> TopicRun {
        precondition(count <= self.count, "a run is as long as it is")
        var part = self
        first += UInt32(count)
        part.end = first
        return part
    }

    package static func == (a: TopicRun, b: TopicRun) -> Bool {
        a.topic == b.topic && a.origin == b.origin && a.receivedFrom == b.receivedFrom && a.count == b.count && (0..<a.count).allSatisfy { a[$0] == b[$0] }
    }
}
