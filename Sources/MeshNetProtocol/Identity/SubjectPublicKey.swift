import COpenSSL

/// A public key in libcrypto's hands: RSA, P-256 or secp256k1, for verifying only.
///
/// Give it only DER whose shape was checked: libcrypto reads far more kinds of keys than peers may have.
struct SubjectPublicKey: ~Copyable {
    private let key: OpaquePointer

    /// nil when libcrypto refuses the key, for example for a point that is not on its curve, or when bytes are left over.
    init?(der: [UInt8]) {
        let parsed: OpaquePointer? = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            let parsed = d2i_PUBKEY(nil, &cursor, buffer.count)
            guard let parsed, let cursor, let start = buffer.baseAddress, cursor == start + buffer.count else {
                EVP_PKEY_free(parsed)
                return nil
            }
            return parsed
        }
        guard let parsed else {
            ERR_clear_error()
            return nil
        }
        key = parsed
    }

    /// Whether the signature (DER for the curves, PKCS#1 v1.5 for RSA) is one over the SHA-256 of the message.
    func verifySHA256(signature: UnsafeRawBufferPointer, of message: UnsafeRawBufferPointer) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        guard EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1 else { return false }
        let signature = signature.bindMemory(to: UInt8.self), message = message.bindMemory(to: UInt8.self)
        return EVP_DigestVerify(context, signature.baseAddress, signature.count, message.baseAddress, message.count) == 1
    }

    deinit { EVP_PKEY_free(key) }
}
