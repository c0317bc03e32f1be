/// What a stream of messages brought. Views lie in the bytes given, or in a buffer that `retired` names: valid until that is recycled.
package enum LaneItem {
    case message(MessageHead, sequence: UInt64, UnsafeRawBufferPointer)
    /// A body in pieces; `held` bytes of it are there from an earlier stream.
    case begin(MessageHead, sequence: UInt64, byteCount: UInt64, held: Int)
    case piece(UnsafeRawBufferPointer)
    /// All pieces are there.
    case complete(MessageHead, sequence: UInt64, byteCount: Int)
    /// The body that had begun does not come.
    case abandoned
    /// Numbers were passed; the next one expected is another.
    case skipped
    case ask
    case goodbye(MessageGoodbye)
    /// It was there before, and is dropped.
    case duplicate
}

/// One direction of one lane, at the side that receives: which number is expected, and the frames of the stream that stands.
///
/// Frames that lie whole in the bytes given are lent where they lie; what is cut is gathered in one pooled buffer. A value with one owner.
package struct LaneReceiver {
    /// No number reaches it: 2^62.
    package static let maximumSequence: UInt64 = 1 << 62

    private struct Body {
        let head: MessageHead
        let sequence: UInt64
        let byteCount: Int
        var received = 0
        /// It was there before: its pieces are dropped.
        var isDuplicate = false
        /// Its BEGIN came on this stream.
        var isHere = false
    }

    private let pool: BufferPool
    /// The number of the next message of the peer. Below it all are there.
    package private(set) var expected: UInt64 = 1
    /// The number of the next message on this stream.
    private var incoming: UInt64 = 1
    private var body: Body?
    /// Bytes of the CHUNK in hand that are to come.
    private var chunkRest = 0
    private var partial: PooledBuffer?
    private var partialCount = 0
    /// Buffers in which views may lie that were given out. To be recycled once nobody looks at them.
    package var retired: [PooledBuffer] = []

    package init(pool: BufferPool) { self.pool = pool }

    /// Bytes of the next message's body that are there.
    package var held: Int { body.map { $0.sequence == expected ? $0.received : 0 } ?? 0 }

    /// Numbers from here on: those of an earlier process, or after the peer forgot.
    package mutating func restore(expected next: UInt64) {
        detach()
        body = nil
        expected = next
        incoming = next
    }

    /// A stream begins with this number. What came of a body stays.
    package mutating func attach(first: UInt64) {
        detach()
        incoming = first
    }

    package mutating func detach() {
        if let partial { retired.append(partial) }
        partial = nil
        partialCount = 0
        chunkRest = 0
        if body?.isDuplicate == true { body = nil }
        body?.isHere = false
    }

    /// The body in hand is not wanted: nothing more of this stream may be read.
    package mutating func forgetBody() { body = nil }

    /// The next item, leaving what is behind it in `bytes`; nil when more are needed. After an error the stream cannot be read on.
    package mutating func next(_ bytes: inout UnsafeRawBufferPointer) throws(MessageError) -> LaneItem? {
        while true {
            if chunkRest > 0 {
                guard !bytes.isEmpty else { return nil }
                if let piece = takePiece(&bytes) { return piece }
                continue
            }
            if let complete = try takeComplete() { return complete }
            guard !bytes.isEmpty else { return nil }
            guard let frame = partialCount > 0 ? try gather(&bytes) : try lend(&bytes) else { continue }
            if let item = try read(frame) { return item }
        }
    }

    // MARK: - Frames

    /// A whole frame where it lies. Else nil: the head of a CHUNK is read, or what is there of the frame is kept.
    private mutating func lend(_ bytes: inout UnsafeRawBufferPointer) throws(MessageError) -> UnsafeRawBufferPointer? {
        guard let (length, start) = try Self.length(of: bytes) else {
            keep(&bytes, bytes.count)
            return nil
        }
        if start < bytes.count, bytes[start] == MessageFrame.FrameType.chunk.rawValue {
            bytes = UnsafeRawBufferPointer(rebasing: bytes[(start + 1)...])
            try beginChunk(length - 1)
            return nil
        }
        guard bytes.count - start >= length else {
            keep(&bytes, bytes.count)
            return nil
        }
        defer { bytes = UnsafeRawBufferPointer(rebasing: bytes[(start + length)...]) }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
    }

    /// Adds to the frame in hand. nil when it is not whole yet, or its CHUNK has begun.
    private mutating func gather(_ bytes: inout UnsafeRawBufferPointer) throws(MessageError) -> UnsafeRawBufferPointer? {
        guard let buffer = partial else { return nil }
        while true {
            if let (length, start) = try Self.length(of: UnsafeRawBufferPointer(rebasing: buffer.bytes[..<partialCount])), partialCount > start {
                if buffer.bytes[start] == MessageFrame.FrameType.chunk.rawValue {
                    partialCount = 0
                    try beginChunk(length - 1)
                    return nil
                }
                keep(&bytes, min(bytes.count, start + length - partialCount))
                guard partialCount == start + length else { return nil }
                retired.append(buffer)
                partial = nil
                partialCount = 0
                return UnsafeRawBufferPointer(rebasing: buffer.bytes[start..<start + length])
            }
            guard !bytes.isEmpty else { return nil }
            keep(&bytes, 1)
        }
    }

    private mutating func keep(_ bytes: inout UnsafeRawBufferPointer, _ count: Int) {
        let buffer = partial ?? pool.take(.frame)
        partial = buffer
        UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[partialCount..<partialCount + count])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        partialCount += count
        bytes = UnsafeRawBufferPointer(rebasing: bytes[count...])
    }

    /// The length that a frame announces, and where it begins; nil while the length is cut.
    private static func length(of bytes: UnsafeRawBufferPointer) throws(MessageError) -> (length: Int, start: Int)? {
        var reader = ByteReader(bytes)
        do throws(WireError) {
            let length = try reader.readLength(limit: MessageFrame.maximumByteCount)
            if length > 0 { return (length, reader.offset) }
        } catch {
            if case .truncated = error { return nil }
            throw .wire(error)
        }
        throw .emptyFrame
    }

    private mutating func read(_ frame: UnsafeRawBufferPointer) throws(MessageError) -> LaneItem? {
        var reader = ByteReader(frame)
        let code = try reader.messageByte()
        switch MessageFrame.FrameType(rawValue: code) {
        case .message: return try take(.message, reader.readRest(), code)
        case .request: return try take(.request(reader.messageNumber(), milliseconds: reader.messageNumber()), reader.readRest(), code)
        case .reply: return try take(.reply(reader.messageNumber()), reader.readRest(), code)
        case .begin: return try begin(&reader)
        case .skip: return try skip(reader.messageNumber())
        case .ask: return .ask
        case .goodbye:
            do throws(WireError) { return .goodbye(try MessageGoodbye(&reader)) } catch { throw .wire(error) }
        case .hello: throw .outOfPlace(type: code)
        // Types of a later version.
        case .chunk, .welcome, .acknowledge, .refuse, nil: return nil
        }
    }

    // MARK: - Numbers

    private mutating func take(_ head: MessageHead, _ payload: UnsafeRawBufferPointer, _ code: UInt8) throws(MessageError) -> LaneItem {
        // A body that came in part on an earlier stream is begun anew, or passed; it does not come in one frame.
        guard body == nil || body?.isHere == false else { throw .outOfPlace(type: code) }
        let sequence = incoming
        return try pass(1) ? .message(head, sequence: sequence, payload) : .duplicate
    }

    /// So many numbers are through. False when they were before.
    private mutating func pass(_ count: UInt64) throws(MessageError) -> Bool {
        guard count < Self.maximumSequence - incoming else { throw .numbersExhausted }
        incoming += count
        guard incoming > expected else { return false }
        expected = incoming
        body = nil
        return true
    }

    /// The next frame is whole or to come, and what follows is new.
    var isBetweenMessages: Bool { incoming == expected && body == nil && partialCount == 0 && chunkRest == 0 }

    /// The number of the first of so many new messages; nil when numbers would not suffice.
    mutating func passRun(_ count: UInt64) -> UInt64? {
        let first = incoming
        guard let isNew = try? pass(count), isNew else { return nil }
        return first
    }

    private mutating func skip(_ count: UInt64) throws(MessageError) -> LaneItem? {
        guard count > 0 else { throw .outOfPlace(type: MessageFrame.FrameType.skip.rawValue) }
        let abandons = body?.isDuplicate == false
        if body?.isDuplicate == true { body = nil }
        guard try pass(count) else { return nil }
        return abandons ? .abandoned : .skipped
    }

    // MARK: - Bodies in pieces

    private mutating func begin(_ reader: inout ByteReader) throws(MessageError) -> LaneItem? {
        let type = MessageFrame.FrameType.begin.rawValue
        guard body?.isHere != true else { throw .outOfPlace(type: type) }
        let total = try reader.messageNumber(), code = try reader.messageByte()
        let head: MessageHead?
        do throws(WireError) { head = try MessageHead(code: code, &reader) } catch { throw .wire(error) }
        guard let head else { throw .unknownKind(code) }
        let offset = try reader.messageNumber()
        guard let byteCount = Int(exactly: total) else { throw .wrongOffset(total, held: 0) }
        guard incoming >= expected else {
            guard let offset = Int(exactly: offset), offset <= byteCount else { throw .wrongOffset(offset, held: 0) }
            body = Body(head: head, sequence: incoming, byteCount: byteCount, received: offset, isDuplicate: true, isHere: true)
            return nil
        }
        if offset == 0 {
            body = Body(head: head, sequence: incoming, byteCount: byteCount, isHere: true)
            return .begin(head, sequence: incoming, byteCount: total, held: 0)
        }
        guard let known = body, known.head == head, known.byteCount == byteCount, known.sequence == incoming, UInt64(known.received) == offset else {
            throw .wrongOffset(offset, held: held)
        }
        body?.isHere = true
        return .begin(head, sequence: incoming, byteCount: total, held: known.received)
    }

    private mutating func beginChunk(_ count: Int) throws(MessageError) {
        guard let body, body.isHere, count > 0, count <= body.byteCount - body.received else {
            throw .outOfPlace(type: MessageFrame.FrameType.chunk.rawValue)
        }
        chunkRest = count
    }

    /// nil when nobody wants it.
    private mutating func takePiece(_ bytes: inout UnsafeRawBufferPointer) -> LaneItem? {
        let count = min(chunkRest, bytes.count)
        let piece = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        bytes = UnsafeRawBufferPointer(rebasing: bytes[count...])
        chunkRest -= count
        body?.received += count
        return body?.isDuplicate == false ? .piece(piece) : nil
    }

    private mutating func takeComplete() throws(MessageError) -> LaneItem? {
        guard let done = body, done.isHere, done.received == done.byteCount else { return nil }
        body = nil
        let isNew = try pass(1)
        return isNew && !done.isDuplicate ? .complete(done.head, sequence: done.sequence, byteCount: done.byteCount) : .duplicate
    }
}

extension ByteReader {
    fileprivate mutating func messageNumber() throws(MessageError) -> UInt64 {
        do throws(WireError) { return try readVarint() } catch { throw .wire(error) }
    }

    fileprivate mutating func messageByte() throws(MessageError) -> UInt8 {
        do throws(WireError) { return try readByte() } catch { throw .wire(error) }
    }
}
