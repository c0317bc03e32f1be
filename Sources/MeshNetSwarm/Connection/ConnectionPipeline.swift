package import MeshNetProtocol

/// One connection from its socket's bytes to the bytes of its streams: private network, security negotiation, Noise, muxer negotiation,
/// yamux, and the protocol negotiation of every stream.
///
/// Sans-IO and self-contained: it touches no state of the node. A value with one owner: do not work on copies.
/// Call order: a mutation, then `poll()` until nil, then the next mutation. At the end of a turn of the loop, while `needsFlush`: `flush`, and `poll()`
/// until nil. Then, while `hasOutput` and the socket takes bytes: `transmitBuffers`, the system call, `didTransmit`, and `poll()` until nil.
/// Calls on streams and connections that are gone do nothing.
package struct ConnectionPipeline {
    /// Buffers offered to one system call.
    package static let maximumTransmitBuffers = 16
    /// Inbound streams in negotiation; further ones are reset. rust-libp2p: 128.
    package static let maximumNegotiatingStreams = 128
    /// Bytes beyond `Limits.sendBuffer` for what cannot be held back by a writer: answers to negotiations, control frames, urgent writes.
    /// A peer that makes more of them without reading them is cut off.
    package static let sendReserve = 131_072
    /// An orderly close waits so long for its last bytes to be sent.
    package static let lingerTime: Duration = .seconds(1)

    /// Bytes that wait for the socket while it takes none end the connection after this: the peer does not read. go-yamux: 10 s; longer here, because
    /// a path may fail for a while. The peer that answers pings but does not read is not found otherwise.
    package static let stallTime: Duration = .seconds(30)

    static let securityProtocol = "/noise"
    static let muxerProtocol = "/yamux/1.0.0"

    let role: Direction
    let limits: Limits
    let preSharedKey: PreSharedKey?
    var protocols: [String]
    var now: Instant

    var stage = Stage.security
    var handshake: PipelineHandshake?
    /// The peer's first line was looked at: it is in our network.
    var isGreeted = false
    /// How the handshake ends once our first bytes are sent.
    var refusal: HandshakeFailure?
    /// Not finished: the muxer is still negotiated inside Noise, or its lazy agreement not confirmed.
    var muxer: MultistreamNegotiation?
    /// Known, and not reported because the muxer is not agreed.
    var pendingPeer: PipelinePeer?
    var handshakeDeadline: Instant?
    var closeDeadline: Instant?
    var socketEnd: SocketEnd?
    /// Since when the socket took none of the bytes that wait.
    var stalledSince: Instant?

    var input: PipelineInput
    var output: PipelineOutput
    /// nil until the peer's nonce is complete, and outside of private networks.
    var inboundPrivateNetwork: PrivateNetworkCipher?
    var inboundCipher: NoiseCipher?
    var session: YamuxSession
    var negotiations = StreamNegotiations()
    var turns = SendTurns()
    /// Rare actions that wait for `poll`; the data path does not pass here.
    var actions = Fifo<PipelineAction>()

    package internal(set) var isEstablished = false
    /// Bytes from and to the socket.
    package private(set) var bytesReceived: UInt64 = 0
    package private(set) var bytesSent: UInt64 = 0
    /// Inbound streams that were reset because no protocol was agreed, or too many were being negotiated.
    package internal(set) var inboundStreamsFailed = 0

    enum Stage: Equatable {
        case security
        case noise
        /// Noise frames both ways.
        case open
        case closing(DisconnectCause)
        case over
    }

    /// - Parameters:
    ///   - role: `.outbound` for the side that dialled.
    ///   - expectedPeer: the identity that the other side must prove; nil takes any.
    ///   - protocols: what inbound streams may ask for.
    ///   - random: the ephemeral key is drawn from it, and in a private network the nonce.
    ///   - roundTrip: of the path, as the transport measured it when it connected; nil if it did not.
    ///   - isWithinHost: the other side runs on the same machine.
    package init(
        role: Direction, configuration: PipelineConfiguration, expectedPeer: PeerID?, protocols: [String],
        pool: BufferPool, random: inout RandomSource, roundTrip: Duration? = nil, isWithinHost: Bool = false, now: Instant
    ) {
        self.role = role
        self.protocols = protocols
        self.now = now
        limits = configuration.limits
        preSharedKey = configuration.preSharedKey
        input = PipelineInput(pool: pool)
        output = PipelineOutput(pool: pool)
        var yamux = YamuxLimits(configuration.limits)
        if isWithinHost { (yamux.shortSlack, yamux.calmSlack) = (YamuxLimits.shortSlackWithinHost, YamuxLimits.calmSlackWithinHost) }
        session = YamuxSession(role: role == .outbound ? .client : .server, limits: yamux, roundTrip: roundTrip)
        handshakeDeadline = now + configuration.limits.handshakeTimeout
        startHandshake(configuration, expectedPeer: expectedPeer, random: &random)
    }

    /// True from `failedHandshake` or `closed` on.
    package var isOver: Bool { stage == .over }
    /// Measured by yamux pings while windows are in heavy use; nil before.
    package var roundTrip: Duration? { session.roundTrip }
    /// Streams of both directions, those in negotiation included.
    package var streamCount: Int { session.streamCount }

    // MARK: Input

    /// Where the driver reads to: 64 KiB or more, 256 KiB and more during bulk transfers. Must be followed by `receive(count:now:)`, with 0 when
    /// nothing was read, because the memory is borrowed from the pool meanwhile. Precondition: `poll()` was drained.
    package mutating func receiveSpace() -> UnsafeMutableRawBufferPointer {
        precondition(actions.isEmpty && !session.hasInput, "poll() until nil before the next read")
        return input.space()
    }

    /// So many bytes arrived in the space last given.
    package mutating func receive(count: Int, now: Instant) {
        self.now = now
        bytesReceived += UInt64(count)
        let new = input.received(count)
        switch stage {
        case .security, .noise, .open:
            if preSharedKey == nil { break }
            if inboundPrivateNetwork == nil { takeNonce() } else { inboundPrivateNetwork?.apply(new) }
        case .closing, .over: input.discard()
        }
        if count == 0 { input.releaseIfEmpty() }
    }

    /// The socket gives no more bytes, or is broken. What was received before is still reported.
    package mutating func receiveEnd(_ end: SocketEnd, now: Instant) {
        self.now = now
        if socketEnd == nil { socketEnd = end }
    }

    package mutating func handleTimeout(now: Instant) {
        self.now = now
        if stage == .over { return }
        if let closeDeadline, now >= closeDeadline, case .closing(let cause) = stage { return finish(.closed(cause)) }
        if let handshakeDeadline, now >= handshakeDeadline { return failHandshake(refusal ?? .timedOut(handshakeStage)) }
        if let stallDeadline, now >= stallDeadline { return finish(.closed(.timedOut)) }
        while let oldest = negotiations.first, now >= oldest.deadline { abandonNegotiation(at: 0, .negotiationTimedOut) }
    }

    /// When `handleTimeout` wants to be called: handshake, stream negotiations, a peer that does not read, a close that does not drain.
    package var deadline: Instant? {
        mutating get {
            if stage == .over { return nil }
            return earlier(earlier(closeDeadline, stallDeadline), earlier(handshakeDeadline, negotiations.deadline))
        }
    }

    private var stallDeadline: Instant? {
        mutating get { isEstablished ? stalledSince.map { $0 + Self.stallTime } : nil }
    }

    /// `flush` left something for `poll`, or a deadline before the one that the owner knows.
    private mutating func needsPoll(before known: Instant?) -> Bool {
        if !actions.isEmpty || session.hasInput || output.failure != nil { return true }
        guard let deadline else { return false }
        return known.map { deadline < $0 } ?? true
    }

    /// What happened next; nil when there is nothing more to know.
    package mutating func poll() -> PipelineAction? {
        while true {
            if let action = actions.popFirst() { return action }
            switch stage {
            case .over: return nil
            case .closing(let cause):
                guard output.sealedBytes == 0 || socketEnd != nil else { return nil }
                finish(.closed(cause))
                continue
            case .security, .noise:
                if advanceHandshake() { continue }
            case .open:
                if let action = session.poll() {
                    if let action = translate(action) { return action }
                    continue
                }
                if openFrame() { continue }
            }
            if let failure = output.failure {
                fail(failure)
            } else if let socketEnd {
                finish(socketEnd)
            } else {
                return nextWriter()
            }
        }
    }

    /// `poll` has something to say although nothing came in. After `flush`: a stream whose turn it was to write did not, and others wait.
    package var needsPoll: Bool {
        mutating get {
            if !actions.isEmpty || session.hasInput || output.failure != nil { return stage != .over || !actions.isEmpty }
            return stage == .open && turns.hasRoom(free: limits.sendBuffer - output.queuedBytes, capacity: limits.sendBuffer)
        }
    }

    // MARK: Output

    /// Sealed bytes wait for the socket. A listener's wait for the dialler's first ones, as rust-libp2p's do: so its nonce and greeting share a packet with
    /// its answer, and the dialler is not woken for them alone.
    package var hasOutput: Bool { output.sealedBytes > 0 && (role == .outbound || bytesReceived > 0) }

    /// Something waits to be sealed by `flush`.
    package var needsFlush: Bool {
        mutating get {
            if output.hasOpenFrame { return true }
            guard stage == .open else { return false }
            return negotiations.owesGreetings || (session.hasControl && output.queuedBytes < limits.sendBuffer + Self.sendReserve)
        }
    }

    /// Lends the waiting bytes, in order, at most 16 pieces.
    package mutating func transmitBuffers<R>(_ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> R) -> R { output.transmitBuffers(body) }

    /// The socket took so many of them.
    package mutating func didTransmit(_ count: Int, now: Instant) {
        self.now = now
        bytesSent += UInt64(count)
        output.didTransmit(count)
        if output.sealedBytes == 0 { turns.isExpressQueued = false }
        if count > 0 { stalledSince = output.sealedBytes > 0 ? now : nil }
    }

    /// Seals what waits and gives back the receive buffer if nothing in it waits. Called at the end of a turn of the loop, so that the small frames
    /// of one turn share a Noise frame. Views end here.
    @discardableResult
    package mutating func flush(now: Instant, timerSetFor: Instant? = nil) -> Flushed {
        self.now = now
        turns.endTurn()
        if stage == .open {
            sendGreetings()
            writeControl()
        }
        output.seal()
        if stalledSince == nil, output.sealedBytes > 0 { stalledSince = now }
        input.releaseIfEmpty()
        return Flushed(hasOutput: hasOutput, needsPoll: needsPoll, needsSettling: needsPoll(before: timerSetFor))
    }

    /// What a flush leaves to do.
    package struct Flushed {
        package let hasOutput: Bool
        /// See `ConnectionPipeline.needsPoll`.
        package let needsPoll: Bool
        /// `poll` has something to say, or there is a deadline before `timerSetFor`.
        package let needsSettling: Bool
    }

    // MARK: Streams

    /// Opens a stream. With one protocol the negotiation is lazy: data may be written at once, and is lost if the peer refuses.
    /// With several, in order of preference, data can be written (nothing is taken) only after `streamAgreed`.
    package mutating func openStream(_ protocols: [String], now: Instant) throws(StreamOpenError) -> PipelineStream {
        self.now = now
        return try open(protocols)
    }

    /// Copies bytes into the send buffer and says how many: bounded by the peer's window, `Limits.sendBuffer`, and one full frame while other streams wait.
    /// `streamWritable` follows when it took fewer.
    package mutating func write(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, _ urgency: WriteUrgency = .ordinary) -> Int {
        guard stage == .open, isEstablished, !bytes.isEmpty, canWrite(stream.rawValue) else { return 0 }
        let free = limits.sendBuffer - output.queuedBytes
        let allowance = switch urgency {
        case .patient: turns.isExpressQueued ? 0 : min(turns.allowance(stream.rawValue, free: free), SendTurns.patientCeiling - output.queuedBytes)
        case .ordinary: turns.allowance(stream.rawValue, free: free)
        case .urgent, .express: free + SendTurns.share
        }
        let taken = copy(bytes, to: stream.rawValue, allowance: allowance)
        if urgency == .express, taken > 0 {
            turns.isExpressQueued = true
            hurry()
        }
        if taken < bytes.count {
            switch session.sendWindow(stream.rawValue) {
            case nil: break
            case 0: session.awaitWindow(stream.rawValue)
            default: if urgency == .patient { turns.waitPatiently(stream.rawValue) } else { turns.wait(stream.rawValue) }
            }
        }
        return taken
    }

    /// The reader took so many bytes of `streamData`: the peer may send as many more.
    package mutating func consumed(_ stream: PipelineStream, _ count: Int, now: Instant) {
        self.now = now
        session.consumed(stream.rawValue, count, now: now)
    }

    /// What the peer sends on this stream may wait for others, and shall not make them wait: its window grows no further than the path needs.
    package mutating func keepShort(_ stream: PipelineStream) { session.keepShort(stream.rawValue) }

    /// Something that shall not wait for such streams arrives, or leaves.
    package mutating func hurry() { session.hurry(now: now) }

    /// Ends our half, behind everything written. `streamClosed` follows once the peer ended its half too.
    package mutating func closeWrite(_ stream: PipelineStream) {
        turns.forget(stream.rawValue)
        if let at = negotiations.find(stream.rawValue), negotiations[at].lazyProtocol == nil {
            negotiations[at].endsOurHalf = true
        } else {
            session.closeWrite(stream.rawValue)
        }
    }

    /// Tears the stream down; it is gone at once, and nothing more is said of it.
    package mutating func reset(_ stream: PipelineStream) {
        if let at = negotiations.find(stream.rawValue) { negotiations.remove(at: at) }
        turns.forget(stream.rawValue)
        actions.removeAll { $0.stream == stream }
        session.reset(stream.rawValue)
    }

    /// Replaces what inbound streams may ask for; negotiations under way keep what they offer.
    package mutating func setProtocols(_ protocols: [String]) { self.protocols = protocols }

    // MARK: End

    /// Ends the connection in order: go-away behind everything written; streams are gone at once. `closed(cause)` is reported when the output
    /// has drained, the peer has gone, or after a second. Before `established` nothing is sent and `closed` follows at once.
    package mutating func close(cause: DisconnectCause = .closedByUs, now: Instant) {
        self.now = now
        switch stage {
        case .closing, .over: return
        case .security, .noise: finish(.closed(cause))
        case .open: beginClosing(cause)
        }
    }
}

extension YamuxLimits {
    init(_ limits: Limits) {
        self.init()
        inboundStreams = limits.streamsPerConnection
        outboundStreams = limits.streamsPerConnection
        unacknowledgedStreams = limits.unacknowledgedStreams
        initialWindow = limits.initialStreamWindow
        maximumWindow = limits.maximumStreamWindow
    }
}

extension PipelineAction {
    var stream: PipelineStream? {
        switch self {
        case .streamOpened(let stream, _), .streamAgreed(let stream, _), .streamRefused(let stream), .streamData(let stream, _),
            .streamEnded(let stream), .streamReset(let stream, _), .streamClosed(let stream), .streamWritable(let stream):
            stream
        case .established, .failedHandshake, .closed: nil
        }
    }
}
