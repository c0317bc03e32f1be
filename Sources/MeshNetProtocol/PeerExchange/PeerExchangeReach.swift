/// From where an address can lead to its peer.
enum PeerExchangeReach: Int, Comparable, Sendable {
    /// From nowhere but its own link, or by no transport that is spoken here.
    case nowhere
    /// From the peer's own host.
    case host
    case network

    static func < (a: PeerExchangeReach, b: PeerExchangeReach) -> Bool { a.rawValue < b.rawValue }

    /// A TCP address with a host and a port, with or without the peer's id at its end.
    init(_ address: Multiaddr, of peer: PeerID) {
        var parts = address.components[...]
        if case .p2p(let named) = parts.last {
            guard named == peer else { self = .nowhere; return }
            parts = parts.dropLast()
        }
        guard parts.count == 2, let host = parts.first, case .tcp(let port) = parts.last, port > 0 else { self = .nowhere; return }
        switch host {
        case .ip4(let ip): self = Self.ipv4(ip)
        case .ip6(let ip): self = Self.ipv6(ip)
        case .dns(let name), .dns4(let name), .dns6(let name): self = Self.name(name)
        default: self = .nowhere
        }
    }

    /// RFC 6890: "this network", loopback, link-local, and from 224 on multicast and reserved.
    private static func ipv4(_ ip: [UInt8]) -> PeerExchangeReach {
        switch (ip[0], ip[1]) {
        case (127, _): .host
        case (0, _), (169, 254), (224..., _): .nowhere
        default: .network
        }
    }

    private static func ipv6(_ ip: [UInt8]) -> PeerExchangeReach {
        if ip.dropLast().allSatisfy({ $0 == 0 }) { return ip[15] == 1 ? .host : .nowhere }
        // fe80::/10, ff00::/8, and IPv4 in disguise, which TCP addresses have no need of.
        if ip[0] == 0xfe && ip[1] & 0xc0 == 0x80 || ip[0] == 0xff { return .nowhere }
        if ip.prefix(10).allSatisfy({ $0 == 0 }), ip[10] == 0xff, ip[11] == 0xff { return .nowhere }
        return .network
    }

    /// RFC 6761, 6.3.
    private static func name(_ name: String) -> PeerExchangeReach {
        let lowercased = name.lowercased()
        return lowercased == "localhost" || lowercased.hasSuffix(".localhost") ? .host : .network
    }
}

extension PeerRecord {
    /// The addresses to dial, without the peer id, at most `limit`. Loopback addresses are among them only where the record has no others:
    /// behind the next hop they lead to another host.
    func dialable(limit: Int) -> (addresses: [Multiaddr], reach: PeerExchangeReach) {
        var best = PeerExchangeReach.host, found: [Multiaddr] = []
        for address in addresses {
            let reach = PeerExchangeReach(address, of: peer)
            guard reach >= best, let plain = address.withoutPeerID else { continue }
            if reach > best {
                best = reach
                found = []
            }
            if found.count < limit, !found.contains(plain) { found.append(plain) }
        }
        return (found, found.isEmpty ? .nowhere : best)
    }
}
