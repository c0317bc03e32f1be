import MeshNetProtocol

/// What is needed only until the secure channel stands.
struct PipelineHandshake {
    var security: MultistreamNegotiation
    var noise: NoiseHandshake
}

extension ConnectionPipeline {
    /// The first flight. The dialler sends everything that needs no answer: nonce, proposal and first Noise message; the listener has its nonce and greeting
    /// ready (`hasOutput`).
    mutating func startHandshake(_ configuration: PipelineConfiguration, expectedPeer: PeerID?, random: inout RandomSource) {
        if let preSharedKey {
            let nonce = random.bytes(PrivateNetworkCipher.nonceByteCount)
            output.append(nonce)
            output.privateNetwork = PrivateNetworkCipher(key: preSharedKey, nonce: nonce)
        }
        let dials = role == .outbound
        handshake = PipelineHandshake(
            security: dials
                ? MultistreamNegotiation(dialerFor: [Self.securityProtocol], lazy: true)
                : MultistreamNegotiation(listenerFor: [Self.securityProtocol]),
            noise: NoiseHandshake(
                role: dials ? .initiator : .responder, identity: configuration.identity, key: configuration.noiseKey, muxers: [Self.muxerProtocol],
                expectedPeer: expectedPeer, proven: configuration.proven, ephemerals: configuration.ephemeralKeys, random: &random))
        pollSecurity()
    }

    /// The peer's nonce comes in clear before everything else.
    mutating func takeNonce() {
        let unread = input.unread
        if PeerGreeting.isPublic(UnsafeRawBufferPointer(unread)) { return refuse(.peerInNone) }
        if refusal == nil, let words = PeerGreeting.banner(UnsafeRawBufferPointer(unread)) {
            return failHandshake(.malformed(.privateNetwork, words))
        }
        guard let preSharedKey, unread.count >= PrivateNetworkCipher.nonceByteCount else { return }
        let nonce = [UInt8](unread[..<PrivateNetworkCipher.nonceByteCount])
        input.consume(nonce.count)
        inboundPrivateNetwork = PrivateNetworkCipher(key: preSharedKey, nonce: nonce)
        inboundPrivateNetwork?.apply(input.unread)
    }

    /// Where a failure would be now.
    var handshakeStage: HandshakeStage {
        if preSharedKey != nil, inboundPrivateNetwork == nil { return .privateNetwork }
        return switch stage {
        case .security: .security
        case .noise: .noise
        case .open, .closing, .over: .muxer
        }
    }

    /// False when more bytes are needed.
    mutating func advanceHandshake() -> Bool {
        if let refusal {
            input.discard()
            guard output.sealedBytes == 0 || socketEnd != nil else { return false }
            failHandshake(refusal)
            return true
        }
        if preSharedKey != nil, inboundPrivateNetwork == nil { return false }
        return stage == .security ? readSecurity() : readNoise()
    }

    /// The peer is in another network. Our own first bytes still go out, so that it recognises the same.
    private mutating func refuse(_ how: OtherNetwork) {
        guard refusal == nil else { return }
        refusal = .otherNetwork(how)
        handshakeDeadline = now + Self.lingerTime
    }

    // MARK: Security protocol

    private mutating func readSecurity() -> Bool {
        let unread = UnsafeRawBufferPointer(input.unread)
        guard !unread.isEmpty, handshake != nil else { return false }
        if !isGreeted {
            switch PeerGreeting(unread, isPrivate: preSharedKey != nil) {
            case .incomplete: return false
            case .multistream: isGreeted = true
            case .unknown(let words):
                failHandshake(.malformed(.security, words))
                return true
            case .otherNetwork(let how):
                refuse(how)
                return true
            }
        }
        do throws(MultistreamError) {
            let taken = try handshake?.security.receive(unread) ?? 0
            input.consume(taken)
            pollSecurity()
        } catch {
            failHandshake(.malformed(preSharedKey == nil ? .security : .privateNetwork, "multistream: \(error)"))
        }
        return true
    }

    private mutating func pollSecurity() {
        while let action = handshake?.security.poll() {
            switch action {
            case .send(let bytes): output.append(bytes)
            case .agreed: pollNoise()
            case .refused: return failHandshake(.noCommonProtocol(.security))
            }
        }
        if handshake?.security.isFinished == true { stage = .noise }
    }

    // MARK: Noise

    private mutating func readNoise() -> Bool {
        guard let message = nextNoiseMessage() else { return false }
        do throws(NoiseError) {
            try handshake?.noise.receive(UnsafeRawBufferPointer(message))
            pollNoise()
            if let channel = handshake?.noise.finish() { startMuxer(channel) }
        } catch {
            failHandshake(HandshakeFailure(error))
        }
        return true
    }

    private mutating func pollNoise() {
        while let message = handshake?.noise.poll() { output.append(message) }
    }

    /// One complete message behind its 2-byte length, used up.
    mutating func nextNoiseMessage() -> UnsafeMutableRawBufferPointer? {
        let unread = input.unread
        guard unread.count >= NoiseFrame.lengthPrefix else { return nil }
        let length = Int(UInt16(bigEndian: unread.loadUnaligned(as: UInt16.self)))
        let end = NoiseFrame.lengthPrefix + length
        guard unread.count >= end else { return nil }
        input.consume(end)
        return UnsafeMutableRawBufferPointer(rebasing: unread[NoiseFrame.lengthPrefix..<end])
    }

    // MARK: Muxer

    /// Both lists of the Noise extension decide if they can (libp2p specs, connections, "Inlining Muxer Negotiation"); multistream does otherwise.
    private mutating func startMuxer(_ channel: NoiseSession) {
        handshake = nil
        stage = .open
        output.cipher = channel.sending
        inboundCipher = channel.receiving
        let peer = PipelinePeer(peer: channel.remotePeer, key: channel.remoteKey, handshakeHash: channel.handshakeHash)
        if channel.agreedMuxer == Self.muxerProtocol {
            handshakeDeadline = nil
            establish(peer)
        } else if !channel.remoteMuxers.isEmpty {
            failHandshake(.noCommonProtocol(.muxer))
        } else {
            pendingPeer = peer
            muxer = role == .outbound
                ? MultistreamNegotiation(dialerFor: [Self.muxerProtocol], lazy: true)
                : MultistreamNegotiation(listenerFor: [Self.muxerProtocol])
            pollMuxer()
        }
    }

    /// Plaintext while the muxer is negotiated; what follows the negotiation belongs to yamux.
    mutating func readMuxer(_ plaintext: UnsafeRawBufferPointer) {
        do throws(MultistreamError) {
            let taken = try muxer?.receive(plaintext) ?? 0
            pollMuxer()
            guard stage == .open, muxer?.isFinished == true else { return }
            muxer = nil
            handshakeDeadline = nil
            session.receive(UnsafeRawBufferPointer(rebasing: plaintext[taken...]), now: now)
        } catch {
            failHandshake(.malformed(.muxer, "multistream: \(error)"))
        }
    }

    private mutating func pollMuxer() {
        while let action = muxer?.poll() {
            switch action {
            case .send(let bytes): sendPlaintext(bytes)
            case .agreed:
                if let peer = pendingPeer { establish(peer) }
            case .refused: return failHandshake(.noCommonProtocol(.muxer))
            }
        }
    }

    private mutating func sendPlaintext(_ bytes: [UInt8]) {
        let space = output.space(for: bytes.count)
        space.copyBytes(from: bytes)
        output.commit(bytes.count)
    }

    private mutating func establish(_ peer: PipelinePeer) {
        pendingPeer = nil
        isEstablished = true
        actions.append(.established(peer))
    }
}

extension HandshakeFailure {
    init(_ error: NoiseError) {
        self = switch error {
        case .wrongPeer(let expected, let actual): .wrongPeer(expected: expected, actual: actual)
        case .invalidSignature(let claimed): .notAuthentic("the signature of \(claimed) does not hold")
        case .handshakeNotAuthentic, .frameNotAuthentic, .weakKey: .notAuthentic("noise: \(error)")
        default: .malformed(.noise, "\(error)")
        }
    }
}
