import CSystem
import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// A network interface as the kernel lists it.
struct HostInterface: Equatable, Sendable {
    let index: UInt32
    let name: String
    /// IFF_… of netdevice(7).
    let flags: UInt32
    /// Link-local ones included: they tell what the interface can do.
    var addresses: [MDNSInterface.Address]

    func isSame(as other: HostInterface) -> Bool { index == other.index && name == other.name }

    var isLoopback: Bool { flags & UInt32(IFF_LOOPBACK) != 0 }
    var hasIPv4: Bool { addresses.contains { $0.ip.count == 4 } }
    var hasIPv6: Bool { addresses.contains { $0.ip.count == 16 } }
}

/// On which interfaces mDNS runs.
enum MulticastInterfaces {
    /// Each takes a socket for each family. A host of containers has hundreds of interfaces; those that lead to other hosts come first.
    static let maximum = 64

    /// All interfaces of the machine, in the order of their indexes; empty when the kernel does not tell.
    static func all() -> [HostInterface] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [UInt32: HostInterface] = [:]
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let label = entry.ifa_name else { continue }
            // Old labels of second addresses ("eth0:1") are not names of interfaces.
            let name = String(cString: label).prefix { $0 != ":" }
            let index = if_nametoindex(String(name))
            guard index != 0 else { continue }
            if found[index] == nil { found[index] = HostInterface(index: index, name: String(name), flags: entry.ifa_flags, addresses: []) }
            guard let address = NativeAddress(copying: entry.ifa_addr)?.address else { continue }
            let mask = NativeAddress(copying: entry.ifa_netmask)?.address?.ip ?? []
            found[index]?.addresses.append(.init(ip: address.ip, prefixLength: mask.reduce(0) { $0 + $1.nonzeroBitCount }))
        }
        return found.values.sorted { $0.index < $1.index }
    }

    /// Those that are up, with a cable, and can multicast, in the order of their worth. The loopback is one of them, though it does not say that it
    /// can: over it the nodes of a machine find each other without any network, and those that listen there alone. A cable that is plugged in later
    /// makes a new interface, so that the asking starts again (RFC 6762, 8.3).
    static func usable(_ interfaces: [HostInterface], allowed: [String], denied: [String]) -> (used: [HostInterface], leftOut: [HostInterface]) {
        let wanted = UInt32(IFF_UP | IFF_RUNNING)
        let able = interfaces.filter { interface in
            guard interface.flags & wanted == wanted, !interface.addresses.isEmpty else { return false }
            guard interface.isLoopback || interface.flags & UInt32(IFF_MULTICAST) != 0 else { return false }
            return isAllowed(interface.name, allowed: allowed, denied: denied)
        }
        let ranked = able.sorted { (rank($0), $0.index) < (rank($1), $1.index) }
        return (Array(ranked.prefix(maximum)), Array(ranked.dropFirst(maximum)))
    }

    /// `*` at the end of a pattern stands for any ending.
    static func isAllowed(_ name: String, allowed: [String], denied: [String]) -> Bool {
        func matches(_ pattern: String) -> Bool { pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern }
        return (allowed.isEmpty || allowed.contains(where: matches)) && !denied.contains(where: matches)
    }

    private static func rank(_ interface: HostInterface) -> Int {
        if interface.isLoopback { return 0 }
        if ["docker", "veth", "br-", "virbr", "cni", "flannel", "cali"].contains(where: interface.name.hasPrefix) { return 3 }
        // Link-local addresses alone: nothing of ours can be announced there.
        return interface.addresses.contains { !$0.isLinkLocalIPv6 } ? 1 : 2
    }
}

extension MDNSInterface.Address {
    var isLinkLocalIPv6: Bool { ip.count == 16 && ip[0] == 0xfe && ip[1] & 0xc0 == 0x80 }
}
