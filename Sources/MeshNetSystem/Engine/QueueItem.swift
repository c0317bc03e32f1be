package import MeshNetProtocol
package import MeshNetSwarm

/// What waits in an engine's queue for the application.
package enum QueueItem: Sendable {
    case event(Event)
    /// As `.event(.message)`, for each of them. Only `next(upTo:)` gives it.
    case messages(TopicRun)
    /// The answer to a command that was submitted without a closure.
    case completion(Ticket, Result<Outcome, CallError>)
    /// The answer to a request that a face started, and who replied.
    indirect case reply(Ticket, PeerID, Delivery.Body)
    /// A message that a face sends is in its queue; its completion follows.
    case accepted(Ticket)

    /// What it counts for: one but for messages that travel together.
    var count: Int {
        if case .messages(let run) = self { run.count } else { 1 }
    }
}
