import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct VarintTests {
    private func decode(_ hex: String) throws -> (UInt64, rest: [UInt8]) {
        try ([UInt8](hex: hex) ?? []).withView { view throws in
            var reader = ByteReader(view)
            let value = try reader.readVarint()
            return (value, [UInt8](reader.readRest()))
        }
    }

    @Test(arguments: [(UInt64(0), "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (16_384, "808001")])
    func knownAnswers(value: UInt64, hex: String) throws {
        #expect(Varint.encoded(value).hex == hex)
        #expect(try decode(hex).0 == value)
    }

    @Test func largestValueHasNineBytes() throws {
        let largest = UInt64(Int64.max)
        #expect(Varint.encoded(largest).count == Varint.maximumByteCount)
        #expect(try decode("ffffffffffffffff7f").0 == largest)
        #expect(throws: WireError.varintTooLong) { try decode("80808080808080808001") }
    }

    @Test func paddedVarintIsRefused() {
        #expect(throws: WireError.varintNotMinimal) { try decode("8100") }
    }

    @Test func lengthAboveTheLimitIsRefusedBeforeReading() {
        let bytes = [UInt8](hex: "ffffffffffffffff7f")!
        #expect(throws: WireError.tooLarge(announced: UInt64(Int64.max), limit: 10)) {
            try bytes.withView { view throws in
                var reader = ByteReader(view)
                _ = try reader.readLength(limit: 10)
            }
        }
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct VarintVectorTests {
    @Test func good() throws {
        let rows = try Vectors.cases("varint.json", "good")
        #expect(rows.count >= 29)
        for row in rows {
            let value = try #require(UInt64(row.text("value")))
            #expect(Varint.encoded(value).hex == row.text("hex"))
            #expect(Varint.byteCount(value) == row["bytes"] as? Int)
            try row.bytes("hex").withView { view throws in
                var reader = ByteReader(view)
                #expect(try reader.readVarint() == value)
                #expect(reader.isAtEnd)
            }
        }
    }

    @Test func goodWithRest() throws {
        for row in try Vectors.cases("varint.json", "good_with_rest") {
            try row.bytes("hex").withView { view throws in
                var reader = ByteReader(view)
                #expect(String(try reader.readVarint()) == row.text("value"))
                #expect(reader.offset == row["consumed"] as? Int)
                #expect([UInt8](reader.readRest()).hex == row.text("left"))
            }
        }
    }

    @Test func bad() throws {
        for row in try Vectors.cases("varint.json", "bad") {
            let kind: String
            do throws(WireError) {
                try row.bytes("hex").withView { view throws(WireError) in
                    var reader = ByteReader(view)
                    _ = try reader.readVarint()
                }
                kind = "none"
            } catch {
                kind =
                    switch error {
                    case .truncated: "truncated"
                    case .varintNotMinimal: "not_minimal"
                    case .varintTooLong: "too_long"
                    default: "\(error)"
                    }
            }
            #expect(kind == row.text("error"), "\(row.text("hex"))")
        }
    }

    @Test func insideProtobuf() throws {
        let protobuf = try #require(try Vectors.load("varint.json")["protobuf"] as? [String: Any])
        for row in protobuf["good"] as? [[String: Any]] ?? [] {
            try ([0x08] + row.bytes("hex")).withView { view throws in
                var reader = ProtobufReader(view)
                #expect(String(try #require(try reader.next()).integer()) == row.text("value"))
            }
        }
        for row in protobuf["bad"] as? [[String: Any]] ?? [] {
            #expect(throws: WireError.self) {
                try ([0x08] + row.bytes("hex")).withView { view throws in
                    var reader = ProtobufReader(view)
                    _ = try reader.next()
                }
            }
        }
    }
}
