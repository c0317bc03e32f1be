/// Why bytes are no DNS message that is read here.
package enum DNSError: Error, Equatable, Sendable {
    case wire(WireError)
    case tooLong(count: Int, limit: Int)
    /// The two top bits of a label's length are neither 00 nor 11 (RFC 1035, 4.1.4; RFC 6891 withdrew the others).
    case labelType(UInt8)
    /// A compression pointer must lead to bytes before the piece of name that it ends.
    case pointerNotBackwards(target: Int, from: Int)
    case tooManyPointers(limit: Int)
    case nameTooLong(limit: Int)
    /// All names of one message together are longer than anyone needs.
    case tooMuchName(limit: Int)
    /// The data of a record do not fill the length that it announces.
    case recordLength(type: UInt16, announced: Int)
}

/// The record types of service discovery (RFC 6763), by their numbers.
package enum DNSType {
    package static let a: UInt16 = 1
    package static let pointer: UInt16 = 12
    package static let text: UInt16 = 16
    package static let aaaa: UInt16 = 28
    package static let service: UInt16 = 33
    package static let any: UInt16 = 255
}

/// What is asked. The top bit of the class, "unicast answer wanted" (RFC 6762, 5.4), is not kept: answers here are multicast.
package struct DNSQuestion: Equatable, Sendable {
    package var name: DNSName
    package var type: UInt16

    package init(name: DNSName, type: UInt16) {
        self.name = name
        self.type = type
    }
}

package struct DNSRecord: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        case pointer(DNSName)
        /// Each at most 255 bytes.
        case text([[UInt8]])
        case service(port: UInt16, target: DNSName)
        /// 4 bytes.
        case ipv4([UInt8])
        /// 16 bytes.
        case ipv6([UInt8])
    }

    package var name: DNSName
    /// Seconds.
    package var timeToLive: UInt32
    /// "What you knew of this name and type before is void" (RFC 6762, 10.2).
    package var flushesCache: Bool
    package var content: Content

    package init(name: DNSName, timeToLive: UInt32, flushesCache: Bool, content: Content) {
        self.name = name
        self.timeToLive = timeToLive
        self.flushesCache = flushesCache
        self.content = content
    }
}

/// A multicast DNS message: what of it matters for service discovery.
///
/// Questions and records of another class than IN, records of other types and the authority section are checked and left out.
package struct DNSMessage: Equatable, Sendable {
    /// Bytes at most (RFC 6762, 17).
    package static let maximumByteCount = 9_000

    /// Bits 15 response, 14–11 operation, 10 authoritative, 9 truncated, 3–0 result.
    package var flags: UInt16
    package var questions: [DNSQuestion] = []
    package var answers: [DNSRecord] = []
    package var additionals: [DNSRecord] = []

    package init(isResponse: Bool) { flags = isResponse ? 0x8400 : 0 }

    package var isResponse: Bool { flags & 0x8000 != 0 }
    /// More known answers follow in another packet (RFC 6762, 7.2).
    package var isTruncated: Bool { flags & 0x0200 != 0 }
    /// Operation and result are both zero; others are ignored (RFC 6762, 18.3 and 18.11).
    package var isStandard: Bool { flags & 0x780f == 0 }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(DNSError) {
        guard bytes.count <= Self.maximumByteCount else { throw .tooLong(count: bytes.count, limit: Self.maximumByteCount) }
        var reader = DNSReader(bytes)
        _ = try reader.integer(UInt16.self)
        flags = try reader.integer(UInt16.self)
        // Nothing is set aside for the announced counts: what is not there ends the reading.
        var counts: [UInt16] = []
        for _ in 0..<4 { counts.append(try reader.integer(UInt16.self)) }
        for _ in 0..<counts[0] { if let question = try reader.question() { questions.append(question) } }
        for _ in 0..<counts[1] { if let record = try reader.record() { answers.append(record) } }
        for _ in 0..<counts[2] { _ = try reader.record() }
        for _ in 0..<counts[3] { if let record = try reader.record() { additionals.append(record) } }
    }

    /// The message with compressed names and id 0. Precondition: fewer than 65,536 entries each, data below 64 KiB.
    package func encoded() -> [UInt8] {
        var writer = DNSWriter()
        writer.header(flags: flags, questions: questions.count, answers: answers.count, additionals: additionals.count)
        for question in questions { writer.question(question) }
        for record in answers + additionals { writer.record(record) }
        return writer.bytes
    }
}
