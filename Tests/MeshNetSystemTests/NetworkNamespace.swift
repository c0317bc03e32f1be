import CSystem
import Foundation
@testable import MeshNetSystem
import Testing

/// A network of its own for one test: no interface but a loopback that is down. Needs root.
enum NetworkNamespace {
    static let isAvailable = (try? run {}) != nil
    static let reason: Comment = "making a network namespace needs root"

    /// CLONE_NEWNET of unshare(2).
    private static let newNetwork: Int32 = 0x4000_0000
    /// CLONE_NEWNS.
    private static let newFiles: Int32 = 0x0002_0000

    struct Refused: Error { let errno: Int32 }

    /// Calls `body` on a thread in a new namespace. Threads and processes that it starts, and so the engines, are in it too.
    static func run(_ body: @escaping @Sendable () throws -> Void) throws {
        let result = Guarded<Result<Void, any Error>>(.success(()))
        TestThread {
            let outcome = Result<Void, any Error> {
                guard unshare(newNetwork) == 0 else { throw Refused(errno: errno) }
                try body()
            }
            result.with { $0 = outcome }
        }.join()
        try result.with { $0 }.get()
    }

    /// Mounts on this thread, and in what it starts, are seen nowhere else.
    static func separateFiles() throws {
        guard unshare(newFiles) == 0 else { throw Refused(errno: errno) }
        try shell("mount --make-rprivate /")
    }

    /// A command of ip(8) and its like.
    static func shell(_ command: String) throws {
        // system(3) starts the child from this thread, and so in its namespace.
        let status = system(command)
        guard status == 0 else { throw Refused(errno: status) }
    }
}

@_silgen_name("unshare") private func unshare(_ flags: Int32) -> Int32
