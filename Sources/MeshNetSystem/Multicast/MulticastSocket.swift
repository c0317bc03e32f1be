import CSystem
import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// One UDP socket on port 5353 of an mDNS group, on one interface.
///
/// It is bound to the group's address and not to the wildcard, so that nothing but multicast comes in (RFC 6762, 11), and unicast to port 5353 goes
/// on to Avahi and its like, who share the port and whose peers may answer so (RFC 6762, 15.1). Each interface has its own, because the kernel
/// limits the groups of a socket (net.ipv4.igmp_max_memberships, 20) and binds ff02::fb on one interface only, and because what breaks one then
/// leaves the others alone.
final class MulticastSocket {
    static let port: UInt16 = 5_353
    static let ipv4Group: [UInt8] = [224, 0, 0, 251]
    static let ipv6Group: [UInt8] = [0xff, 2] + [UInt8](repeating: 0, count: 13) + [0xfb]
    /// Hops of a packet: 255, as RFC 6762, 11 asks, though link-local groups never leave the link.
    private static let hops: Int32 = 255
    /// Bytes that the kernel may hold for us: the packets of some hundred peers that answer one question within 100 ms.
    private static let receiveBuffer: Int32 = 262_144

    let channel: MulticastChannel
    private let socket: Descriptor
    private let group: NativeAddress

    var descriptor: Int32 { socket.number }

    static func open(_ channel: MulticastChannel) -> Result<MulticastSocket, MulticastError> {
        let isIPv6 = channel.family == .ipv6
        let zone = isIPv6 ? String(channel.interface) : nil
        guard let group = NativeAddress(SocketAddress(ip: isIPv6 ? ipv6Group : ipv4Group, port: port, zone: zone))
        else { return .failure(MulticastError(call: "if_nametoindex", errno: ENODEV)) }
        let type = SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let number = Glibc.socket(group.family, Int32(type), Int32(IPPROTO_UDP))
        guard number >= 0 else { return .failure(MulticastError(call: "socket", errno: errno)) }
        // Closes itself when one of the calls below fails.
        let socket = MulticastSocket(channel, Descriptor(owning: number), group)
        do throws(MulticastError) {
            try socket.share()
            if isIPv6 { try socket.joinIPv6() } else { try socket.joinIPv4() }
        } catch {
            return .failure(error)
        }
        return .success(socket)
    }

    private init(_ channel: MulticastChannel, _ socket: Descriptor, _ group: NativeAddress) {
        self.channel = channel
        self.socket = socket
        self.group = group
    }

    /// Avahi, systemd-resolved, browsers and other nodes hold the port too: each socket gets its own copy of a multicast packet.
    private func share() throws(MulticastError) {
        try set(SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR")
        try set(SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT")
        // Linux from 6.10 on hands a multicast packet for which one socket matches to any socket of that socket's SO_REUSEPORT group, by a hash of
        // the addresses: our socket of another interface would get it. Sockets bound to different interfaces are in different groups.
        // Kernels before 5.7 want CAP_NET_RAW for it, and are right without.
        Socket.set(descriptor, SOL_SOCKET, SO_BINDTOIFINDEX, Int32(bitPattern: channel.interface))
        // The kernel's default is enough where it does not allow more.
        Socket.set(descriptor, SOL_SOCKET, SO_RCVBUF, Self.receiveBuffer)
    }

    private func joinIPv4() throws(MulticastError) {
        let level = Int32(IPPROTO_IP)
        // Groups that others of this machine joined on other interfaces are none of ours.
        Socket.set(descriptor, level, IP_MULTICAST_ALL, 0)
        try set(level, IP_MULTICAST_LOOP, 1, "IP_MULTICAST_LOOP")
        try set(level, IP_MULTICAST_TTL, Self.hops, "IP_MULTICAST_TTL")
        try bindToGroup()
        var request = ip_mreqn()
        request.imr_ifindex = Int32(bitPattern: channel.interface)
        withUnsafeMutableBytes(of: &request.imr_multiaddr) { $0.copyBytes(from: Self.ipv4Group) }
        try set(level, IP_ADD_MEMBERSHIP, request, "IP_ADD_MEMBERSHIP")
        // The source of packets on the loopback would be an address of another interface, or none.
        if channel.isLoopback { withUnsafeMutableBytes(of: &request.imr_address) { $0.copyBytes(from: [127, 0, 0, 1]) } }
        try set(level, IP_MULTICAST_IF, request, "IP_MULTICAST_IF")
    }

    private func joinIPv6() throws(MulticastError) {
        let level = Int32(IPPROTO_IPV6)
        try set(level, IPV6_V6ONLY, 1, "IPV6_V6ONLY")
        try set(level, IPV6_MULTICAST_LOOP, 1, "IPV6_MULTICAST_LOOP")
        try set(level, IPV6_MULTICAST_HOPS, Self.hops, "IPV6_MULTICAST_HOPS")
        try bindToGroup()
        var request = ipv6_mreq()
        request.ipv6mr_interface = channel.interface
        withUnsafeMutableBytes(of: &request.ipv6mr_multiaddr) { $0.copyBytes(from: Self.ipv6Group) }
        try set(level, IPV6_ADD_MEMBERSHIP, request, "IPV6_ADD_MEMBERSHIP")
        try set(level, IPV6_MULTICAST_IF, channel.interface, "IPV6_MULTICAST_IF")
    }

    private func bindToGroup() throws(MulticastError) {
        guard group.withPointer({ bind(descriptor, $0, $1) }) == 0 else { throw MulticastError(call: "bind", errno: errno) }
    }

    /// The value is a struct or number of C.
    private func set<Value>(_ level: Int32, _ option: Int32, _ value: Value, _ name: String) throws(MulticastError) {
        let result = withUnsafeBytes(of: value) { setsockopt(descriptor, level, option, $0.baseAddress, socklen_t($0.count)) }
        guard result == 0 else { throw MulticastError(call: name, errno: errno) }
    }

    /// To the group; the errno when the kernel does not take it.
    func send(_ packet: [UInt8]) -> Int32? {
        let sent = group.withPointer { address, length in
            packet.withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), address, length) }
        }
        return sent < 0 ? errno : nil
    }

    enum Received: Equatable { case packet(count: Int), nothing, broken(errno: Int32) }

    /// One packet; what does not fit into the memory has a count above its size.
    func receive(into memory: UnsafeMutableRawBufferPointer) -> Received {
        while true {
            let count = recv(descriptor, memory.baseAddress, memory.count, Int32(MSG_DONTWAIT | MSG_TRUNC))
            if count >= 0 { return .packet(count: count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            case let code: return .broken(errno: code)
            }
        }
    }
}

/// A system call of multicast that failed.
struct MulticastError: Error, Equatable, Sendable {
    let call: String
    let errno: Int32
}
