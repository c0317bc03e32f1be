/// ECDSA on P-256: one fixed shape of SubjectPublicKeyInfo, with the named curve and an uncompressed point (RFC 5480).
enum P256 {
    private static let prefix: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ]

    static func isSubjectPublicKeyInfo(_ der: [UInt8]) -> Bool { der.count == prefix.count + 64 && der.starts(with: prefix) }
}

enum Secp256k1 {
    /// Compressed: 02 or 03, then x.
    static let publicKeyByteCount = 33

    /// What comes before a compressed point in a SubjectPublicKeyInfo.
    static let subjectPublicKeyInfoPrefix: [UInt8] = [
        0x30, 0x36, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a, 0x03, 0x22, 0x00,
    ]

    /// Half of the group order, rounded down.
    private static let halfOrder: [UInt8] = [
        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
    ]

    /// Whether S of a DER signature is in the lower half of its range: of two valid S only this one is accepted.
    static func hasLowS(_ signature: UnsafeRawBufferPointer) -> Bool {
        do {
            var outer = DERReader(signature)
            var sequence = DERReader(try outer.read(.sequence))
            _ = try sequence.readPositiveInteger()
            let s = try sequence.readPositiveInteger()
            guard outer.isAtEnd, sequence.isAtEnd, s.count <= halfOrder.count else { return false }
            let padded = [UInt8](repeating: 0, count: halfOrder.count - s.count) + s
            return !halfOrder.lexicographicallyPrecedes(padded)
        } catch {
            return false
        }
    }
}

enum RSA {
    static let minimumBits = 2_048
    static let maximumBits = 8_192
    private static let maximumExponentByteCount = 4

    /// rsaEncryption with NULL parameters (RFC 3279).
    private static let algorithm: [UInt8] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]

    /// Checks shape and size by looking at lengths only.
    static func check(subjectPublicKeyInfo der: [UInt8]) throws(PublicKeyError) {
        let modulus, exponent: [UInt8]
        do {
            (modulus, exponent) = try der.withView { view throws(DERError) in try numbers(in: view) }
        } catch {
            throw .malformedDER(type: .rsa)
        }
        let bits = modulus.count * 8 - (modulus.first?.leadingZeroBitCount ?? 0)
        guard (minimumBits...maximumBits).contains(bits) else {
            throw .rsaModulus(bits: bits, minimum: minimumBits, maximum: maximumBits)
        }
        guard modulus.last.map({ $0 & 1 == 1 }) ?? false else { throw .malformedDER(type: .rsa) }
        guard exponent.count <= maximumExponentByteCount else { throw .rsaExponent }
        let value = exponent.reduce(0) { $0 << 8 | UInt64($1) }
        guard value >= 3, value & 1 == 1, value <= UInt64(Int32.max) else { throw .rsaExponent }
    }

    private static func numbers(in der: UnsafeRawBufferPointer) throws(DERError) -> (modulus: [UInt8], exponent: [UInt8]) {
        var outer = DERReader(der)
        var info = DERReader(try outer.read(.sequence))
        guard outer.isAtEnd, try info.read(.sequence).elementsEqual(algorithm) else { throw .unexpected }
        let bitString = try info.read(.bitString)
        guard info.isAtEnd, bitString.first == 0 else { throw .unexpected }
        var key = DERReader(UnsafeRawBufferPointer(rebasing: bitString[1...]))
        var pair = DERReader(try key.read(.sequence))
        let modulus = try pair.readPositiveInteger(), exponent = try pair.readPositiveInteger()
        guard key.isAtEnd, pair.isAtEnd else { throw .unexpected }
        return (modulus, exponent)
    }
}
