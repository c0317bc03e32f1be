import COpenSSL

/// The frame around every Noise message of libp2p: a 2-byte big-endian length, then the message (libp2p specs, noise, "Wire Format").
package enum NoiseFrame {
    package static let lengthPrefix = 2
    /// Poly1305 tag behind every ciphertext.
    package static let tag = 16
    /// Largest message: the Noise specification's limit and that of the length prefix.
    package static let maximumMessage = 65_535
    /// Largest plaintext of a transport message.
    package static let maximumPlaintext = maximumMessage - tag
}

/// One direction of a secure channel: ChaCha20-Poly1305 with a nonce counter, in place and without allocation.
///
/// Copies share one counter, so that no copy can use a nonce twice. Not for use from two threads at once.
/// Source: Noise specification, sections 5.1 and 12.3.
package struct NoiseCipher {
    private let channel: CipherChannel

    /// Precondition: the key has 32 bytes. `nonce` is the number of the first frame.
    init(sealingWith key: [UInt8], nonce: UInt64 = 0) throws(NoiseError) {
        channel = try CipherChannel(key: key, nonce: nonce, seals: true)
    }

    /// Precondition: the key has 32 bytes. `nonce` is the number of the first frame.
    init(openingWith key: [UInt8], nonce: UInt64 = 0) throws(NoiseError) {
        channel = try CipherChannel(key: key, nonce: nonce, seals: false)
    }

    /// Encrypts the first `count` bytes in place and `rest` to behind them, as one message, and writes the 16-byte tag behind both.
    ///
    /// Precondition: both together are at most `NoiseFrame.maximumPlaintext`, and the buffer has 16 bytes more. `rest` lies elsewhere.
    package mutating func seal(
        _ buffer: UnsafeMutableRawBufferPointer, count: Int, then rest: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(NoiseError) {
        try channel.seal(buffer, count: count, then: rest)
    }

    /// Decrypts a ciphertext with its tag in place; the plaintext is at the front of the buffer and its length is returned.
    ///
    /// A frame that fails leaves the counter as it was (RUSTSEC-2024-0011) and zeros in the buffer.
    package mutating func open(_ buffer: UnsafeMutableRawBufferPointer) throws(NoiseError) -> Int {
        try channel.open(buffer)
    }
}

/// The libcrypto context and the counter of one direction. The key is set once; each frame sets only the nonce.
private final class CipherChannel {
    /// Of ChaCha20, in bytes.
    private static let block = 64
    /// Bytes that the cipher is given at a time: libcrypto enciphers all of them and then computes their tag, and this many are still in the first cache then
    /// (decision 009).
    private static let piece = 8_192
    /// Looked up once: by name it costs more than a handshake message.
    nonisolated(unsafe) private static let algorithm = EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil)
    private static let hasUpperHalves = meshnet_has_upper_halves()

    private let context: OpaquePointer
    private let seals: Bool
    private var nonce: UInt64

    init(key: [UInt8], nonce: UInt64, seals: Bool) throws(NoiseError) {
        precondition(key.count == 32, "a Noise key has 32 bytes")
        guard Self.algorithm != nil, let context = EVP_CIPHER_CTX_new() else { throw .cryptographyUnavailable }
        let ready = EVP_CipherInit_ex(context, Self.algorithm, nil, key, nil, seals ? 1 : 0)
        guard ready == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw .cryptographyUnavailable
        }
        self.context = context
        self.nonce = nonce
        self.seals = seals
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    func seal(_ buffer: UnsafeMutableRawBufferPointer, count: Int, then rest: UnsafeRawBufferPointer) throws(NoiseError) {
        precondition(seals, "this direction opens")
        let total = count + rest.count
        precondition(count >= 0 && total <= NoiseFrame.maximumPlaintext && buffer.count >= total + NoiseFrame.tag,
                     "a frame holds 65,519 bytes and its tag")
        guard setNonce() else { throw nonceError }
        // The cipher is fastest when it begins at one of its blocks.
        let filling = min(rest.count, -count & (Self.block - 1))
        UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + filling]).copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<filling]))
        let start = buffer.baseAddress!, end = count + filling
        guard transform(start, to: start, count: end),
              filling == rest.count || transform(rest.baseAddress! + filling, to: start + end, count: rest.count - filling),
              finish(at: start + total),
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(NoiseFrame.tag), start + total) == 1
        else { throw .cryptographyUnavailable }
        nonce += 1
    }

    func open(_ buffer: UnsafeMutableRawBufferPointer) throws(NoiseError) -> Int {
        precondition(!seals, "this direction seals")
        guard buffer.count >= NoiseFrame.tag else { throw .frameTooShort(count: buffer.count) }
        guard buffer.count <= NoiseFrame.maximumMessage else {
            throw .messageTooLong(count: buffer.count, limit: NoiseFrame.maximumMessage)
        }
        guard setNonce() else { throw nonceError }
        let count = buffer.count - NoiseFrame.tag
        let tag = buffer.baseAddress! + count
        guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(NoiseFrame.tag), tag) == 1,
              transform(buffer.baseAddress!, to: buffer.baseAddress!, count: count)
        else { throw .cryptographyUnavailable }
        guard finish(at: tag) else {
            _ = buffer.initializeMemory(as: UInt8.self, repeating: 0)
            throw .frameNotAuthentic(nonce: nonce)
        }
        nonce += 1
        return count
    }

    /// 2^64 - 1 is kept for rekeying by the Noise specification and never sealed with.
    private func setNonce() -> Bool {
        guard nonce < .max else { return false }
        var bytes = (UInt32(0), UInt32(truncatingIfNeeded: nonce).littleEndian, UInt32(truncatingIfNeeded: nonce >> 32).littleEndian)
        return withUnsafeBytes(of: &bytes) { view in
            EVP_CipherInit_ex(context, nil, nil, nil, view.baseAddress!.assumingMemoryBound(to: UInt8.self), -1) == 1
        }
    }

    private var nonceError: NoiseError { nonce == .max ? .nonceExhausted : .cryptographyUnavailable }

    private func transform(_ bytes: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int) -> Bool {
        let input = bytes.assumingMemoryBound(to: UInt8.self), output = output.assumingMemoryBound(to: UInt8.self)
        var done = 0, written: Int32 = 0
        while done < count {
            let length = Int32(min(Self.piece, count - done))
            guard EVP_CipherUpdate(context, output + done, &written, input + done, length) == 1, written == length else { return false }
            done += Int(length)
        }
        return true
    }

    /// ChaCha20 is a stream cipher: nothing is written here, but the tag is computed or compared.
    ///
    /// Where libcrypto uses AVX-512 it leaves the upper halves of vector registers in use. Some processors then take 80 ns for each change between
    /// instructions of before and of after AVX, in all that this thread does from then on (decision 017).
    private func finish(at end: UnsafeMutableRawPointer) -> Bool {
        var written: Int32 = 0
        defer { if Self.hasUpperHalves { meshnet_clear_upper_halves() } }
        return EVP_CipherFinal_ex(context, end.assumingMemoryBound(to: UInt8.self), &written) == 1
    }
}
