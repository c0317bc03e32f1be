import MeshNetProtocol

/// What is known of this machine's interfaces, and which of a peer's addresses is therefore tried first.
///
/// Same subnet before routed, physical before virtual and overlay; loopback only on the same host or when there is nothing else.
struct AddressSense {
    /// The smaller, the earlier.
    enum Tier: Int, Comparable {
        /// Named by the application for this very call.
        case chosen
        case subnet
        case virtualSubnet
        case routed
        case overlay
        /// Of a virtual interface of ours: every host with containers has the same one.
        case ownVirtual
        case loopback

        static func < (a: Tier, b: Tier) -> Bool { a.rawValue < b.rawValue }
    }

    private(set) var interfaces: [NetworkInterface] = []

    mutating func setInterfaces(_ list: [NetworkInterface]) { interfaces = Array(list.prefix(Self.maximumInterfaces)) }

    /// Looked at for each address that is dialled; a host of containers has a pair for each.
    static let maximumInterfaces = 256

    func tier(_ address: SocketAddress) -> Tier {
        if address.isLoopback { return .loopback }
        if let zone = address.zone {
            return interfaces.first { $0.name == zone }?.isVirtual == true ? .virtualSubnet : .subnet
        }
        var tier: Tier?
        for interface in interfaces {
            for own in interface.addresses where own.contains(address.ip) {
                if !interface.isVirtual { return .subnet }
                tier = own.ip == address.ip ? .ownVirtual : .virtualSubnet
            }
        }
        return tier ?? (Self.overlays.contains { $0.contains(address.ip) } ? .overlay : .routed)
    }

    /// The address is one of this machine's own, and not one that every host with containers has.
    func isThisHost(_ ip: [UInt8]) -> Bool {
        interfaces.contains { interface in !interface.isVirtual && interface.addresses.contains { $0.ip == ip } }
    }

    /// An address in one of our subnets, or nil: no router is needed to reach it.
    func subnet(of ip: [UInt8]) -> (interface: String, prefix: NetworkPrefix)? {
        for interface in interfaces {
            for prefix in interface.addresses where prefix.contains(ip) { return (interface.name, prefix) }
        }
        return nil
    }

    /// Tailscale's ranges (RFC 6598 shared space, and its ULA): reached through a tunnel, so later than what needs none.
    private static let overlays = ["100.64.0.0/10", "fd7a:115c:a1e0::/48"].compactMap { NetworkPrefix(parsing: $0) }

    // MARK: - Addresses of one peer

    /// Leaves loopback addresses out unless they are all there is, or another address shows that the peer lives on this host.
    func useful(_ addresses: [Multiaddr]) -> [Multiaddr] {
        let isLocal = addresses.contains { address in address.leadingIP.map { isThisHost($0) } ?? false }
        if isLocal || addresses.allSatisfy({ $0.isLoopback }) { return addresses }
        return addresses.filter { !$0.isLoopback }
    }

    /// In the order of dialling; what has no IP yet counts as routed, what goes through a relay comes last.
    func ordered(_ addresses: [Multiaddr]) -> [Multiaddr] {
        let ranked = addresses.map { address -> (item: Multiaddr, tier: Int, isIPv6: Bool) in
            let relayed = address.isRelayed ? 100 : 0
            guard case .socket(let socket) = DialTarget(address) else { return (address, relayed + Tier.routed.rawValue, false) }
            return (address, relayed + tier(socket).rawValue, socket.ip.count == 16)
        }
        return Self.interleaved(ranked)
    }

    /// Sorted by tier, those of one tier in turn from IPv6 and IPv4, so that a family without route costs one stagger at most (RFC 8305, section 4);
    /// otherwise as they came.
    static func interleaved<Item>(_ items: [(item: Item, tier: Int, isIPv6: Bool)]) -> [Item] {
        var mixed: [Item] = []
        for tier in Set(items.map(\.tier)).sorted() {
            let six = items.filter { $0.tier == tier && $0.isIPv6 }, four = items.filter { $0.tier == tier && !$0.isIPv6 }
            for index in 0..<max(six.count, four.count) {
                if index < six.count { mixed.append(six[index].item) }
                if index < four.count { mixed.append(four[index].item) }
            }
        }
        return mixed
    }
}

extension Multiaddr {
    /// Of its first component, behind a zone.
    var leadingIP: [UInt8]? {
        for component in components {
            switch component {
            case .ip6zone: continue
            case .ip4(let ip), .ip6(let ip): return ip
            default: return nil
            }
        }
        return nil
    }

    var isLoopback: Bool {
        guard let ip = leadingIP else { return false }
        return SocketAddress(ip: ip, port: 0).isLoopback
    }

    var isRelayed: Bool {
        components.contains { if case .p2pCircuit = $0 { true } else { false } }
    }
}
