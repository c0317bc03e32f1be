import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSimulator

/// Random commands, random peers, random trouble, all from one seed. Whatever happens: nothing traps, every call is answered once, the events of
/// a peer alternate, and when everybody has gone nothing is left.
@Suite struct HostileFuzzTests {
    // MARK: One swarm and its attackers

    @Test(arguments: 0..<20 as Range<UInt64>) func randomAttackersAndCommands(seed: UInt64) {
        var random = RandomSource(testSeed: seed ^ 0xa77ac)
        let siege = Siege(seed: seed, bootstrap: ["/ip4/9.9.9.9/tcp/1", "/dns/name.example/tcp/1"]) {
            $0.limits.connections = 12
            $0.limits.pendingOutboundConnections = 3
            $0.limits.inboundConnectionsPerAddress = 100
            $0.limits.streamsPerConnection = 32
            if seed % 4 == 0 { $0.pingInterval = .seconds(2); $0.pingTimeout = .seconds(1) }
        }
        var attack = RandomAttack(siege: siege, random: random.fork())
        for _ in 0..<600 { attack.step() }
        attack.withdraw()
        #expect(siege.remains == [], "seed \(seed)")
        for ticket in attack.tickets { #expect(siege.completions[ticket]?.count == 1, "seed \(seed), ticket \(ticket.rawValue)") }
        #expect(Self.alternate(siege.events), "seed \(seed)")
        #expect(siege.connected == [], "seed \(seed)")
        #expect(siege.swarm.timers.count < 2_048, "seed \(seed)")
    }

    /// `connected` and `disconnected` of every peer take turns.
    static func alternate(_ events: [Event]) -> Bool {
        var connected: [PeerID] = []
        for event in events {
            switch event {
            case .connected(let connection):
                if connected.contains(connection.peer) { return false }
                connected.append(connection.peer)
            case .disconnected(let connection, _):
                guard let at = connected.firstIndex(of: connection.peer) else { return false }
                connected.remove(at: at)
            default: break
            }
        }
        return true
    }

    // MARK: A network of swarms

    @Test(arguments: 0..<12 as Range<UInt64>) func randomLifeOfANetwork(seed: UInt64) {
        let network = Simulation(seed: seed)
        var random = RandomSource(testSeed: seed ^ 0x11fe)
        for index in 0..<6 {
            network.addNode(bootstrap: index == 0 ? [] : [network.nodes[Int.random(in: 0..<index, using: &random)].multiaddr, "/dns4/node0/tcp/4001"])
        }
        var calls: [(node: Int, ticket: Ticket)] = []
        // Where the events of a node's present life begin; what it was asked in an earlier one died with it.
        var births = [Int](repeating: 0, count: 6)
        for _ in 0..<150 {
            let node = Int.random(in: 0..<6, using: &random)
            switch Int.random(in: 0..<14, using: &random) {
            case 0:
                network.kill(node)
                calls.removeAll { $0.node == node }
                births[node] = network.nodes[node].events.count
            case 1, 2: if network.nodes[node].swarm == nil { network.restart(node) }
            case 3: network.partition((0..<6).map { _ in Int.random(in: 0...1, using: &random) })
            case 4: network.heal()
            default:
                guard network.nodes[node].swarm != nil else { break }
                let ticket = network.perform(Self.command(to: network.nodes[Int.random(in: 0..<6, using: &random)], &random), at: node)
                calls.append((node, ticket))
            }
            network.run(for: .milliseconds(Int.random(in: 0...1_500, using: &random)))
        }
        network.heal()
        for node in 0..<6 where network.nodes[node].swarm == nil { network.restart(node) }
        network.run(for: .seconds(90))
        for node in 0..<6 {
            let swarm = network.nodes[node].swarm
            #expect(swarm?.inboundGate.pending == 0, "seed \(seed)")
            #expect(swarm?.pool.outstanding == 0, "seed \(seed)")
            #expect(swarm?.connectionCount == swarm?.peers.count, "seed \(seed): one connection for each peer")
            network.with(node) { swarm, now in swarm.shutdown(now: now) }
        }
        network.run(for: .seconds(5))
        for node in 0..<6 {
            #expect(network.nodes[node].swarm?.connectionCount == 0, "seed \(seed)")
            #expect(Self.alternate(network.nodes[node].events[births[node]...].map(\.event)), "seed \(seed), node \(node)")
        }
        for (node, ticket) in calls { #expect(network.nodes[node].completions[ticket] != nil, "seed \(seed), node \(node), ticket \(ticket.rawValue)") }
    }

    static func command(to other: SimulatedNode, _ random: inout RandomSource) -> Command {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: .connect(other.address.multiaddr)
        case 1: .disconnect(other.peer)
        case 2: .subscribe("t\(Int.random(in: 0..<3, using: &random))")
        case 3: .unsubscribe("t\(Int.random(in: 0..<3, using: &random))")
        case 4: .publish(topic: "t\(Int.random(in: 0..<3, using: &random))", data: random.bytes(Int.random(in: 0...5_000, using: &random)))
        case 5: .accept("/app/\(Int.random(in: 0..<3, using: &random))")
        case 6: .openStream(other.peer, protocols: ["/app/0", "/app/1"])
        case 7: .ping(other.peer)
        case 8: .perf(other.peer, upload: .random(in: 0...100_000, using: &random), download: .random(in: 0...100_000, using: &random))
        default: .stopAccepting("/app/\(Int.random(in: 0..<3, using: &random))")
        }
    }
}

/// What attackers and the application do to one swarm, step by step.
struct RandomAttack {
    let siege: Siege
    var random: RandomSource
    var peers: [SiegePeer] = []
    var sockets: [ConnectionID] = []
    var tickets: [Ticket] = []
    let identities: [KeyPair]

    init(siege: Siege, random: RandomSource) {
        self.siege = siege
        self.random = random
        identities = (0..<6).map { _ in KeyPair(random: &siege.random) }
    }

    private mutating func draw(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    private mutating func identity() -> KeyPair { identities[draw(0...5)] }
    private mutating func topic() -> String { "t\(draw(0...2))" }

    mutating func step() {
        peers.removeAll(where: \.isCutOff)
        switch draw(0...11) {
        case 0: if let peer = SiegePeer(dialling: siege, identity: identity()) { peers.append(peer) }
        case 1: comeByHalf()
        case 2: answerDials()
        case 3...6: if !peers.isEmpty { misbehave(peers[draw(0...peers.count - 1)]) }
        case 7...9: tickets.append(siege.perform(command()))
        case 10: siege.pass(.milliseconds(draw(0...300)))
        default: siege.pass(.seconds(draw(0...4)))
        }
    }

    private mutating func comeByHalf() {
        guard let id = siege.accept(from: [1, 1, UInt8(draw(0...3)), 1]) else { return }
        siege.feed(id, draw(0...1) == 0 ? random.bytes(draw(0...500)) : Array("\u{13}/multistream/1.0.0\n".utf8.prefix(draw(0...20))))
        sockets.append(id)
    }

    private mutating func answerDials() {
        if let query = siege.queries.popLast() {
            let found = (0..<draw(0...3)).map { _ in SocketAddress(ip: [9, 9, 9, UInt8(draw(0...255))], port: 0) }
            siege.swarm.resolved(query: query.query, draw(0...3) == 0 ? .failure(ResolveFailure(reason: "no")) : .success(found), now: siege.now)
            siege.settle()
        }
        guard let next = siege.connects.first else { return }
        switch draw(0...2) {
        case 0:
            siege.connects.removeFirst()
            siege.swarm.connectFailed(next.id, errno: Int32(draw(100...125)), now: siege.now)
            siege.settle()
        case 1: if let peer = SiegePeer(answering: siege, identity: identity()) { peers.append(peer) }
        default: siege.connects.removeFirst()
        }
    }

    private mutating func command() -> Command {
        let peer = identity().peerID
        let dialled = try? Multiaddr(draw(0...1) == 0 ? "/ip4/9.9.9.\(draw(0...20))/tcp/1" : "/dns4/n\(draw(0...3)).example/tcp/1/p2p/\(peer)")
        switch draw(0...14) {
        case 0, 1: if let dialled { return .connect(dialled) }
        case 2: return .disconnect(peer)
        case 3: if let dialled { return .addBootstrap(dialled) }
        case 4: if let dialled { return .removeBootstrap(dialled) }
        case 5: return .subscribe(topic())
        case 6: return .unsubscribe(topic())
        case 7: return .publish(topic: topic(), data: random.bytes(draw(0...3_000)))
        case 8: return .accept("/app/\(draw(0...2))")
        case 9: return .stopAccepting("/app/\(draw(0...2))")
        case 10: return .openStream(peer, protocols: draw(0...1) == 0 ? ["/x"] : ["/x", "/y"])
        case 11: return .perf(peer, upload: UInt64(draw(0...100_000)), download: random.next())
        case 12: return .peers
        default: break
        }
        return .ping(peer)
    }

    private mutating func misbehave(_ peer: SiegePeer) {
        let ids = ["/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", "/perf/1.0.0", "/meshsub/1.1.0", "/app/0", "/none"]
        switch draw(0...13) {
        case 0: peer.send(random.bytes(draw(1...300)))
        case 1: peer.seal(random.bytes(draw(1...300)))
        case 2: peer.reads.toggle()
        case 3: siege.end(peer.connection, draw(0...1) == 0 ? .endOfStream : .failed(errno: 104))
        case 4: for _ in 0..<draw(1...60) { peer.seal(SiegePeer.data(peer.newStream(), [], .syn)) }
        case 5: answer(peer)
        case 6: peer.echoPings()
        case 7: peer.grantCredit()
        case 8:
            let header = YamuxHeader(
                draw(0...1) == 0 ? .data : .windowUpdate, YamuxHeader.Flags(rawValue: UInt16(draw(0...15))),
                stream: UInt32(draw(0...40)), length: UInt32(draw(0...50)))
            peer.seal(SiegePeer.encode(header, header.type == .data ? random.bytes(Int(header.length)) : []))
        case 9: peer.seal(SiegePeer.encode(YamuxHeader(draw(0...1) == 0 ? .ping : .goAway, .syn, stream: 0, length: 7)))
        default: peer.open(ids[draw(0...6)], random.bytes(draw(0...1) == 0 ? draw(0...64) : draw(0...100_000)), ends: draw(0...1) == 0)
        }
    }

    /// Says yes, no or nonsense to what the victim proposed.
    private mutating func answer(_ peer: SiegePeer) {
        for (header, body) in peer.frames where header.streamID % 2 == (peer.dials ? 0 : 1) && !body.isEmpty {
            let lines = String(decoding: body, as: UTF8.self).split(separator: "\n").map { String($0.drop { $0 != "/" }) }
            let proposal = lines.last { $0.hasPrefix("/") && !$0.hasPrefix("/multistream") } ?? "na"
            let reply = [proposal, "na", "nonsense"][draw(0...2)]
            peer.seal(SiegePeer.data(header.streamID, peer.line("/multistream/1.0.0") + peer.line(reply) + random.bytes(draw(0...40))))
        }
        peer.frames.removeAll()
    }

    /// Everybody leaves, and the node is shut down.
    mutating func withdraw() {
        for peer in peers where !peer.isCutOff && draw(0...1) == 0 { siege.end(peer.connection) }
        siege.pass(.seconds(1))
        siege.swarm.shutdown(now: siege.now)
        siege.settle()
        siege.pass(.seconds(30))
    }
}
