import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct MultiaddrTests {
    @Test(arguments: [
        ("/ip4/127.0.0.1/tcp/1234", "047f0000010604d2"),
        ("/ip6/2001:8a0:7ac5:4201:3ac9:86ff:fe31:7095/tcp/8000/wss", "29200108a07ac542013ac986fffe317095061f40de03"),
        ("/ip6zone/x/ip6/fe80::1/udp/1234/quic-v1", "2a017829fe800000000000000000000000000001910204d2cd03"),
        ("/dns4/example.com/tcp/4001", "360b6578616d706c652e636f6d060fa1"),
        (
            "/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC",
            "a503221220d52ebb89d85b02a284948203a62ff28389c57c9f42beec4ec20db76a68911c0b"
        ),
        ("/ip4/1.2.3.4/tcp/80/unix/a/b/c", "040102030406005090030" + "62f612f622f63"),
        ("/memory/4", "89060000000000000004"),
        ("/tcp/1234/http/http-path/a%2520b%2Fc", "0604d2e003e103" + "07" + "61253230622f63"),
    ])
    func knownAnswers(text: String, hex: String) throws {
        let address = try Multiaddr(text)
        #expect(address.bytes.hex == hex)
        #expect(address.description == text)
        #expect(try Multiaddr(bytes: address.bytes) == address)
    }

    @Test func errorsNameWhatIsWrong() {
        #expect(throws: MultiaddrError.unknownProtocol("IP4")) { try Multiaddr("/IP4/1.2.3.4") }
        #expect(throws: MultiaddrError.missingLeadingSlash("ip4/1.2.3.4")) { try Multiaddr("ip4/1.2.3.4") }
        #expect(throws: MultiaddrError.missingValue(protocolName: "tcp")) { try Multiaddr("/ip4/1.2.3.4/tcp") }
        #expect(throws: MultiaddrError.invalidValue(protocolName: "tcp", value: "65536", problem: .notANumber(limit: 65_535))) {
            try Multiaddr("/tcp/65536")
        }
        #expect(throws: MultiaddrError.invalidValue(protocolName: "ip4", value: "host", problem: .notAnIPv4Address)) {
            try Multiaddr("/ip4/host/tcp/1")
        }
    }

    @Test func componentsAndPeer() throws {
        let relay = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", target = "12D3KooWJBDqsyHQF2MWiCdU4kdqx4zTsSTLRdShg7Ui6CRWB4uc"
        let address = try Multiaddr("/ip4/10.0.0.1/tcp/4001/p2p/\(relay)/p2p-circuit/p2p/\(target)")
        #expect(address.components == [.ip4([10, 0, 0, 1]), .tcp(4001), .p2p(try PeerID(relay)), .p2pCircuit, .p2p(try PeerID(target))])
        #expect(address.peerID == (try PeerID(target)))
        #expect(address.withoutPeerID?.description == "/ip4/10.0.0.1/tcp/4001/p2p/\(relay)/p2p-circuit")
        #expect(address.withoutPeerID?.appending(try PeerID(target)) == address)
        #expect(try Multiaddr("/p2p/\(target)").withoutPeerID == nil)
        #expect(try Multiaddr("/ip4/10.0.0.1").appending(try Multiaddr("/tcp/1")).description == "/ip4/10.0.0.1/tcp/1")
        #expect(try Multiaddr("/ip4/10.0.0.1").peerID == nil)
    }

    @Test func fromSocketAddresses() {
        #expect(Multiaddr(ip: [10, 0, 0, 1], tcpPort: 7)?.description == "/ip4/10.0.0.1/tcp/7")
        let linkLocal = [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
        #expect(Multiaddr(ip: linkLocal, tcpPort: 7, zone: "eth0")?.description == "/ip6zone/eth0/ip6/fe80::1/tcp/7")
        #expect(Multiaddr(ip: [1, 2, 3], tcpPort: 7) == nil)
    }

    @Test func lengthLimits() throws {
        let long = "/dns4/" + String(repeating: "a", count: Multiaddr.maximumByteCount - 3)
        #expect(try Multiaddr(long).bytes.count == Multiaddr.maximumByteCount)
        let tooLong = MultiaddrError.tooLong(count: Multiaddr.maximumByteCount + 1, limit: Multiaddr.maximumByteCount)
        #expect(throws: tooLong) { try Multiaddr(long + "a") }
        let text = String(repeating: "/tls", count: 1_025)
        #expect(throws: MultiaddrError.tooLong(count: text.utf8.count, limit: Multiaddr.maximumTextByteCount)) { try Multiaddr(text) }
        #expect(throws: MultiaddrError.tooLong(count: 2_000, limit: Multiaddr.maximumByteCount)) {
            try Multiaddr(bytes: [UInt8](repeating: 4, count: 2_000))
        }
    }

    @Test func nulInANameIsRefused() {
        #expect(throws: MultiaddrError.self) { try Multiaddr("/dns4/a\0b/tcp/1") }
        #expect(throws: MultiaddrError.invalidBytes(protocolName: "dns4", problem: .forbiddenCharacter)) {
            try Multiaddr(bytes: [UInt8](hex: "3603610062")!)
        }
    }

    /// RUSTSEC-2020-0068 / CVE-2020-35909: a cut multihash made the parser panic, here inside an address.
    @Test func truncatedMultihashesInsideAreErrors_RUSTSEC_2020_0068() throws {
        let hash = [UInt8](hex: "1220c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2")!
        for code in [AddressProtocol.certhash, .p2p] {
            let prefix = Varint.encoded(code.rawValue)
            #expect(try Multiaddr(bytes: prefix + [UInt8(hash.count)] + hash).components.count == 1)
            for count in 0..<hash.count {
                #expect(throws: MultiaddrError.self) { try Multiaddr(bytes: prefix + [UInt8(count)] + hash[..<count]) }
                #expect(throws: MultiaddrError.self) { try Multiaddr(bytes: prefix + [UInt8(hash.count)] + hash[..<count]) }
            }
        }
    }

    @Test func errorsStayOneShortLine() {
        #expect("a\nb\u{7f}".quoted == "\"a\u{fffd}b\u{fffd}\"")
        #expect(String(repeating: "x", count: 201).quoted == "\"" + String(repeating: "x", count: 200) + "…\"")
        let combining = "e" + String(repeating: "\u{301}", count: 1_000)
        #expect(combining.quoted.utf8.count < 500)
    }

    @Test func nothingStandsBehindAUnixPath() {
        #expect(throws: MultiaddrError.behindUnixPath) { try Multiaddr(bytes: [UInt8](hex: "9003022f61060050")!) }
    }

    @Test(arguments: [
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("1:0:0:2::3", "1:0:0:2::3"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"), ("0:0:1::", "0:0:1::"), ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
    ])
    func ipv6Texts(text: String, canonical: String) throws {
        let bytes = try #require(IPText.ipv6(text.utf8))
        #expect(IPText.text(ipv6: bytes) == canonical)
        #expect(IPText.ipv6(IPText.text(ipv6: bytes).utf8) == bytes)
    }

    @Test(arguments: [
        "", ":", ":::", "1", "1:", ":1", "1::2::3", "1:2:3:4:5:6:7::8", "1.2.3.4", "::1.2.3", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4",
        "::g", "::-1", "1::2:",
    ])
    func noIPv6Texts(text: String) { #expect(IPText.ipv6(text.utf8) == nil) }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct MultiaddrVectorTests {
    @Test func good() throws {
        let rows = try Vectors.cases("multiaddr.json", "good")
        #expect(rows.count >= 145)
        for row in rows {
            let address = try Multiaddr(row.text("text"))
            #expect(address.bytes.hex == row.text("bytes"), "\(row.text("text"))")
            #expect(address.description == row.text("canonical"))
            #expect(try Multiaddr(bytes: row.bytes("bytes")).description == row.text("canonical"))
            #expect(try Multiaddr(row.text("canonical")) == address)
            #expect(Multiaddr(address.components) == address)
        }
    }

    @Test func protocolCodes() throws {
        let codes = try #require(try Vectors.load("multiaddr.json")["protocol_codes"] as? [String: Int])
        for (name, code) in codes { #expect(AddressProtocol(name: name)?.rawValue == UInt64(code), "\(name)") }
        #expect(AddressProtocol.allCases.count == codes.count - 1)
    }

    /// The rows that leave it open are refused here, as they advise.
    @Test func rejectedTexts() throws {
        for row in try Vectors.cases("multiaddr.json", "reject_text") + Vectors.cases("multiaddr.json", "implementation_defined") {
            #expect(throws: MultiaddrError.self, "\(row.text("text"))") { try Multiaddr(row.text("text")) }
        }
    }

    @Test func rejectedBytes() throws {
        for row in try Vectors.cases("multiaddr.json", "reject_bytes") {
            #expect(throws: MultiaddrError.self, "\(row.text("bytes")) \(row.text("why"))") { try Multiaddr(bytes: row.bytes("bytes")) }
        }
    }

    @Test func onceCrashingInputs() throws {
        let file = try Vectors.load("multiaddr.json")
        for hex in file["no_crash_bytes"] as? [String] ?? [] {
            guard let address = try? Multiaddr(bytes: [UInt8](hex: hex)!) else { continue }
            #expect(try Multiaddr(address.description) == address, "\(hex)")
        }
        for hex in file["no_crash_text"] as? [String] ?? [] {
            guard let address = try? Multiaddr(String(decoding: [UInt8](hex: hex)!, as: UTF8.self)) else { continue }
            #expect(try Multiaddr(address.description) == address, "\(hex)")
            #expect(try Multiaddr(bytes: address.bytes) == address)
        }
    }

    @Test func decapsulation() throws {
        for row in try Vectors.cases("multiaddr.json", "decapsulate") {
            let left = try Multiaddr(row.text("address")).decapsulating(try Multiaddr(row.text("remove")))
            #expect((left?.description ?? "") == row.text("left"))
        }
    }
}
