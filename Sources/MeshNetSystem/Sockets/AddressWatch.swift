import CSystem
import Glibc

/// Tells when an interface, or an address of one, comes, goes or changes (rtnetlink(7)), so that a laptop that changes its network announces the new one.
package final class AddressWatch {
    /// Changes come in bursts, several for one cable; they are looked at together after this.
    package static let settling: Duration = .milliseconds(200)

    private let socket: Descriptor

    package var descriptor: Int32 { socket.number }

    /// nil where the kernel gives no such socket, as in some sandboxes: the addresses of the start then stay.
    package init?() {
        let type = SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let number = Glibc.socket(AF_NETLINK, Int32(type), NETLINK_ROUTE)
        guard number >= 0 else { return nil }
        socket = Descriptor(owning: number)
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = UInt32(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(number, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard bound == 0 else { return nil }
    }

    /// Throws the reports away: what counts is that there were some. Bounded; what is left wakes the reactor again.
    package func clear() {
        withUnsafeTemporaryAllocation(byteCount: 8_192, alignment: 16) { scratch in
            for _ in 0..<16 where recv(descriptor, scratch.baseAddress, scratch.count, Int32(MSG_DONTWAIT)) <= 0 { return }
        }
    }
}
