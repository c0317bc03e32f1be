import MeshNetSwarm
import MeshNetSystem
import Synchronization

/// One call that may be cancelled before, while and after it is started.
final class CancellableCall: Sendable {
    private enum State {
        case idle
        case started(Ticket)
        case cancelled
    }

    private let engine: Engine
    private let state = Mutex(State.idle)

    init(_ engine: Engine) { self.engine = engine }

    func start(_ command: Command, completion: @escaping Engine.Completion<Outcome>) {
        let isCancelled = state.withLock { if case .cancelled = $0 { true } else { false } }
        guard !isCancelled else { return completion(.failure(.cancelled)) }
        let ticket = engine.submit(command, completion: completion)
        let isLate = state.withLock { state in
            if case .cancelled = state { return true }
            state = .started(ticket)
            return false
        }
        if isLate { engine.cancel(ticket) }
    }

    func cancel() {
        let ticket = state.withLock { state -> Ticket? in
            defer { state = .cancelled }
            if case .started(let ticket) = state { return ticket }
            return nil
        }
        if let ticket { engine.cancel(ticket) }
    }
}
