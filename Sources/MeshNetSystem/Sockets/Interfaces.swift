import CSystem
import Glibc
package import MeshNetSwarm

/// The addresses of this machine's network interfaces.
package enum Interfaces {
    /// Addresses of interfaces that are up, those of the loopback last, each once, in the kernel's order. Without IPv6 link-local ones, as in
    /// go-libp2p: they mean nothing to a peer that does not know our interface. Empty when the kernel does not tell.
    package static func addresses() -> [SocketAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var outward: [SocketAddress] = [], loopback: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            let flags = entry.ifa_flags
            guard flags & UInt32(IFF_UP) != 0, let address = NativeAddress(copying: entry.ifa_addr)?.address, !isLinkLocal(address.ip)
            else { continue }
            if flags & UInt32(IFF_LOOPBACK) != 0 {
                if !loopback.contains(address) { loopback.append(address) }
            } else if !outward.contains(address) {
                outward.append(address)
            }
        }
        return outward + loopback
    }

    /// Interfaces that are up and have a carrier, with the subnets of their addresses, in the kernel's order. Without loopback and IPv6 link-local addresses.
    package static func list() -> [NetworkInterface] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var interfaces: [NetworkInterface] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            let flags = entry.ifa_flags
            guard flags & Self.running == Self.running, flags & UInt32(IFF_LOOPBACK) == 0, let name = entry.ifa_name.map({ String(cString: $0) }),
                let ip = NativeAddress(copying: entry.ifa_addr)?.address?.ip, !isLinkLocal(ip),
                let mask = NativeAddress(copying: entry.ifa_netmask)?.address?.ip,
                let prefix = NetworkPrefix(ip: ip, length: mask.reduce(0) { $0 + $1.nonzeroBitCount })
            else { continue }
            if let index = interfaces.firstIndex(where: { $0.name == name }) {
                interfaces[index].addresses.append(prefix)
            } else {
                interfaces.append(NetworkInterface(name: name, addresses: [prefix]))
            }
        }
        return interfaces
    }

    /// A cable that is pulled takes the second one away and leaves the first.
    private static let running = UInt32(IFF_UP | IFF_RUNNING)

    /// The address itself, or all of the interfaces' addresses of its family when it is the wildcard.
    package static func expand(_ address: SocketAddress, over interfaces: [SocketAddress]) -> [SocketAddress] {
        guard address.ip.allSatisfy({ $0 == 0 }) else { return [address] }
        return interfaces.filter { $0.ip.count == address.ip.count }.map { SocketAddress(ip: $0.ip, port: address.port, zone: $0.zone) }
    }

    private static func isLinkLocal(_ ip: [UInt8]) -> Bool { ip.count == 16 && ip[0] == 0xfe && ip[1] & 0xc0 == 0x80 }
}
