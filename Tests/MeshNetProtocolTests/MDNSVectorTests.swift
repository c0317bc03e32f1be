import TestSupport
import Testing

@testable import MeshNetProtocol

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct MDNSVectorTests {
    private func cases(_ list: String) throws -> [[String: Any]] {
        let cases = try Vectors.cases("mdns_packets.json", list)
        #expect(!cases.isEmpty)
        return cases
    }

    @Test func everyGoodQueryIsAnsweredOrNotAsItSays() throws {
        for item in try cases("good") where item.text("kind") == "query" {
            var node = MDNSHarness()
            node.run(for: .seconds(10))
            node.sent = []
            let packet = item.bytes("packet")
            #expect(packet.count == item["length"] as? Int)
            node.receive(packet)
            node.run(for: .milliseconds(120))
            let expected = item.text("expect").hasPrefix("answer") && item.text("name") != "query-private-network"
            #expect(node.answers.isEmpty == !expected, "\(item.text("name"))")
        }
    }

    @Test func aPrivateNetworkAnswersToItsFingerprintOnly() throws {
        let good = try cases("good")
        let item = try #require(good.first { $0.text("name") == "query-private-network" })
        let tag = MDNSService.tag(of: PreSharedKey(bytes: [UInt8](repeating: 0, count: 32))!)
        var node = MDNSHarness(tag: tag)
        node.run(for: .seconds(10))
        node.sent = []
        node.receive(MDNSHarness.query)
        node.run(for: .milliseconds(120))
        #expect(node.sent.isEmpty)
        node.receive(item.bytes("packet"))
        node.run(for: .milliseconds(120))
        #expect(node.answers.count == 1)
    }

    @Test func everyGoodResponseGivesItsAddresses() throws {
        for item in try cases("good") where item.text("kind") == "response" {
            let local = try (item["local_peer_id"] as? String).map { text throws(PeerIDError) in try PeerID(text) }
            var node = MDNSHarness(peer: local ?? MDNSHarness.identities[0].peerID)
            let expected = item["addresses"] as? [String] ?? []
            let name = item.text("name")
            if name == "response-goodbye" {
                let hello = try cases("good").first { $0.text("name") == "response-zeroconf" }
                node.receive(hello?.bytes("packet") ?? [])
                #expect(node.discovered.count == 1)
                node.receive(item.bytes("packet"))
                #expect(node.expired.map(\.description) == [item.text("peer_id")])
                #expect(node.service.entryCount == 0)
                continue
            }
            node.receive(item.bytes("packet"))
            let found = node.discovered.flatMap { $0.addresses.map(\.description) }
            if name == "response-own" {
                #expect(found.isEmpty)
                #expect(node.service.counters.dropped(.own) == 1)
                continue
            }
            #expect(Set(found) == Set(expected), "\(name)")
            for discovery in node.discovered { #expect(discovery.addresses.allSatisfy { $0.peerID == discovery.peer }, "\(name)") }
            if let ttl = item["ttl"] as? Int { #expect(node.discovered.first?.timeToLive == .seconds(ttl), "\(name)") }
            if name == "response-ttl-max" { #expect(node.discovered.first?.timeToLive == MDNSLimits().longestTimeToLive) }
        }
    }

    @Test func hostilePacketsHaveNoEffect() throws {
        for item in try cases("hostile") {
            var node = MDNSHarness()
            node.run(for: .seconds(10))
            node.sent = []
            let packet = item.bytes("packet")
            #expect(packet.count == item["length"] as? Int)
            node.receive(packet)
            node.run(for: .milliseconds(500))
            let name = item.text("name"), expected = item.text("expect")
            #expect(node.discovered.isEmpty, "\(name)")
            #expect(node.sent.isEmpty, "\(name)")
            let dropped = MDNSDrop.allCases.reduce(0) { $0 + node.service.counters.dropped($1) }
            #expect(dropped == 1, "\(name): \(dropped)")
            if expected == "drop" { #expect(node.service.counters.dropped(.malformed) == 1, "\(name)") }
        }
    }

    @Test func recipesTakeBoundedWork() throws {
        for item in try cases("recipes") {
            let count = try #require(item["count"] as? Int)
            var packet = item.bytes("head")
            if let unit = [UInt8](hex: item.text("item")) {
                for _ in 0..<count { packet += unit }
            } else {
                for index in 0..<count { packet.appendBigEndian(UInt16(0xc000 + (index == 0 ? 23 : 24 + 2 * (index - 1)))) }
            }
            packet += item.bytes("tail")
            #expect(packet.count == item["length"] as? Int)
            #expect(SHA256.digest(packet).hex == item.text("sha256"))
            var node = MDNSHarness()
            node.receive(packet)
            #expect(node.discovered.isEmpty)
            #expect(node.service.counters.dropped(.malformed) == 1, "\(item.text("name"))")
        }
    }
}
