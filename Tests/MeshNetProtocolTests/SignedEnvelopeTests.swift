import TestSupport
import Testing
@testable import MeshNetProtocol

private func pair(_ first: UInt8) -> KeyPair { KeyPair(secret: [first] + [UInt8](repeating: 0, count: 31))! }
private let address = Multiaddr(ip: [192, 168, 1, 7], tcpPort: 4001)!

@Suite struct PeerRecordTests {
    /// The record and envelope of `vectors/envelopes.json`, own-peer-record-newer.
    @Test func sealsAsKnown() throws {
        let sealed = PeerRecord.sealed(by: pair(0xc8), sequence: 2, addresses: [try Multiaddr("/ip4/192.168.1.8/tcp/4001")])
        #expect(
            sealed.hex == "0a24080112207c35476cda644789a1f0721d163ca59121edce4e338120bb3e5528beeeba4af7120203011a360a26002408011220"
                + "7c35476cda644789a1f0721d163ca59121edce4e338120bb3e5528beeeba4af710021a0a0a0804c0a80108060fa12a40"
                + "abc113a070f77fa5ca4e303e6d968c0f406af414904caca6b53a23f85a4061c775b242f7770853655039538032573d42"
                + "943b761bd2bcedd02e69b64646bd5a07")
        let record = try PeerRecord(envelope: sealed)
        #expect(record == PeerRecord(peer: pair(0xc8).peerID, sequence: 2, addresses: [try Multiaddr("/ip4/192.168.1.8/tcp/4001")]))
    }

    /// RUSTSEC-2022-0009 / GHSA-wc36-xgcc-jwpr: a peer could sign the record of another one.
    @Test func recordOfAnotherPeerIsRefused_RUSTSEC_2022_0009() {
        let foreign = PeerRecord(peer: pair(2).peerID, sequence: 1, addresses: [address])
        let envelope = SignedEnvelope.seal(
            foreign.payload, domain: PeerRecord.domain, payloadType: PeerRecord.payloadType, with: pair(1))
        #expect(throws: PeerRecordError.notAboutSigner(signer: pair(1).peerID, subject: pair(2).peerID)) {
            try PeerRecord(envelope: envelope.encoded)
        }
    }

    /// CVE-2023-40583: the id of a good record was not compared with the peer that sent it.
    @Test func goodRecordFromAnotherSenderIsRefused_CVE_2023_40583() throws {
        let sealed = PeerRecord.sealed(by: pair(1), sequence: 1, addresses: [address])
        #expect(try PeerRecord(envelope: sealed, from: pair(1).peerID).addresses == [address])
        #expect(throws: PeerRecordError.wrongPeer(expected: pair(2).peerID, actual: pair(1).peerID)) {
            try PeerRecord(envelope: sealed, from: pair(2).peerID)
        }
    }

    /// A peer that comes back brings the record of before, byte for byte; anything else is verified.
    @Test func aRecordIsVerifiedOnce() throws {
        let proven = ProvenSignatures()
        let sealed = PeerRecord.sealed(by: pair(1), sequence: 7, addresses: [address])
        for _ in 0..<2 {
            #expect(try PeerRecord(envelope: sealed, from: pair(1).peerID, proven: proven).sequence == 7)
            #expect(proven.count == 1)
        }
        for index in sealed.indices {
            var bad = sealed
            bad[index] ^= 1
            #expect(throws: PeerRecordError.self, "byte \(index)") { try PeerRecord(envelope: bad, from: pair(1).peerID, proven: proven) }
        }
        #expect(proven.count == 1)
        let newer = PeerRecord.sealed(by: pair(1), sequence: 8, addresses: [address])
        #expect(try PeerRecord(envelope: newer, proven: proven).sequence == 8)
        #expect(proven.count == 2)
    }

    @Test func addressesAreLimited() throws {
        func payload(_ count: Int) -> [UInt8] {
            var writer = ProtobufWriter()
            writer.bytes(1, pair(1).peerID.multihash)
            for _ in 0..<count { writer.message(3) { $0.bytes(1, address.bytes) } }
            return writer.bytes
        }
        #expect(try PeerRecord(payload: payload(PeerRecord.maximumAddresses)).addresses.count == PeerRecord.maximumAddresses)
        #expect(throws: PeerRecordError.tooManyAddresses(limit: PeerRecord.maximumAddresses)) {
            try PeerRecord(payload: payload(PeerRecord.maximumAddresses + 1))
        }
        let many = PeerRecord(peer: pair(1).peerID, sequence: 0, addresses: [Multiaddr](repeating: address, count: 501))
        #expect(try PeerRecord(payload: many.payload).addresses.count == PeerRecord.maximumAddresses)
    }

    @Test func longEnvelopesAreRefused() {
        let bytes = [UInt8](repeating: 0, count: SignedEnvelope.maximumByteCount + 1)
        #expect(throws: EnvelopeError.tooLong(count: bytes.count, limit: SignedEnvelope.maximumByteCount)) {
            try SignedEnvelope(decoding: bytes, domain: "x", payloadType: [1])
        }
    }

    @Test func everyBitOfASealedRecordCounts() {
        let sealed = PeerRecord.sealed(by: pair(1), sequence: 7, addresses: [address])
        for index in sealed.indices {
            var bad = sealed
            bad[index] ^= 1
            #expect(throws: PeerRecordError.self, "byte \(index)") { try PeerRecord(envelope: bad) }
            #expect(throws: PeerRecordError.self, "cut at \(index)") { try PeerRecord(envelope: Array(sealed[..<index])) }
        }
    }

    @Test func anotherDomainDoesNotVerify() {
        let sealed = SignedEnvelope.seal([1, 2], domain: "a", payloadType: [3], with: pair(1)).encoded
        #expect(throws: EnvelopeError.invalidSignature) { try SignedEnvelope(decoding: sealed, domain: "b", payloadType: [3]) }
        #expect(throws: EnvelopeError.wrongPayloadType(expected: [4], actual: [3])) {
            try SignedEnvelope(decoding: sealed, domain: "a", payloadType: [4])
        }
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct EnvelopeVectorTests {
    @Test func envelopes() throws {
        let rows = try Vectors.cases("envelopes.json", "envelopes")
        #expect(rows.count >= 15)
        for row in rows {
            let bytes = row.bytes("envelope"), type = row.bytes("payload_type")
            for check in row["checks"] as? [[String: Any]] ?? [] {
                let envelope = try? SignedEnvelope(decoding: bytes, domain: check.text("domain"), payloadType: type)
                #expect((envelope != nil) == (check.text("verdict") == "valid"), "\(row.text("name")) under \(check.text("domain"))")
                guard let envelope else { continue }
                #expect(envelope.encoded == bytes)
                #expect(envelope.payload == row.bytes("payload"))
                #expect(envelope.publicKey.peerID.description == row.text("signer_peer_id"))
            }
            let record = try? PeerRecord(envelope: bytes)
            #expect((record != nil) == (row["accept_as_peer_record"] as? Bool), "\(row.text("name"))")
            if let record, let expected = row["record"] as? [String: Any] { try check(record, expected) }
        }
    }

    @Test func sealing() throws {
        for row in try Vectors.cases("envelopes.json", "envelopes") where row["private_key_protobuf"] != nil {
            let domain = (row["checks"] as? [[String: Any]])?.first?.text("domain") ?? ""
            let identity = try KeyPair(protobuf: row.bytes("private_key_protobuf"))
            let sealed = SignedEnvelope.seal(row.bytes("payload"), domain: domain, payloadType: row.bytes("payload_type"), with: identity)
            #expect(sealed.encoded.hex == row.text("envelope"), "\(row.text("name"))")
            #expect(identity.sign(row.bytes("signed_bytes")) == sealed.signature)
        }
    }

    @Test func records() throws {
        for row in try Vectors.cases("envelopes.json", "records") {
            let record = try PeerRecord(payload: row.bytes("record"))
            try check(record, row)
            #expect(record.payload == row.bytes("record"))
        }
    }

    @Test func malformed() throws {
        for row in try Vectors.cases("envelopes.json", "malformed") {
            if row.text("expect") == "reject" {
                #expect(throws: PeerRecordError.self, "\(row.text("name"))") { try PeerRecord(envelope: row.bytes("envelope")) }
            } else {
                _ = try? PeerRecord(envelope: row.bytes("envelope"))
            }
        }
    }

    private func check(_ record: PeerRecord, _ expected: [String: Any]) throws {
        #expect(record.peer.description == expected.text("peer_id"))
        #expect(String(record.sequence) == expected.text("seq"))
        #expect(record.addresses.map(\.description) == expected["addresses"] as? [String])
    }
}
