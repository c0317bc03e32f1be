import CSodium

/// Ed25519 (RFC 8032) by libsodium, which also refuses unreduced S and points of small order.
enum Ed25519 {
    static let publicKeyByteCount = Int(crypto_sign_PUBLICKEYBYTES)
    static let signatureByteCount = Int(crypto_sign_BYTES)
    static let seedByteCount = Int(crypto_sign_SEEDBYTES)
    /// The seed followed by the public key.
    static let secretKeyByteCount = Int(crypto_sign_SECRETKEYBYTES)

    static func verify(signature: UnsafeRawBufferPointer, of message: UnsafeRawBufferPointer, publicKey: [UInt8]) -> Bool {
        guard signature.count == signatureByteCount, publicKey.count == publicKeyByteCount else { return false }
        let signature = signature.bindMemory(to: UInt8.self), message = message.bindMemory(to: UInt8.self)
        return crypto_sign_verify_detached(signature.baseAddress!, message.baseAddress, UInt64(message.count), publicKey) == 0
    }

    static func sign(_ message: [UInt8], secretKey: UnsafeRawBufferPointer) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: signatureByteCount)
        _ = crypto_sign_detached(&signature, nil, message, UInt64(message.count), secretKey.bindMemory(to: UInt8.self).baseAddress!)
        return signature
    }

    /// Writes the secret key of a seed to `secretKey` (64 bytes) and returns the public key.
    static func expand(seed: UnsafeRawBufferPointer, into secretKey: UnsafeMutableRawBufferPointer) -> [UInt8] {
        precondition(seed.count == seedByteCount && secretKey.count == secretKeyByteCount)
        var publicKey = [UInt8](repeating: 0, count: publicKeyByteCount)
        let secret = secretKey.bindMemory(to: UInt8.self), seed = seed.bindMemory(to: UInt8.self)
        _ = crypto_sign_seed_keypair(&publicKey, secret.baseAddress!, seed.baseAddress!)
        return publicKey
    }
}
