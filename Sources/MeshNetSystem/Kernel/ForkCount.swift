import CSystem
import Glibc
import Synchronization

/// How often this process came out of `fork`, without a system call. What was made under another number belongs to an ancestor.
enum ForkCount {
    private static let count = Atomic<UInt>(0)
    private static let isKept: Bool = pthread_atfork(nil, nil, { count.wrappingAdd(1, ordering: .relaxed) }) == 0

    /// For what is being made now: counting begins with the first.
    static func begin() -> UInt {
        precondition(isKept, "no memory for a fork handler")
        return current
    }

    static var current: UInt { count.load(ordering: .relaxed) }
}
