/// A protobuf reader that borrows its input and knows no schema: ask for fields in a loop and skip the unknown ones.
///
/// Source: the protobuf encoding specification. Groups (wire types 3 and 4) are refused: no libp2p message has them.
package struct ProtobufReader {
    package struct Field {
        package let number: UInt64
        package let value: Value

        package func bytes() throws(WireError) -> UnsafeRawBufferPointer {
            guard case .bytes(let view) = value else { throw .unexpectedWireType(field: number, wireType: value.wireType) }
            return view
        }

        package func text() throws(WireError) -> String {
            let view = try bytes()
            guard let text = String(validating: view, as: UTF8.self) else { throw .invalidText(field: number) }
            return text
        }

        package func integer() throws(WireError) -> UInt64 {
            guard case .varint(let integer) = value else { throw .unexpectedWireType(field: number, wireType: value.wireType) }
            return integer
        }

        package func boolean() throws(WireError) -> Bool { try integer() != 0 }
    }

    package enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case bytes(UnsafeRawBufferPointer)
        case fixed32(UInt32)

        var wireType: UInt8 {
            switch self {
            case .varint: 0
            case .fixed64: 1
            case .bytes: 2
            case .fixed32: 5
            }
        }
    }

    private var reader: ByteReader

    package init(_ bytes: UnsafeRawBufferPointer) { reader = ByteReader(bytes) }

    package var isAtEnd: Bool { reader.isAtEnd }

    /// The next field, or nil at the end of the message.
    package mutating func next() throws(WireError) -> Field? {
        if reader.isAtEnd { return nil }
        let tag = try readProtobufVarint()
        let number = tag >> 3
        guard (1...0x1fff_ffff).contains(number) else { throw .invalidFieldNumber(number) }
        switch UInt8(tag & 7) {
        case 0: return Field(number: number, value: .varint(try readProtobufVarint()))
        case 1: return Field(number: number, value: .fixed64(try reader.readLittleEndian(UInt64.self)))
        case 2:
            let announced = try readProtobufVarint()
            guard let count = Int(exactly: announced), count <= reader.remaining else {
                throw .truncated(needed: Int(clamping: announced), available: reader.remaining)
            }
            return Field(number: number, value: .bytes(try reader.readView(count)))
        case 5: return Field(number: number, value: .fixed32(try reader.readLittleEndian(UInt32.self)))
        case let wireType: throw .unexpectedWireType(field: number, wireType: wireType)
        }
    }

    /// Up to ten bytes, longer forms than needed allowed; bits above the 64th must be zero.
    private mutating func readProtobufVarint() throws(WireError) -> UInt64 {
        let first = try reader.readByte()
        if first < 0x80 { return UInt64(first) }
        var value = UInt64(first & 0x7f)
        for index in 1..<10 {
            let byte = try reader.readByte()
            if index == 9, byte > 1 { throw .varintTooLong }
            value |= UInt64(byte & 0x7f) << UInt64(7 * index)
            if byte & 0x80 == 0 { return value }
        }
        throw .varintTooLong
    }
}

/// Writes protobuf fields in the order of the calls.
package struct ProtobufWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}
    package init(reservingCapacity count: Int) { bytes.reserveCapacity(count) }

    package mutating func integer(_ field: UInt64, _ value: UInt64) {
        tag(field, 0)
        varint(value)
    }

    package mutating func boolean(_ field: UInt64, _ value: Bool) { integer(field, value ? 1 : 0) }

    package mutating func bytes(_ field: UInt64, _ value: some Collection<UInt8>) {
        tag(field, 2)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    package mutating func text(_ field: UInt64, _ value: String) { bytes(field, value.utf8) }

    package mutating func message(_ field: UInt64, _ build: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        build(&inner)
        bytes(field, inner.bytes)
    }

    private mutating func tag(_ field: UInt64, _ wireType: UInt64) { varint(field << 3 | wireType) }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
