/// The TXT strings of one instance, in whatever records of a packet they came.
package struct MDNSTexts {
    /// What stands before `=`: `dnsaddr` by the libp2p specification, the others ours, which those who do not know them pass over.
    package enum Key: String {
        case address = "dnsaddr"
        case appID = "app_id"
        case endpointID = "endpoint_id"

        var start: [UInt8] { Array((rawValue + "=").utf8) }

        func string(_ value: String) -> [UInt8] { start + Array(value.utf8) }
    }

    var strings: [[UInt8]] = []
    /// A record carried the cache-flush bit.
    var isComplete = false

    package init(strings: [[UInt8]] = []) { self.strings = strings }

    /// Addresses by the peer that they name, in the order of first naming. What is no address is passed over: texts may be anything.
    package func addressesByPeer(on interface: MDNSInterface) -> [(peer: PeerID, addresses: [Multiaddr])] {
        var found: [(peer: PeerID, addresses: [Multiaddr])] = []
        for string in strings {
            guard let (peer, address) = Self.address(string, on: interface) else { continue }
            if let index = found.firstIndex(where: { $0.peer == peer }) {
                if !found[index].addresses.contains(address) { found[index].addresses.append(address) }
            } else {
                found.append((peer, [address]))
            }
        }
        return found
    }

    /// The first of that key, as RFC 6763, 6.4 asks; nil when it is no text within bounds.
    package func text(of key: Key) -> String? {
        for string in strings {
            guard let value = Self.value(of: key, in: string) else { continue }
            guard value.count <= MDNSAttributes.maximumByteCount else { return nil }
            return String(validating: value, as: UTF8.self)
        }
        return nil
    }

    /// Keys compare without case (RFC 6763, 6.4). nil for another key, and for one without a value.
    static func value(of key: Key, in string: [UInt8]) -> ArraySlice<UInt8>? {
        let start = key.start
        guard string.count > start.count, string.prefix(start.count).map(DNSName.lowercased) == start else { return nil }
        return string.dropFirst(start.count)
    }

    private static func address(_ string: [UInt8], on interface: MDNSInterface) -> (PeerID, Multiaddr)? {
        guard let value = value(of: .address, in: string), let text = String(validating: value, as: UTF8.self),
            let address = try? Multiaddr(text)
        else { return nil }
        guard case .p2p(let peer)? = address.components.last, let plain = address.withoutPeerID, plain.canLead(over: interface) else { return nil }
        // Link-local addresses mean something only with the interface where they were heard; the zone of another host means nothing.
        if case .ip6zone = plain.components.first { return nil }
        guard case .ip6(let ip)? = plain.components.first, ip[0] == 0xfe, ip[1] & 0xc0 == 0x80, !interface.name.isEmpty
        else { return (peer, address) }
        return Multiaddr([.ip6zone(interface.name)] + address.components).map { (peer, $0) }
    }
}

/// What a node tells of itself beside its addresses.
package struct MDNSAttributes: Equatable, Sendable {
    /// Bytes of a value, at least one.
    package static let maximumByteCount = 64

    /// Whose application is another one is passed over.
    package var appID: String?
    package var endpointID: String?

    package init(appID: String? = nil, endpointID: String? = nil) {
        self.appID = appID
        self.endpointID = endpointID
    }

    /// False when a value is empty or too long.
    package var areValid: Bool {
        [appID, endpointID].allSatisfy { $0.map { (1...Self.maximumByteCount).contains($0.utf8.count) } ?? true }
    }

    var strings: [[UInt8]] {
        [appID.map(MDNSTexts.Key.appID.string), endpointID.map(MDNSTexts.Key.endpointID.string)].compactMap { $0 }
    }
}
