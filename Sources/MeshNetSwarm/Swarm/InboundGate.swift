import MeshNetProtocol

/// Counts inbound connections so that neither one address nor unfinished handshakes use the node up.
///
/// One IPv4 address or one IPv6 /56 counts as a source (go-libp2p's figures); loopback is free, since many nodes of one
/// machine are ordinary use.
struct InboundGate {
    private let limits: Limits
    private var rate = InboundRate()
    private var bySource: [[UInt8]: Int] = [:]
    private(set) var pending = 0
    private(set) var refused = 0
    private(set) var lastRefusal: InboundRefusal?
    /// Addresses with connections.
    var sourceCount: Int { bySource.count }

    init(limits: Limits) {
        self.limits = limits
    }

    /// nil: it is let in, and counted until `closed`.
    mutating func admit(_ address: SocketAddress, now: Instant) -> InboundRefusal? {
        let source = Self.source(of: address)
        if let refusal = judge(address, source, now) {
            refuse(refusal)
            return refusal
        }
        bySource[source, default: 0] += 1
        pending += 1
        return nil
    }

    mutating func refuse(_ refusal: InboundRefusal) {
        refused += 1
        lastRefusal = refusal
    }

    /// The rate last: what is refused for another reason does not use it up.
    private mutating func judge(_ address: SocketAddress, _ source: [UInt8], _ now: Instant) -> InboundRefusal? {
        guard pending < limits.pendingInboundConnections else { return .handshakes }
        if address.isLoopback { return nil }
        guard bySource[source, default: 0] < limits.inboundConnectionsPerAddress else { return .connectionsPerAddress }
        var sources = [(source: source, perSecond: limits.inboundRatePerAddress, burst: limits.inboundBurstPerAddress)]
        if source.count > 4 { sources.append((Array(source.prefix(6)), limits.inboundRatePerNetwork, limits.inboundBurstPerNetwork)) }
        return rate.admit(sources, now: now) ? nil : .ratePerAddress
    }

    mutating func handshakeEnded() { pending -= 1 }

    mutating func closed(_ address: SocketAddress) {
        let source = Self.source(of: address)
        guard let count = bySource[source] else { return }
        bySource[source] = count > 1 ? count - 1 : nil
    }

    private static func source(of address: SocketAddress) -> [UInt8] {
        address.ip4 ?? Array(address.ip.prefix(7))
    }
}

extension SocketAddress {
    package var isLoopback: Bool {
        if let ip4 { return ip4[0] == 127 }
        return ip.dropLast().allSatisfy { $0 == 0 } && ip.last == 1
    }

    /// A connection between the two does not leave the machine.
    package func isOnHost(of other: SocketAddress) -> Bool { other.isLoopback || other.ip == ip }

    /// The IPv4 address, also when it comes mapped into IPv6.
    fileprivate var ip4: [UInt8]? {
        if ip.count == 4 { return ip }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        return ip.count == 16 && Array(ip.prefix(12)) == mapped ? Array(ip.suffix(4)) : nil
    }
}
