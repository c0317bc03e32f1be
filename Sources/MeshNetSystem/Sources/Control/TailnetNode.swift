import MeshNetProtocol
import MeshNetSwarm

/// A node of a tailnet, as far as it matters to us, whoever told of it.
struct TailnetNode: Equatable {
    /// Addresses of one that are kept. There are two, or one.
    static let maximumAddresses = 8
    /// Tags of one that are read.
    static let maximumTags = 64
    /// Bytes of an id or a name that are kept.
    static let maximumTextByteCount = 128

    /// Unique and lasting within the tailnet.
    var id: String
    var name: String
    /// 4 or 16 bytes each.
    var addresses: [[UInt8]]
    var tags: [String]
    /// The list that setting tags replaces.
    var writtenTags: [String] = []
    var isOnline = true
    /// Seconds since 1970; nil: never.
    var expiry: Int64?
    /// Known to be expired, whatever the time.
    var isExpired = false
    /// It is not ours to dial: not admitted, shared in from elsewhere, or it takes no connections.
    var isBarred = false

    /// nil for what is no address of a host.
    static func address(_ text: String) -> [UInt8]? {
        guard text.utf8.count <= 64, let ip = IPText.ipv4(text.utf8) ?? IPText.ipv6(text.utf8) else { return nil }
        let isMulticast = ip.count == 4 ? ip[0] >= 224 : ip[0] == 0xff
        return isMulticast || ip.allSatisfy { $0 == 0 } ? nil : ip
    }

    static func addresses(_ json: JSON?) -> [[UInt8]] {
        (json?.strings(limit: maximumAddresses) ?? []).compactMap(address)
    }

    static func text(_ json: JSON?) -> String? {
        guard let text = json?.string ?? json?.integer.map(String.init), !text.isEmpty else { return nil }
        guard text.utf8.count > maximumTextByteCount else { return text }
        return String(decoding: text.utf8.prefix(maximumTextByteCount), as: UTF8.self)
    }
}

/// What tags say. The name of a tag is all that a control server keeps for us, so that the peer id and the port are part of it.
///
/// Written is the one form that Headscale from 0.22 and Tailscale both take: lower case letters, digits and dashes. Read are the forms of exo as well.
enum TailnetTags {
    static let peerPrefix = "tag:meshnet-peer-"
    static let portPrefix = "tag:meshnet-port-"
    /// The longer of two that begin alike comes first.
    private static let peerForms = ["meshnet-peer-", "exo-peer-id-", "exo-peer-", "exo_peer_id="]
    private static let portForms = ["meshnet-port-", "exo-port-", "exo_port="]

    static func own(_ peer: PeerID, port: UInt16) -> [String] { [peerPrefix + peer.base36, portPrefix + String(port)] }

    /// Tags with our own in place of others of their kind: a key or a port from before.
    static func replacing(_ tags: [String], with own: [String]) -> [String] {
        tags.filter { !$0.hasPrefix(peerPrefix) && !$0.hasPrefix(portPrefix) } + own
    }

    /// nil without such a tag, and where two contradict each other: then the handshake tells.
    static func peer(_ tags: [String]) -> PeerID? {
        let found = values(tags, peerForms).compactMap { try? PeerID($0) }
        return found.allSatisfy { $0 == found.first } ? found.first : nil
    }

    static func port(_ tags: [String]) -> UInt16? {
        let found = values(tags, portForms).compactMap { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16($0) : nil }.filter { $0 > 0 }
        return found.allSatisfy { $0 == found.first } ? found.first : nil
    }

    /// With or without `tag:` in front, on either side.
    static func contains(_ tags: [String], _ wanted: String) -> Bool { tags.contains { bare($0) == bare(wanted) } }

    private static func values(_ tags: [String], _ forms: [String]) -> [String] {
        tags.compactMap { tag in
            let name = bare(tag)
            return forms.first(where: name.hasPrefix).map { String(name.dropFirst($0.count)) }
        }
    }

    private static func bare(_ tag: String) -> Substring { tag.hasPrefix("tag:") ? tag.dropFirst(4) : tag[...] }
}
