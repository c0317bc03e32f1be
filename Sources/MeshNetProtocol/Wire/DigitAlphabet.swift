/// The digits of a text encoding: which byte stands for which value, and back.
package struct DigitAlphabet: Sendable {
    private let digits: [UInt8]
    private let values: [UInt8]
    private static let invalid: UInt8 = 0xff

    /// - Parameter anyCase: read letters of either case; `digits` says which one is written.
    package init(_ digits: String, anyCase: Bool = false) {
        self.digits = Array(digits.utf8)
        var values = [UInt8](repeating: Self.invalid, count: 256)
        for (value, digit) in self.digits.enumerated() {
            values[Int(digit)] = UInt8(value)
            if anyCase, (UInt8(ascii: "A")...UInt8(ascii: "z")).contains(digit) { values[Int(digit ^ 0x20)] = UInt8(value) }
        }
        self.values = values
    }

    package var base: Int { digits.count }

    package func digit(_ value: Int) -> UInt8 { digits[value] }

    /// nil for a byte that is no digit.
    package func value(_ digit: UInt8) -> UInt8? {
        let value = values[Int(digit)]
        return value == Self.invalid ? nil : value
    }
}

extension DigitAlphabet {
    package static let decimal = DigitAlphabet("0123456789")
    package static let base16 = DigitAlphabet("0123456789abcdef", anyCase: true)
    package static let base16Upper = DigitAlphabet("0123456789ABCDEF", anyCase: true)
    package static let base32 = DigitAlphabet("abcdefghijklmnopqrstuvwxyz234567", anyCase: true)
    package static let base32Upper = DigitAlphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", anyCase: true)
    package static let base36 = DigitAlphabet("0123456789abcdefghijklmnopqrstuvwxyz", anyCase: true)
    package static let base36Upper = DigitAlphabet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", anyCase: true)
    package static let base58btc = DigitAlphabet("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
    package static let base64 = DigitAlphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    package static let base64URL = DigitAlphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    /// The base64 of I2P addresses.
    package static let base64I2P = DigitAlphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~")
}
