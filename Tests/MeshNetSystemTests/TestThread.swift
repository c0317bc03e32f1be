import Foundation
@testable import MeshNetSystem

/// A thread that a test can join.
final class TestThread: Sendable {
    private let done = Guarded(false)

    init(_ body: @escaping @Sendable () -> Void) {
        let done = done
        Thread {
            body()
            done.with { $0 = true }
            done.wakeAll()
        }.start()
    }

    func join() { _ = done.wait(until: nil) { (done: inout Bool) -> Bool? in done ? true : nil } }
}
