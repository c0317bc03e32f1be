/// What a finished handshake leaves: who the peer is, and the two directions of the channel.
package struct NoiseSession {
    package let remoteKey: PublicKey
    package let remotePeer: PeerID
    /// The peer's muxers in its order of preference; empty when it does not negotiate them here.
    package let remoteMuxers: [String]
    /// Equal on both sides, and of one handshake only: fit for channel binding.
    package let handshakeHash: [UInt8]
    package var sending: NoiseCipher
    package var receiving: NoiseCipher
    /// The first of the initiator's muxers that the responder has too; nil means that multistream decides.
    package let agreedMuxer: String?
}

/// The secure handshake of libp2p: Noise XX with the identity of both sides inside (libp2p specs, noise).
///
/// Drive it like this: drain `poll` until nil, feed one message to `receive`, and again, until `finish` gives the session. Drain `poll`
/// before sealing anything: the initiator's last message goes out first. After an error the connection must be closed.
package struct NoiseHandshake {
    package enum Role: Sendable { case initiator, responder }

    private enum State {
        case running
        /// Waiting for `finish`.
        case done(NoiseSession)
        case ended
    }

    private let muxers: [String]
    private let identityKey: [UInt8]
    private let key: NoiseKey
    private let expectedPeer: PeerID?
    private let proven: ProvenSignatures?
    private let ephemerals: EphemeralKeys?
    private var state: State = .running
    private var noise: NoiseXX
    private var verified: (payload: NoisePayload, key: PublicKey)?
    private var outgoing: [UInt8]?

    /// Draws the ephemeral key of this connection, 32 bytes, from `random`, and before it, where none is given, the Noise key.
    ///
    /// - Parameters:
    ///   - key: made by the same identity.
    ///   - muxers: what to offer for early negotiation, in order of preference; at most 16 names of at most 256 bytes.
    ///   - expectedPeer: the peer that was dialled; any other fails with `wrongPeer` before this side shows its own identity.
    ///   - proven: what earlier handshakes of this node have verified; nil: this one verifies for itself.
    ///   - ephemerals: keys made ahead, of which it takes one instead of its own, if there is one.
    package init(
        role: Role, identity: KeyPair, key: NoiseKey? = nil, muxers: [String], expectedPeer: PeerID?, proven: ProvenSignatures? = nil,
        ephemerals: EphemeralKeys? = nil, random: inout RandomSource
    ) {
        precondition(muxers.count <= NoisePayload.maximumMuxerCount, "at most 16 muxers are offered")
        precondition(muxers.allSatisfy { $0.utf8.count <= NoisePayload.maximumMuxerByteCount }, "a muxer name has at most 256 bytes")
        self.muxers = muxers
        identityKey = identity.publicKey.protobuf
        let key = key ?? NoiseKey(identity: identity, random: &random)
        self.key = key
        self.expectedPeer = expectedPeer
        self.proven = proven
        self.ephemerals = ephemerals
        noise = NoiseXX(
            role: role, staticSecret: key.secret, staticKey: key.publicKey, ephemeralSecret: random.bytes(NoiseSuite.keyByteCount))
    }

    /// Takes one message of the peer without its length prefix. Call `poll` and `finish` afterwards.
    package mutating func receive(_ message: UnsafeRawBufferPointer) throws(NoiseError) {
        guard case .running = state else { throw .unexpectedMessage }
        do throws(NoiseError) {
            try advance(message)
        } catch {
            noise.abandon()
            state = .ended
            outgoing = nil
            throw error
        }
    }

    /// The next message to send, with its 2-byte length; nil when there is none. A no-op then.
    package mutating func poll() -> [UInt8]? {
        if noise.role == .initiator, noise.message == 0, case .running = state { writeFirst() }
        defer { outgoing = nil }
        return outgoing
    }

    /// The session, once, when the handshake is done; nil before and afterwards.
    package mutating func finish() -> NoiseSession? {
        guard case .done(let session) = state else { return nil }
        state = .ended
        return session
    }

    private mutating func advance(_ message: UnsafeRawBufferPointer) throws(NoiseError) {
        let payload = try noise.read(message)
        if noise.message > 1 { verified = try verify(payload) }
        if noise.writesNext {
            let own = NoisePayload(identityKey: identityKey, identitySignature: key.signature, muxers: muxers)
            if noise.message < 2 { takeEphemeral() }
            outgoing = try framed(own.encoded)
        }
        if noise.isComplete, let verified { state = .done(try makeSession(verified.payload, verified.key)) }
    }

    private mutating func makeSession(_ payload: NoisePayload, _ key: PublicKey) throws(NoiseError) -> NoiseSession {
        var keys = noise.split()
        defer {
            keys.initiator.wipe()
            keys.responder.wipe()
        }
        let initiates = noise.role == .initiator
        return NoiseSession(
            remoteKey: key, remotePeer: key.peerID, remoteMuxers: payload.muxers, handshakeHash: noise.handshakeHash,
            sending: try NoiseCipher(sealingWith: initiates ? keys.initiator : keys.responder),
            receiving: try NoiseCipher(openingWith: initiates ? keys.responder : keys.initiator),
            agreedMuxer: initiates ? muxers.first(where: payload.muxers.contains) : payload.muxers.first(where: muxers.contains))
    }

    /// The first message has an empty payload, which is mixed into the hash all the same.
    private mutating func writeFirst() {
        takeEphemeral()
        // Nothing in the first message can fail: there is no key agreement in it.
        outgoing = try? framed([])
    }

    /// Not before it is sent: who only connects uses up none.
    private mutating func takeEphemeral() {
        if let key = ephemerals?.take() { noise.use(key) }
    }

    /// Binds the peer's Noise key, which the handshake has proven, to the identity in its payload.
    private func verify(_ bytes: [UInt8]) throws(NoiseError) -> (payload: NoisePayload, key: PublicKey) {
        let payload = try bytes.withBytes { view throws(NoiseError) in try NoisePayload(decoding: view) }
        let key: PublicKey
        do throws(PublicKeyError) {
            key = try payload.identityKey.withBytes { view throws(PublicKeyError) in try PublicKey(protobuf: view) }
        } catch {
            throw .invalidIdentityKey(error)
        }
        guard isProven(payload, key) else { throw .invalidSignature(claimed: key.peerID) }
        if let expectedPeer, expectedPeer != key.peerID { throw .wrongPeer(expected: expectedPeer, actual: key.peerID) }
        return (payload, key)
    }

    private func isProven(_ payload: NoisePayload, _ key: PublicKey) -> Bool {
        let noiseKey = noise.remoteStatic ?? []
        let message = NoisePayload.signedBytes(of: noiseKey), signature = payload.identitySignature
        return proven?.verify(signature, of: message, by: key) ?? key.verify(signature: signature, of: message)
    }

    /// The next message behind its length.
    private mutating func framed(_ payload: [UInt8]) throws(NoiseError) -> [UInt8] {
        var frame: [UInt8] = []
        // Two keys, the payload, and their tags.
        frame.reserveCapacity(NoiseFrame.lengthPrefix + 2 * (NoiseSuite.keyByteCount + NoiseFrame.tag) + payload.count)
        frame.appendBigEndian(UInt16(0))
        try noise.write(payload: payload, into: &frame)
        let count = UInt16(frame.count - NoiseFrame.lengthPrefix).bigEndian
        frame.withUnsafeMutableBytes { $0.storeBytes(of: count, as: UInt16.self) }
        return frame
    }
}

extension [UInt8] {
    /// `withUnsafeBytes` that keeps the type of the error.
    fileprivate func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        let result: Result<R, E> = withUnsafeBytes { view in
            do throws(E) { return .success(try body(view)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
