/// Unsigned varints of the multiformats (unsigned-varint specification): at most 9 bytes, below 2^63, shortest form only.
///
/// Protobuf has its own, laxer rules: see `ProtobufReader`.
package enum Varint {
    package static let maximumByteCount = 9

    package static func byteCount(_ value: UInt64) -> Int {
        value == 0 ? 1 : (64 - value.leadingZeroBitCount + 6) / 7
    }

    /// Precondition: `value` is below 2^63, as everything measured in our own memory is.
    package static func append(_ value: UInt64, to output: inout [UInt8]) {
        precondition(value <= UInt64(Int64.max), "an unsigned varint holds 63 bits")
        var rest = value
        while rest >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        output.append(UInt8(truncatingIfNeeded: rest))
    }

    package static func encoded(_ value: UInt64) -> [UInt8] {
        var output: [UInt8] = []
        append(value, to: &output)
        return output
    }
}

extension ByteReader {
    /// `truncated` means "wait for more" where the bytes come from a stream.
    package mutating func readVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<Varint.maximumByteCount {
            let byte = try readByte()
            value |= UInt64(byte & 0x7f) << UInt64(7 * index)
            if byte & 0x80 == 0 {
                if byte == 0, index > 0 { throw .varintNotMinimal }
                return value
            }
        }
        throw .varintTooLong
    }

    /// A length prefix: refused above `limit` before anything is allocated.
    package mutating func readLength(limit: Int) throws(WireError) -> Int {
        let announced = try readVarint()
        guard let length = Int(exactly: announced), length <= limit else {
            throw .tooLarge(announced: announced, limit: limit)
        }
        return length
    }
}
