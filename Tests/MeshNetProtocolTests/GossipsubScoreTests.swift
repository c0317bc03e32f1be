import Testing
import TestSupport
@testable import MeshNetProtocol

/// Each part of the score by itself (libp2p specs, gossipsub v1.1, "The Score Function").
@Suite struct GossipsubScoreTests {
    private func parameters(_ configure: (inout GossipsubTopicScoreParameters) -> Void) -> GossipsubScoreParameters {
        var topic = GossipsubTopicScoreParameters()
        topic.timeInMeshWeight = 0
        topic.firstDeliveriesWeight = 0
        topic.invalidMessagesWeight = 0
        configure(&topic)
        var result = GossipsubScoreParameters()
        result.defaultTopic = topic
        return result
    }

    @Test func p1TimeInMesh() {
        let parameters = parameters {
            $0.timeInMeshWeight = 0.5
            $0.timeInMeshCap = 20
        }
        var score = GossipsubPeerScore()
        score.graft("t", now: .zero)
        score.decay(parameters, now: .zero + .seconds(10))
        #expect(score.value(parameters) == 5)
        score.decay(parameters, now: .zero + .seconds(1_000))
        #expect(score.value(parameters) == 10)
        score.leaveMesh("t", parameters)
        #expect(score.value(parameters) == 0)
    }

    @Test func p2FirstDeliveries() {
        let parameters = parameters {
            $0.firstDeliveriesWeight = 2
            $0.firstDeliveriesCap = 10
            $0.firstDeliveriesDecay = 0.5
        }
        var score = GossipsubPeerScore()
        for _ in 0..<30 { score.firstDelivery("t", parameters) }
        #expect(score.value(parameters) == 20)
        score.decay(parameters, now: .zero)
        #expect(score.value(parameters) == 10)
        for _ in 0..<20 { score.decay(parameters, now: .zero) }
        #expect(score.value(parameters) == 0 && score.topics.isEmpty, "nothing is kept of what decayed")
    }

    @Test func p3MeshDeliveriesAndP3bFailures() {
        let parameters = parameters {
            $0.meshDeliveriesWeight = -1
            $0.meshDeliveriesThreshold = 5
            $0.meshDeliveriesActivation = .seconds(5)
            $0.meshDeliveriesDecay = 1
            $0.meshFailureWeight = -2
        }
        var score = GossipsubPeerScore()
        score.graft("t", now: .zero)
        score.decay(parameters, now: .zero + .seconds(5))
        #expect(score.value(parameters) == 0, "not active yet")
        score.decay(parameters, now: .zero + .seconds(6))
        #expect(score.value(parameters) == -25)
        for _ in 0..<3 { score.nearFirstDelivery("t", parameters) }
        #expect(score.value(parameters) == -4)
        score.leaveMesh("t", parameters)
        #expect(score.value(parameters) == -8)
    }

    @Test func p3IsOffByDefault() {
        let parameters = GossipsubScoreParameters()
        var score = GossipsubPeerScore()
        score.graft("t", now: .zero)
        score.decay(parameters, now: .zero + .seconds(1_000))
        #expect(score.value(parameters) == 10, "a quiet topic is no fault")
    }

    @Test func p4InvalidMessages() {
        let parameters = parameters { $0.invalidMessagesWeight = -1 }
        var score = GossipsubPeerScore()
        for _ in 0..<4 { score.invalidMessage("t") }
        #expect(score.value(parameters) == -16)
    }

    @Test func p7BehaviourAndSlowness() {
        let parameters = parameters { _ in }
        var score = GossipsubPeerScore()
        score.penalise(1)
        #expect(score.value(parameters) == 0, "one is forgiven")
        score.penalise(2)
        #expect(score.value(parameters) == -40)
        score.decay(parameters, now: .zero)
        #expect(score.value(parameters) == 0)
        for _ in 0..<10 { score.frameNotQueued() }
        #expect(score.value(parameters) == 0, "a short burst is forgiven")
        for _ in 0..<100_000 { score.frameNotQueued() }
        #expect(score.value(parameters) == -6, "slowness alone never stops gossip, which repairs its losses")
    }

    @Test func topicScoresAreCapped() {
        var parameters = parameters { $0.firstDeliveriesWeight = 1 }
        parameters.topicScoreCap = 60
        var score = GossipsubPeerScore()
        for topic in ["a", "b"] { for _ in 0..<50 { score.firstDelivery(topic, parameters) } }
        #expect(score.value(parameters) == 60)
    }

    @Test func topicsHaveTheirOwnParameters() {
        var parameters = parameters { $0.firstDeliveriesWeight = 1 }
        var heavy = parameters.defaultTopic
        heavy.weight = 3
        parameters.topics["heavy"] = heavy
        var score = GossipsubPeerScore()
        score.firstDelivery("heavy", parameters)
        score.firstDelivery("light", parameters)
        #expect(score.value(parameters) == 4)
    }

    // MARK: P6

    private func score(of count: Int, at address: [UInt8], sparesLocal: Bool = true) -> Double {
        var bench = GossipBench { $0.score.colocationSparesLocalAddresses = sparesLocal }
        for number in 0..<count { bench.add(GossipBench.peer(UInt8(2 + number)), address: address) }
        return bench.machine.score(of: GossipBench.peer(2))
    }

    @Test func p6PublicAddressesAreCounted() {
        #expect(score(of: 10, at: [203, 0, 113, 7]) == 0)
        #expect(score(of: 13, at: [203, 0, 113, 7]) == -45)
        #expect(score(of: 12, at: [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 1, count: 12)) == -20)
    }

    @Test(arguments: [
        [127, 0, 0, 1], [10, 1, 2, 3], [192, 168, 1, 1], [172, 20, 0, 1], [169, 254, 1, 1], [100, 64, 0, 1],
        [UInt8](repeating: 0, count: 15) + [1], [0xfe, 0x80] + [UInt8](repeating: 1, count: 14), [0xfd] + [UInt8](repeating: 1, count: 15),
        [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 10, 0, 0, 1], [],
    ] as [[UInt8]])
    func p6SparesLocalAddresses(address: [UInt8]) {
        #expect(score(of: 40, at: address) == 0)
        if !address.isEmpty { #expect(score(of: 40, at: address, sparesLocal: false) < 0) }
    }

    @Test func p6SharesOneCountForAnIPv6Subnet() {
        var bench = GossipBench()
        for number in 0..<12 {
            bench.add(GossipBench.peer(UInt8(2 + number)), address: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1] + [UInt8](repeating: UInt8(number), count: 8))
        }
        #expect(bench.machine.score(of: GossipBench.peer(2)) == -20)
        for number in 4..<12 { bench.machine.removePeer(GossipBench.peer(UInt8(2 + number)), now: bench.now) }
        #expect(bench.machine.score(of: GossipBench.peer(2)) == 0, "counted down on disconnect")
    }
}
