/// One life of a node's message state: 16 random bytes, drawn when the state is made and kept as long as it is. A peer that comes back with
/// another one has forgotten what it had received and what it had promised.
public struct Incarnation: Hashable, Sendable, CustomStringConvertible {
    package static let byteCount = 16

    private let high: UInt64
    private let low: UInt64

    /// nil unless there are 16 bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
    }

    package init(random: inout RandomSource) {
        high = random.next()
        low = random.next()
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(high)
        bytes.appendBigEndian(low)
        return bytes
    }

    /// 32 hexadecimal digits.
    public var description: String {
        String(bytes.flatMap { [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]] })
    }

    private static let digits = Array("0123456789abcdef")
}
