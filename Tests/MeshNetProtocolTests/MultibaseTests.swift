import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct MultibaseTests {
    static let names: [(String, Multibase)] = [
        ("base16", .base16), ("base16upper", .base16Upper), ("base32", .base32), ("base32upper", .base32Upper),
        ("base36", .base36), ("base36upper", .base36Upper), ("base58btc", .base58btc),
    ]

    @Test(arguments: [
        (Multibase.base16, "f68656c6c6f20776f726c64"), (.base32, "bnbswy3dpeb3w64tmmq"), (.base36, "kfuvrsivvnfrbjwajo"),
        (.base58btc, "zStV1DL6CwTryKyV"), (.base64URL, "uaGVsbG8gd29ybGQ"),
    ])
    func helloWorld(base: Multibase, text: String) {
        let bytes = Array("hello world".utf8)
        #expect(base.encode(bytes) == text)
        #expect(Multibase.decode(text.utf8) == bytes)
    }

    @Test func leadingZerosSurvive() {
        for base in Multibase.allCases {
            for count in 0...5 {
                let bytes = [UInt8](repeating: 0, count: count) + [1, 2]
                #expect(Multibase.decode(base.encode(bytes).utf8) == bytes)
                #expect(Multibase.decode(base.encode(Array(bytes.dropLast(2))).utf8) == Array(bytes.dropLast(2)))
            }
        }
    }

    @Test func randomBytesRoundTrip() {
        var random = RandomSource(testSeed: 58)
        for length in 0...Positional.maximumBytes {
            let bytes = random.bytes(length)
            for base in Multibase.allCases where base.encode(bytes).utf8.count <= Positional.maximumDigits + 1 {
                #expect(Multibase.decode(base.encode(bytes).utf8) == bytes, "\(base), seed 58, length \(length)")
            }
        }
    }

    /// The digits are what is left over when the number is divided by the base, again and again.
    @Test(arguments: [(Multibase.base58btc, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"), (.base36, "0123456789abcdefghijklmnopqrstuvwxyz")])
    func positionalTextIsWhatLongDivisionLeaves(base: Multibase, alphabet: String) {
        var random = RandomSource(testSeed: 36)
        let digits = Array(alphabet)
        for length in 1...100 {
            for bytes in [[UInt8](repeating: 255, count: length), [1] + [UInt8](repeating: 0, count: length - 1), [1] + random.bytes(length - 1)] {
                var number = bytes, text = ""
                while number.contains(where: { $0 != 0 }) {
                    var rest = 0
                    for index in number.indices {
                        rest = rest << 8 | Int(number[index])
                        number[index] = UInt8(rest / digits.count)
                        rest %= digits.count
                    }
                    text = String(digits[rest]) + text
                }
                #expect(base.encode(bytes).dropFirst() == text, "seed 36, \(bytes)")
                #expect(Multibase.decode(base.encode(bytes).utf8) == bytes, "at most \(Positional.maximumDigits) digits")
            }
        }
    }

    @Test func positionalTextBeyondTheLimitIsRefused() {
        let digits = String(repeating: "z", count: Positional.maximumDigits)
        #expect(Multibase.decode(("z" + digits).utf8) != nil)
        #expect(Multibase.decode(("z" + digits + "z").utf8) == nil)
        #expect(Multibase.decode(("k" + digits + "z").utf8) == nil)
    }

    @Test func spareBitsAreRefusedInMultibase() {
        #expect(Multibase.decode("bmz".utf8) == nil)
        #expect(Multibase.decode("bmy".utf8) == Array("f".utf8))
    }

    @Test func paddedBase64() {
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            #expect(String(decoding: PaddedBase64.encode(Array(text.utf8)), as: UTF8.self) == encoded)
            #expect(PaddedBase64.decode(Array(encoded.utf8)) == Array(text.utf8))
        }
        for bad in ["Zg", "Zg=", "Zg===", "====", "Z===", "Zh==", "Z=g="] { #expect(PaddedBase64.decode(Array(bad.utf8)) == nil, "\(bad)") }
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct MultibaseVectorTests {
    @Test func rows() throws {
        let rows = try Vectors.cases("multibase.json", "rows")
        #expect(rows.count >= 18)
        for row in rows {
            for (name, base) in MultibaseTests.names {
                #expect(base.encode(row.bytes("bytes")) == row.text(name))
                #expect(Multibase.decode(row.text(name).utf8) == row.bytes("bytes"))
            }
        }
    }

    @Test func mixedCase() throws {
        for row in try Vectors.cases("multibase.json", "mixed_case") {
            #expect(Multibase.decode(row.text("text").utf8) == row.bytes("bytes"))
        }
    }

    @Test func rejects() throws {
        for row in try Vectors.cases("multibase.json", "reject") {
            #expect(Multibase.decode(row.text("text").utf8) == nil, "\(row.text("why"))")
        }
    }
}
