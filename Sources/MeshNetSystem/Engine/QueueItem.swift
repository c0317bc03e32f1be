package import MeshNetProtocol
package import MeshNetSwarm

/// What waits in an engine's queue for the application.
package enum QueueItem: Sendable {
    case event(Event)
    /// The answer to a command that was submitted without a closure.
    case completion(Ticket, Result<Outcome, CallError>)
    /// The answer to a request that a face started, and who replied.
    indirect case reply(Ticket, PeerID, Delivery.Body)
    /// A message that a face sends is in its queue; its completion follows.
    case accepted(Ticket)
}
