import MeshNetProtocol

extension ConnectionPipeline {
    /// The terminal action. Buffers go back now, but for the one that views may point into: `flush` returns that.
    mutating func finish(_ action: PipelineAction) {
        stage = .over
        releaseStreams()
        handshake = nil
        muxer = nil
        inboundCipher = nil
        output.discard()
        input.discard()
        actions.append(action)
    }

    /// The last bytes of the peer are read and its socket has ended.
    mutating func finish(_ end: SocketEnd) {
        guard isEstablished else { return finish(.failedHandshake(.closedDuring(handshakeStage))) }
        switch end {
        case .endOfStream: finish(.closed(.closedByPeer))
        case .failed(let errno): finish(.closed(.connectionLost(errno: errno)))
        }
    }

    mutating func failHandshake(_ failure: HandshakeFailure) {
        guard isEstablished else { return finish(.failedHandshake(failure)) }
        // A lazily proposed muxer that was then refused or not confirmed: too late for a failed handshake.
        switch failure {
        case .timedOut: finish(.closed(.timedOut))
        default: finish(.closed(.protocolViolation("the peer does not speak \(Self.muxerProtocol): \(failure)")))
        }
    }

    /// A frame that does not decrypt, or one that cannot be sealed.
    mutating func fail(_ error: NoiseError) {
        guard isEstablished else { return finish(.failedHandshake(HandshakeFailure(error))) }
        switch error {
        case .nonceExhausted: finish(.closed(.limitReached("2^64 Noise frames in one direction")))
        case .cryptographyUnavailable: finish(.closed(.limitReached("libcrypto has no memory")))
        default: finish(.closed(.protocolViolation("noise: \(error)")))
        }
    }

    mutating func finish(_ end: YamuxEnd) {
        switch end {
        case .goAway(code: YamuxGoAway.normal.rawValue): finish(.closed(.closedByPeer))
        case .goAway(let code): finish(.closed(.protocolViolation("the peer ended the session with go-away code \(code)")))
        case .violation(.answersNotRead(let limit)): beginClosing(.limitReached("\(limit) control frames that the peer does not read"))
        case .violation(let error): beginClosing(.protocolViolation("yamux: \(error)"))
        }
    }

    /// Sends the go-away behind everything written and waits, not long, for the socket to take it.
    mutating func beginClosing(_ cause: DisconnectCause) {
        session.goAway(.normal)
        // All of them, reserve or not: the queue is bounded, and the go-away is its last frame.
        while session.hasControl { output.commit(session.writeControl(into: output.space(for: YamuxHeader.byteCount), now: now)) }
        output.seal()
        releaseStreams()
        muxer = nil
        handshakeDeadline = nil
        closeDeadline = now + Self.lingerTime
        input.discard()
        stage = .closing(cause)
    }

    private mutating func releaseStreams() {
        actions.removeAll()
        negotiations.removeAll()
        turns = SendTurns()
        session.goAway(.normal)
    }
}
