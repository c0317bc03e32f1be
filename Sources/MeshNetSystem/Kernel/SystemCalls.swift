package import CSystem
import Glibc

/// The kernel calls of the reactor whose failures a test must be able to provoke. Each returns the call's result, or the negated errno.
package struct SystemCalls: Sendable {
    /// epoll_wait; the timeout in milliseconds, -1 for ever.
    package var wait: @Sendable (_ epoll: Int32, _ events: UnsafeMutableBufferPointer<epoll_event>, _ timeout: Int32) -> Int
    package var receive: @Sendable (_ socket: Int32, _ into: UnsafeMutableRawBufferPointer) -> Int
    /// sendmsg without SIGPIPE.
    package var send: @Sendable (_ socket: Int32, _ pieces: UnsafeMutableBufferPointer<iovec>) -> Int
    /// accept4, nonblocking and close-on-exec.
    package var accept: @Sendable (_ listener: Int32, _ from: UnsafeMutablePointer<sockaddr_storage>) -> Int
    /// A TCP socket of the family, nonblocking and close-on-exec.
    package var socket: @Sendable (_ family: Int32) -> Int
    package var connect: @Sendable (_ socket: Int32, _ to: UnsafePointer<sockaddr>, _ length: socklen_t) -> Int
    /// sched_yield of the reactor thread: in a look, or between two turns.
    package var yield: @Sendable (_ isLooking: Bool) -> Void

    package static let kernel = SystemCalls(
        wait: { epoll, events, timeout in
            result(Int(epoll_wait(epoll, events.baseAddress, Int32(events.count), timeout)))
        },
        receive: { socket, memory in
            result(recv(socket, memory.baseAddress, memory.count, Int32(MSG_DONTWAIT)))
        },
        send: { socket, pieces in
            var message = msghdr()
            message.msg_iov = pieces.baseAddress
            message.msg_iovlen = pieces.count
            return result(sendmsg(socket, &message, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)))
        },
        accept: { listener, storage in
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            return storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                result(Int(accept4(listener, address, &length, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))))
            }
        },
        socket: { family in
            let type = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
            return result(Int(Glibc.socket(family, Int32(type), Int32(IPPROTO_TCP))))
        },
        connect: { socket, address, length in result(Int(Glibc.connect(socket, address, length))) },
        yield: { _ in sched_yield() }
    )

    private static func result(_ value: Int) -> Int { value < 0 ? -Int(errno) : value }
}

/// The errno in a result of `SystemCalls`; nil when the call succeeded.
func failure(_ result: Int) -> Int32? { result < 0 ? Int32(truncatingIfNeeded: -result) : nil }

/// The kernel's words for an errno.
package func describe(errno code: Int32) -> String {
    var text = [CChar](repeating: 0, count: 128)
    guard strerror_r(code, &text, text.count) == 0 else { return "error \(code)" }
    return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
}
