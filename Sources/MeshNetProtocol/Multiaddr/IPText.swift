/// IP addresses as text: read strictly, written canonically (RFC 5952).
package enum IPText {
    /// 4 bytes of `a.b.c.d` in decimal without leading zeros; nil for anything else.
    package static func ipv4(_ text: some Collection<UInt8>) -> [UInt8]? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var value = 0
            for byte in part {
                guard let digit = DigitAlphabet.decimal.value(byte) else { return nil }
                value = value * 10 + Int(digit)
            }
            guard let octet = UInt8(exactly: value) else { return nil }
            bytes.append(octet)
        }
        return bytes
    }

    /// 16 bytes of an IPv6 text without zone and brackets; the last four may be written as IPv4. nil for anything else.
    package static func ipv6(_ text: some Collection<UInt8>) -> [UInt8]? {
        let colon = UInt8(ascii: ":")
        let parts = text.split(separator: colon, omittingEmptySubsequences: false)
        guard (3...9).contains(parts.count) else { return nil }
        var head: [UInt8] = [], tail: [UInt8]?
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                // "::" gives one empty part inside, and one more where it touches an end.
                let touchesStart = index == 0 && parts[1].isEmpty
                let touchesEnd = index == parts.count - 1 && parts[index - 1].isEmpty
                if touchesStart || touchesEnd { continue }
                guard tail == nil, index > 0, index < parts.count - 1 else { return nil }
                tail = []
                continue
            }
            guard let bytes = index == parts.count - 1 && index > 1 ? group(part) ?? ipv4(part) : group(part) else { return nil }
            if tail == nil { head += bytes } else { tail! += bytes }
        }
        guard let tail else { return head.count == 16 ? head : nil }
        guard head.count + tail.count <= 14 else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    /// Precondition: 4 bytes.
    package static func text(ipv4 bytes: some Collection<UInt8>) -> String {
        String(unsafeUninitializedCapacity: 4 * bytes.count) { output in
            var end = 0
            func append(_ byte: UInt8) {
                output[end] = byte
                end += 1
            }
            for byte in bytes {
                if end > 0 { append(UInt8(ascii: ".")) }
                if byte >= 100 { append(DigitAlphabet.decimal.digit(Int(byte) / 100)) }
                if byte >= 10 { append(DigitAlphabet.decimal.digit(Int(byte) / 10 % 10)) }
                append(DigitAlphabet.decimal.digit(Int(byte) % 10))
            }
            return end
        }
    }

    /// Precondition: 16 bytes.
    package static func text(ipv6 bytes: [UInt8]) -> String {
        if bytes.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) { return "::ffff:" + text(ipv4: bytes[12...]) }
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        let hex = groups.map { String($0, radix: 16) }
        guard let zeros = longestZeroRun(groups) else { return hex.joined(separator: ":") }
        return hex[..<zeros.lowerBound].joined(separator: ":") + "::" + hex[zeros.upperBound...].joined(separator: ":")
    }

    /// The first of the longest runs of two or more zero groups.
    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int>? {
        var best: Range<Int>?, start = 0
        while start < groups.count {
            var end = start
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - start > max(1, best?.count ?? 0) { best = start..<end }
            start = end + 1
        }
        return best
    }

    private static func group(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count <= 4 else { return nil }
        var value: UInt16 = 0
        for byte in text {
            guard let digit = DigitAlphabet.base16.value(byte) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return [UInt8(value >> 8), UInt8(value & 0xff)]
    }
}
