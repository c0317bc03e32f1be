package import MeshNetProtocol

/// One connection from its socket's bytes to the bytes of its streams: private network, security negotiation, Noise, muxer negotiation,
/// yamux, and the protocol negotiation of every stream.
///
/// Sans-IO and self-contained: it touches no state of the node. A value with one owner: do not work on copies.
/// Call order: a mutation, then `poll()` until nil, then the next mutation; at the end of a turn of the loop `flush()` (then `poll()` again) and,
/// while `hasOutput`, `transmitBuffers`, the system call, `didTransmit`. Calls on streams or connections that are gone do nothing.
package struct ConnectionPipeline {
    /// Buffers offered to one system call.
    package static let maximumTransmitBuffers = 16

    /// - Parameters:
    ///   - role: `.outbound` for the side that dialled.
    ///   - expectedPeer: the identity that the other side must prove; nil takes any.
    ///   - protocols: what inbound streams may ask for.
    ///   - random: a source of this connection's own; keys are drawn from it.
    package init(
        role: Direction, configuration: PipelineConfiguration, expectedPeer: PeerID?, protocols: [String],
        pool: BufferPool, random: RandomSource, now: Instant
    ) {}

    package var isEstablished: Bool { false }
    /// True after `failedHandshake` or `closed` was reported.
    package var isOver: Bool { false }
    /// Measured by yamux pings while windows are in heavy use; nil before.
    package var roundTrip: Duration? { nil }
    /// Bytes from and to the socket.
    package var bytesReceived: UInt64 { 0 }
    package var bytesSent: UInt64 { 0 }
    /// Streams of both directions, those in negotiation included.
    package var streamCount: Int { 0 }

    // MARK: Input

    /// Where the driver reads to: 64 KiB or more, at least 256 KiB during bulk transfers. Must be followed by `receive(count:now:)`, with 0 when
    /// nothing was read, because the memory is borrowed from the pool meanwhile. Precondition: `poll()` was drained.
    package mutating func receiveSpace() -> UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: nil, count: 0) }

    /// So many bytes arrived in the space last given.
    package mutating func receive(count: Int, now: Instant) {}

    /// The socket gives no more bytes, or is broken.
    package mutating func receiveEnd(_ end: SocketEnd, now: Instant) {}

    package mutating func handleTimeout(now: Instant) {}

    /// When `handleTimeout` wants to be called: handshake, stream negotiations, a close that does not drain.
    package var deadline: Instant? { nil }

    package mutating func poll() -> PipelineAction? { nil }

    // MARK: Output

    /// Sealed bytes wait for the socket.
    package var hasOutput: Bool { false }

    /// Lends the waiting bytes, in order, at most 16 pieces.
    package func transmitBuffers<R>(_ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> R) -> R { body(UnsafeBufferPointer(start: nil, count: 0)) }

    /// The socket took so many of them.
    package mutating func didTransmit(_ count: Int, now: Instant) {}

    /// Seals what waits in the open frame. Called at the end of a turn of the loop, so that the small frames of one turn share a Noise frame.
    package mutating func flush(now: Instant) {}

    // MARK: Streams

    /// Opens a stream. With one protocol the negotiation is lazy: data may be written at once, and is lost if the peer refuses.
    /// With several, in order of preference, data may be written (nothing is taken) only after `streamAgreed`.
    package mutating func openStream(_ protocols: [String], now: Instant) throws(StreamOpenError) -> PipelineStream { throw .notOpen }

    /// Copies bytes into the send buffer and says how many: bounded by the peer's window, `Limits.sendBuffer`, and a share of it while other streams wait.
    /// `streamWritable` follows when it took fewer. `urgent` passes waiting streams and may use a reserve of one frame beyond the send buffer.
    package mutating func write(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, urgent: Bool = false) -> Int { 0 }

    /// The reader took so many bytes of `streamData`: the peer may send as many more.
    package mutating func consumed(_ stream: PipelineStream, _ count: Int, now: Instant) {}

    /// Ends our half, behind everything written. `streamClosed` follows once the peer ended its half too.
    package mutating func closeWrite(_ stream: PipelineStream) {}

    /// Tears the stream down; it is gone at once.
    package mutating func reset(_ stream: PipelineStream) {}

    /// Replaces what inbound streams may ask for; negotiations under way keep what they offer.
    package mutating func setProtocols(_ protocols: [String]) {}

    // MARK: End

    /// Ends the connection in order: go-away behind everything written; streams are gone at once. `closed(cause)` is reported when the output
    /// has drained, the peer has gone, or after a second. Before `established` nothing is sent.
    package mutating func close(cause: DisconnectCause = .closedByUs, now: Instant) {}
}
