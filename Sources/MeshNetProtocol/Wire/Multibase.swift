/// Text with its encoding as the first character (multibase specification): the encodings that libp2p texts use.
package enum Multibase: UInt8, Sendable, CaseIterable {
    case base16 = 0x66  // f
    case base16Upper = 0x46  // F
    case base32 = 0x62  // b
    case base32Upper = 0x42  // B
    case base36 = 0x6b  // k
    case base36Upper = 0x4b  // K
    case base58btc = 0x7a  // z
    case base64URL = 0x75  // u

    /// The prefix and the digits. Precondition for base36 and base58btc: at most `Positional.maximumBytes`.
    package func encode(_ bytes: [UInt8]) -> String {
        let digits = isPositional ? Positional.encode(bytes, alphabet) : BitGroups.encode(bytes, alphabet)
        return String(decoding: [rawValue] + digits, as: UTF8.self)
    }

    /// nil for an empty text, an unknown prefix, foreign characters, incomplete or non-canonical ends,
    /// and base36 or base58btc beyond `Positional.maximumDigits`.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard let prefix = text.first, let base = Multibase(rawValue: prefix) else { return nil }
        let digits = text.dropFirst()
        return base.isPositional ? Positional.decode(digits, base.alphabet) : BitGroups.decode(digits, base.alphabet)
    }

    private var isPositional: Bool {
        switch self {
        case .base36, .base36Upper, .base58btc: true
        case .base16, .base16Upper, .base32, .base32Upper, .base64URL: false
        }
    }

    private var alphabet: DigitAlphabet {
        switch self {
        case .base16: .base16
        case .base16Upper: .base16Upper
        case .base32: .base32
        case .base32Upper: .base32Upper
        case .base36: .base36
        case .base36Upper: .base36Upper
        case .base58btc: .base58btc
        case .base64URL: .base64URL
        }
    }
}
