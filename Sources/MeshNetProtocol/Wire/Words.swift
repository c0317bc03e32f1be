/// Bytes by words of eight, where arrays go byte by byte.
extension UnsafeRawBufferPointer {
    func isEqual(to other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        var offset = 0
        while offset + 8 <= count {
            if loadUnaligned(fromByteOffset: offset, as: UInt64.self) != other.loadUnaligned(fromByteOffset: offset, as: UInt64.self) { return false }
            offset += 8
        }
        while offset < count {
            if self[offset] != other[offset] { return false }
            offset += 1
        }
        return true
    }

    func hashWords(into hasher: inout Hasher) {
        var offset = 0
        while offset + 8 <= count {
            hasher.combine(loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var rest = UInt64(count)
        while offset < count {
            rest = rest << 8 | UInt64(self[offset])
            offset += 1
        }
        hasher.combine(rest)
    }
}

extension [UInt8] {
    func hasEqualBytes(_ other: [UInt8]) -> Bool { withUnsafeBytes { bytes in other.withUnsafeBytes { bytes.isEqual(to: $0) } } }
}
