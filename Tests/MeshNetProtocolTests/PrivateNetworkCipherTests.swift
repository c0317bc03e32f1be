import CSalsa20
import CSodium
import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct PrivateNetworkCipherTests {
    private static let key = PreSharedKey(bytes: Array("this is 32-byte key for xsalsa20".utf8))!
    private static let nonce = Array("24-byte nonce for xsalsa".utf8)

    /// golang/crypto's example, so that a clone alone proves the cipher.
    @Test func helloWorld() {
        var cipher = PrivateNetworkCipher(key: Self.key, nonce: Self.nonce)
        #expect(cipher.applied(Array("Hello world!".utf8)).hex == "002d4513843fc240c401e541")
    }

    @Test func theKeyStreamDoesNotDependOnTheCut() {
        var whole = PrivateNetworkCipher(key: Self.key, nonce: Self.nonce)
        let expected = whole.applied([UInt8](repeating: 0, count: 20_000))
        var random = RandomSource(testSeed: 11)
        for limit in [1, 2, 63, 64, 65, 127, 128, 129, 1_000, 5_000] {
            var cipher = PrivateNetworkCipher(key: Self.key, nonce: Self.nonce)
            var stream: [UInt8] = []
            while stream.count < expected.count {
                let count = min(Int.random(in: 0...limit, using: &random), expected.count - stream.count)
                stream += cipher.applied([UInt8](repeating: 0, count: count))
            }
            #expect(stream == expected, "cut into pieces of at most \(limit) bytes")
        }
    }

    @Test func nothingIsNothing() {
        var cipher = PrivateNetworkCipher(key: Self.key, nonce: Self.nonce)
        cipher.apply(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        #expect(cipher.applied(Array("Hello world!".utf8)).hex == "002d4513843fc240c401e541")
    }
}

@Suite(.enabled(if: wide_salsa20_is_available(), "the processor has AVX-512")) struct WideSalsa20Tests {
    /// At the ends of the low and the high half of the counter, and anywhere; what is no whole stride stays as it is.
    @Test(arguments: [0, 1, 0xffff_fff0, 0xffff_fffa, 0x1_0000_0000, 0x7fff_ffff_ffff, .max - 5, .max] as [UInt64])
    func theKeyStreamIsThatOfLibsodium(counter: UInt64) {
        var random = RandomSource(testSeed: counter & 0xffff)
        let key = random.bytes(32), nonce = random.bytes(8), stride = Int(WIDE_SALSA20_STRIDE)
        for count in [0, 1, stride - 1, stride, stride + 1, 2 * stride, 5 * stride + 64, 64 * stride] {
            var ours = random.bytes(count), theirs = ours
            let whole = count / stride * stride
            #expect(wide_salsa20_xor(&ours, count, nonce, counter, key) == whole)
            let before = theirs
            _ = crypto_stream_salsa20_xor_ic(&theirs, before, UInt64(whole), nonce, counter, key)
            #expect(ours == theirs, "\(count) bytes from block \(counter)")
        }
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct PrivateNetworkVectorTests {
    @Test func xsalsa20() throws {
        let cases = try Vectors.cases("pnet.json", "xsalsa20")
        #expect(cases.count == 5)
        for vector in cases {
            let key = try #require(PreSharedKey(bytes: vector.bytes("key")))
            for size in [1, 7, 64, 1_000] {
                var cipher = PrivateNetworkCipher(key: key, nonce: vector.bytes("nonce"))
                let output = cipher.applied(vector.bytes("plaintext"), inPiecesOf: { _ in size })
                #expect(output == vector.bytes("ciphertext"), "\(vector.text("name"))")
            }
        }
    }

    @Test func xsalsa20Long() throws {
        let vector = try #require(try Vectors.load("pnet.json")["xsalsa20_long"] as? [String: Any])
        let key = try #require(PreSharedKey(bytes: vector.bytes("key")))
        let count = try #require(vector["bytes"] as? Int)
        for pieces in [{ $0 + 1 }, { _ in count }] as [(Int) -> Int] {
            var cipher = PrivateNetworkCipher(key: key, nonce: vector.bytes("nonce"))
            let stream = cipher.applied([UInt8](repeating: 0, count: count), inPiecesOf: pieces)
            var digest = [UInt8](repeating: 0, count: 32)
            _ = crypto_hash_sha256(&digest, stream, UInt64(stream.count))
            #expect(digest == vector.bytes("keystream_sha256"))
            #expect(Array(stream[65_472...]) == vector.bytes("keystream_at_65472"))
        }
    }

    @Test func hsalsa20() throws {
        for vector in try Vectors.cases("pnet.json", "hsalsa20") {
            #expect(PrivateNetworkCipher.subkey(key: vector.bytes("key"), nonce: vector.bytes("nonce_first_16")) == vector.bytes("subkey"))
        }
    }

    @Test func salsa20Long() throws {
        let cases = try Vectors.cases("pnet.json", "salsa20_long")
        #expect(cases.count == 4)
        // Pieces below one stride of the wide cipher, some strides with a rest, and all at once.
        for pieces in [{ $0 % 777 + 1 }, { _ in 5_000 }, { _ in 131_072 }] as [(Int) -> Int] {
            for vector in cases {
                var cipher = PrivateNetworkCipher(salsa20Key: vector.bytes("key"), nonce: vector.bytes("nonce"))
                let stream = cipher.applied([UInt8](repeating: 0, count: try #require(vector["bytes"] as? Int)), inPiecesOf: pieces)
                var folded = [UInt8](repeating: 0, count: 64)
                for (index, byte) in stream.enumerated() { folded[index % 64] ^= byte }
                #expect(folded == vector.bytes("xor_of_64_byte_blocks"))
            }
        }
    }

    @Test func wireTranscriptBothWays() throws {
        let wire = try #require(try Vectors.load("pnet.json")["wire"] as? [String: Any])
        let key = try #require(PreSharedKey(bytes: wire.bytes("psk"))), wrong = try #require(PreSharedKey(bytes: wire.bytes("wrong_psk")))
        let plaintext = wire.bytes("plaintext_each_way")
        for (nonce, sends) in [("a_nonce", "a_sends"), ("b_nonce", "b_sends")] {
            let sent = wire.bytes(sends)
            var sending = PrivateNetworkCipher(key: key, nonce: wire.bytes(nonce))
            #expect(wire.bytes(nonce) + sending.applied(plaintext) == sent)
            for size in [1, 5, 1_000] {
                var receiving = PrivateNetworkCipher(key: key, nonce: Array(sent[..<24]))
                #expect(receiving.applied(Array(sent[24...]), inPiecesOf: { _ in size }) == plaintext)
            }
        }
        let sent = wire.bytes("a_sends")
        var stranger = PrivateNetworkCipher(key: wrong, nonce: Array(sent[..<24]))
        let garbage = stranger.applied(Array(sent[24...]))
        #expect(garbage == wire.bytes("a_sends_read_with_wrong_psk"))
        var listener = MultistreamNegotiation(listenerFor: ["/noise"])
        #expect(throws: MultistreamError.self) { _ = try garbage.withUnsafeBytes { try listener.receive($0) }; try listener.receiveEnd() }
    }
}

extension PrivateNetworkCipher {
    fileprivate mutating func applied(_ bytes: [UInt8]) -> [UInt8] {
        var output = bytes
        output.withUnsafeMutableBytes { apply($0) }
        return output
    }

    fileprivate mutating func applied(_ bytes: [UInt8], inPiecesOf size: (Int) -> Int) -> [UInt8] {
        var output: [UInt8] = []
        var index = 0
        while output.count < bytes.count {
            output += applied(Array(bytes[output.count..<min(bytes.count, output.count + size(index))]))
            index += 1
        }
        return output
    }
}
