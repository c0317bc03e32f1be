import CSystem
import Glibc
import Synchronization

/// Wakes the reactor from any thread. Many calls before the reactor looks cost one system call together.
package final class Wakeup: Sendable {
    private let event: Descriptor
    private let signalled = Atomic(false)

    package init() throws(SystemError) {
        event = try Self.eventDescriptor()
    }

    static func eventDescriptor() throws(SystemError) -> Descriptor {
        let number = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard number >= 0 else { throw .failed(call: "eventfd", errno: errno) }
        return Descriptor(owning: number)
    }

    package var descriptor: Int32 { event.number }

    package func signal() {
        guard !signalled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        eventfd_write(event.number, 1)
    }

    /// Before the inbox is looked at, never after: a signal that comes in between must wake once more.
    package func clear() {
        var count: eventfd_t = 0
        eventfd_read(event.number, &count)
        signalled.store(false, ordering: .sequentiallyConsistent)
    }
}
