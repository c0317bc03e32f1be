/// What the text of a configured peer address means.
package enum BootstrapAddress: Sendable, Equatable {
    case address(Multiaddr)
    /// Usable once read in another way than it is written; the reason says how.
    case reinterpreted(Multiaddr, reason: String)
    /// Not usable; the reason names the value and the remedy in one sentence.
    case unusable(reason: String)

    /// Never fails: one bad entry must not keep a node from its other peers.
    package init(parsing text: String) {
        let text = Self.trimmed(text)
        guard !text.isEmpty else {
            self = .unusable(reason: "An empty entry is no address: leave it out, or write one such as \(Self.example).")
            return
        }
        do {
            self = Self.judged(try Multiaddr(text), text)
        } catch .invalidValue("ip4", let host, .notAnIPv4Address) {
            self = Self.named(host, in: text, instead: "ip4", of: "dns4")
        } catch .invalidValue("ip6", let host, .notAnIPv6Address) {
            self = Self.named(host, in: text, instead: "ip6", of: "dns6")
        } catch .missingLeadingSlash {
            self = .unusable(reason: "\(text.quoted) is no multiaddr: write \(Self.suggestion(for: text)).")
        } catch {
            self = .unusable(reason: "\(text.quoted) is no multiaddr, \(error): write one such as \(Self.example).")
        }
    }

    private static let example = "/ip4/192.168.1.7/tcp/4001"

    /// Only what a TCP node can dial: host, tcp with a port, and perhaps the peer id; or a dnsaddr, whose records say the rest.
    private static func judged(_ address: Multiaddr, _ text: String) -> BootstrapAddress {
        var parts = address.components[...]
        if case .p2p = parts.last { parts.removeLast() }
        if case .ip6zone = parts.first { parts.removeFirst() }
        switch parts.popFirst() {
        case .ip4, .ip6, .dns, .dns4, .dns6: break
        case .dnsaddr where parts.isEmpty: return .address(address)
        case .dnsaddr: break
        default: return .unusable(reason: "\(text.quoted) does not begin with a host: write one such as \(example).")
        }
        switch parts.popFirst() {
        case .tcp(0): return .unusable(reason: "\(text.quoted) has port 0, which cannot be dialled: write the port the peer listens on.")
        case .tcp: break
        case nil: return .unusable(reason: "\(text.quoted) has no port: put /tcp/ and the port behind the host.")
        default: return .unusable(reason: "\(text.quoted) is not a TCP address, and only TCP is spoken here: write one such as \(example).")
        }
        guard parts.isEmpty else {
            return .unusable(reason: "\(text.quoted) asks for more than plain TCP: leave out what stands between the port and /p2p/.")
        }
        return .address(address)
    }

    /// `/ip4/host/tcp/1` is read as `/dns4/host/tcp/1`, which exo's compose file needs; what looks like a mistyped IP address is not.
    private static func named(_ host: String, in text: String, instead written: String, of meant: String) -> BootstrapAddress {
        let corrected = replacing("/\(written)/\(host)", with: "/\(meant)/\(host)", in: text)
        guard isHostName(host), let address = try? Multiaddr(corrected), case .address = judged(address, corrected) else {
            let problem = "\(host.quoted), which is no \(written == "ip4" ? "IPv4" : "IPv6") address"
            let remedy = "correct it, or write /dns4/ before a name, as in /dns4/host.example/tcp/4001"
            return .unusable(reason: "\(text.quoted) has \(problem): \(remedy).")
        }
        let reason = "\(text.quoted) has a name where /\(written)/ needs an address and is taken as \(corrected.quoted): write it so."
        return .reinterpreted(address, reason: reason)
    }

    /// Letters, digits, hyphens, underscores and dots, with a letter in the last label: what is all digits is a mistyped address.
    private static func isHostName(_ text: String) -> Bool {
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, let last = labels.last else { return false }
        func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
        func isDigit(_ byte: UInt8) -> Bool { DigitAlphabet.decimal.value(byte) != nil }
        let isWellFormed = labels.allSatisfy { label in
            (1...63).contains(label.count)
                && label.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
        }
        return isWellFormed && last.contains(where: isLetter)
    }

    /// For `host:port`, the form that other programs use.
    private static func suggestion(for text: String) -> String {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let port = UInt16(parts[1]), port > 0 else { return "one such as \(example)" }
        let host = String(parts[0])
        if IPText.ipv4(host.utf8) != nil { return "/ip4/\(host)/tcp/\(port)" }
        return isHostName(host) ? "/dns4/\(host)/tcp/\(port)" : "one such as \(example)"
    }

    private static func replacing(_ part: String, with other: String, in text: String) -> String {
        let bytes = Array(text.utf8), needle = Array(part.utf8)
        guard bytes.count >= needle.count else { return text }
        for start in 0...bytes.count - needle.count where bytes[start...].starts(with: needle) {
            return String(decoding: bytes[..<start] + Array(other.utf8) + bytes[(start + needle.count)...], as: UTF8.self)
        }
        return text
    }

    private static func trimmed(_ text: String) -> String {
        let blanks = Array(" \t\r\n".utf8)
        let bytes = text.utf8.drop { blanks.contains($0) }
        let kept = bytes.reversed().drop { blanks.contains($0) }.reversed()
        return String(decoding: Array(kept), as: UTF8.self)
    }
}
