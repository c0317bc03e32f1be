package import MeshNetProtocol

/// What every connection of a node needs to know.
package struct PipelineConfiguration: Sendable {
    package var identity: KeyPair
    /// The key of the private network; nil for the public one.
    package var preSharedKey: PreSharedKey?
    package var limits: Limits
    /// Of the identity; nil: each connection makes its own.
    package var noiseKey: NoiseKey?
    /// Of the node; nil: each connection verifies for itself.
    package var proven: ProvenSignatures?
    /// Of the node; nil: each connection makes its own.
    package var ephemeralKeys: EphemeralKeys?

    package init(identity: KeyPair, preSharedKey: PreSharedKey? = nil, limits: Limits = Limits()) {
        self.identity = identity
        self.preSharedKey = preSharedKey
        self.limits = limits
    }

    package init(_ configuration: Configuration, noiseKey: NoiseKey, proven: ProvenSignatures, ephemeralKeys: EphemeralKeys) {
        self.init(identity: configuration.identity, preSharedKey: configuration.preSharedKey, limits: configuration.limits)
        self.noiseKey = noiseKey
        self.proven = proven
        self.ephemeralKeys = ephemeralKeys
    }
}

/// A stream within its connection: the yamux stream id. Ids of streams that we open are never used twice.
package struct PipelineStream: Hashable, Comparable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (a: PipelineStream, b: PipelineStream) -> Bool { a.rawValue < b.rawValue }
}

/// Who is at the other end, proved by the Noise handshake.
package struct PipelinePeer: Sendable, Equatable {
    package let peer: PeerID
    package let key: PublicKey
    /// The same bytes on both sides, unique to this connection: both can draw the same lots from it.
    package let handshakeHash: [UInt8]
}

/// What a connection tells the swarm. Views are valid until the next call other than `poll()`.
package enum PipelineAction {
    /// Streams can be opened from now on. Comes once, before any stream.
    case established(PipelinePeer)
    /// The peer opened a stream and both sides agreed on its protocol.
    case streamOpened(PipelineStream, protocolID: String)
    /// The peer agreed to a protocol of a stream that we opened. Before the first `streamData` of that stream.
    case streamAgreed(PipelineStream, protocolID: String)
    /// The peer speaks none of the protocols; the stream is gone.
    case streamRefused(PipelineStream)
    /// Bytes of the peer, never empty. Every byte is to be reported with `consumed` some time, or the peer's window stays closed.
    case streamData(PipelineStream, UnsafeRawBufferPointer)
    /// The peer will send nothing more on this stream.
    case streamEnded(PipelineStream)
    /// The stream was torn down, and is gone. Not reported for `reset` called here.
    case streamReset(PipelineStream, StreamResetCause)
    /// Both halves ended in order; the stream is gone.
    case streamClosed(PipelineStream)
    /// `write` takes bytes again, after it took fewer than it was given.
    case streamWritable(PipelineStream)
    /// Terminal, before `established`. Streams cannot exist. Close the socket.
    case failedHandshake(HandshakeFailure)
    /// Terminal: every stream is gone with it, without an action of its own. Close the socket.
    case closed(DisconnectCause)
}

/// Why a stream was torn down before its order end.
package enum StreamResetCause: Sendable, Equatable {
    /// The peer reset it; the code it sent, zero if none (go-yamux: the length field of the frame).
    case peer(code: UInt32)
    /// No protocol was agreed within `Limits.streamNegotiationTimeout`.
    case negotiationTimedOut
    /// The peer's bytes were no multistream negotiation.
    case negotiationMalformed
    /// The peer ended its half before a protocol was agreed.
    case negotiationAbandoned
    /// The peer sent data behind its own end of the stream.
    case dataAfterEnd
}

/// Why a stream cannot be opened now.
package enum StreamOpenError: Error, Sendable, Equatable {
    /// The handshake is not finished, or the connection is closing or closed.
    case notOpen
    /// `Limits.streamsPerConnection` streams of ours are open.
    case tooManyStreams(limit: Int)
    /// `Limits.unacknowledgedStreams` streams of ours wait for the peer's first sign of life.
    case tooManyUnacknowledged(limit: Int)
    /// Half of the 32-bit ids are used up (yamux ids are never used twice): reconnect.
    case identifiersExhausted
    /// No protocol, or one that is no multistream line: empty, too long, or with a line feed.
    case invalidProtocol(String)
}
