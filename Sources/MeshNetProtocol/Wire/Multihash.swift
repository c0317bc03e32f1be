/// Why bytes are no multihash of the kind asked for.
public enum MultihashError: Error, Equatable, Sendable {
    case wire(WireError)
    /// The digest is shorter or longer than its header says.
    case digestLength(announced: UInt64, actual: Int)
    /// The hash function is not one that a peer id may have.
    case unsupportedFunction(UInt64)
    /// A digest length that the function does not have.
    case wrongLength(function: UInt64, length: Int)
}

/// A hash function code and its digest (multihash specification); nothing is known here about the function.
package struct Multihash {
    package static let identity: UInt64 = 0x00
    package static let sha256: UInt64 = 0x12

    package let function: UInt64
    package let digestLength: Int

    /// The whole input must be one multihash.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(MultihashError) {
        var reader = ByteReader(bytes)
        let announced: UInt64
        do {
            function = try reader.readVarint()
            announced = try reader.readVarint()
        } catch {
            throw .wire(error)
        }
        guard Int(exactly: announced) == reader.remaining else {
            throw .digestLength(announced: announced, actual: reader.remaining)
        }
        digestLength = reader.remaining
    }
}
