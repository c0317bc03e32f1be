/// Text encodings that write bytes as one large number: base36 and base58btc, with one zero digit for each leading zero byte.
///
/// Their cost grows with the square of the length, so both directions refuse long input.
package enum Positional {
    /// Digits read at most. A CIDv1 of the longest multihash in use (64-byte digest) needs 107 in base36.
    package static let maximumDigits = 256
    /// Bytes written at most; as many as `maximumDigits` of base58btc can hold.
    package static let maximumBytes = 188

    /// Precondition: at most `maximumBytes`; everything that is written so is a checked multihash or shorter than one.
    package static func encode(_ bytes: [UInt8], _ alphabet: DigitAlphabet) -> [UInt8] {
        precondition(bytes.count <= maximumBytes, "too long for a positional encoding")
        let zeros = bytes.prefix { $0 == 0 }.count
        let group = Group(base: alphabet.base)
        var limbs: [UInt32] = []  // base^group.digits, least significant first
        for byte in bytes[zeros...] { multiply(&limbs, by: 256, add: UInt32(byte), modulus: UInt64(group.factor)) }

        var reversed: [UInt8] = []
        for var limb in limbs {
            for _ in 0..<group.digits {
                reversed.append(UInt8(limb % UInt32(alphabet.base)))
                limb /= UInt32(alphabet.base)
            }
        }
        while reversed.last == 0 { reversed.removeLast() }
        return [UInt8](repeating: alphabet.digit(0), count: zeros) + reversed.reversed().map { alphabet.digit(Int($0)) }
    }

    /// nil for a foreign character and for more than `maximumDigits`.
    package static func decode(_ text: some Collection<UInt8>, _ alphabet: DigitAlphabet) -> [UInt8]? {
        guard text.count <= maximumDigits else { return nil }
        var limbs: [UInt32] = []  // base 2^32, least significant first
        var zeros = 0, leading = true
        for digit in text {
            guard let value = alphabet.value(digit) else { return nil }
            if leading, value == 0 { zeros += 1 } else { leading = false }
            multiply(&limbs, by: UInt64(alphabet.base), add: UInt32(value), modulus: 1 << 32)
        }
        var reversed: [UInt8] = []
        for limb in limbs {
            for shift in [0, 8, 16, 24] as [UInt32] { reversed.append(UInt8(truncatingIfNeeded: limb >> shift)) }
        }
        while reversed.last == 0 { reversed.removeLast() }
        return [UInt8](repeating: 0, count: zeros) + reversed.reversed()
    }

    /// limbs = limbs * factor + summand, limbs below `modulus` <= 2^32, factor <= 256: no step passes 2^41.
    private static func multiply(_ limbs: inout [UInt32], by factor: UInt64, add summand: UInt32, modulus: UInt64) {
        var carry = UInt64(summand)
        for index in limbs.indices {
            carry += UInt64(limbs[index]) * factor
            limbs[index] = UInt32(carry % modulus)
            carry /= modulus
        }
        if carry > 0 { limbs.append(UInt32(carry)) }
    }

    /// As many digits as fit into 32 bits.
    private struct Group {
        var digits = 1
        var factor: UInt32

        init(base: Int) {
            factor = UInt32(base)
            while UInt64(factor) * UInt64(base) <= UInt64(UInt32.max) {
                factor *= UInt32(base)
                digits += 1
            }
        }
    }
}
