/// Writes DNS messages with compressed names (RFC 1035, 4.1.4).
struct DNSWriter {
    /// Pointers have 14 bits.
    private static let pointerLimit = 0x4000
    private static let internetClass: UInt16 = 1
    private static let topBit: UInt16 = 0x8000

    private(set) var bytes: [UInt8] = []
    /// Where the ends of the names written so far begin.
    private var known: [[UInt8]: UInt16] = [:]

    mutating func header(flags: UInt16, questions: Int, answers: Int, additionals: Int) {
        bytes.appendBigEndian(UInt16(0))
        bytes.appendBigEndian(flags)
        for count in [questions, answers, 0, additionals] { bytes.appendBigEndian(UInt16(count)) }
    }

    mutating func question(_ question: DNSQuestion) {
        name(question.name)
        bytes.appendBigEndian(question.type)
        bytes.appendBigEndian(Self.internetClass)
    }

    mutating func record(_ record: DNSRecord) {
        name(record.name)
        bytes.appendBigEndian(record.content.type)
        bytes.appendBigEndian(record.flushesCache ? Self.internetClass | Self.topBit : Self.internetClass)
        bytes.appendBigEndian(record.timeToLive)
        let lengthAt = bytes.count
        bytes.appendBigEndian(UInt16(0))
        content(record.content)
        let length = UInt16(bytes.count - lengthAt - 2)
        bytes[lengthAt] = UInt8(length >> 8)
        bytes[lengthAt + 1] = UInt8(truncatingIfNeeded: length)
    }

    private mutating func content(_ content: DNSRecord.Content) {
        switch content {
        case .pointer(let target): name(target)
        case .text(let strings):
            for string in strings {
                bytes.append(UInt8(string.count))
                bytes += string
            }
        case .service(let port, let target):
            bytes.appendBigEndian(UInt32(0))
            bytes.appendBigEndian(port)
            name(target)
        case .ipv4(let ip), .ipv6(let ip): bytes += ip
        }
    }

    private mutating func name(_ name: DNSName) {
        var rest = name.wire[...]
        while let length = rest.first, length > 0 {
            let ending = Array(rest)
            if let offset = known[ending] { return bytes.appendBigEndian(offset | 0xc000) }
            if bytes.count < Self.pointerLimit { known[ending] = UInt16(bytes.count) }
            bytes += rest.prefix(1 + Int(length))
            rest = rest.dropFirst(1 + Int(length))
        }
        bytes.append(0)
    }
}

extension DNSRecord.Content {
    var type: UInt16 {
        switch self {
        case .pointer: DNSType.pointer
        case .text: DNSType.text
        case .service: DNSType.service
        case .ipv4: DNSType.a
        case .ipv6: DNSType.aaaa
        }
    }
}
