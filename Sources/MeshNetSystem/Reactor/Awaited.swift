import MeshNetProtocol
import Synchronization

/// State that callers wait for: they run the loop until it is there, if nobody else does, and sleep otherwise.
package final class Awaited<State>: Sendable {
    private let state: Guarded<State>
    /// nil: callers only sleep.
    private let helm: Helm?
    /// Who waits for this keeps the watch.
    let isWatchKept = Atomic(false)

    package init(_ state: State, helm: Helm?) {
        self.state = Guarded(state)
        self.helm = helm
    }

    /// True in a child after `fork`: nothing here may be locked then.
    var ownerProcessIsGone: Bool { state.ownerProcessIsGone }

    func with<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R { try state.with(body) }

    /// Until `attempt` gives a value or the deadline passed; then nil. `attempt` runs under the lock after every wake.
    func wait<R, E: Error>(until deadline: Instant?, _ attempt: (inout State) throws(E) -> R?) throws(E) -> R? {
        guard let helm else { return try state.wait(until: deadline, attempt) }
        return try helm.wait(on: self, until: deadline, attempt)
    }

    /// The same without running the loop.
    func sleep<R, E: Error>(until deadline: Instant?, _ attempt: (inout State) throws(E) -> R?) throws(E) -> R? {
        try state.wait(until: deadline, attempt)
    }

    func wakeOne() {
        state.wakeOne()
        wakeWatch()
    }

    func wakeAll() {
        state.wakeAll()
        wakeWatch()
    }

    private func wakeWatch() {
        if isWatchKept.load(ordering: .acquiring) { helm?.wakeWatch() }
    }
}
