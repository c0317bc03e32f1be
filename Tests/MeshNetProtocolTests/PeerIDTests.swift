import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct PeerIDTests {
    static let zeroSeed = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

    @Test func zeroSeedHasTheKnownID() throws {
        let pair = try #require(KeyPair(secret: [UInt8](repeating: 0, count: 32)))
        #expect(pair.peerID.description == Self.zeroSeed)
        #expect(try PeerID(Self.zeroSeed) == pair.peerID)
        #expect(pair.peerID.publicKey == pair.publicKey)
    }

    @Test(arguments: [
        ("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
        ("bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
        ("k51qzi5uqu5dhb6l8spkdx7yxafegfkee5by8h7lmjh2ehc2sgg34z7c15vzqs", "12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV"),
        ("f017212209dff3b17d74cf4d38a50d8b6383e92d181a10395a5e73a726dcccbd21bf6f0b9", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
    ])
    func textForms(text: String, base58btc: String) throws {
        let peer = try PeerID(text)
        #expect(peer.description == base58btc)
        #expect(try PeerID(peer.base32) == peer)
        #expect(try PeerID(peer.base36) == peer)
    }

    @Test func otherCIDsAreRefused() {
        #expect(throws: PeerIDError.notALibp2pKey(codec: 0x55)) {
            try PeerID("bafkreifoybygix7fh3r3g5rqle3wcnhqldgdg4shzf4k3ulyw3gn7mabt4")
        }
        #expect(throws: PeerIDError.unsupportedCIDVersion(2)) {
            try PeerID("bajzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe")
        }
    }

    @Test func longTextIsRefusedByItsLength() {
        let text = "1" + String(repeating: "z", count: 1 << 20)
        #expect(throws: PeerIDError.tooLong(count: text.utf8.count, limit: PeerID.maximumTextByteCount)) { try PeerID(text) }
    }

    /// RUSTSEC-2020-0068 / CVE-2020-35909: a cut multihash made the parser panic.
    @Test func truncatedMultihashIsAnError_RUSTSEC_2020_0068() throws {
        for whole in [try PeerID(Self.zeroSeed).multihash, try PeerID("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N").multihash] {
            for count in 0..<whole.count {
                #expect(throws: PeerIDError.self) { try PeerID(multihash: Array(whole[..<count])) }
            }
            #expect(throws: PeerIDError.self) { try PeerID(multihash: whole + [0]) }
        }
    }

    @Test func inlineKeysHaveAtMost42Bytes() throws {
        #expect(try PeerID(multihash: [0, 42] + [UInt8](repeating: 1, count: 42)).multihash.count == 44)
        #expect(throws: PeerIDError.multihash(.wrongLength(function: 0, length: 43))) {
            try PeerID(multihash: [0, 43] + [UInt8](repeating: 1, count: 43))
        }
        #expect(throws: PeerIDError.multihash(.wrongLength(function: 0, length: 0))) { try PeerID(multihash: [0, 0]) }
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct PeerIDVectorTests {
    @Test func keysGiveTheirIDs() throws {
        let rows = try Vectors.cases("peer_ids.json", "keys")
        #expect(rows.count >= 21)
        for row in rows {
            let peer = try PeerID(multihash: row.bytes("multihash"))
            #expect(peer.description == row.text("base58btc"))
            #expect(peer.base32 == row.text("cidv1_base32"))
            #expect(peer.base36 == row.text("cidv1_base36"))
            for form in ["base58btc", "cidv1_base32", "cidv1_base36"] { #expect(try PeerID(row.text(form)) == peer) }
            if row["bits"] as? Int == 1_024 {
                #expect(throws: PublicKeyError.rsaModulus(bits: 1_024, minimum: 2_048, maximum: 8_192)) {
                    try PublicKey(protobuf: row.bytes("public_key_protobuf"))
                }
                continue
            }
            let key = try PublicKey(protobuf: row.bytes("public_key_protobuf"))
            #expect(key.peerID == peer, "\(row.text("name"))")
            #expect("\(key.type)".lowercased() == row.text("type").lowercased())
            #expect(peer.publicKey == (peer.multihash[0] == 0 ? key : nil))
        }
    }

    @Test func privateKeysGiveTheirPublicKeys() throws {
        for row in try Vectors.cases("peer_ids.json", "keys") where row["private_key_protobuf"] != nil {
            let protobuf = row.bytes("private_key_protobuf")
            guard row.text("type") == "Ed25519" else {
                let type = try PublicKey(protobuf: row.bytes("public_key_protobuf")).type
                #expect(throws: KeyPairError.unsupportedType(type)) { try KeyPair(protobuf: protobuf) }
                continue
            }
            let pair = try KeyPair(protobuf: protobuf)
            #expect(pair.publicKey.protobuf.hex == row.text("public_key_protobuf"))
            #expect(pair.protobuf == protobuf)
        }
    }

    @Test func textForms() throws {
        for row in try Vectors.cases("peer_ids.json", "text_forms") {
            let peer = try PeerID(row.text("text"))
            #expect(peer.description == row.text("base58btc"))
            #expect(peer.multihash.hex == row.text("multihash"))
        }
    }

    @Test func seeds() throws {
        for row in try Vectors.cases("peer_ids.json", "seeds") {
            let pair = try #require(KeyPair(secret: row.bytes("seed")))
            #expect(pair.publicKey.protobuf.hex == row.text("public_key_protobuf"))
            #expect(pair.peerID.description == row.text("base58btc"))
        }
    }

    @Test func tenThousandIDs() throws {
        let bulk = try #require(try Vectors.load("peer_ids.json")["bulk"] as? [String: Any])
        var lines: [UInt8] = []
        for index in 0..<UInt64(try #require(bulk["count"] as? Int)) {
            var seed = [UInt8](repeating: 0, count: 32)
            for byte in 0..<8 { seed[byte] = UInt8(truncatingIfNeeded: index >> (8 * UInt64(byte))) }
            lines += Array(">\(index):\(try #require(KeyPair(secret: seed)).peerID)\n".utf8)
            if index == 9 { #expect(SHA256.digest(lines).hex == bulk.text("sha256_first_10")) }
        }
        #expect(SHA256.digest(lines).hex == bulk.text("sha256"))
    }

    @Test func rejectedTexts() throws {
        for row in try Vectors.cases("peer_ids.json", "reject_text") {
            #expect(throws: PeerIDError.self, "\(row.text("why"))") { try PeerID(row.text("text")) }
        }
    }

    @Test func rejectedMultihashes() throws {
        for row in try Vectors.cases("peer_ids.json", "reject_multihash") {
            #expect(throws: PeerIDError.self, "\(row.text("why"))") { try PeerID(multihash: row.bytes("multihash")) }
        }
    }
}
