/// A domain name without compression and with ASCII letters in lower case, since names compare without case (RFC 1035, 2.3.3).
package struct DNSName: Hashable, Sendable, CustomStringConvertible {
    /// Bytes of the wire form at most, lengths and root included (RFC 1035, 2.3.4).
    package static let maximumByteCount = 255
    package static let maximumLabelByteCount = 63

    /// Labels, each behind its length, ended by the root's 0.
    package let wire: [UInt8]

    /// For bytes that were checked while they were read.
    init(uncheckedWire: [UInt8]) { wire = uncheckedWire }

    /// Labels with dots between them; a dot at the end is allowed. nil for empty or long labels and for long names.
    package init?(_ text: String) {
        var output: [UInt8] = []
        var labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        if labels.count > 1, labels.last?.isEmpty == true { labels.removeLast() }
        for label in labels {
            guard (1...Self.maximumLabelByteCount).contains(label.count) else { return nil }
            output.append(UInt8(label.count))
            for byte in label { output.append(Self.lowercased(byte)) }
        }
        output.append(0)
        guard output.count <= Self.maximumByteCount else { return nil }
        wire = output
    }

    /// One label in front of another name; nil when it does not fit.
    package init?(label: String, in parent: DNSName) {
        let bytes = Array(label.utf8)
        guard (1...Self.maximumLabelByteCount).contains(bytes.count), 1 + bytes.count + parent.wire.count <= Self.maximumByteCount
        else { return nil }
        wire = [UInt8(bytes.count)] + bytes.map(Self.lowercased) + parent.wire
    }

    /// As in zone files (RFC 1035, 5.1): labels with dots between them, other bytes than printable ASCII, dots and backslashes escaped.
    package var description: String {
        var text = "", index = 0
        while index < wire.count, wire[index] != 0 {
            let end = index + 1 + Int(wire[index])
            if index > 0 { text += "." }
            for byte in wire[(index + 1)..<min(end, wire.count)] {
                switch byte {
                case UInt8(ascii: "."), UInt8(ascii: "\\"): text += "\\" + String(UnicodeScalar(byte))
                case 0x21...0x7e: text += String(UnicodeScalar(byte))
                default: text += "\\" + String(repeating: "0", count: byte < 10 ? 2 : byte < 100 ? 1 : 0) + String(byte)
                }
            }
            index = end
        }
        return text
    }

    static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
