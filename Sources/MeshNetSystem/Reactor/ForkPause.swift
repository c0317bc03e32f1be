import Glibc
import MeshNetProtocol
import Synchronization

/// No reactor is in a turn while the process forks.
///
/// The child has the forking thread alone, and whatever another thread held at that moment stays locked there: also the locks of the Swift runtime, which
/// any code may need that does something for the first time. A node of the child would wait for them for ever.
enum ForkPause {
    /// A completion may wait for who forks. Then the fork goes on beside it, as it would without a pause.
    private static let longest: Duration = .seconds(1)

    private static let isWanted = Atomic<Bool>(false)
    /// Held through a fork.
    private static let lock = Guarded<Void>(())
    private nonisolated(unsafe) static var helms: [Unmanaged<Helm>] = []
    private nonisolated(unsafe) static var paused: [Unmanaged<Helm>] = []
    private static let isArranged: Bool = pthread_atfork({ begin() }, { end(inChild: false) }, { end(inChild: true) }) == 0

    static func add(_ helm: Helm) {
        precondition(isArranged, "no memory for a fork handler")
        lock.with { _ in helms.append(.passUnretained(helm)) }
    }

    static func remove(_ helm: Helm) {
        lock.with { _ in helms.removeAll { $0.toOpaque() == Unmanaged.passUnretained(helm).toOpaque() } }
    }

    /// Before a turn that nobody in a completion waits for: a busy reactor lets go of its lock for too short a time to be met there.
    static func letPass() {
        if isWanted.load(ordering: .relaxed) { lock.with { _ in } }
    }

    private static func begin() {
        lock.hold(until: nil)
        isWanted.store(true, ordering: .relaxed)
        let deadline = Instant.now() + longest
        paused = helms.filter { $0._withUnsafeGuaranteedRef { $0.pause(until: deadline) } }
    }

    private static func end(inChild: Bool) {
        for helm in paused { helm._withUnsafeGuaranteedRef { $0.goOn() } }
        paused = []
        // Those of an ancestor have no threads here.
        if inChild { helms = [] }
        isWanted.store(false, ordering: .relaxed)
        lock.release()
    }
}
