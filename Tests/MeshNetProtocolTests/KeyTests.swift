import TestSupport
import Testing
@testable import MeshNetProtocol

private let message = Array("Libp2p is the _best_!".utf8)

/// Keys and signatures of go-libp2p's fixtures over `message`.
private enum Fixture {
    static let ed25519 = (
        key: "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
        signature: "403c6e2b600b7a32ed02cd14e0035c3b150518033e8cb5219a574bf513f04cc4"
            + "34c5be526bd0ecbc3102372a16492941f52480c7925fccdde9dcd871dfbfe104"
    )
    static let secp256k1 = (
        key: "08021221023540ad842af8a43551a94d8383a555a99226506b88f953d2e70316a3a1b3d6a2",
        signature: "3044022031a7d633c2f3e45a16128d43751afaa8dc9ba24092c5f5b3cad2c8fe4cf388f2"
            + "022049ea8d219f458683d24775d543ea8fb290704347fb35493c403bc2c259b29d9e"
    )
    static let highS =
        "3045022031a7d633c2f3e45a16128d43751afaa8dc9ba24092c5f5b3cad2c8fe4cf388f2"
        + "022100b61572de60ba797c2db88a2abc15704c2a3e999eb41356ff7f969bca7683a3a3"
    static let ecdsa = (
        key: "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004e29a8674f3614e0ccb72406bfe2137e9"
            + "f8c5f7d62d137f0a2edd233e35374777fd1f9aed4d2cfa7371caafc6ef02db83b81f77cfe1bcd8c715acf0b9a2778ea9",
        signature: "3046022100846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a65"
            + "022100cd992bb7bd2bcc28c7db04987d10adc490fe348270954f7696cb0dffff0dfc3d"
    )
    static let all = [ed25519, secp256k1, ecdsa]
}

@Suite struct PublicKeyTests {
    private func key(_ hex: String) throws -> PublicKey { try PublicKey(protobuf: [UInt8](hex: hex)!) }

    @Test func fixturesVerify() throws {
        for fixture in Fixture.all { #expect(try key(fixture.key).verify(signature: [UInt8](hex: fixture.signature)!, of: message)) }
    }

    /// RUSTSEC-2019-0004 / CVE-2019-15545: any Ed25519 signature was accepted.
    @Test func wrongSignaturesOfEachKeyTypeAreRefused_RUSTSEC_2019_0004() throws {
        for fixture in Fixture.all {
            let key = try key(fixture.key), good = [UInt8](hex: fixture.signature)!
            for index in good.indices {
                var bad = good
                bad[index] ^= 1
                #expect(!key.verify(signature: bad, of: message), "\(key.type), byte \(index)")
            }
            #expect(!key.verify(signature: good, of: message + [0]))
            #expect(!key.verify(signature: [], of: message))
            #expect(!key.verify(signature: [], of: []))
            #expect(!key.verify(signature: Array(good.dropLast()), of: message))
            #expect(!key.verify(signature: good + [0], of: message))
            #expect(!key.verify(signature: [UInt8](repeating: 0, count: 64), of: message))
        }
    }

    @Test func highSIsRefused() throws {
        #expect(!(try key(Fixture.secp256k1.key).verify(signature: [UInt8](hex: Fixture.highS)!, of: message)))
    }

    /// CVE-2023-39533: huge RSA keys burnt CPU. The size is judged by lengths alone, so even a number that is no key comes back at once.
    @Test func hugeRSAKeysAreRefusedBeforeAnyArithmetic_CVE_2023_39533() throws {
        #expect(throws: PublicKeyError.rsaModulus(bits: 8_200, minimum: 2_048, maximum: 8_192)) { try rsaKey(modulusBytes: 1_025) }
        #expect(throws: PublicKeyError.rsaModulus(bits: 2_040, minimum: 2_048, maximum: 8_192)) { try rsaKey(modulusBytes: 255) }
        #expect(throws: PublicKeyError.tooLong(count: 16_428, limit: PublicKey.maximumByteCount)) { try rsaKey(modulusBytes: 16_384) }
        #expect(try rsaKey(modulusBytes: 1_024).type == .rsa)
        #expect(try rsaKey(modulusBytes: 256).type == .rsa)
    }

    @Test func hugeRSAExponentsAreRefused() throws {
        let huge = [0x7f] + [UInt8](repeating: 0xff, count: 200)
        for exponent in [[0x01], [0x02], [0x01, 0x00, 0x00], [0x00, 0x80, 0x00, 0x00, 0x01], huge] {
            #expect(throws: PublicKeyError.rsaExponent) { try rsaKey(modulusBytes: 256, exponent: exponent) }
        }
        #expect(try rsaKey(modulusBytes: 256, exponent: [0x7f, 0xff, 0xff, 0xff]).type == .rsa)
    }

    @Test func otherEncodingsOfAKeyAreRefused() {
        let data = "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
        for hex in ["1220\(data)0801", "0881001220\(data)", "080112a000\(data)", "08011220\(data)1801", "08011220\(data)0801"] {
            #expect(throws: PublicKeyError.notCanonical) { try key(hex) }
        }
    }

    /// A DER public key with an odd modulus of the given size.
    private func rsaKey(modulusBytes: Int, exponent: [UInt8] = [1, 0, 1]) throws -> PublicKey {
        func der(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
            let count = contents.count
            let length: [UInt8] =
                count < 0x80 ? [UInt8(count)] : count < 0x100 ? [0x81, UInt8(count)] : [0x82, UInt8(count >> 8), UInt8(count & 0xff)]
            return [tag] + length + contents
        }
        let modulus = [0x00, 0x80] + [UInt8](repeating: 0x55, count: modulusBytes - 1)
        let key = der(0x30, der(0x02, modulus) + der(0x02, exponent))
        let algorithm = der(0x30, [UInt8](hex: "06092a864886f70d0101010500")!)
        return try PublicKey(protobuf: PublicKey(type: .rsa, data: der(0x30, algorithm + der(0x03, [0] + key))).protobuf)
    }
}

@Suite struct KeyPairTests {
    private let seed = [UInt8](hex: "7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d")!

    @Test func signsAsKnown() throws {
        let pair = try #require(KeyPair(secret: seed))
        #expect(pair.peerID.description == "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq")
        #expect(pair.sign(message).hex == Fixture.ed25519.signature)
        #expect(pair.secretBytes == seed)
        #expect(pair.protobuf.hex == "08011240\(seed.hex)\(pair.publicKey.data.hex)")
        #expect(try KeyPair(protobuf: pair.protobuf).publicKey == pair.publicKey)
        #expect(KeyPair(secret: [1, 2, 3]) == nil)
    }

    /// RUSTSEC-2022-0093: signing with a public half of another key leaks the secret.
    @Test func halvesThatDoNotBelongTogetherAreRefused_RUSTSEC_2022_0093() throws {
        var protobuf = try #require(KeyPair(secret: seed)).protobuf
        protobuf[protobuf.count - 1] ^= 1
        #expect(throws: KeyPairError.mismatchedHalves) { try KeyPair(protobuf: protobuf) }
    }

    @Test func randomPairsDiffer() {
        var random = RandomSource(testSeed: 1)
        #expect(KeyPair(random: &random).peerID != KeyPair(random: &random).peerID)
    }

    @Test func wipedBytesAreZero() {
        var bytes: [UInt8] = [1, 2, 3]
        SecretBytes.wipe(&bytes)
        #expect(bytes == [0, 0, 0])
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct KeyVectorTests {
    @Test func privateKeyForms() throws {
        for row in try Vectors.cases("peer_ids.json", "private_key_forms") {
            if row.text("expect") == "accept" {
                #expect(try KeyPair(protobuf: row.bytes("private_key_protobuf")).peerID.description == row.text("peer_id"))
            } else {
                #expect(throws: KeyPairError.self, "\(row.text("what"))") { try KeyPair(protobuf: row.bytes("private_key_protobuf")) }
            }
        }
    }

    /// The rows that leave it open are refused here: RSA below 2,048 bits, other forms and other encodings of a key.
    @Test func rejectedPublicKeys() throws {
        for row in try Vectors.cases("peer_ids.json", "reject_public_key") {
            #expect(throws: PublicKeyError.self, "\(row.text("why"))") { try PublicKey(protobuf: row.bytes("public_key_protobuf")) }
        }
    }

    @Test func signatures() throws {
        let rows = try Vectors.cases("peer_ids.json", "signatures")
        #expect(rows.count >= 20)
        for row in rows {
            let key = try? PublicKey(protobuf: row.bytes("public_key_protobuf"))
            let valid = key?.verify(signature: row.bytes("signature"), of: row.bytes("message")) ?? false
            #expect(valid == (row.text("expect") == "valid"), "\(row.text("name"))")
        }
    }
}
