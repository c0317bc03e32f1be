/// Writes RPCs, straight into the frame that goes on the wire. All tags of the protocol have one byte.
enum GossipsubEncoding {
    static func fieldSize(_ count: Int) -> Int { 1 + Varint.byteCount(UInt64(count)) + count }

    static func appendField(_ field: UInt8, _ value: some Collection<UInt8>, to output: inout [UInt8]) {
        output.append(field << 3 | 2)
        Varint.append(UInt64(value.count), to: &output)
        output.append(contentsOf: value)
    }

    /// Writes to where there is room for it; returns where the value ends.
    static func writeField(_ field: UInt8, _ value: UnsafeRawBufferPointer, at start: Int, of output: UnsafeMutableRawBufferPointer) -> Int {
        let place = writeHeader(field, count: value.count, at: start, of: output)
        UnsafeMutableRawBufferPointer(rebasing: output[place..<place + value.count]).copyMemory(from: value)
        return place + value.count
    }

    static func writeHeader(_ field: UInt8, count: Int, at start: Int, of output: UnsafeMutableRawBufferPointer) -> Int {
        output[start] = field << 3 | 2
        return writeVarint(UInt64(count), at: start + 1, of: output)
    }

    static func writeVarint(_ value: UInt64, at start: Int, of output: UnsafeMutableRawBufferPointer) -> Int {
        var rest = value, place = start
        while rest >= 0x80 {
            output[place] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest >>= 7
            place += 1
        }
        output[place] = UInt8(rest)
        return place + 1
    }

    static func appendHeader(_ field: UInt8, count: Int, to output: inout [UInt8]) {
        output.append(field << 3 | 2)
        Varint.append(UInt64(count), to: &output)
    }
}

extension GossipsubWireMessage {
    /// Bytes of fields 1 to 4, which the signature is over.
    private var signedSize: Int { size(from) + size(data) + size(sequence) + size(topic) }

    /// Bytes of the canonical form.
    var encodedSize: Int { signedSize + size(signature) + size(key) }

    /// The RPC that carries this message alone, without length prefix.
    var rpcSize: Int { GossipsubEncoding.fieldSize(encodedSize) }

    private func size(_ field: UnsafeRawBufferPointer?) -> Int {
        guard let field else { return 0 }
        return GossipsubEncoding.fieldSize(field.count)
    }

    /// A whole frame, length prefix included, with the id of the message behind it; and where the payload lies in it. Canonical: known fields in
    /// order, so that what we forward is what every implementation verifies.
    func kept(id: UnsafeRawBufferPointer, in blocks: inout SharedBlocks) -> (message: GossipsubKeptMessage, data: Range<Int>) {
        let encodedSize = encodedSize, rpcSize = GossipsubEncoding.fieldSize(encodedSize)
        var payload = 0..<0
        let frameByteCount = Varint.byteCount(UInt64(rpcSize)) + rpcSize
        let bytes = blocks.write(frameByteCount + id.count) { output in
            var end = GossipsubEncoding.writeVarint(UInt64(rpcSize), at: 0, of: output)
            end = GossipsubEncoding.writeHeader(2, count: encodedSize, at: end, of: output)
            func write(_ field: UInt8, _ value: UnsafeRawBufferPointer?) {
                if let value { end = GossipsubEncoding.writeField(field, value, at: end, of: output) }
            }
            write(1, from)
            write(2, data)
            if let data { payload = end - data.count..<end }
            write(3, sequence)
            write(4, topic)
            write(5, signature)
            write(6, key)
            precondition(end == frameByteCount, "the size was counted right")
            UnsafeMutableRawBufferPointer(rebasing: output[end...]).copyMemory(from: id)
        }
        return (GossipsubKeptMessage(bytes, frameByteCount: frameByteCount), payload)
    }

    /// Fields 1 to 4: the signature covers neither itself nor the key (as go, rust, js and nim do it; the specification speaks of itself only).
    func appendSigned(to output: inout [UInt8]) {
        if let from { GossipsubEncoding.appendField(1, from, to: &output) }
        if let data { GossipsubEncoding.appendField(2, data, to: &output) }
        if let sequence { GossipsubEncoding.appendField(3, sequence, to: &output) }
        if let topic { GossipsubEncoding.appendField(4, topic, to: &output) }
    }
}

/// Subscriptions and control entries on their way to one peer, encoded as they are added and cut into RPCs.
///
/// RPCs stay within what the strictest known receiver takes: rust refuses more than 16 KiB of control or 100 subscriptions, go reads ten
/// ids of an IDONTWANT.
struct GossipsubOutgoing: Sendable {
    static let controlBytesPerFrame = 16_000
    static let subscriptionsPerFrame = 100
    static let idontwantIDsPerFrame = 10

    private(set) var frames: [[UInt8]] = []
    private var subscriptions: [UInt8] = []
    private var subscriptionCount = 0
    private var control: [UInt8] = []
    /// Ids of the IHAVE or IWANT that is being gathered.
    private var ids: [UInt8] = []

    init() {}

    var isEmpty: Bool { frames.isEmpty && subscriptions.isEmpty && control.isEmpty }

    mutating func subscription(_ topic: String, subscribes: Bool) {
        let size = 2 + GossipsubEncoding.fieldSize(topic.utf8.count)
        makeRoom(GossipsubEncoding.fieldSize(size))
        if subscriptionCount == Self.subscriptionsPerFrame { cut() }
        GossipsubEncoding.appendHeader(1, count: size, to: &subscriptions)
        subscriptions += [0x08, subscribes ? 1 : 0]
        GossipsubEncoding.appendField(2, topic.utf8, to: &subscriptions)
        subscriptionCount += 1
    }

    mutating func graft(_ topic: String) {
        let size = GossipsubEncoding.fieldSize(topic.utf8.count)
        makeRoom(GossipsubEncoding.fieldSize(size))
        GossipsubEncoding.appendHeader(3, count: size, to: &control)
        GossipsubEncoding.appendField(1, topic.utf8, to: &control)
    }

    /// `backoff` in seconds; nil for peers of v1.0, which do not know the field.
    mutating func prune(_ topic: String, backoff: UInt64?) {
        var entry: [UInt8] = []
        GossipsubEncoding.appendField(1, topic.utf8, to: &entry)
        if let backoff {
            entry.append(0x18)
            Varint.append(backoff, to: &entry)
        }
        makeRoom(GossipsubEncoding.fieldSize(entry.count))
        GossipsubEncoding.appendField(4, entry, to: &control)
    }

    /// One IHAVE, or several when the ids do not fit into one RPC, `limit` RPCs at most.
    mutating func have(_ topic: String, ids: some Sequence<SharedBytes>, limit: Int) {
        let head = GossipsubEncoding.fieldSize(topic.utf8.count)
        var written = 0
        for id in ids {
            if head + self.ids.count + GossipsubEncoding.fieldSize(id.count) + 4 > Self.controlBytesPerFrame {
                appendHave(topic, head)
                written += 1
                if written == limit { return }
            }
            id.withBytes { GossipsubEncoding.appendField(2, $0, to: &self.ids) }
        }
        appendHave(topic, head)
    }

    private mutating func appendHave(_ topic: String, _ head: Int) {
        guard !ids.isEmpty else { return }
        makeRoom(GossipsubEncoding.fieldSize(head + ids.count))
        GossipsubEncoding.appendHeader(1, count: head + ids.count, to: &control)
        GossipsubEncoding.appendField(1, topic.utf8, to: &control)
        control += ids
        ids.removeAll(keepingCapacity: true)
    }

    mutating func want(_ ids: some Sequence<UnsafeRawBufferPointer>) {
        for id in ids {
            if self.ids.count + GossipsubEncoding.fieldSize(id.count) + 4 > Self.controlBytesPerFrame { appendWant() }
            GossipsubEncoding.appendField(1, id, to: &self.ids)
        }
        appendWant()
    }

    private mutating func appendWant() {
        guard !ids.isEmpty else { return }
        makeRoom(GossipsubEncoding.fieldSize(ids.count))
        GossipsubEncoding.appendField(2, ids, to: &control)
        ids.removeAll(keepingCapacity: true)
    }

    /// A whole frame with one IDONTWANT, to be shared by all peers that get it.
    static func idontwantFrame(_ ids: some Sequence<[UInt8]>) -> [UInt8] {
        var list: [UInt8] = []
        for id in ids { GossipsubEncoding.appendField(1, id, to: &list) }
        var control: [UInt8] = []
        GossipsubEncoding.appendField(5, list, to: &control)
        var frame: [UInt8] = []
        Varint.append(UInt64(GossipsubEncoding.fieldSize(control.count)), to: &frame)
        GossipsubEncoding.appendField(3, control, to: &frame)
        return frame
    }

    /// Everything gathered so far, as frames with length prefix; empties the value.
    mutating func takeFrames() -> [[UInt8]] {
        cut()
        defer { frames = [] }
        return frames
    }

    private mutating func makeRoom(_ size: Int) {
        if subscriptions.count + control.count + size > Self.controlBytesPerFrame { cut() }
    }

    private mutating func cut() {
        guard !subscriptions.isEmpty || !control.isEmpty else { return }
        let size = subscriptions.count + (control.isEmpty ? 0 : GossipsubEncoding.fieldSize(control.count))
        var frame: [UInt8] = []
        frame.reserveCapacity(size + 4)
        Varint.append(UInt64(size), to: &frame)
        frame += subscriptions
        if !control.isEmpty { GossipsubEncoding.appendField(3, control, to: &frame) }
        frames.append(frame)
        subscriptions = []
        subscriptionCount = 0
        control = []
    }
}
