/// base64 with `=` at the end up to a multiple of four digits (RFC 4648 §4).
enum PaddedBase64 {
    static func encode(_ bytes: [UInt8], _ alphabet: DigitAlphabet = .base64) -> [UInt8] {
        let digits = BitGroups.encode(bytes, alphabet)
        return digits + [UInt8](repeating: UInt8(ascii: "="), count: (4 - digits.count % 4) % 4)
    }

    /// nil for a missing or needless padding as well.
    static func decode(_ text: [UInt8], _ alphabet: DigitAlphabet = .base64) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        return BitGroups.decode(text.dropLast(padding), alphabet)
    }
}
