import CSodium

/// HKDF and the hash of the one Noise suite that libp2p uses: 25519, ChaChaPoly, SHA256 (Noise specification, sections 4 and 12).
enum NoiseSuite {
    static let protocolName = Array("Noise_XX_25519_ChaChaPoly_SHA256".utf8)
    static let keyByteCount = 32

    /// HKDF of RFC 5869 with empty info and two blocks of output: the first takes the place of the chaining key, the second fills `key`.
    /// Precondition: both have 32 bytes.
    static func deriveTwoKeys(chainingKey: inout [UInt8], input: UnsafeRawBufferPointer, key: inout [UInt8], by hash: SHA256Context) {
        precondition(chainingKey.count == keyByteCount && key.count == keyByteCount, "a key has 32 bytes")
        withSecret(byteCount: 2 * keyByteCount + 1) { scratch in
            let extracted = UnsafeMutableRawBufferPointer(rebasing: scratch[..<keyByteCount])
            let expansion = UnsafeMutableRawBufferPointer(rebasing: scratch[keyByteCount...])
            hash.authenticate(input, key: chainingKey, into: extracted)
            expansion[0] = 1
            let first = UnsafeRawBufferPointer(rebasing: expansion[..<1])
            chainingKey.withUnsafeMutableBytes { hash.authenticate(first, key: UnsafeRawBufferPointer(extracted), into: $0) }
            expansion.copyBytes(from: chainingKey)
            expansion[keyByteCount] = 2
            key.withUnsafeMutableBytes { hash.authenticate(UnsafeRawBufferPointer(expansion), key: UnsafeRawBufferPointer(extracted), into: $0) }
        }
    }

    static func publicKey(of secret: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: keyByteCount)
        _ = crypto_scalarmult_base(&output, secret)
        return output
    }

    /// Lends the shared secret; false when it is zero because the public key is a point of low order.
    static func agree(secret: [UInt8], publicKey: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) -> Bool {
        withSecret(byteCount: keyByteCount) { shared in
            guard crypto_scalarmult(shared.baseAddress!.assumingMemoryBound(to: UInt8.self), secret, publicKey) == 0 else { return false }
            body(UnsafeRawBufferPointer(shared))
            return true
        }
    }

    /// Memory on the stack, wiped behind the body.
    private static func withSecret<R>(byteCount: Int, _ body: (UnsafeMutableRawBufferPointer) -> R) -> R {
        withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 16) { bytes in
            defer { sodium_memzero(bytes.baseAddress, bytes.count) }
            return body(bytes)
        }
    }
}

/// The running hash and keys of a handshake (Noise specification, section 5.2, SymmetricState with its CipherState).
struct SymmetricState {
    private(set) var handshakeHash: [UInt8]
    private var chainingKey: [UInt8]
    private var key = [UInt8](repeating: 0, count: NoiseSuite.keyByteCount)
    private var hasKey = false
    private var nonce: UInt64 = 0
    private let hash = SHA256Context()

    /// The protocol name fills the hash exactly, so it is the hash.
    init(prologue: [UInt8]) {
        handshakeHash = NoiseSuite.protocolName
        chainingKey = NoiseSuite.protocolName
        prologue.withUnsafeBytes { mixHash($0) }
    }

    /// Bytes that a payload or key of `count` bytes takes in the next message.
    func sealedByteCount(_ count: Int) -> Int { hasKey ? count + NoiseFrame.tag : count }

    mutating func mixHash(_ data: UnsafeRawBufferPointer) {
        handshakeHash.withUnsafeMutableBytes { hash.digest(UnsafeRawBufferPointer($0), data, into: $0) }
    }

    mutating func mixKey(_ input: UnsafeRawBufferPointer) {
        NoiseSuite.deriveTwoKeys(chainingKey: &chainingKey, input: input, key: &key, by: hash)
        (hasKey, nonce) = (true, 0)
    }

    /// Appends the sealed bytes, or the bytes themselves while there is no key, and mixes in what is sent.
    mutating func encryptAndHash(_ plaintext: [UInt8], into message: inout [UInt8]) {
        let start = message.count
        message += plaintext
        if hasKey { message.append(contentsOf: repeatElement(0, count: NoiseFrame.tag)) }
        message.withUnsafeMutableBytes { message in
            let sealed = UnsafeMutableRawBufferPointer(rebasing: message[start...])
            if hasKey, let bytes = sealed.baseAddress?.assumingMemoryBound(to: UInt8.self) {
                withNextNonce { nonce, hash, key in
                    _ = crypto_aead_chacha20poly1305_ietf_encrypt(
                        bytes, nil, bytes, UInt64(plaintext.count), hash, UInt64(SHA256.byteCount), nil, nonce, key)
                }
            }
            mixHash(UnsafeRawBufferPointer(sealed))
        }
    }

    /// nil when the tag is wrong.
    mutating func decryptAndHash(_ sealed: UnsafeRawBufferPointer) -> [UInt8]? {
        guard hasKey else {
            mixHash(sealed)
            return Array(sealed)
        }
        guard sealed.count >= NoiseFrame.tag, let bytes = sealed.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
        var plaintext = [UInt8](repeating: 0, count: sealed.count - NoiseFrame.tag)
        let result = withNextNonce { nonce, hash, key in
            crypto_aead_chacha20poly1305_ietf_decrypt(
                &plaintext, nil, nil, bytes, UInt64(sealed.count), hash, UInt64(SHA256.byteCount), nonce, key)
        }
        guard result == 0 else { return nil }
        mixHash(sealed)
        return plaintext
    }

    /// The keys of the two directions, initiator's first; the state is of no use afterwards.
    mutating func split() -> (initiator: [UInt8], responder: [UInt8]) {
        mixKey(UnsafeRawBufferPointer(start: nil, count: 0))
        // The only copies: a wiped one would be another.
        defer { (chainingKey, key) = ([], []) }
        return (chainingKey, key)
    }

    mutating func wipe() {
        chainingKey.wipe()
        key.wipe()
    }

    /// Four zero bytes, then the counter in little-endian order; with it the hash, which is authenticated too, and the key.
    /// A key seals two messages at most, so the counter cannot wrap.
    private mutating func withNextNonce<R>(_ body: (_ nonce: UnsafePointer<UInt8>, _ hash: [UInt8], _ key: [UInt8]) -> R) -> R {
        defer { nonce += 1 }
        let bytes = (UInt32(0), UInt32(truncatingIfNeeded: nonce).littleEndian, UInt32(truncatingIfNeeded: nonce >> 32).littleEndian)
        return withUnsafeBytes(of: bytes) { body($0.baseAddress!.assumingMemoryBound(to: UInt8.self), handshakeHash, key) }
    }
}

extension [UInt8] {
    /// Overwrites a secret in a way that the compiler keeps. Copies made before keep theirs.
    mutating func wipe() {
        withUnsafeMutableBytes { sodium_memzero($0.baseAddress, $0.count) }
    }
}
