import CSystem
import COpenSSL
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

package enum WallClock {
    /// Since 1970. It may be set back: for numbers that should grow from run to run, and for what is stored from run to run.
    package static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(clamping: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }

    /// As the store keeps times; zero before 1970.
    package static func sinceEpoch() -> Int64 { Int64(clamping: nanoseconds()) }
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
}

/// What the C libraries need once in a process, before threads use them.
package enum Libraries {
    package static let areReady: Bool = {
        // At the end of the process libcrypto would free what reactor threads still use; the kernel frees it anyway.
        OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) == 1
            // libsodium picks its implementations here.
            && sodium_init() >= 0
            && ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS
    }()
}
