/// Why bytes could not be read as what they should be.
public enum WireError: Error, Equatable, Sendable {
    /// The value goes on behind the end of the input.
    case truncated(needed: Int, available: Int)
    /// A varint of more bytes than its rules allow, or above the largest value.
    case varintTooLong
    /// A varint with a needless zero byte at its end (unsigned-varint allows the shortest form only).
    case varintNotMinimal
    /// A length or count above what the reader accepts.
    case tooLarge(announced: UInt64, limit: Int)
    /// A protobuf wire type that is reserved, or not the one this field has.
    case unexpectedWireType(field: UInt64, wireType: UInt8)
    /// A field number outside 1 ... 2^29 - 1.
    case invalidFieldNumber(UInt64)
    /// Text that is not UTF-8.
    case invalidText(field: UInt64)
    /// A required field is absent.
    case missingField(UInt64)
}

/// A bounds-checked cursor: the one place where bytes of a peer are addressed.
///
/// It borrows its memory: keep it inside the closure or the call that lends the buffer.
package struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    package private(set) var offset = 0

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    package var remaining: Int { bytes.count - offset }
    package var isAtEnd: Bool { offset == bytes.count }

    package mutating func readByte() throws(WireError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated(needed: 1, available: 0) }
        defer { offset += 1 }
        return bytes[offset]
    }

    /// The next `count` bytes as a view into the borrowed memory.
    package mutating func readView(_ count: Int) throws(WireError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw .truncated(needed: count, available: remaining) }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    package mutating func readBytes(_ count: Int) throws(WireError) -> [UInt8] {
        [UInt8](try readView(count))
    }

    /// All that is left, as a view.
    package mutating func readRest() -> UnsafeRawBufferPointer {
        defer { offset = bytes.count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset...])
    }

    package mutating func readBigEndian<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type) throws(WireError) -> T {
        let size = T.bitWidth / 8
        let view = try readView(size)
        return T(bigEndian: view.loadUnaligned(as: T.self))
    }

    package mutating func readLittleEndian<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type) throws(WireError) -> T {
        let view = try readView(T.bitWidth / 8)
        return T(littleEndian: view.loadUnaligned(as: T.self))
    }
}

extension Array where Element == UInt8 {
    package mutating func appendBigEndian<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}

extension Array where Element == UInt8 {
    /// `withUnsafeBytes` with typed errors. The view must not leave the closure.
    package func withView<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try withUnsafeBufferPointer { buffer throws(E) in try body(UnsafeRawBufferPointer(buffer)) }
    }
}
