import CSodium

/// HKDF and the hash of the one Noise suite that libp2p uses: 25519, ChaChaPoly, SHA256 (Noise specification, sections 4 and 12).
enum NoiseSuite {
    static let protocolName = Array("Noise_XX_25519_ChaChaPoly_SHA256".utf8)
    static let keyByteCount = 32

    /// HKDF of RFC 5869 with empty info and two blocks of output. Precondition: the chaining key has 32 bytes.
    static func deriveTwoKeys(chainingKey: [UInt8], input: [UInt8], by hmac: HMACContext) -> (first: [UInt8], second: [UInt8]) {
        precondition(chainingKey.count == keyByteCount, "a chaining key has 32 bytes")
        var extracted = hmac.authenticate(input, key: chainingKey)
        let first = hmac.authenticate([1], key: extracted)
        var expansion = first + [2]
        let second = hmac.authenticate(expansion, key: extracted)
        extracted.wipe()
        expansion.wipe()
        return (first, second)
    }

    static func publicKey(of secret: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: keyByteCount)
        _ = crypto_scalarmult_base(&output, secret)
        return output
    }

    /// The shared secret; nil when it is zero because the public key is a point of low order.
    static func agree(secret: [UInt8], publicKey: [UInt8]) -> [UInt8]? {
        var output = [UInt8](repeating: 0, count: keyByteCount)
        return crypto_scalarmult(&output, secret, publicKey) == 0 ? output : nil
    }
}

/// The running hash and keys of a handshake (Noise specification, section 5.2, SymmetricState with its CipherState).
struct SymmetricState {
    private(set) var handshakeHash: [UInt8]
    private var chainingKey: [UInt8]
    private var key: [UInt8]?
    private var nonce: UInt64 = 0
    private let hash = SHA256Context()
    private let hmac = HMACContext()

    /// The protocol name fills the hash exactly, so it is the hash.
    init(prologue: [UInt8]) {
        handshakeHash = NoiseSuite.protocolName
        chainingKey = NoiseSuite.protocolName
        mixHash(prologue)
    }

    /// Bytes that a payload or key of `count` bytes takes in the next message.
    func sealedByteCount(_ count: Int) -> Int { key == nil ? count : count + NoiseFrame.tag }

    mutating func mixHash(_ data: [UInt8]) { handshakeHash = hash.digest(handshakeHash, data) }

    mutating func mixKey(_ input: [UInt8]) {
        let keys = NoiseSuite.deriveTwoKeys(chainingKey: chainingKey, input: input, by: hmac)
        chainingKey.wipe()
        key?.wipe()
        chainingKey = keys.first
        key = keys.second
        nonce = 0
    }

    /// Appends the sealed bytes, or the bytes themselves while there is no key, and mixes in what is sent.
    mutating func encryptAndHash(_ plaintext: [UInt8], into message: inout [UInt8]) {
        guard let key else {
            mixHash(plaintext)
            message.append(contentsOf: plaintext)
            return
        }
        var sealed = [UInt8](repeating: 0, count: plaintext.count + NoiseFrame.tag)
        _ = crypto_aead_chacha20poly1305_ietf_encrypt(
            &sealed, nil, plaintext, UInt64(plaintext.count), handshakeHash, UInt64(handshakeHash.count), nil, nextNonce(), key)
        mixHash(sealed)
        message.append(contentsOf: sealed)
    }

    /// nil when the tag is wrong.
    mutating func decryptAndHash(_ sealed: [UInt8]) -> [UInt8]? {
        guard let key else {
            mixHash(sealed)
            return sealed
        }
        guard sealed.count >= NoiseFrame.tag else { return nil }
        var plaintext = [UInt8](repeating: 0, count: sealed.count - NoiseFrame.tag)
        let result = crypto_aead_chacha20poly1305_ietf_decrypt(
            &plaintext, nil, nil, sealed, UInt64(sealed.count), handshakeHash, UInt64(handshakeHash.count), nextNonce(), key)
        guard result == 0 else { return nil }
        mixHash(sealed)
        return plaintext
    }

    /// The keys of the two directions, initiator's first; the state is of no use afterwards.
    mutating func split() -> (initiator: [UInt8], responder: [UInt8]) {
        let keys = NoiseSuite.deriveTwoKeys(chainingKey: chainingKey, input: [], by: hmac)
        wipe()
        return (keys.first, keys.second)
    }

    mutating func wipe() {
        chainingKey.wipe()
        key?.wipe()
    }

    /// Four zero bytes, then the counter in little-endian order. A key seals two messages at most, so it cannot wrap.
    private mutating func nextNonce() -> [UInt8] {
        defer { nonce += 1 }
        return [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: nonce >> UInt64(8 * $0)) }
    }
}

extension [UInt8] {
    /// Overwrites a secret in a way that the compiler keeps. Copies made before keep theirs.
    mutating func wipe() {
        withUnsafeMutableBytes { sodium_memzero($0.baseAddress, $0.count) }
    }
}
