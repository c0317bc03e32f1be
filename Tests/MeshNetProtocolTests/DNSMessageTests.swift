import TestSupport
import Testing

@testable import MeshNetProtocol

@Suite struct DNSMessageTests {
    private func decode(_ hex: String) throws(DNSError) -> DNSMessage {
        try ([UInt8](hex: hex) ?? []).withView { view throws(DNSError) in try DNSMessage(decoding: view) }
    }

    @Test func aQueryIsReadWithoutCase() throws {
        for packet in [
            "000000000001000000000000045f703270045f756470056c6f63616c00000c0001",
            "123400000001000000000000045f503250045f554450054c4f43414c00000c8001",
        ] {
            let message = try decode(packet)
            #expect(!message.isResponse)
            #expect(message.questions == [DNSQuestion(name: DNSName("_p2p._udp.local")!, type: DNSType.pointer)])
        }
    }

    @Test func whatIsWrittenIsReadAgainAndNamesAreCompressed() throws {
        let service = DNSName("_p2p._udp.local")!, instance = DNSName(label: "Me", in: service)!, host = DNSName("me.local.")!
        func record(_ name: DNSName, _ content: DNSRecord.Content) -> DNSRecord {
            DNSRecord(name: name, timeToLive: 360, flushesCache: name != service, content: content)
        }
        var message = DNSMessage(isResponse: true)
        message.questions = [DNSQuestion(name: service, type: DNSType.any)]
        message.answers = [record(service, .pointer(instance))]
        message.additionals = [
            record(instance, .text([Array("dnsaddr=/ip4/1.2.3.4/tcp/1".utf8), []])), record(instance, .service(port: 4001, target: host)),
            record(host, .ipv4([1, 2, 3, 4])), record(host, .ipv6([UInt8](repeating: 7, count: 16))),
        ]
        let bytes = message.encoded()
        #expect(try bytes.withView { view throws(DNSError) in try DNSMessage(decoding: view) } == message)
        #expect(bytes.count < 165, "without compression the names alone have 127 bytes: \(bytes.count)")
    }

    @Test func namesHaveLimits() {
        #expect(DNSName("a..b") == nil)
        #expect(DNSName("") == nil)
        #expect(DNSName(String(repeating: "a", count: 64)) == nil)
        let long = Array(repeating: String(repeating: "a", count: 63), count: 3).joined(separator: ".")
        #expect(DNSName(long + "." + String(repeating: "b", count: 61))?.wire.count == 255)
        #expect(DNSName(long + "." + String(repeating: "b", count: 62)) == nil)
    }

    @Test func pointersLeadBackwardsOnly() {
        #expect(throws: DNSError.pointerNotBackwards(target: 12, from: 12)) { try decode("000084000000000100000000c00c000c0001000000780002c00c") }
        #expect(throws: DNSError.pointerNotBackwards(target: 12, from: 12)) { try decode("0000840000000001000000000161c00c000c0001000000780000") }
        #expect(throws: DNSError.pointerNotBackwards(target: 14, from: 12)) { try decode("000084000000000100000000c00ec00c000c0001000000780000") }
        #expect(throws: DNSError.labelType(0x40)) { try decode("0000840000000001000000004061000c0001000000780000") }
    }

    @Test func announcedCountsTakeNoMemory() {
        #expect(throws: DNSError.wire(.truncated(needed: 1, available: 0))) { try decode("00008400ffffffffffffffff") }
    }

    @Test func aPacketAboveTheLimitIsRefused() {
        let bytes = [UInt8](repeating: 0, count: DNSMessage.maximumByteCount + 1)
        #expect(throws: DNSError.tooLong(count: 9_001, limit: 9_000)) { try bytes.withView { view throws(DNSError) in try DNSMessage(decoding: view) } }
    }

    @Test(.enabled(if: Vectors.present, "vectors are beside the checkout")) func malformedPacketsOfTheVectorsAreRefused() throws {
        let cases = try Vectors.cases("mdns_packets.json", "hostile").filter { $0.text("expect") == "drop" }
        #expect(cases.count > 20)
        for item in cases {
            #expect(throws: DNSError.self, "\(item.text("name"))") { try decode(item.text("packet")) }
        }
    }
}
