package import MeshNetProtocol

/// Stands in for the swarm until it is there.
package struct Swarm {
    package init(configuration: Configuration, seed: [UInt8], now: Instant) {}
    private var actions: [SwarmAction] = []
    package mutating func perform(_ command: Command, ticket: Ticket, now: Instant) { actions.append(.complete(ticket, .success(.done))) }
    package mutating func listening(on addresses: [Multiaddr], now: Instant) {}
    package mutating func accepted(from: SocketAddress, to: SocketAddress, now: Instant) -> ConnectionID? { nil }
    package mutating func connected(_ id: ConnectionID, local: SocketAddress, now: Instant) {}
    package mutating func connectFailed(_ id: ConnectionID, errno: Int32, now: Instant) {}
    package mutating func resolved(query: UInt64, _ result: Result<[SocketAddress], ResolveFailure>, now: Instant) {}
    package mutating func receiveSpace(_ id: ConnectionID) -> UnsafeMutableRawBufferPointer? { nil }
    package mutating func received(_ id: ConnectionID, count: Int, now: Instant) {}
    package mutating func receivedEnd(_ id: ConnectionID, _ end: SocketEnd, now: Instant) {}
    package mutating func withTransmitBuffers(_ id: ConnectionID, _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Int, now: Instant) {}
    package func hasOutput(_ id: ConnectionID) -> Bool { false }
    package mutating func write(_ stream: StreamID, _ bytes: UnsafeRawBufferPointer) throws(CallError) -> Int { throw .noSuchStream }
    package mutating func consumed(_ stream: StreamID, _ count: Int, now: Instant) {}
    package mutating func closeWrite(_ stream: StreamID, now: Instant) {}
    package mutating func closeStream(_ stream: StreamID, now: Instant) {}
    package mutating func resetStream(_ stream: StreamID, now: Instant) {}
    package mutating func flush(now: Instant) {}
    package mutating func shutdown(now: Instant) {}
    package mutating func handleTimeout(now: Instant) {}
    package var deadline: Instant? { nil }
    package mutating func poll() -> SwarmAction? { actions.isEmpty ? nil : actions.removeFirst() }
}

package struct ResolveFailure: Error, Sendable, Equatable {
    package let reason: String
    package init(reason: String) { self.reason = reason }
}
