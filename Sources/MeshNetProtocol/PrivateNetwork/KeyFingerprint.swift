import COpenSSL
import CSodium

/// Salsa20 key stream under the nonce "finprint", hashed by SHAKE128: the rule of go and rust, in no specification.
enum KeyFingerprint {
    static let byteCount = 16

    /// Precondition: 32 bytes.
    static func digest(key: UnsafeRawBufferPointer) -> [UInt8] {
        precondition(key.count == Int(crypto_stream_salsa20_KEYBYTES))
        var stream = [UInt8](repeating: 0, count: 64)
        _ = crypto_stream_salsa20(&stream, UInt64(stream.count), Array("finprint".utf8), key.bindMemory(to: UInt8.self).baseAddress!)
        defer { SecretBytes.wipe(&stream) }

        var digest = [UInt8](repeating: 0, count: byteCount)
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        let done =
            EVP_DigestInit_ex(context, EVP_shake128(), nil) == 1
            && EVP_DigestUpdate(context, stream, stream.count) == 1
            && EVP_DigestFinalXOF(context, &digest, digest.count) == 1
        precondition(done, "libcrypto has no SHAKE128")
        return digest
    }
}
