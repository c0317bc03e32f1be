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
        var word: UInt32 = 0
        for (following, byte) in zip(stride(from: bytes.count - 1 - zeros, through: 0, by: -1), bytes[zeros...]) {
            word = word << 8 | UInt32(byte)
            guard following % 4 == 0 else { continue }
            multiply(&limbs, by: 1 << 32, add: word, modulus: UInt64(group.factor))
            word = 0
        }
        return write(zeros, limbs, base: UInt32(alphabet.base), digits: group.digits).map { alphabet.digit(Int($0)) }
    }

    /// nil for a foreign character and for more than `maximumDigits`.
    package static func decode(_ text: some Collection<UInt8>, _ alphabet: DigitAlphabet) -> [UInt8]? {
        let count = text.count
        guard count <= maximumDigits else { return nil }
        let group = Group(base: alphabet.base)
        var limbs: [UInt32] = []  // base 2^32, least significant first
        var zeros = 0, leading = true, summand: UInt32 = 0
        for (following, digit) in zip(stride(from: count - 1, through: 0, by: -1), text) {
            guard let value = alphabet.value(digit) else { return nil }
            if leading, value == 0 { zeros += 1 } else { leading = false }
            summand = summand * UInt32(alphabet.base) + UInt32(value)
            guard following % group.digits == 0 else { continue }
            multiply(&limbs, by: UInt64(group.factor), add: summand, modulus: 1 << 32)
            summand = 0
        }
        return write(zeros, limbs, base: 256, digits: 4)
    }

    /// The digits of a number behind so many zeros, most significant first.
    private static func write(_ zeros: Int, _ limbs: [UInt32], base: UInt32, digits: Int) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(zeros + digits * limbs.count)
        for var limb in limbs {
            for _ in 0..<digits {
                output.append(UInt8(limb % base))
                limb /= base
            }
        }
        while output.last == 0 { output.removeLast() }
        for _ in 0..<zeros { output.append(0) }
        output.reverse()
        return output
    }

    /// limbs = limbs * factor + summand, with summand below factor, and limbs below `modulus`. No step passes modulus * factor, which is below 2^64: one of
    /// the two is 2^32, the other less.
    private static func multiply(_ limbs: inout [UInt32], by factor: UInt64, add summand: UInt32, modulus: UInt64) {
        var carry = UInt64(summand)
        for index in limbs.indices {
            carry += UInt64(limbs[index]) * factor
            limbs[index] = UInt32(carry % modulus)
            carry /= modulus
        }
        while carry > 0 {
            limbs.append(UInt32(carry % modulus))
            carry /= modulus
        }
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
