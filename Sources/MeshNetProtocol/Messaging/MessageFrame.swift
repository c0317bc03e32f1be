/// Frames of `/meshnet/message/1.0.0` (docs/protocols/message.md): an unsigned varint with the length of what follows, a type byte, a body.
package enum MessageFrame {
    package static let protocolID = "/meshnet/message/1.0.0"

    /// Payload bytes of one frame. A larger body follows a BEGIN as CHUNK frames, so that none of another lane waits for more than this.
    package static let maximumPayload = 65_536
    /// Bytes of a frame behind its length: type, a request's number and time, payload.
    package static let maximumByteCount = maximumPayload + 32
    /// Bytes of a frame of the receiver behind its length: the longest is a GOODBYE.
    package static let maximumReplyByteCount = 512
    /// Bytes of the reason in a GOODBYE; what is longer is cut.
    package static let maximumReason = 256

    package enum FrameType: UInt8, Sendable {
        case hello = 0x01
        case message = 0x02
        case request = 0x03
        case reply = 0x04
        case begin = 0x05
        case chunk = 0x06
        case skip = 0x07
        case ask = 0x08
        case goodbye = 0x09
        case welcome = 0x11
        case acknowledge = 0x12
        case refuse = 0x13
    }
}

/// What ends a stream of messages: the peer broke the protocol.
package enum MessageError: Error, Sendable, Equatable {
    case wire(WireError)
    /// A frame without even a type.
    case emptyFrame
    case notAHello(type: UInt8)
    case unknownLane(UInt8)
    case unknownKind(UInt8)
    /// The receiver confirms what it was not sent.
    case acknowledgedUnsent(next: UInt64, sent: UInt64)
    case numbersExhausted
    /// A second HELLO, a CHUNK without BEGIN or beyond its announced size, a frame within a body, a SKIP of nothing.
    case outOfPlace(type: UInt8)
    /// The body does not go on where the receiver stands.
    case wrongOffset(UInt64, held: Int)
}

/// The first frame of a stream.
package struct MessageHello: Sendable, Equatable {
    package var incarnation: Incarnation
    /// That of the receiver, as the sender believes.
    package var receiver: Incarnation?
    package var lane: Lane
    /// Of the oldest message that is not acknowledged, or the next one.
    package var first: UInt64
    /// Messages follow at once, from `first`; else from what WELCOME says.
    package var flowsAtOnce: Bool

    package init(incarnation: Incarnation, receiver: Incarnation?, lane: Lane, first: UInt64, flowsAtOnce: Bool) {
        self.incarnation = incarnation
        self.receiver = receiver
        self.lane = lane
        self.first = first
        self.flowsAtOnce = flowsAtOnce
    }
}

/// The receiver's answer to it.
package struct MessageWelcome: Sendable, Equatable {
    package var incarnation: Incarnation
    /// Else nothing on this stream is taken: the sender opens another one, and waits on it.
    package var isTaken: Bool
    /// The number expected next, and how many bytes of its body are there.
    package var next: UInt64
    package var held: UInt64

    package init(incarnation: Incarnation, isTaken: Bool, next: UInt64, held: UInt64) {
        self.incarnation = incarnation
        self.isTaken = isTaken
        self.next = next
        self.held = held
    }
}

/// Why a receiver takes nothing more on this stream.
package enum MessageRefusal: Sendable, Equatable {
    /// Of this number; larger than the receiver takes.
    case tooLarge(sequence: UInt64, limit: UInt64)
    /// The receiver cannot keep messages now.
    case busy
    /// Another reason, by its code.
    case unknown(UInt8)
}

/// What both sides may say before they go.
package enum MessageGoodbye: Sendable, Equatable {
    /// On purpose: not to be dialled again until somebody asks for it.
    case closed(reason: String)
    /// The node ends; it may come back.
    case shutdown
}

package enum MessageReply: Sendable, Equatable {
    case welcome(MessageWelcome)
    case acknowledge(next: UInt64)
    case refuse(MessageRefusal)
    case goodbye(MessageGoodbye)
}

// MARK: - Writing

extension Array where Element == UInt8 {
    /// A frame whose body is `body`. Precondition: within `maximumByteCount`.
    private mutating func appendMessageFrame(_ type: MessageFrame.FrameType, _ body: [UInt8]) {
        Varint.append(UInt64(1 + body.count), to: &self)
        append(type.rawValue)
        append(contentsOf: body)
    }

    package mutating func append(_ hello: MessageHello) {
        var body = hello.incarnation.bytes
        body.append((hello.receiver == nil ? 0 : 1) | (hello.flowsAtOnce ? 2 : 0))
        if let receiver = hello.receiver { body.append(contentsOf: receiver.bytes) }
        body.append(hello.lane.rawValue)
        Varint.append(hello.first, to: &body)
        appendMessageFrame(.hello, body)
    }

    package mutating func append(_ reply: MessageReply) {
        var body: [UInt8] = []
        switch reply {
        case .welcome(let welcome):
            body = welcome.incarnation.bytes
            body.append(welcome.isTaken ? 0 : 1)
            Varint.append(welcome.next, to: &body)
            Varint.append(welcome.held, to: &body)
            appendMessageFrame(.welcome, body)
        case .acknowledge(let next):
            Varint.append(next, to: &body)
            appendMessageFrame(.acknowledge, body)
        case .refuse(let refusal):
            switch refusal {
            case .tooLarge(let sequence, let limit):
                body.append(1)
                Varint.append(sequence, to: &body)
                Varint.append(limit, to: &body)
            case .busy: body.append(2)
            case .unknown(let code): body.append(code)
            }
            appendMessageFrame(.refuse, body)
        case .goodbye(let goodbye): append(goodbye)
        }
    }

    package mutating func append(_ goodbye: MessageGoodbye) {
        switch goodbye {
        case .closed(let reason): appendMessageFrame(.goodbye, [0] + reason.utf8.prefix(MessageFrame.maximumReason))
        case .shutdown: appendMessageFrame(.goodbye, [1])
        }
    }

    mutating func appendSkip(_ count: UInt64) { appendMessageFrame(.skip, Varint.encoded(count)) }

    mutating func appendAsk() { appendMessageFrame(.ask, []) }

    /// The kind of a message, as it stands in BEGIN.
    mutating func appendBegin(_ head: MessageHead, total: UInt64, offset: UInt64) {
        var body: [UInt8] = []
        Varint.append(total, to: &body)
        body.append(head.code)
        head.appendNumbers(to: &body)
        Varint.append(offset, to: &body)
        appendMessageFrame(.begin, body)
    }
}

/// What kind a message is, with its numbers on the wire.
package enum MessageHead: Sendable, Equatable {
    case message
    /// The time that the reply may take, in milliseconds.
    case request(UInt64, milliseconds: UInt64)
    case reply(UInt64)

    var code: UInt8 {
        switch self {
        case .message: 0
        case .request: 1
        case .reply: 2
        }
    }

    var frameType: MessageFrame.FrameType {
        switch self {
        case .message: .message
        case .request: .request
        case .reply: .reply
        }
    }

    func appendNumbers(to bytes: inout [UInt8]) {
        switch self {
        case .message: break
        case .request(let id, let milliseconds):
            Varint.append(id, to: &bytes)
            Varint.append(milliseconds, to: &bytes)
        case .reply(let id): Varint.append(id, to: &bytes)
        }
    }

    /// nil for an unknown code.
    init?(code: UInt8, _ reader: inout ByteReader) throws(WireError) {
        switch code {
        case 0: self = .message
        case 1: self = .request(try reader.readVarint(), milliseconds: try reader.readVarint())
        case 2: self = .reply(try reader.readVarint())
        default: return nil
        }
    }
}

// MARK: - Reading

extension MessageHello {
    /// The body of a HELLO.
    init(_ reader: inout ByteReader) throws(MessageError) {
        let lane: UInt8
        do throws(WireError) {
            guard let own = Incarnation(try reader.readBytes(Incarnation.byteCount)) else { throw .truncated(needed: 16, available: 0) }
            incarnation = own
            let flags = try reader.readByte()
            receiver = flags & 1 == 0 ? nil : Incarnation(try reader.readBytes(Incarnation.byteCount))
            flowsAtOnce = flags & 2 != 0
            lane = try reader.readByte()
            first = try reader.readVarint()
        } catch {
            throw .wire(error)
        }
        guard let known = Lane(rawValue: lane) else { throw .unknownLane(lane) }
        self.lane = known
        guard first > 0 else { throw .outOfPlace(type: MessageFrame.FrameType.hello.rawValue) }
    }
}

extension MessageGoodbye {
    init(_ reader: inout ByteReader) throws(WireError) {
        let code = try reader.readByte()
        let text = reader.readRest()
        self = code == 1 ? .shutdown : .closed(reason: String(decoding: text.prefix(MessageFrame.maximumReason), as: UTF8.self))
    }
}

/// Assembles the frames of a receiver, or the HELLO of a sender: small ones, cut anywhere.
package struct MessageReplies {
    private var partial: [UInt8] = []

    package init() {}

    package var isBetweenFrames: Bool { partial.isEmpty }

    /// The next frame, leaving the rest in `bytes`; nil when more are needed. After an error the stream cannot be read on.
    package mutating func next(_ bytes: inout UnsafeRawBufferPointer) throws(MessageError) -> MessageReply? {
        while !bytes.isEmpty {
            guard let reply = try frame(&bytes, Self.reply) else { continue }
            if let reply { return reply }
        }
        return nil
    }

    /// The HELLO at the start of a stream.
    package mutating func hello(_ bytes: inout UnsafeRawBufferPointer) throws(MessageError) -> MessageHello? {
        while !bytes.isEmpty {
            if let hello = try frame(&bytes, Self.hello) { return hello }
        }
        return nil
    }

    /// A frame that lies whole in the bytes is read where it lies; else it is gathered byte by byte up to its end.
    private mutating func frame<R>(
        _ bytes: inout UnsafeRawBufferPointer, _ parse: (UnsafeRawBufferPointer) throws(MessageError) -> R
    ) throws(MessageError) -> R? {
        if partial.isEmpty, let whole = try Self.whole(bytes) {
            bytes = UnsafeRawBufferPointer(rebasing: bytes[whole.end...])
            return try parse(whole.frame)
        }
        while let byte = bytes.first {
            partial.append(byte)
            bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
            guard try partial.withView({ view throws(MessageError) in try Self.whole(view) != nil }) else { continue }
            let gathered = partial
            partial.removeAll(keepingCapacity: true)
            return try gathered.withView { view throws(MessageError) in
                guard let whole = try Self.whole(view) else { throw .emptyFrame }
                return try parse(whole.frame)
            }
        }
        return nil
    }

    private static func whole(_ bytes: UnsafeRawBufferPointer) throws(MessageError) -> (frame: UnsafeRawBufferPointer, end: Int)? {
        var reader = ByteReader(bytes)
        let frame: UnsafeRawBufferPointer
        do throws(WireError) {
            frame = try reader.readView(try reader.readLength(limit: MessageFrame.maximumReplyByteCount))
        } catch {
            if case .truncated = error { return nil }
            throw .wire(error)
        }
        guard !frame.isEmpty else { throw .emptyFrame }
        return (frame, reader.offset)
    }

    private static func hello(_ frame: UnsafeRawBufferPointer) throws(MessageError) -> MessageHello {
        var reader = ByteReader(frame)
        let type = (try? reader.readByte()) ?? 0
        guard type == MessageFrame.FrameType.hello.rawValue else { throw .notAHello(type: type) }
        return try MessageHello(&reader)
    }

    /// nil for a type that is not known: skipped.
    private static func reply(_ frame: UnsafeRawBufferPointer) throws(MessageError) -> MessageReply? {
        var reader = ByteReader(frame)
        do throws(WireError) {
            switch MessageFrame.FrameType(rawValue: try reader.readByte()) {
            case .welcome:
                guard let incarnation = Incarnation(try reader.readBytes(Incarnation.byteCount)) else { return nil }
                let isTaken = try reader.readByte() == 0
                return .welcome(MessageWelcome(
                    incarnation: incarnation, isTaken: isTaken, next: try reader.readVarint(), held: try reader.readVarint()))
            case .acknowledge: return .acknowledge(next: try reader.readVarint())
            case .refuse:
                switch try reader.readByte() {
                case 1: return .refuse(.tooLarge(sequence: try reader.readVarint(), limit: try reader.readVarint()))
                case 2: return .refuse(.busy)
                case let code: return .refuse(.unknown(code))
                }
            case .goodbye: return .goodbye(try MessageGoodbye(&reader))
            default: return nil
            }
        } catch {
            throw .wire(error)
        }
    }
}

extension Varint {
    /// Writes it at an offset and gives its length. Precondition: below 2^63, and there is room.
    static func write(_ value: UInt64, to space: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        var rest = value, at = offset
        while rest >= 0x80 {
            space[at] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest >>= 7
            at += 1
        }
        space[at] = UInt8(truncatingIfNeeded: rest)
        return at + 1 - offset
    }
}

extension Array where Element == UInt8 {
    /// What stands before the bytes of a CHUNK.
    mutating func appendChunkHead(_ count: Int) {
        Varint.append(UInt64(1 + count), to: &self)
        append(MessageFrame.FrameType.chunk.rawValue)
    }
}
