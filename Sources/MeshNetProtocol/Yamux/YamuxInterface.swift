/// Which rule of yamux the peer broke. Ends the session: go away with code 1, protocol error.
package enum YamuxError: Error, Equatable, Sendable {
    case unsupportedVersion(UInt8)
    case unknownFrameType(UInt8)
    /// Stream 0 is the session itself.
    case openedStreamZero
    /// Clients open odd streams, servers even ones.
    case wrongParity(stream: UInt32)
    case openedTwice(stream: UInt32)
    /// A data frame longer than what the window has left; decided on its header.
    case windowExceeded(stream: UInt32, announced: UInt32, window: UInt32)
    /// Credit beyond 32 bits (CVE-2026-31814).
    case windowOverflow(stream: UInt32, window: UInt32, credit: UInt32)
    /// The peer causes answers but does not read them.
    case answersNotRead(limit: Int)
}

/// Why one stream ended out of order; the session goes on.
package enum YamuxStreamError: Error, Equatable, Sendable {
    /// The code is zero unless the peer sent one (go-yamux: the length of a reset window update).
    case resetByPeer(code: UInt32)
    /// Data behind the peer's FIN; answered with a reset.
    case dataAfterEnd
}

/// Why a session ended.
package enum YamuxEnd: Equatable, Sendable {
    case goAway(code: UInt32)
    case violation(YamuxError)
}

package enum YamuxOpenError: Error, Equatable, Sendable {
    case sessionOver
    case tooManyStreams(limit: Int)
    case tooManyUnacknowledged(limit: Int)
    case identifiersExhausted
}

package enum YamuxGoAway: UInt32, Sendable { case normal = 0, protocolError = 1, internalError = 2 }

package enum YamuxRole: Sendable { case client, server }

/// What the session's owner must know. Views are valid until the next `receive`.
package enum YamuxAction {
    case opened(UInt32)
    /// Never empty. One frame may come in several pieces.
    case data(UInt32, UnsafeRawBufferPointer)
    /// The peer's FIN.
    case ended(UInt32)
    /// The stream is gone.
    case reset(UInt32, YamuxStreamError)
    /// Both sides sent FIN; the stream is gone.
    case closed(UInt32)
    /// The peer's window opened for a stream whose `writeHeader` took fewer bytes than given.
    case writable(UInt32)
    /// Terminal.
    case finished(YamuxEnd)
}

/// The bounds of one session.
package struct YamuxLimits: Sendable, Equatable {
    /// What every stream starts with in both directions (libp2p specs, yamux, "Flow Control"); not negotiable.
    package static let protocolWindow: UInt32 = 262_144
    /// A window whose half lasts so long is never too small for the path.
    static let shortestEpoch: Duration = .milliseconds(2)
    /// A round trip up to which a path is near: this host, and the next switches. A radio takes longer, and never twice the same.
    static let nearPath: Duration = .microseconds(500)
    /// Between two measurements of a near path while such a stream is busy.
    static let nearRoundTripInterval: Duration = .milliseconds(100)
    /// How long a path that seemed near counts as a longer one.
    static let doubtTime: Duration = .seconds(10)
    /// The least window of such a stream: ten packets.
    static let shortestWindow: UInt32 = 16_384
    /// Bytes of such a stream that are counted until its window is looked at.
    static let countedBytes = 1 << 30
    /// Streams opened by the peer; further ones are reset. go-libp2p: 256 per peer.
    package var inboundStreams = 256
    package var outboundStreams = 256
    /// Streams of ours without a sign of life of the peer (specification, "ACK backlog").
    package var unacknowledgedStreams = 256
    /// Receive window of a new stream in bytes; what exceeds 262,144 is granted with the first update.
    package var initialWindow = Int(protocolWindow)
    /// Receive window in bytes that a busy stream may grow to. go-libp2p: 16 MiB.
    package var maximumWindow = 16_777_216
    /// Bytes by which all windows of a session together may have grown, as they are memory that we promise. go-libp2p: 64 MiB per peer.
    package var windowGrowth = 67_108_864
    /// Ping answers waiting to be sent; the answer to a further ping is left out. go-yamux: 32.
    package var pingAnswers = 32
    /// Control frames (12 bytes each) waiting to be sent. A peer that makes more of them without reading them is cut off.
    package var controlFrames = 4_096
    /// What comes in this time may be under way on a stream whose bytes delay others, beside what the path holds.
    package var shortSlack: Duration = .microseconds(250)
    /// The same where both ends share the processors of one host, and come to it later (decision 016).
    package static let shortSlackWithinHost: Duration = .microseconds(500)
    /// The same while nothing urgent passes; at least `shortSlack`.
    package var calmSlack: Duration = .microseconds(250)
    package static let calmSlackWithinHost: Duration = .milliseconds(2)
    /// How long after something urgent the short one counts.
    static let hurryTime: Duration = .seconds(10)
    /// Between two measurements of the round trip during heavy use.
    package var roundTripInterval: Duration = .seconds(10)

    package init() {}
}
