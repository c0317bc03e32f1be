public import MeshNetSwarm
import MeshNetSystem

/// What becomes of a message: it ends as delivered, or with a cause.
public final class MessageTicket: Sendable {
    private struct State {
        var call: SendCall?
        var byteCount = 0
        var isCancelled = false
        var end: Result<Void, CallError>?
        var waiters: [CheckedContinuation<Result<Void, CallError>, Never>] = []
    }

    private let engine: Engine
    private let state = Guarded(State())

    init(_ engine: Engine) { self.engine = engine }

    /// Waits for the end: success when the peer has the message, in its queue or on its disk. `.expired`, `.displaced`, `.peerRestarted`,
    /// `.peerClosed`, `.gaveUp`, `.storage`, `.cancelled`, `.closed`.
    public var end: Result<Void, CallError> {
        get async {
            await withCheckedContinuation { continuation in
                let known = state.with { state -> Result<Void, CallError>? in
                    if state.end == nil { state.waiters.append(continuation) }
                    return state.end
                }
                if let known { continuation.resume(returning: known) }
            }
        }
    }

    /// Returns when the peer has the message; throws what `end` says otherwise.
    public func delivered() async throws(CallError) { try await end.get() }

    /// Of the message.
    public var byteCount: Int { state.with { $0.byteCount } }

    /// nil: it has not ended yet.
    public var current: Result<Void, CallError>? { state.with { $0.end } }

    /// Takes the message back unless the peer acknowledged it: it ends with `.cancelled`.
    public func cancel() {
        let call = state.with { state -> SendCall? in
            state.isCancelled = true
            return state.call
        }
        if let call { engine.cancel(call) }
    }

    func attach(_ call: SendCall) {
        let isCancelled = state.with { state -> Bool in
            if state.end == nil { state.call = call }
            state.byteCount = call.byteCount
            return state.isCancelled
        }
        if isCancelled { engine.cancel(call) }
    }

    func finish(_ report: SendReport) {
        let result: Result<Void, CallError> = report.failure.map { .failure($0) } ?? .success(())
        let waiters = state.with { state in
            state.end = result
            state.call = nil
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: result) }
    }
}
