import MeshNetProtocol
import MeshNetSwarm

/// One blocked caller and the completion that it waits for.
final class Waiter<Value: Sendable>: Sendable {
    private let result: Awaited<Result<Value, CallError>?>

    /// nil: the caller sleeps, whatever there is to do.
    init(helm: Helm? = nil) { result = Awaited(nil, helm: helm) }

    func fulfil(_ value: Result<Value, CallError>) {
        result.with { $0 = value }
        result.wakeOne()
    }

    /// nil when the deadline came first.
    func wait(until deadline: Instant?) -> Result<Value, CallError>? {
        result.wait(until: deadline) { (result: inout Result<Value, CallError>?) in result }
    }
}
