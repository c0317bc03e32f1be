import MeshNetProtocol
import MeshNetSwarm

/// What one entry of `DiscoveryConfiguration.dnsServices` asks for.
enum DNSService: Equatable {
    /// `name:port`: every A and AAAA of the name, with this port.
    case addresses(name: String, port: UInt16)
    /// `_service._proto.name`: SRV (RFC 2782).
    case targets(name: String)
    /// `/dnsaddr/name` or `dnsaddr:name`: TXT of `_dnsaddr.name` (multiformats, dnsaddr), with `/p2p/…` only those of one peer.
    case dnsaddr(name: String, peer: PeerID?)

    /// Bytes of a name in its text form (RFC 1035 §2.3.4).
    static let maximumNameByteCount = 253
    private static let hint = "write name:port, _service._tcp.name, or /dnsaddr/name"

    init(_ text: String) throws(SourceFailure) {
        if text.hasPrefix("/") {
            guard let address = try? Multiaddr(text), let form = Self(address) else { throw Self.unusable(text, "is no /dnsaddr address") }
            self = form
        } else if text.hasPrefix("dnsaddr:") {
            let name = String(text.dropFirst("dnsaddr:".count))
            guard Self.isName(name) else { throw Self.unusable(text, "has no valid name") }
            self = .dnsaddr(name: name, peer: nil)
        } else if let colon = text.lastIndex(of: ":") {
            let name = String(text[..<colon])
            guard Self.isName(name) else { throw Self.unusable(text, "has no valid name") }
            guard let port = UInt16(text[text.index(after: colon)...]), port > 0 else { throw Self.unusable(text, "has no port from 1 to 65535") }
            self = .addresses(name: name, port: port)
        } else {
            guard Self.isName(text) else { throw Self.unusable(text, "is no valid name") }
            guard text.hasPrefix("_") else { throw Self.unusable(text, "has no port") }
            self = .targets(name: text)
        }
    }

    /// `/dnsaddr/name` with nothing, or a peer id, behind it.
    init?(_ address: Multiaddr) {
        let parts = address.components
        guard case .dnsaddr(let name)? = parts.first, Self.isName(name) else { return nil }
        switch parts.dropFirst().first {
        case nil: self = .dnsaddr(name: name, peer: nil)
        case .p2p(let peer) where parts.count == 2: self = .dnsaddr(name: name, peer: peer)
        default: return nil
        }
    }

    var firstName: String {
        switch self {
        case .addresses(let name, _), .targets(let name): name
        case .dnsaddr(let name, _): Self.dnsaddrName(name)
        }
    }

    var kind: DNSRecordKind {
        switch self {
        case .addresses: .addresses
        case .targets: .service
        case .dnsaddr: .text
        }
    }

    static func dnsaddrName(_ name: String) -> String { "_dnsaddr." + name }

    /// Labels of letters, digits, hyphens and underscores, 1 to 63 bytes each; one dot at the end says that the name is complete.
    private static func isName(_ text: String) -> Bool {
        let bytes = Array(text.hasSuffix(".") ? text.dropLast().utf8 : text[...].utf8)
        guard (1...maximumNameByteCount).contains(bytes.count) else { return false }
        return bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.count) && label.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "_"): true
                default: false
                }
            }
        }
    }

    private static func unusable(_ text: String, _ problem: String) -> SourceFailure {
        SourceFailure(.badConfiguration, detail: "the DNS service \(String(text.prefix(300)).quoted) \(problem)", hint: hint)
    }
}
