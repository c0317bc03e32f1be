/// Anything that is not the DER expected; the callers name the key that it belonged to.
enum DERError: Error, Equatable { case unexpected }

/// The little of DER (X.690) that public keys and signatures need. Strict: shortest lengths, shortest integers.
struct DERReader {
    enum Tag: UInt8 { case integer = 0x02, bitString = 0x03, sequence = 0x30 }

    private var reader: ByteReader

    init(_ bytes: UnsafeRawBufferPointer) { reader = ByteReader(bytes) }

    var isAtEnd: Bool { reader.isAtEnd }

    /// The contents of the next value, which must have this tag.
    mutating func read(_ tag: Tag) throws(DERError) -> UnsafeRawBufferPointer {
        let found: UInt8, contents: UnsafeRawBufferPointer
        do {
            found = try reader.readByte()
            contents = try reader.readView(try readLength())
        } catch {
            throw .unexpected
        }
        guard found == tag.rawValue else { throw .unexpected }
        return contents
    }

    /// The magnitude of an integer above zero, without leading zero bytes.
    mutating func readPositiveInteger() throws(DERError) -> [UInt8] {
        let contents = try read(.integer)
        guard let first = contents.first, first < 0x80 else { throw .unexpected }
        if first != 0 { return [UInt8](contents) }
        guard contents.count > 1, contents[1] >= 0x80 else { throw .unexpected }
        return [UInt8](contents[1...])
    }

    /// Lengths up to 65,535 in their shortest form.
    private mutating func readLength() throws(WireError) -> Int {
        let first = try reader.readByte()
        if first < 0x80 { return Int(first) }
        var length = 0
        guard (1...2).contains(first & 0x7f) else { throw .tooLarge(announced: UInt64(first), limit: 0xffff) }
        for _ in 0..<(first & 0x7f) { length = length << 8 | Int(try reader.readByte()) }
        guard length >= (first == 0x81 ? 0x80 : 0x100) else { throw .varintNotMinimal }
        return length
    }
}
