package import MeshNetSwarm
package import MeshNetSystem

extension TaskQueue {
    /// The next item without blocking a thread. Throws `.cancelled` when the task is cancelled and `.closed` after close and drained.
    package func next() async throws(CallError) -> Item {
        let waiter = try announce()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                wait(waiter) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            cancel(waiter)
        }
        return try result.get()
    }
}
