/// Text encodings whose digits hold a whole number of bits: base16, base32, base64 (RFC 4648). Linear in time and memory.
package enum BitGroups {
    /// What to do with the bits of the last digit that belong to no byte.
    package enum SpareBits: Sendable { case mustBeZero, ignored }

    package static func encode(_ bytes: some Collection<UInt8>, _ alphabet: DigitAlphabet) -> [UInt8] {
        let width = alphabet.base.trailingZeroBitCount
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count * 8 + width - 1) / width)
        var window: UInt32 = 0, held = 0
        for byte in bytes {
            window = window << 8 | UInt32(byte)
            held += 8
            while held >= width {
                held -= width
                output.append(alphabet.digit(Int(window >> UInt32(held)) & (alphabet.base - 1)))
            }
            window &= (1 << UInt32(held)) - 1
        }
        if held > 0 { output.append(alphabet.digit(Int(window << UInt32(width - held)))) }
        return output
    }

    /// nil for a foreign character, for a number of digits that makes no whole bytes, and for spare bits that are set.
    package static func decode(_ text: some Collection<UInt8>, _ alphabet: DigitAlphabet, spareBits: SpareBits = .mustBeZero) -> [UInt8]? {
        let width = alphabet.base.trailingZeroBitCount
        var output: [UInt8] = []
        output.reserveCapacity(text.count * width / 8)
        var window: UInt32 = 0, held = 0
        for digit in text {
            guard let value = alphabet.value(digit) else { return nil }
            window = window << UInt32(width) | UInt32(value)
            held += width
            if held >= 8 {
                held -= 8
                output.append(UInt8(truncatingIfNeeded: window >> UInt32(held)))
            }
            window &= (1 << UInt32(held)) - 1
        }
        guard held < width, spareBits == .ignored || window == 0 else { return nil }
        return output
    }
}
