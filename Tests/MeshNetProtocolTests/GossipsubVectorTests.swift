import Foundation
import Testing
import TestSupport
@testable import MeshNetProtocol

/// Known answers in the code, so that a clone alone proves the essentials.
@Suite struct GossipsubRPCTests {
    /// From nim-libp2p, made with protoc.
    private let each = [UInt8](hex: "1a2d0a0b0a06666f6f62617212017b12030a017b1a080a06666f6f626172220a0a06666f6f626172180a2a030a017b")!

    @Test func oneOfEachControlMessage() throws {
        let rpc = try OwnedRPC(each)
        #expect(rpc.have == [.init(topic: "foobar", ids: [[0x7b]])])
        #expect(rpc.want == [[[0x7b]]])
        #expect(rpc.graft == ["foobar"])
        #expect(rpc.prune == [.init(topic: "foobar", backoff: 10)])
        #expect(rpc.dontWant == [[[0x7b]]])
        #expect(rpc.encoded == each)
    }

    @Test func outgoingEncodesTheSameBytes() throws {
        var outgoing = GossipsubOutgoing()
        outgoing.have("foobar", ids: [SharedBytes([0x7b])], limit: 1)
        [UInt8(0x7b)].withUnsafeBytes { outgoing.want([$0]) }
        outgoing.graft("foobar")
        outgoing.prune("foobar", backoff: 10)
        var control = Array(each[2...])
        control.removeLast(5)
        #expect(outgoing.takeFrames() == [[UInt8(control.count + 2), 0x1a, UInt8(control.count)] + control])
        #expect(GossipsubOutgoing.idontwantFrame([[0x7b]]) == [7, 0x1a, 5, 0x2a, 3, 0x0a, 1, 0x7b])
    }

    @Test func largeControlIsCutIntoFramesThatStrictReceiversTake() throws {
        var outgoing = GossipsubOutgoing()
        for index in 0..<250 { outgoing.subscription("topic \(index)", subscribes: true) }
        outgoing.have("t", ids: (0..<2_000).map { SharedBytes([UInt8](repeating: UInt8($0 % 251), count: 46)) }, limit: 100)
        let frames = outgoing.takeFrames()
        var topics = 0, ids = 0
        for frame in frames {
            let rpc = try OwnedRPC(Array(frame.drop { $0 & 0x80 != 0 }.dropFirst()))
            #expect(frame.count <= 16_384 && rpc.subscriptions.count <= 100)
            topics += rpc.subscriptions.count
            ids += rpc.have.reduce(0) { $0 + $1.ids.count }
        }
        #expect(topics == 250 && ids == 2_000)
    }

    @Test func limitsAreReached() throws {
        var limits = GossipsubLimits()
        limits.subscriptionsPerRPC = 2
        limits.controlEntriesPerRPC = 3
        limits.idsPerRPC = 4
        limits.messagesPerRPC = 1
        var rpc = OwnedRPC()
        rpc.subscriptions = ["a", "b", "c"].map { .init(subscribes: true, topic: $0) }
        rpc.graft = ["a", "b", "c", "d"]
        rpc.messages = [.init()]
        #expect(try OwnedRPC(rpc.encoded, limits: limits).subscriptions.count == 2)
        #expect(try OwnedRPC(rpc.encoded, limits: limits).graft.count == 3)
        rpc.have = [.init(topic: "a", ids: [[1], [2], [3], [4], [5]])]
        #expect(try OwnedRPC(rpc.encoded, limits: limits).have[0].ids.count == 4)
        rpc.messages = [.init(), .init()]
        #expect(throws: GossipsubRPCError.tooManyMessages(limit: 1)) { try OwnedRPC(rpc.encoded, limits: limits) }
        rpc.messages = []
        limits.controlBytes = 10
        #expect(throws: GossipsubRPCError.tooMuchControl(size: rpc.encoded.count, limit: 10)) { try OwnedRPC(rpc.encoded, limits: limits) }
    }

    @Test func fiveThousandIDsOfTheUsualLengthAreRead() throws {
        var rpc = OwnedRPC()
        rpc.have = [.init(topic: "t", ids: [[UInt8]](repeating: [UInt8](repeating: 1, count: 46), count: 5_000))]
        #expect(try OwnedRPC(rpc.encoded).have[0].ids.count == 5_000)
    }

    @Test func noBytesTrap() {
        var random = RandomSource(testSeed: 11)
        for round in 0..<3_000 {
            var bytes = each
            for _ in 0...Int(random.next() % 4) { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
            if round % 3 == 0 { bytes = random.bytes(Int(random.next() % 64)) }
            _ = try? OwnedRPC(bytes)
        }
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct GossipsubVectorTests {
    private static let file = "gossipsub_rpc.json"
    private let sender = KeyPair(secret: [UInt8](hex: "c8" + String(repeating: "00", count: 31))!)!.peerID

    /// Subscribed to "foobar" with the sender in its mesh, and a witness that would see what is forwarded.
    private func bench(_ policy: GossipsubSignaturePolicy = .strictSign, identity: KeyPair = .test(1)) throws -> GossipBench {
        var bench = GossipBench({ $0.signaturePolicy = policy }, identity: identity)
        try bench.subscribe("foobar")
        for peer in [sender, GossipBench.peer(77)] { bench.add(peer, topics: ["foobar"]) }
        #expect(bench.machine.meshPeers(topic: "foobar").contains(sender))
        bench.forget()
        return bench
    }

    @Test func validDecodesAndEncodesAgain() throws {
        for row in try Vectors.cases(Self.file, "valid") {
            let name = row.text("name"), bytes = row.bytes("rpc")
            let rpc = try OwnedRPC(bytes)
            let decoded = try #require(row["decoded"] as? [String: Any])
            let control = decoded["control"] as? [String: Any] ?? [:]
            func hexes(_ list: Any?) -> [[String]] { list as? [[String]] ?? [] }
            #expect(rpc.subscriptions.map(\.topic) == (decoded["subscriptions"] as? [[Any]] ?? []).map { $0[1] as? String }, "\(name)")
            #expect(rpc.subscriptions.map(\.subscribes) == (decoded["subscriptions"] as? [[Any]] ?? []).map { $0[0] as? Bool }, "\(name)")
            #expect(rpc.graft == control["graft"] as? [String] ?? [], "\(name)")
            #expect(rpc.want.map { $0.map(\.hex) } == hexes(control["iwant"]), "\(name)")
            #expect(rpc.dontWant.map { $0.map(\.hex) } == hexes(control["idontwant"]), "\(name)")
            let have = control["ihave"] as? [[String: Any]] ?? []
            #expect(rpc.have.map(\.topic) == have.map { $0.text("topic") }, "\(name)")
            #expect(rpc.have.map { $0.ids.map(\.hex) } == have.map { $0["ids"] as? [String] ?? [] }, "\(name)")
            let prune = control["prune"] as? [[String: Any]] ?? []
            #expect(rpc.prune.map(\.topic) == prune.map { $0.text("topic") }, "\(name)")
            #expect(rpc.prune.map { $0.backoff.map(String.init) } == prune.map { $0["backoff"] as? String }, "\(name)")
            let messages = decoded["publish"] as? [[String: Any]] ?? []
            #expect(rpc.messages.count == messages.count, "\(name)")
            for (message, want) in zip(rpc.messages, messages) {
                let fields = [
                    ("from", message.from), ("data", message.data), ("seqno", message.sequence), ("signature", message.signature), ("key", message.key),
                ]
                for (field, value) in fields {
                    #expect(value?.hex == want[field] as? String, "\(name) \(field)")
                }
                #expect(message.topic.map { String(decoding: $0, as: UTF8.self) } == want["topic"] as? String, "\(name)")
            }
            let isCanonical = !["nim-empty-ihave", "nim-empty-graft", "nim-empty-prune", "unknown-extension-field"].contains(name)
            if isCanonical { #expect(rpc.encoded == bytes, "\(name)") }
        }
    }

    @Test func policyTakesWhatItShould() throws {
        for row in try Vectors.cases(Self.file, "valid") where row["policy"] != nil {
            for (policy, word) in [(GossipsubSignaturePolicy.strictSign, "StrictSign"), (.strictNoSign, "StrictNoSign")] {
                guard row.text("policy").contains(word) else { continue }
                var bench = try bench(policy)
                bench.receive(row.bytes("rpc"), from: sender)
                let accepts = row.text("policy").contains("\(word) accepts")
                #expect(bench.delivered.count == (accepts ? 1 : 0), "\(row.text("name")) under \(word)")
                #expect(bench.messages(to: GossipBench.peer(77)) == (accepts ? 1 : 0), "\(row.text("name")) under \(word)")
                if accepts, let frame = bench.sent.first(where: { $0.peer == GossipBench.peer(77) && !$0.rpc.messages.isEmpty })?.frame.array {
                    #expect(Array(frame.suffix(row.bytes("rpc").count)) == row.bytes("rpc"), "forwarded as it came")
                }
            }
        }
    }

    @Test func hostile() throws {
        for row in try Vectors.cases(Self.file, "hostile") {
            let name = row.text("name")
            let local = row.bytes("local_seed")
            var bench = try bench(identity: local.isEmpty ? .test(1) : KeyPair(secret: local)!)
            let inMesh = { (bench: GossipBench) in bench.machine.meshPeers(topic: "foobar").contains(sender) }
            bench.receive(row.bytes("rpc"), from: sender)
            switch row.text("expect") {
            case "reject_message", "ignore":
                #expect(bench.delivered.isEmpty && bench.sent.isEmpty, "\(name)")
            case "reject_rpc":
                #expect(bench.delivered.isEmpty && bench.sent.isEmpty && inMesh(bench), "\(name)")
                #expect(bench.drops == [.malformedRPC], "\(name)")
            case "apply_capped", "ignore_part":
                #expect(!inMesh(bench), "\(name)")
                let end = try #require(bench.machine.backoffs.end("foobar", sender), "\(name)")
                #expect(end >= bench.now + .seconds(60) && end <= bench.now + .seconds(3_600), "\(name)")
                bench.run(.seconds(3))
                #expect(!inMesh(bench) && bench.offered.isEmpty, "\(name)")
            case "apply" where name == "graft-and-prune-same-topic": #expect(!inMesh(bench))
            case "apply": #expect(bench.delivered.count == 1 && bench.messages(to: GossipBench.peer(77)) == 1, "\(name)")
            default: #expect(bench.delivered.count <= 1, "\(name)")
            }
        }
    }

    @Test func doubtfulCasesAreDecidedAsRustDecides() throws {
        let delivered = ["fields-out-of-order": 1, "unknown-field-signed": 0, "unknown-field-unsigned": 1, "signature-twice": 1, "topic-not-utf8": 0]
        for row in try Vectors.cases(Self.file, "hostile") {
            guard let count = delivered[row.text("name")] else { continue }
            var bench = try bench()
            bench.receive(row.bytes("rpc"), from: sender)
            #expect(bench.delivered.count == count, "\(row.text("name"))")
        }
    }

    @Test func recipes() throws {
        for row in try Vectors.cases(Self.file, "recipes") {
            let name = row.text("name")
            let rpc = try Self.build(row)
            var bench = try bench()
            if name == "iwant-same-id-2000" { try putMessage(named: Array("same-id".utf8), into: &bench.machine) }
            bench.receive(rpc, from: sender)
            switch name {
            case "ihave-5001-ids":
                #expect(bench.sent(to: sender).flatMap(\.want).reduce(0) { $0 + $1.count } == 5_000)
            case "subscriptions-20000": #expect(bench.machine.topics.count <= 1 + bench.machine.configuration.limits.topicsPerPeer)
            case "iwant-same-id-2000": #expect(bench.messages(to: sender) == 1)
            case "graft-1000-unknown-topics": #expect(bench.sent.isEmpty && bench.machine.topics.count == 1)
            case "idontwant-5001": #expect(bench.machine.peers.compactMap { $0?.unwanted.count }.reduce(0, +) == 10)
            case "nested-groups-100000": #expect(bench.drops == [.malformedRPC])
            case "empty-messages-524288": #expect(bench.drops == [.tooManyMessages] && bench.delivered.isEmpty)
            case "empty-subscriptions-524288": #expect(bench.drops == [.tooMuchControl])
            default: Issue.record("no check for \(name)")
            }
        }
    }

    private func putMessage(named id: [UInt8], into machine: inout Gossipsub) throws {
        let number = machine.seen.insert(machine.keyMaker.key(id), now: .zero), frame: [UInt8] = [2, 0x12, 0]
        machine.cache.insert(try #require(number), topic: "foobar", GossipsubKeptMessage(SharedBytes(frame + id), frameByteCount: frame.count))
    }

    private static func build(_ row: [String: Any]) throws -> [UInt8] {
        let count = row["count"] as? Int ?? 0, length = row["length"] as? Int ?? 0, recipe = row.text("item")
        var rpc = row.bytes("head")
        rpc.reserveCapacity(length)
        let words = recipe.split(separator: " then ", maxSplits: 1).map(String.init)
        let fixed = try #require([UInt8](hex: words[0]))
        for index in 0..<count {
            rpc += fixed
            guard words.count > 1 else { continue }
            let rest = words[1]
            if rest == "i as 2 bytes big endian" {
                rpc += [UInt8(index >> 8), UInt8(index & 255)]
            } else if rest.hasPrefix("ASCII \"same-id\"") {
                rpc += Array("same-id".utf8)
            } else if rest.contains("five") {
                rpc += Array(("t" + String(format: "%05d", index)).utf8)
            } else {
                rpc += Array(("x" + String(format: "%04d", index)).utf8)
            }
        }
        rpc += row.bytes("tail")
        try #require(rpc.count == length, "\(row.text("name"))")
        let digest = rpc.withUnsafeBytes { SHA256Context().digest($0) }
        try #require(digest.hex == row.text("sha256"), "\(row.text("name"))")
        return rpc
    }
}
