import CSystem
import Glibc
package import MeshNetProtocol
package import MeshNetSwarm

/// One listening socket.
package final class Listener {
    /// Connections taken in one turn, so that a flood of them does not hold the connected peers up.
    package static let acceptsPerTurn = 64
    /// How long a listener pauses when the process is out of descriptors or memory. The kernel's backlog keeps those who come meanwhile; a reserved
    /// descriptor, the other remedy, would only serve to turn them away.
    package static let pause: Duration = .milliseconds(100)

    package let descriptor: Int32
    /// With the real port.
    package let address: SocketAddress
    private let system: SystemCalls
    /// Set while accepting pauses.
    package private(set) var resumesAt: Instant?
    /// Pauses so far: visible in metrics.
    package private(set) var pauses = 0

    /// IPv6 sockets take IPv6 only, so that both families can have one port each on their own socket. The errno when that fails.
    package static func open(_ address: SocketAddress, system: SystemCalls) -> Result<Listener, ListenFailure> {
        guard let native = NativeAddress(address) else { return .failure(ListenFailure(errno: EADDRNOTAVAIL)) }
        let made = system.socket(native.family)
        if let code = failure(made) { return .failure(ListenFailure(errno: code)) }
        let descriptor = Int32(made)
        // On Linux this allows a port whose old connections linger, and never a second listener.
        Socket.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if native.family == AF_INET6 { Socket.set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        // Inherited by accepted sockets.
        Socket.configure(descriptor)
        guard native.withPointer({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, Socket.backlog) == 0,
            let bound = Socket.localAddress(descriptor)
        else {
            let code = errno
            _ = Glibc.close(descriptor)
            return .failure(ListenFailure(errno: code))
        }
        return .success(Listener(descriptor, bound, system))
    }

    private init(_ descriptor: Int32, _ address: SocketAddress, _ system: SystemCalls) {
        self.descriptor = descriptor
        self.address = address
        self.system = system
    }

    deinit { close() }

    private var isOpen = true

    /// The shutdown frees the port even while a forked child still holds a copy of the descriptor.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
        _ = Glibc.close(descriptor)
    }

    package enum Accepted: Sendable, Equatable { case connection(Int32, from: SocketAddress), none, paused(errno: Int32) }

    package func accept(now: Instant) -> Accepted {
        for _ in 0..<Self.acceptsPerTurn {
            let (result, from) = NativeAddress.filled { system.accept(descriptor, $0) }
            switch failure(result) {
            case nil:
                if let from {
                    Socket.leaveUnpacedWithinHost(Int32(result), to: from)
                    return .connection(Int32(result), from: from)
                }
                _ = Glibc.close(Int32(result))
            case EAGAIN:
                return .none
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                pauses += 1
                resumesAt = now + Self.pause
                return .paused(errno: failure(result)!)
            case EINTR, ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH, ENOPROTOOPT, EOPNOTSUPP, ENONET:
                // Errors of the connection that waited, not of the listener (accept(2)): the next one may be well.
                continue
            case let code?:
                // EBADF, EINVAL: cannot happen while the descriptor is ours; a pause keeps the loop from spinning if it does.
                pauses += 1
                resumesAt = now + Self.pause
                return .paused(errno: code)
            }
        }
        return .none
    }

    package func resume() { resumesAt = nil }
}

/// Why an address cannot be listened on.
package struct ListenFailure: Error, Sendable, Equatable {
    package let errno: Int32
}
