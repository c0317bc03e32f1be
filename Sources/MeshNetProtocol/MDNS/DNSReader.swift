/// Reads the pieces of a DNS message within bounds: pointers lead backwards only, each name and all names together have a limit.
struct DNSReader {
    /// One pointer for each label a name can have; more pointers than labels have no use.
    static let maximumPointers = 127
    /// Bytes of all names of a message, written out. A full packet of peers' names has about 20,000; without a limit 9 KB of pointers to one
    /// long name would become 300 KB of copies.
    static let maximumNameBytes = 65_536
    private static let internetClass: UInt16 = 1
    private static let anyClass: UInt16 = 255
    /// Of the class field; the top bit has a meaning of its own in multicast DNS.
    private static let classMask: UInt16 = 0x7fff

    private let message: UnsafeRawBufferPointer
    private var reader: ByteReader
    private var nameBytes = 0

    init(_ message: UnsafeRawBufferPointer) {
        self.message = message
        reader = ByteReader(message)
    }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type) throws(DNSError) -> T {
        do { return try reader.readBigEndian(type) } catch { throw .wire(error) }
    }

    private mutating func bytes(_ count: Int) throws(DNSError) -> [UInt8] {
        do { return try reader.readBytes(count) } catch { throw .wire(error) }
    }

    /// nil for a question of another class.
    mutating func question() throws(DNSError) -> DNSQuestion? {
        let name = try name()
        let type = try integer(UInt16.self)
        let kind = try integer(UInt16.self) & Self.classMask
        return kind == Self.internetClass || kind == Self.anyClass ? DNSQuestion(name: name, type: type) : nil
    }

    /// nil for a record of another class or type.
    mutating func record() throws(DNSError) -> DNSRecord? {
        let name = try name()
        let type = try integer(UInt16.self)
        let kind = try integer(UInt16.self)
        let timeToLive = try integer(UInt32.self)
        let count = Int(try integer(UInt16.self))
        guard count <= reader.remaining else { throw .wire(.truncated(needed: count, available: reader.remaining)) }
        let end = reader.offset + count
        guard kind & Self.classMask == Self.internetClass, let content = try content(type: type, end: end) else {
            _ = try bytes(end - reader.offset)
            return nil
        }
        guard reader.offset == end else { throw .recordLength(type: type, announced: count) }
        return DNSRecord(name: name, timeToLive: timeToLive, flushesCache: kind & ~Self.classMask != 0, content: content)
    }

    private mutating func content(type: UInt16, end: Int) throws(DNSError) -> DNSRecord.Content? {
        let count = end - reader.offset
        switch type {
        case DNSType.pointer: return .pointer(try name())
        case DNSType.text:
            var strings: [[UInt8]] = []
            while reader.offset < end {
                let length = Int(try integer(UInt8.self))
                guard length <= end - reader.offset else { throw .recordLength(type: type, announced: count) }
                strings.append(try bytes(length))
            }
            return .text(strings)
        case DNSType.service:
            // Priority and weight choose between targets of one service; a peer has one.
            _ = try integer(UInt32.self)
            let port = try integer(UInt16.self)
            return .service(port: port, target: try name())
        case DNSType.a, DNSType.aaaa:
            guard count == (type == DNSType.a ? 4 : 16) else { throw .recordLength(type: type, announced: count) }
            let ip = try bytes(count)
            return type == DNSType.a ? .ipv4(ip) : .ipv6(ip)
        default: return nil
        }
    }

    // MARK: Names

    private mutating func name() throws(DNSError) -> DNSName {
        var wire: [UInt8] = []
        var start = reader.offset
        var pointers = 0
        var next = try Self.labels(&reader, into: &wire)
        while let target = next {
            guard target < start else { throw .pointerNotBackwards(target: target, from: start) }
            guard pointers < Self.maximumPointers else { throw .tooManyPointers(limit: Self.maximumPointers) }
            pointers += 1
            start = target
            var segment = ByteReader(UnsafeRawBufferPointer(rebasing: message[target...]))
            next = try Self.labels(&segment, into: &wire)
        }
        nameBytes += wire.count
        guard nameBytes <= Self.maximumNameBytes else { throw .tooMuchName(limit: Self.maximumNameBytes) }
        return DNSName(uncheckedWire: wire)
    }

    /// Labels up to the root, or to a pointer, whose target it returns.
    private static func labels(_ reader: inout ByteReader, into wire: inout [UInt8]) throws(DNSError) -> Int? {
        while true {
            let length = try byte(&reader)
            switch length & 0xc0 {
            case 0:
                // A label needs room for the root behind it.
                guard wire.count + 1 + Int(length) + (length == 0 ? 0 : 1) <= DNSName.maximumByteCount else {
                    throw .nameTooLong(limit: DNSName.maximumByteCount)
                }
                wire.append(length)
                if length == 0 { return nil }
                for _ in 0..<length { wire.append(DNSName.lowercased(try byte(&reader))) }
            case 0xc0: return Int(length & 0x3f) << 8 | Int(try byte(&reader))
            default: throw .labelType(length)
            }
        }
    }

    private static func byte(_ reader: inout ByteReader) throws(DNSError) -> UInt8 {
        do { return try reader.readByte() } catch { throw .wire(error) }
    }
}
