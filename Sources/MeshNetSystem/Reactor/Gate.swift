import CSystem
import Glibc
import MeshNetProtocol

/// Where the reactor thread sleeps: until a watched descriptor is ready while the gate is open, until it is rung for, or until a deadline.
///
/// An epoll that watches the epoll of `Readiness`. Shutting and opening is one system call and wakes nobody; whatever is ready when it opens wakes.
final class Gate: Sendable {
    private enum Name: UInt64 { case descriptors, bell }

    private let epoll: Descriptor
    private let descriptors: Int32
    private let bell: Wakeup

    init(_ readiness: Readiness) throws(SystemError) {
        let number = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard number >= 0 else { throw .failed(call: "epoll_create1", errno: errno) }
        epoll = Descriptor(owning: number)
        descriptors = readiness.descriptor
        bell = try Wakeup()
        try control(EPOLL_CTL_ADD, descriptors, .descriptors, EPOLLIN.rawValue)
        try control(EPOLL_CTL_ADD, bell.descriptor, .bell, EPOLLIN.rawValue)
    }

    // A change of what is watched already cannot fail: it needs no memory.
    func shut() { try? control(EPOLL_CTL_MOD, descriptors, .descriptors, 0) }
    func open() { try? control(EPOLL_CTL_MOD, descriptors, .descriptors, EPOLLIN.rawValue) }

    /// From any thread.
    func ring() { bell.signal() }

    /// nil: for ever. Also returns when a signal cuts in. False when nothing but descriptors ended it.
    func wait(until deadline: Instant?) -> Bool {
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 2) { events in
            let count = epoll_wait(epoll.number, events.baseAddress, 2, Readiness.milliseconds(until: deadline, now: .now()))
            guard count > 0 else { return true }
            let isRung = events[..<Int(count)].contains { $0.data.u64 == Name.bell.rawValue }
            if isRung { bell.clear() }
            return isRung
        }
    }

    /// Whether `wait` returns at once.
    var isReady: Bool {
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 1) { epoll_wait(epoll.number, $0.baseAddress, 1, 0) != 0 }
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ name: Name, _ events: UInt32) throws(SystemError) {
        var event = epoll_event()
        event.events = events
        event.data.u64 = name.rawValue
        guard epoll_ctl(epoll.number, operation, descriptor, &event) == 0 else { throw .failed(call: "epoll_ctl", errno: errno) }
    }
}
