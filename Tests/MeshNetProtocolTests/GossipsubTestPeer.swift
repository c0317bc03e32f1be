import TestSupport
@testable import MeshNetProtocol

extension KeyPair {
    /// The key pair of a numbered test peer.
    static func test(_ number: UInt8) -> KeyPair { KeyPair(secret: [number] + [UInt8](repeating: 0, count: 31))! }
}

extension [UInt8] {
    init(ascii text: String) { self = Array(text.utf8) }
}

/// An RPC that owns its parts, so that tests can compare and build them.
struct OwnedRPC: Equatable {
    struct Subscription: Equatable {
        var subscribes: Bool
        var topic: String
    }

    struct Have: Equatable {
        var topic: String
        var ids: [[UInt8]]
    }

    struct Prune: Equatable {
        var topic: String
        var backoff: UInt64?
        var peers: [[UInt8]] = []
    }

    struct Message: Equatable {
        var from: [UInt8]?
        var data: [UInt8]?
        var sequence: [UInt8]?
        var topic: [UInt8]?
        var signature: [UInt8]?
        var key: [UInt8]?
    }

    var subscriptions: [Subscription] = []
    var messages: [Message] = []
    var have: [Have] = []
    var want: [[[UInt8]]] = []
    var graft: [String] = []
    var prune: [Prune] = []
    var dontWant: [[[UInt8]]] = []

    init() {}

    init(_ bytes: [UInt8], limits: GossipsubLimits = GossipsubLimits()) throws(GossipsubRPCError) {
        let result = bytes.withUnsafeBytes { view -> Result<OwnedRPC, GossipsubRPCError> in
            do throws(GossipsubRPCError) { return .success(OwnedRPC(try GossipsubRPC(view, limits: limits))) } catch { return .failure(error) }
        }
        self = try result.get()
    }

    private init(_ rpc: GossipsubRPC) {
        func ids(_ range: Range<Int>) -> [[UInt8]] { rpc.ids[range].map { [UInt8]($0) } }
        func text(_ view: UnsafeRawBufferPointer) -> String { String(decoding: view, as: UTF8.self) }
        subscriptions = rpc.subscriptions.map { Subscription(subscribes: $0.subscribes, topic: text($0.topic)) }
        messages = rpc.messages.map { message in
            func copy(_ view: UnsafeRawBufferPointer?) -> [UInt8]? { view.map { [UInt8]($0) } }
            return Message(
                from: copy(message.from), data: copy(message.data), sequence: copy(message.sequence), topic: copy(message.topic),
                signature: copy(message.signature), key: copy(message.key))
        }
        have = rpc.have.map { Have(topic: text($0.topic), ids: ids($0.ids)) }
        want = rpc.want.map(ids)
        graft = rpc.graft.map(text)
        prune = rpc.prune.map { Prune(topic: text($0.topic), backoff: $0.backoff, peers: rpc.offeredPeers[$0.peers].map { [UInt8]($0.peer) }) }
        dontWant = rpc.dontWant.map(ids)
    }

    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        for entry in subscriptions {
            writer.message(1) {
                $0.boolean(1, entry.subscribes)
                $0.text(2, entry.topic)
            }
        }
        for message in messages { writer.bytes(2, message.encoded) }
        guard !(have.isEmpty && want.isEmpty && graft.isEmpty && prune.isEmpty && dontWant.isEmpty) else { return writer.bytes }
        writer.message(3) { control in
            for entry in have {
                control.message(1) {
                    $0.text(1, entry.topic)
                    for id in entry.ids { $0.bytes(2, id) }
                }
            }
            for ids in want { control.message(2) { for id in ids { $0.bytes(1, id) } } }
            for topic in graft { control.message(3) { $0.text(1, topic) } }
            for entry in prune {
                control.message(4) {
                    $0.text(1, entry.topic)
                    for peer in entry.peers { $0.message(2) { $0.bytes(1, peer) } }
                    if let backoff = entry.backoff { $0.integer(3, backoff) }
                }
            }
            for ids in dontWant { control.message(5) { for id in ids { $0.bytes(1, id) } } }
        }
        return writer.bytes
    }
}

extension OwnedRPC.Message {
    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        for (field, value) in [(1, from), (2, data), (3, sequence), (4, topic), (5, signature), (6, key)] as [(UInt64, [UInt8]?)] {
            if let value { writer.bytes(field, value) }
        }
        return writer.bytes
    }

    var id: [UInt8] { (from ?? []) + (sequence ?? []) }

    static func signed(_ data: [UInt8], topic: String, by author: KeyPair, sequence: UInt64) -> Self {
        var message = Self(from: author.peerID.multihash, data: data, sequence: [], topic: Array(topic.utf8))
        message.sequence!.appendBigEndian(sequence)
        message.signature = author.sign(Array("libp2p-pubsub:".utf8) + message.encoded)
        return message
    }
}

/// A message that came to the application.
struct Delivered: Equatable {
    let topic: String
    let origin: PeerID?
    let receivedFrom: PeerID
    let data: [UInt8]
}

/// One machine under test, with peers that say what the test wants and remember what they are told.
struct GossipBench {
    var machine: Gossipsub
    var now = Instant.zero
    private(set) var sent: [(peer: PeerID, rpc: OwnedRPC, frame: SharedBytes, priority: GossipsubPriority)] = []
    private(set) var delivered: [Delivered] = []
    private(set) var offered: [PeerID] = []
    private(set) var drops: [GossipsubDropReason] = []

    init(_ configure: (inout GossipsubConfiguration) -> Void = { _ in }, identity: KeyPair = .test(1), seed: UInt64 = 1) {
        var configuration = GossipsubConfiguration()
        configure(&configuration)
        machine = Gossipsub(configuration: configuration, identity: identity, random: RandomSource(testSeed: seed), now: .zero)
    }

    static func peer(_ number: UInt8) -> PeerID { KeyPair.test(number).peerID }

    mutating func drain() {
        while let action = machine.poll() {
            switch action {
            case .send(let peer, let frames, let priority):
                for frame in frames.each { sent.append((peer, Self.rpc(in: frame.array), frame, priority)) }
            case .deliver(let run):
                delivered += (0..<run.count).map { Delivered(topic: run.topic, origin: run.origin, receivedFrom: run.receivedFrom, data: run[$0].array) }
            case .peerExchange(let peer, _): offered.append(peer)
            case .dropped(let reason, _): drops.append(reason)
            case .peerSubscribed, .peerUnsubscribed: break
            }
        }
    }

    private static func rpc(in frame: [UInt8]) -> OwnedRPC {
        let body = frame.withUnsafeBytes { view -> [UInt8] in
            var reader = ByteReader(view)
            guard let length = try? reader.readVarint(), length == UInt64(reader.remaining) else { return [0xff] }
            return [UInt8](reader.readRest())
        }
        guard let rpc = try? OwnedRPC(body) else { preconditionFailure("the machine sent a frame that cannot be read") }
        return rpc
    }

    mutating func forget() {
        sent = []
        delivered = []
        drops = []
    }

    mutating func receive(_ bytes: [UInt8], from peer: PeerID) {
        bytes.withUnsafeBytes { machine.receive($0, from: peer, now: now) }
        drain()
    }

    mutating func receive(from peer: PeerID, _ build: (inout OwnedRPC) -> Void) {
        var rpc = OwnedRPC()
        build(&rpc)
        receive(rpc.encoded, from: peer)
    }

    mutating func subscribe(_ topic: String) throws {
        _ = try machine.subscribe(topic, now: now)
        drain()
    }

    mutating func add(
        _ peer: PeerID, topics: [String] = [], protocolID: String = "/meshsub/1.2.0", direction: Direction = .inbound, address: [UInt8] = []
    ) {
        machine.addPeer(peer, protocolID: protocolID, direction: direction, address: address, now: now)
        drain()
        if !topics.isEmpty { receive(from: peer) { $0.subscriptions = topics.map { .init(subscribes: true, topic: $0) } } }
    }

    /// Runs the machine's timers up to `duration` from now.
    mutating func run(_ duration: Duration) {
        let end = now + duration
        while let deadline = machine.deadline, deadline <= end {
            now = max(now, deadline)
            machine.handleTimeout(now: now)
            drain()
        }
        now = end
    }

    func sent(to peer: PeerID) -> [OwnedRPC] { sent.filter { $0.peer == peer }.map(\.rpc) }
    func grafts(to peer: PeerID) -> Int { sent(to: peer).reduce(0) { $0 + $1.graft.count } }
    func prunes(to peer: PeerID) -> [OwnedRPC.Prune] { sent(to: peer).flatMap(\.prune) }
    func messages(to peer: PeerID) -> Int { sent(to: peer).reduce(0) { $0 + $1.messages.count } }
}
