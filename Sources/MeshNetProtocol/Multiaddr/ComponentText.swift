extension Multiaddr.Component {
    /// Appends `/name` or `/name/value` in canonical form.
    func append(to text: inout String) {
        text += "/" + addressProtocol.name
        guard let value = valueText else { return }
        // The path of a unix socket brings its own slash.
        text += addressProtocol == .unix ? value : "/" + value
    }

    private var valueText: String? {
        switch self {
        case .ip4(let bytes): IPText.text(ipv4: bytes)
        case .ip6(let bytes): IPText.text(ipv6: bytes)
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name), .sni(let name), .unix(let name): name
        case .ipcidr(let bits): String(bits)
        case .tcp(let port), .udp(let port), .dccp(let port), .sctp(let port): String(port)
        case .memory(let number): String(number)
        case .p2p(let peer): peer.description
        case .certhash(let multihash): Multibase.base64URL.encode(multihash)
        case .httpPath(let path): PercentEncoding.encode(path)
        case .onion(let bytes), .onion3(let bytes): Self.onionText(bytes)
        case .garlic32(let bytes): String(decoding: BitGroups.encode(bytes, .base32), as: UTF8.self)
        case .garlic64(let bytes): String(decoding: PaddedBase64.encode(bytes, .base64I2P), as: UTF8.self)
        default: nil
        }
    }

    private static func onionText(_ bytes: [UInt8]) -> String {
        let port = bytes.suffix(2).reduce(0) { $0 << 8 | Int($1) }
        return String(decoding: BitGroups.encode(bytes.dropLast(2), .base32), as: UTF8.self) + ":\(port)"
    }
}

/// Percent-encoding of one path segment (RFC 3986), as go's `url.PathEscape` does it.
enum PercentEncoding {
    private static let unescaped = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~$&+=:@".utf8)

    static func encode(_ text: String) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            if unescaped.contains(byte) {
                output.append(byte)
            } else {
                let digits = DigitAlphabet.base16Upper
                output += [UInt8(ascii: "%"), digits.digit(Int(byte >> 4)), digits.digit(Int(byte & 15))]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// nil for a percent sign without two hex digits, and for bytes that are not UTF-8.
    static func decode(_ text: String) -> String? {
        var output: [UInt8] = [], rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                output.append(byte)
                continue
            }
            guard rest.count >= 2, let escaped = BitGroups.decode(rest.prefix(2), .base16) else { return nil }
            output += escaped
            rest.removeFirst(2)
        }
        return String(validating: output, as: UTF8.self)
    }
}
