package import MeshNetProtocol
package import MeshNetSwarm

/// A running node: one swarm on one reactor thread.
///
/// Every method may be called from any thread. Completions run on the reactor thread and must not block; they may call any method here but the blocking ones
/// (`call`, `readBlocking`, `writeBlocking`), which throw `.closed` there rather than wait for themselves.
/// In a child after `fork` every call fails with `.closed`.
package final class Engine: Sendable {
    package typealias Completion<Value> = @Sendable (Result<Value, CallError>) -> Void

    package let localPeer: PeerID
    package let queue: EventQueue

    /// Binds, starts the reactor thread, and returns when it listens. Throws `.listenFailed`, `.invalidAddress`.
    package init(_ configuration: Configuration) throws(CallError) { localPeer = configuration.identity.peerID; queue = try! EventQueue(limits: configuration.limits); throw .closed }

    /// With the real port, wildcards expanded to the addresses of the interfaces, loopback last. Empty after close.
    package func listenAddresses() -> [Multiaddr] { [] }

    // MARK: Commands

    package func submit(_ command: Command, completion: @escaping Completion<Outcome>) { completion(.failure(.closed)) }
    /// The result arrives in `queue` as `.completion`.
    package func submit(_ command: Command) throws(CallError) -> Ticket { throw .closed }
    /// Blocks the caller; nil: without limit. Throws `.timedOut`; a stream that opens later is reset.
    package func call(_ command: Command, timeout: Duration?) throws(CallError) -> Outcome { throw .closed }

    // MARK: Streams

    /// Completes with the bytes read (at least one), or 0 at the end of the stream. The memory must stay until the completion.
    @discardableResult
    package func read(_ stream: StreamID, into memory: UnsafeMutableRawBufferPointer, completion: @escaping Completion<Int>) -> Ticket { Ticket(rawValue: 0) }
    /// Completes with the byte count when every byte is in the connection's send buffer. The memory must stay until the completion.
    @discardableResult
    package func write(_ stream: StreamID, _ bytes: UnsafeRawBufferPointer, completion: @escaping Completion<Int>) -> Ticket { Ticket(rawValue: 0) }
    /// Ends a read or write early: its completion comes with `error` unless it was about to complete anyway; after it the memory is free.
    /// Bytes of a cancelled write may have been sent.
    package func cancel(_ ticket: Ticket, as error: CallError = .cancelled) {}
    /// Blocks; throws `.timedOut` without having taken bytes from the stream.
    package func readBlocking(_ stream: StreamID, into memory: UnsafeMutableRawBufferPointer, timeout: Duration?) throws(CallError) -> Int { throw .closed }
    /// Blocks; after `.timedOut` a part of the bytes may have been sent.
    package func writeBlocking(_ stream: StreamID, _ bytes: UnsafeRawBufferPointer, timeout: Duration?) throws(CallError) { throw .closed }

    /// Nothing more will be written; what was written is sent first. Reading goes on.
    package func closeWrite(_ stream: StreamID) {}
    /// Both directions, in order: what was written is still sent, what arrives is discarded. Waiting reads end with `.streamClosed`.
    package func closeStream(_ stream: StreamID) {}
    /// Both directions at once, unsent bytes are lost.
    package func resetStream(_ stream: StreamID) {}

    /// Idempotent, from any thread, also from a completion; under 1 s. All waiters end with `.closed`. Returns when the reactor thread is gone,
    /// except on that thread itself.
    package func close() {}
}
