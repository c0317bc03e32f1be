package import MeshNetSwarm

/// What waits in an engine's queue for the application.
package enum QueueItem: Sendable {
    case event(Event)
    /// The answer to a command that was submitted without a closure.
    case completion(Ticket, Result<Outcome, CallError>)
}
