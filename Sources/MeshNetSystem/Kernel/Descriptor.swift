import CSystem
import Glibc

/// A file descriptor with one owner, closed with it.
package final class Descriptor: Sendable {
    package let number: Int32

    package init(owning number: Int32) { self.number = number }

    // No retry after EINTR: on Linux the descriptor is gone either way.
    deinit { _ = Glibc.close(number) }
}
