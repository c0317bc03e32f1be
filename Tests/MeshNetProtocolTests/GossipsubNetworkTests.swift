import Testing
import TestSupport
@testable import MeshNetProtocol

/// Many nodes under a virtual clock: every message reaches every application exactly once.
@Suite struct GossipsubNetworkTests {
    private func data(_ number: Int, size: Int = 8) -> [UInt8] {
        [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 7, count: max(0, size - 2))
    }

    private func settled(_ count: Int, degree: Int? = nil, seed: UInt64, versions: [String] = ["/meshsub/1.2.0"],
        configure: (inout GossipsubConfiguration) -> Void = { _ in }) -> GossipNetwork {
        var network = GossipNetwork(count, seed: seed, versions: versions, configure: configure)
        for node in 0..<count { network.subscribe(node, "t") }
        if let degree { network.connectRandomly(degree: degree) } else { network.connectAll() }
        network.run(.seconds(3))
        return network
    }

    /// Every one of `nodes` delivered each message once, its own never.
    private func expectExactlyOnce(_ network: GossipNetwork, _ messages: [(number: Int, author: Int)], size: Int = 8, among nodes: [Int], seed: UInt64,
        _ location: SourceLocation = #_sourceLocation) {
        var wrong: [String] = []
        for (number, author) in messages {
            for node in nodes {
                let count = network.deliveries[node][data(number, size: size)] ?? 0
                if count != (node == author ? 0 : 1) { wrong.append("message \(number) of \(author) came \(count) times to \(node)") }
            }
        }
        #expect(wrong.isEmpty, "seed \(seed): \(wrong.prefix(5)) and \(max(0, wrong.count - 5)) more", sourceLocation: location)
    }

    private func publish(_ network: inout GossipNetwork, _ numbers: Range<Int>, size: Int = 8, from nodes: [Int]) throws -> [(number: Int, author: Int)] {
        var result: [(number: Int, author: Int)] = []
        for number in numbers {
            let author = nodes[number % nodes.count]
            try network.publish(author, "t", data(number, size: size))
            result.append((number, author))
            network.run(.milliseconds(20))
        }
        return result
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func thirtyNodesJoin(seed: UInt64) throws {
        var network = settled(30, degree: 8, seed: seed)
        let messages = try publish(&network, 0..<60, from: Array(0..<30))
        network.run(.seconds(5))
        expectExactlyOnce(network, messages, among: Array(0..<30), seed: seed)
    }

    @Test func meshDegreeStaysWithinItsBounds() throws {
        var network = settled(30, seed: 4)
        network.run(.seconds(150))
        for second in 0..<20 {
            network.run(.seconds(1))
            for node in 0..<30 {
                let degree = network.machines[node].meshPeers(topic: "t").count
                #expect((5...12).contains(degree), "seed 4, node \(node), second \(second)")
            }
        }
        for node in 0..<30 {
            for peer in network.machines[node].meshPeers(topic: "t") {
                let other = network.peers.firstIndex(of: peer)!
                #expect(network.machines[other].meshPeers(topic: "t").contains(network.peers[node]), "meshes agree")
            }
        }
    }

    @Test func partitionAndHeal() throws {
        var network = settled(30, degree: 10, seed: 5)
        var all = try publish(&network, 0..<10, from: Array(0..<30))
        let left = Array(0..<15), right = Array(15..<30)
        var cut: [(Int, Int)] = []
        for a in left { for b in right where network.isConnected(a, b) { cut.append((a, b)) } }
        network.run(.seconds(2))
        for (a, b) in cut { network.disconnect(a, b) }
        network.run(.seconds(5))
        let inLeft = try publish(&network, 100..<110, from: left)
        let inRight = try publish(&network, 200..<210, from: right)
        network.run(.seconds(10))
        expectExactlyOnce(network, inLeft, among: left, seed: 5)
        expectExactlyOnce(network, inRight, among: right, seed: 5)
        for (a, b) in cut { network.connect(a, b) }
        network.run(.seconds(3))
        all += try publish(&network, 300..<320, from: Array(0..<30))
        network.run(.seconds(5))
        expectExactlyOnce(network, all, among: Array(0..<30), seed: 5)
        for node in 0..<30 { #expect(network.deliveries[node].values.allSatisfy { $0 == 1 }) }
    }

    @Test(arguments: [6, 7] as [UInt64])
    func churn(seed: UInt64) throws {
        var network = settled(30, degree: 10, seed: seed)
        let stable = Array(0..<20)
        var messages: [(number: Int, author: Int)] = []
        for round in 0..<30 {
            let leaver = 20 + network.pick(10)
            for other in 0..<30 { network.disconnect(leaver, other) }
            messages += try publish(&network, round * 3..<round * 3 + 3, from: stable)
            let joiner = 20 + network.pick(10)
            for _ in 0..<6 { network.connect(joiner, network.pick(20)) }
            network.run(.milliseconds(300))
        }
        network.run(.seconds(10))
        expectExactlyOnce(network, messages, among: stable, seed: seed)
        for node in 0..<30 { #expect(network.deliveries[node].values.allSatisfy { $0 == 1 }, "seed \(seed)") }
    }

    @Test(arguments: [true, false])
    func gossipRepairsTwentyPercentLoss(reported: Bool) throws {
        // A thin mesh, so that the other copies of a message do not hide a loss.
        var network = settled(30, degree: 12, seed: 8) {
            $0.floodPublish = false
            $0.degree = 3
            $0.degreeLow = 2
            $0.degreeHigh = 4
            $0.degreeOutbound = 1
        }
        network.run(.seconds(5))
        network.lossPercent = 20
        network.reportsLoss = reported
        let messages = try publish(&network, 0..<60, from: Array(0..<30))
        network.run(.seconds(10))
        #expect(network.lost > 300)
        #expect(network.machines.map(\.counters.iwantServed).reduce(0, +) > 10)
        expectExactlyOnce(network, messages, among: Array(0..<30), seed: 8)
    }

    /// Where everybody is in everybody's mesh, plain gossip would never repair a frame that the queue refused.
    @Test func aLostFrameIsRepairedInTheSmallestMeshes() throws {
        var network = GossipNetwork(3, seed: 9)
        for node in 0..<3 { network.subscribe(node, "t") }
        network.connect(0, 1)
        network.connect(1, 2)
        network.run(.seconds(3))
        network.lossPercent = 100
        try network.publish(0, "t", data(1))
        network.run(.milliseconds(100))
        #expect(network.lost == 1)
        network.lossPercent = 0
        network.run(.seconds(2))
        expectExactlyOnce(network, [(1, 0)], among: [0, 1, 2], seed: 9)
        #expect(network.machines[1].counters.iwantServed == 1)
    }

    @Test func floodPublishReachesEveryNeighbourInOneHop() throws {
        var network = settled(20, seed: 10)
        let start = network.now
        try network.publish(0, "t", data(1))
        network.run(.milliseconds(22))
        for node in 1..<20 { #expect(network.firstDelivery[node][data(1)].map { $0 - start <= .milliseconds(21) } == true) }
        #expect(network.machines[0].counters.messagesSent == 19)
    }

    @Test func withoutFloodPublishTheMeshCarries() throws {
        var network = settled(20, seed: 10) { $0.floodPublish = false }
        let messages = try publish(&network, 0..<10, from: Array(0..<20))
        network.run(.seconds(5))
        expectExactlyOnce(network, messages, among: Array(0..<20), seed: 10)
        #expect(network.machines[0].counters.messagesSent < 12 * 10)
    }

    @Test func smallMeshNeedsNoHeartbeat() throws {
        var network = GossipNetwork(7, seed: 11)
        network.run(.milliseconds(150))
        for node in 0..<7 { network.subscribe(node, "t") }
        network.connectAll()
        network.run(.milliseconds(100))
        for node in 0..<7 { #expect(network.machines[node].meshPeers(topic: "t").count == 6, "grafted on subscription, before any heartbeat") }
        let start = network.now
        try network.publish(3, "t", data(1))
        network.run(.milliseconds(50))
        for node in 0..<7 where node != 3 { #expect(network.firstDelivery[node][data(1)].map { $0 - start <= .milliseconds(21) } == true) }
    }

    @Test func largeMessagesAreAnnouncedByIDONTWANT() throws {
        func frames(_ threshold: Int) throws -> (Int, GossipNetwork) {
            var network = settled(20, seed: 12) { $0.idontwantThreshold = threshold }
            network.minimumDelay = .milliseconds(10)
            let before = network.messageFrames
            let messages = try publish(&network, 0..<20, size: 4_096, from: Array(0..<20))
            network.run(.seconds(3))
            expectExactlyOnce(network, messages, size: 4_096, among: Array(0..<20), seed: 12)
            return (network.messageFrames - before, network)
        }
        let (with, network) = try frames(1_024)
        let (without, silent) = try frames(.max)
        #expect(network.machines.map(\.counters.idontwantSpared).reduce(0, +) > 0)
        #expect(silent.machines.map(\.counters.idontwantSent).reduce(0, +) == 0)
        #expect(with < without, "\(with) frames instead of \(without)")
    }

    @Test func floodsubPeersGetAndGiveEverything() throws {
        var network = settled(20, degree: 6, seed: 13, versions: ["/floodsub/1.0.0"] + Array(repeating: "/meshsub/1.2.0", count: 4))
        let messages = try publish(&network, 0..<40, from: Array(0..<20))
        network.run(.seconds(5))
        expectExactlyOnce(network, messages, among: Array(0..<20), seed: 13)
        for node in 0..<20 { for peer in network.machines[node].meshPeers(topic: "t") { #expect(network.peers.firstIndex(of: peer)! % 5 != 0) } }
    }

    @Test func allVersionsWorkTogether() throws {
        let versions = ["/meshsub/1.0.0", "/meshsub/1.1.0", "/meshsub/1.2.0", "/floodsub/1.0.0"]
        var network = settled(24, degree: 8, seed: 14, versions: versions)
        let messages = try publish(&network, 0..<24, size: 2_000, from: Array(0..<24))
        network.run(.seconds(5))
        expectExactlyOnce(network, messages, size: 2_000, among: Array(0..<24), seed: 14)
    }

    @Test func strictNoSign() throws {
        var network = settled(12, degree: 5, seed: 15) { $0.signaturePolicy = .strictNoSign }
        let messages = try publish(&network, 0..<24, from: Array(0..<12))
        network.run(.seconds(5))
        expectExactlyOnce(network, messages, among: Array(0..<12), seed: 15)
        #expect(throws: GossipsubError.duplicate) { try network.publish(0, "t", data(1)) }
    }

    @Test(arguments: [true, false])
    func publishingWithoutFollowing(flood: Bool) throws {
        var network = GossipNetwork(12, seed: 16) { $0.floodPublish = flood }
        for node in 1..<12 { network.subscribe(node, "t") }
        network.connectAll()
        network.run(.seconds(2))
        let messages = try publish(&network, 0..<10, from: [0])
        network.run(.seconds(5))
        expectExactlyOnce(network, messages, among: Array(0..<12), seed: 16)
        #expect(network.machines[0].fanoutTopics == ["t"])
        network.run(.seconds(62))
        #expect(network.machines[0].fanoutTopics.isEmpty)
    }

    @Test func lateJoinerHearsOfTheLastMessages() throws {
        var network = GossipNetwork(2, seed: 17)
        for node in 0..<2 { network.subscribe(node, "t") }
        network.connect(0, 1)
        network.run(.seconds(1))
        network.unsubscribe(1, "t")
        network.run(.seconds(11))
        #expect(throws: GossipsubError.noPeersSubscribed(topic: "t")) { try network.publish(0, "t", data(1)) }
        network.subscribe(1, "t")
        network.run(.milliseconds(100))
        try network.publish(0, "t", data(2))
        network.run(.milliseconds(100))
        expectExactlyOnce(network, [(2, 0)], among: [0, 1], seed: 17)
    }

    /// jvm-libp2p PR 472: grafting within the backoff on subscribe() brought penalties and a disconnect.
    @Test func subscribingAgainObeysTheBackoff() throws {
        var network = settled(8, seed: 18)
        for round in 0..<6 {
            network.unsubscribe(0, "t")
            network.run(.milliseconds(200))
            network.subscribe(0, "t")
            network.run(.milliseconds(200 * (round + 1)))
        }
        #expect(network.machines.map(\.counters.penalties).reduce(0, +) == 0)
        let messages = try publish(&network, 0..<8, from: Array(0..<8))
        network.run(.seconds(5))
        expectExactlyOnce(network, messages, among: Array(0..<8), seed: 18)
        network.run(.seconds(70))
        #expect(network.machines[0].meshPeers(topic: "t").count >= 5)
        #expect(network.machines.map(\.counters.penalties).reduce(0, +) == 0)
    }

    @Test func honestNetworksGiveNoPenalties() throws {
        var network = settled(30, seed: 19)
        _ = try publish(&network, 0..<30, from: Array(0..<30))
        network.run(.seconds(120))
        #expect(network.machines.map(\.counters.penalties).reduce(0, +) == 0)
        for node in 0..<30 { for peer in network.peers { #expect(network.machines[node].score(of: peer) >= 0) } }
    }

    @Test func sameSeedSameTrace() throws {
        func trace(_ seed: UInt64) throws -> UInt64 {
            var network = settled(12, degree: 6, seed: seed)
            network.lossPercent = 10
            _ = try publish(&network, 0..<12, size: 1_500, from: Array(0..<12))
            for other in 1..<6 { network.disconnect(0, other) }
            network.run(.seconds(20))
            return network.trace
        }
        let first = try trace(20)
        #expect(try trace(20) == first)
        #expect(try trace(20) != trace(21))
    }
}
