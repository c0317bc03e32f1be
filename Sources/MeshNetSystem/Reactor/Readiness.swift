import CSystem
import Glibc
package import MeshNetProtocol

/// What a descriptor is watched for.
package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let readable = Interest(rawValue: 1)
    package static let writable = Interest(rawValue: 2)
}

/// One report: `failed` is a broken or hung-up descriptor and comes whether asked for or not.
package struct Ready: Sendable, Equatable {
    package var token: UInt64
    package var readable: Bool
    package var writable: Bool
    package var failed: Bool
}

/// The one place that knows how this platform waits for descriptors; a kqueue version has the same five methods.
///
/// Level-triggered: work left over from a bounded turn is reported again by the kernel, so no list of half-served sockets can go wrong.
/// The price, one epoll_ctl when a full socket is waited for and one when it drained, is small beside the 128 KiB it stands for.
/// Deadlines are epoll_wait's milliseconds, rounded up: none here is finer, and neither a descriptor nor a call per change is spent.
package final class Readiness {
    /// Reports taken from the kernel at once; the rest follows in the next turn.
    package static let batch = 256

    private let epoll: Descriptor
    private let events: UnsafeMutableBufferPointer<epoll_event>
    private let system: SystemCalls

    /// Throws the errno as evidence when the process has no descriptor left.
    package init(system: SystemCalls) throws(SystemError) {
        let number = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard number >= 0 else { throw .failed(call: "epoll_create1", errno: errno) }
        epoll = Descriptor(owning: number)
        events = .allocate(capacity: Self.batch)
        events.initialize(repeating: epoll_event())
        self.system = system
    }

    deinit { events.deallocate() }

    /// Readable while anything is ready.
    var descriptor: Int32 { epoll.number }

    package func add(_ descriptor: Int32, token: UInt64, _ interest: Interest) throws(SystemError) {
        try control(EPOLL_CTL_ADD, descriptor, token, interest)
    }

    package func change(_ descriptor: Int32, token: UInt64, _ interest: Interest) throws(SystemError) {
        try control(EPOLL_CTL_MOD, descriptor, token, interest)
    }

    /// Also right for a descriptor that its owner closed already: the kernel forgot it then.
    package func remove(_ descriptor: Int32) {
        var unused = epoll_event()
        _ = epoll_ctl(epoll.number, EPOLL_CTL_DEL, descriptor, &unused)
    }

    /// Fills `ready` with what is ready; empty when the deadline came first or a signal cut in.
    package func wait(until deadline: Instant?, into ready: inout [Ready]) {
        ready.removeAll(keepingCapacity: true)
        let timeout = deadline.map { $0 == .zero ? 0 : Self.milliseconds(until: $0, now: .now()) } ?? -1
        let count = system.wait(epoll.number, events, timeout)
        guard count > 0 else { return }
        for event in events[..<min(count, events.count)] {
            ready.append(Ready(
                token: event.data.u64,
                readable: event.events & UInt32(EPOLLIN.rawValue) != 0,
                writable: event.events & UInt32(EPOLLOUT.rawValue) != 0,
                failed: event.events & UInt32(EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0))
        }
    }

    /// Rounded up, so that a wake never comes before its deadline; -1 for none.
    package static func milliseconds(until deadline: Instant?, now: Instant) -> Int32 {
        guard let deadline else { return -1 }
        let left = (deadline - now).saturatedNanoseconds
        guard left > 0 else { return 0 }
        return Int32(clamping: (left - 1) / 1_000_000 + 1)
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ token: UInt64, _ interest: Interest) throws(SystemError) {
        var event = epoll_event()
        if interest.contains(.readable) { event.events |= UInt32(EPOLLIN.rawValue) }
        if interest.contains(.writable) { event.events |= UInt32(EPOLLOUT.rawValue) }
        event.data.u64 = token
        guard epoll_ctl(epoll.number, operation, descriptor, &event) == 0 else { throw .failed(call: "epoll_ctl", errno: errno) }
    }
}
