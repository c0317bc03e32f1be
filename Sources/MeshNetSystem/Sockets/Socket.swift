import CSystem
import Glibc
package import MeshNetSwarm

/// The calls on a TCP socket that happen a few times in its life.
package enum Socket {
    /// Unsent bytes that the kernel may hold (TCP_NOTSENT_LOWAT): four full Noise frames keep the wire busy while the reactor serves others, and an
    /// urgent frame never waits behind more than this. Half of it cost a tenth of the throughput on loopback, twice brought no more.
    package static let unsentLimit: Int32 = 262_144
    /// Connections that wait to be accepted; the kernel caps it at net.core.somaxconn.
    static let backlog: Int32 = 1_024
    /// Bytes thrown away from a socket that is closed, so that the kernel sends the peer an orderly end, and no reset that would destroy our last
    /// bytes.
    private static let drainedAtClose = 262_144

    package enum Opening: Sendable, Equatable { case connected(Int32), underWay(Int32), failed(errno: Int32) }

    /// Starts a connection without waiting for it.
    package static func connect(to address: SocketAddress, system: SystemCalls) -> Opening {
        guard let native = NativeAddress(address) else { return .failed(errno: EINVAL) }
        let made = system.socket(native.family)
        if let code = failure(made) { return .failed(errno: code) }
        let descriptor = Int32(made)
        configure(descriptor)
        if address.isLoopback { leaveUnpaced(descriptor) }
        let result = native.withPointer { system.connect(descriptor, $0, $1) }
        if !address.isLoopback { leaveUnpacedWithinHost(descriptor, to: address) }
        switch failure(result) {
        case nil:
            return .connected(descriptor)
        // An interrupted connect goes on by itself (POSIX); calling again would give EALREADY.
        case EINPROGRESS, EINTR:
            return .underWay(descriptor)
        case let code?:
            _ = Glibc.close(descriptor)
            return .failed(errno: code)
        }
    }

    /// How a connection attempt ended, or what broke a connection: 0 for success.
    package static func pendingError(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 ? code : errno
    }

    package static func localAddress(_ descriptor: Int32) -> SocketAddress? {
        NativeAddress.filled { storage in
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            return storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { Int(getsockname(descriptor, $0, &length)) }
        }.address
    }

    /// As the kernel measured it; nil when it did not yet.
    package static func roundTrip(_ descriptor: Int32) -> Duration? {
        var info = tcp_info(), length = socklen_t(MemoryLayout<tcp_info>.size)
        guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0, info.tcpi_rtt > 0 else { return nil }
        return .microseconds(Int64(info.tcpi_rtt))
    }

    /// Without these a connection still works, only slower: failures do not matter.
    package static func configure(_ descriptor: Int32) {
        set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        set(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, unsentLimit)
    }

    /// A connection that ends on this host has no link to spare: pacing, which BBR does, only costs a timer for each segment (decision 009). Later than
    /// before connecting it stays on, at a rate that hardly shows.
    static func leaveUnpacedWithinHost(_ descriptor: Int32, to peer: SocketAddress) {
        if localAddress(descriptor)?.isOnHost(of: peer) == true { leaveUnpaced(descriptor) }
    }

    /// Reno is in every kernel, and allowed to everyone.
    private static func leaveUnpaced(_ descriptor: Int32) {
        _ = "reno".withCString { setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, $0, socklen_t(strlen($0))) }
    }

    @discardableResult
    static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        var value = value
        return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    /// Ends the connection even while a forked child still holds a copy of the descriptor.
    package static func close(_ descriptor: Int32) {
        if shutdown(descriptor, Int32(SHUT_WR)) == 0 { drain(descriptor) }
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
        _ = Glibc.close(descriptor)
    }

    private static func drain(_ descriptor: Int32) {
        var left = drainedAtClose
        withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 16) { scratch in
            while left > 0 {
                let count = recv(descriptor, scratch.baseAddress, scratch.count, Int32(MSG_DONTWAIT))
                guard count > 0 else { return }
                left -= count
            }
        }
    }
}
