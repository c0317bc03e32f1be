/// The XX pattern, generic in prologue and payloads: `-> e`, `<- e, ee, s, es`, `-> s, se` (Noise specification, section 7.5).
///
/// Messages are written and read in turn; a side that is asked out of turn throws `unexpectedMessage`.
struct NoiseXX {
    typealias Role = NoiseHandshake.Role

    let role: Role
    /// This side's Noise key.
    let staticKey: [UInt8]
    /// The number of the next message; 3 once the handshake is complete.
    private(set) var message = 0
    /// The peer's Noise key, once read.
    private(set) var remoteStatic: [UInt8]?
    private var symmetric: SymmetricState
    private var staticSecret: [UInt8]
    private var ephemeralSecret: [UInt8]
    /// Where it is known already.
    private var ephemeralKey: [UInt8]?
    private var remoteEphemeral: [UInt8] = []

    static let messageCount = 3

    /// Precondition: the secrets have 32 bytes, and `staticKey` is that of `staticSecret`.
    init(role: Role, staticSecret: [UInt8], staticKey: [UInt8], ephemeralSecret: [UInt8], prologue: [UInt8] = []) {
        precondition(staticSecret.count == NoiseSuite.keyByteCount && ephemeralSecret.count == NoiseSuite.keyByteCount,
                     "an X25519 secret has 32 bytes")
        self.role = role
        self.staticKey = staticKey
        self.staticSecret = staticSecret
        self.ephemeralSecret = ephemeralSecret
        symmetric = SymmetricState(prologue: prologue)
    }

    var handshakeHash: [UInt8] { symmetric.handshakeHash }
    var isComplete: Bool { message == Self.messageCount }
    var writesNext: Bool { !isComplete && (message % 2 == 0) == (role == .initiator) }

    /// Another ephemeral key than that of the secret given at first. Precondition: this side has sent none yet.
    mutating func use(_ key: EphemeralKey) {
        precondition(message < 2, "a handshake has one ephemeral key")
        ephemeralSecret.wipe()
        (ephemeralSecret, ephemeralKey) = (key.secret, key.publicKey)
    }

    /// Appends the next message, with this payload. Precondition: it is this side's turn.
    mutating func write(payload: [UInt8], into output: inout [UInt8]) throws(NoiseError) {
        precondition(writesNext, "the peer writes next")
        if message < 2 {
            let ephemeral = ephemeralKey ?? NoiseSuite.publicKey(of: ephemeralSecret)
            ephemeral.withUnsafeBytes { symmetric.mixHash($0) }
            output += ephemeral
        }
        if message == 1 { try agree(ephemeralSecret, remoteEphemeral) }
        if message > 0 {
            symmetric.encryptAndHash(staticKey, into: &output)
            try agree(staticSecret, remoteEphemeral)
        }
        symmetric.encryptAndHash(payload, into: &output)
        message += 1
    }

    /// Reads the peer's message and returns its payload.
    mutating func read(_ bytes: UnsafeRawBufferPointer) throws(NoiseError) -> [UInt8] {
        guard !isComplete, !writesNext else { throw .unexpectedMessage }
        guard bytes.count <= NoiseFrame.maximumMessage else {
            throw .messageTooLong(count: bytes.count, limit: NoiseFrame.maximumMessage)
        }
        var reader = ByteReader(bytes)
        if message < 2 {
            let key = try take(NoiseSuite.keyByteCount, from: &reader)
            remoteEphemeral = Array(key)
            symmetric.mixHash(key)
        }
        if message == 1 { try agree(ephemeralSecret, remoteEphemeral) }
        if message > 0 {
            let sealed = try take(symmetric.sealedByteCount(NoiseSuite.keyByteCount), from: &reader)
            let key = try authenticated(symmetric.decryptAndHash(sealed))
            remoteStatic = key
            try agree(ephemeralSecret, key)
        }
        let payload = try take(max(reader.remaining, symmetric.sealedByteCount(0)), from: &reader)
        let plaintext = try authenticated(symmetric.decryptAndHash(payload))
        message += 1
        return plaintext
    }

    /// The transport keys, initiator's direction first. Precondition: the handshake is complete; once only.
    mutating func split() -> (initiator: [UInt8], responder: [UInt8]) {
        precondition(isComplete, "the handshake goes on")
        wipeSecrets()
        return symmetric.split()
    }

    /// Wipes the secrets of a handshake that failed; it cannot go on.
    mutating func abandon() {
        wipeSecrets()
        symmetric.wipe()
    }

    private mutating func wipeSecrets() {
        staticSecret.wipe()
        ephemeralSecret.wipe()
    }

    private mutating func agree(_ secret: [UInt8], _ publicKey: [UInt8]) throws(NoiseError) {
        guard NoiseSuite.agree(secret: secret, publicKey: publicKey, { symmetric.mixKey($0) }) else { throw .weakKey(message: message) }
    }

    private func authenticated(_ plaintext: [UInt8]?) throws(NoiseError) -> [UInt8] {
        guard let plaintext else { throw .handshakeNotAuthentic(message: message) }
        return plaintext
    }

    private func take(_ count: Int, from reader: inout ByteReader) throws(NoiseError) -> UnsafeRawBufferPointer {
        let available = reader.remaining
        do { return try reader.readView(count) } catch {
            throw .messageTooShort(message: message, needed: reader.offset + count, available: reader.offset + available)
        }
    }
}
