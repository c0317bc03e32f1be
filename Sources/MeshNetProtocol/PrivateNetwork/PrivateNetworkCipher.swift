import CSalsa20
import CSodium

/// One direction of a private network's stream: XSalsa20, in place, for any cut of the stream (libp2p specs, pnet).
///
/// Each side sends its own 24 random bytes in clear, then everything under the shared key and that nonce.
/// There is no tag: a wrong key shows as garbage in the first multistream line. Never run two copies of one value: they repeat the
/// key stream.
package struct PrivateNetworkCipher: Sendable {
    package static let nonceByteCount = 24
    private static let blockByteCount = 64
    private static let isWide = wide_salsa20_is_available()

    private let subkey: [UInt8]
    private let nonce: [UInt8]
    /// The number of the next whole block of the key stream.
    private var counter: UInt64 = 0
    /// The key stream block that the last call ended in.
    private var block = [UInt8](repeating: 0, count: blockByteCount)
    private var blockOffset = blockByteCount

    /// Precondition: the nonce has 24 bytes, random and new for each connection and direction.
    package init(key: PreSharedKey, nonce: [UInt8]) {
        precondition(nonce.count == Self.nonceByteCount, "an XSalsa20 nonce has 24 bytes")
        self.init(salsa20Key: Self.subkey(key: key.bytes, nonce: nonce), nonce: Array(nonce[16...]))
    }

    /// The Salsa20 inside. Precondition: 32 and 8 bytes.
    init(salsa20Key: [UInt8], nonce: [UInt8]) {
        precondition(salsa20Key.count == 32 && nonce.count == 8, "Salsa20 has a key of 32 bytes and a nonce of 8")
        subkey = salsa20Key
        self.nonce = nonce
    }

    /// Encrypts or decrypts the next bytes of the stream in place.
    package mutating func apply(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        let start = base.assumingMemoryBound(to: UInt8.self)
        let head = min(bytes.count, Self.blockByteCount - blockOffset)
        mask(start, head)
        let whole = (bytes.count - head) / Self.blockByteCount * Self.blockByteCount
        if whole > 0 {
            maskBlocks(start + head, whole)
        }
        let tail = bytes.count - head - whole
        if tail > 0 {
            nextBlock()
            mask(start + head + whole, tail)
        }
    }

    /// Precondition: `count` is that of whole blocks. Sixteen of them side by side where the processor can, the rest by libsodium (decision 018).
    private mutating func maskBlocks(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        let wide = Self.isWide ? wide_salsa20_xor(bytes, count, nonce, counter, subkey) : 0
        counter &+= UInt64(wide / Self.blockByteCount)
        guard wide < count else { return }
        _ = crypto_stream_salsa20_xor_ic(bytes + wide, bytes + wide, UInt64(count - wide), nonce, counter, subkey)
        counter &+= UInt64((count - wide) / Self.blockByteCount)
    }

    /// XORs with what is left of the current block. Within one block by construction.
    private mutating func mask(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        for index in 0..<count { bytes[index] ^= block[blockOffset + index] }
        blockOffset += count
    }

    private mutating func nextBlock() {
        block.withUnsafeMutableBufferPointer { view in
            let start = view.baseAddress!
            start.update(repeating: 0, count: Self.blockByteCount)
            _ = crypto_stream_salsa20_xor_ic(start, start, UInt64(Self.blockByteCount), nonce, counter, subkey)
        }
        counter &+= 1
        blockOffset = 0
    }

    /// HSalsa20 over the first 16 bytes of the nonce: what makes Salsa20 into XSalsa20.
    static func subkey(key: [UInt8], nonce: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: PreSharedKey.byteCount)
        _ = crypto_core_hsalsa20(&output, nonce, key, nil)
        return output
    }
}
