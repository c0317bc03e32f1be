import CSystem
import CSodium
import Glibc
package import MeshNetProtocol

extension Instant {
    /// CLOCK_MONOTONIC: never set back, stands still while the machine is suspended, shared by all processes since boot.
    package static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}

package enum Entropy {
    /// Bytes from the kernel's generator; blocks only before it was seeded at boot.
    package static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = getrandom(buffer.baseAddress! + filled, count - filled, 0)
                if got > 0 { filled += got; continue }
                precondition(errno == EINTR, "the kernel has no entropy: getrandom failed with errno \(errno)")
            }
        }
    }

    /// libsodium picks its implementations at first use; it must happen once before threads use it.
    package static let sodiumReady: Bool = sodium_init() >= 0
}
