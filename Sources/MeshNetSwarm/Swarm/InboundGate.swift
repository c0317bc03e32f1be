import MeshNetProtocol

/// Counts inbound connections so that neither one address nor unfinished handshakes use the node up.
///
/// One IPv4 address or one IPv6 /56 counts as a source (go-libp2p's figures); loopback is free, since many nodes of one
/// machine are ordinary use.
struct InboundGate {
    private let perSource: Int
    private let maximumPending: Int
    private var bySource: [[UInt8]: Int] = [:]
    private(set) var pending = 0
    private(set) var refused = 0
    /// Addresses with connections.
    var sourceCount: Int { bySource.count }

    init(limits: Limits) {
        perSource = limits.inboundConnectionsPerAddress
        maximumPending = limits.pendingInboundConnections
    }

    mutating func admit(_ address: SocketAddress) -> Bool {
        let source = Self.source(of: address)
        guard pending < maximumPending, Self.isLoopback(address) || bySource[source, default: 0] < perSource else {
            refused += 1
            return false
        }
        bySource[source, default: 0] += 1
        pending += 1
        return true
    }

    mutating func handshakeEnded() { pending -= 1 }

    mutating func closed(_ address: SocketAddress) {
        let source = Self.source(of: address)
        guard let count = bySource[source] else { return }
        bySource[source] = count > 1 ? count - 1 : nil
    }

    static func isLoopback(_ address: SocketAddress) -> Bool {
        if let ip4 = ip4(of: address) { return ip4[0] == 127 }
        return address.ip.dropLast().allSatisfy { $0 == 0 } && address.ip.last == 1
    }

    private static func source(of address: SocketAddress) -> [UInt8] {
        ip4(of: address) ?? Array(address.ip.prefix(7))
    }

    /// The IPv4 address, also when it comes mapped into IPv6.
    private static func ip4(of address: SocketAddress) -> [UInt8]? {
        if address.ip.count == 4 { return address.ip }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        return address.ip.count == 16 && Array(address.ip.prefix(12)) == mapped ? Array(address.ip.suffix(4)) : nil
    }
}
