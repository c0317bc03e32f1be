/// The counters behind one peer's score (libp2p specs, gossipsub v1.1, "The Score Function").
struct GossipsubPeerScore: Sendable {
    struct Topic: Sendable {
        let name: String
        /// Since when the peer is in our mesh; nil outside.
        var inMeshSince: Instant?
        /// Updated at each decay, so that reading a score needs no clock.
        var timeInMesh: Duration = .zero
        var firstDeliveries = 0.0
        var meshDeliveries = 0.0
        var meshFailures = 0.0
        var invalidMessages = 0.0
        /// Of its parameters what each message needs, which have hundreds of bytes.
        var caps: Caps?

        var isBlank: Bool {
            inMeshSince == nil && firstDeliveries == 0 && meshDeliveries == 0 && meshFailures == 0 && invalidMessages == 0
        }
    }

    struct Caps: Sendable {
        let firstDeliveries: Double
        let meshDeliveries: Double
        /// Nobody should want this.
        let deliveriesLower: Bool

        init(_ parameters: GossipsubTopicScoreParameters) {
            firstDeliveries = parameters.firstDeliveriesCap
            meshDeliveries = parameters.meshDeliveriesCap
            deliveriesLower = parameters.weight < 0 || parameters.firstDeliveriesWeight < 0 || parameters.meshDeliveriesWeight > 0
        }
    }

    /// Frames not queued that count at most: (40 − 10) × −0.2 keeps a merely slow peer above the gossip threshold, so that gossip can repair
    /// its losses.
    static let slowPeerCap = 40.0

    /// Sorted by name, since the sum of floating point numbers depends on the order. Only topics that we follow or followed of late.
    private(set) var topics: [Topic] = []
    /// P5, from the application.
    var application = 0.0 { didSet { revision += 1 } }
    private(set) var behaviour = 0.0
    private(set) var slow = 0.0
    /// Another one when the value may have fallen.
    private(set) var revision: UInt64 = 0

    init() {}

    /// P1 to P5, P7 and the slow-peer penalty; P6 is the machine's, which knows the other peers.
    func value(_ parameters: GossipsubScoreParameters) -> Double {
        var sum = 0.0
        for topic in topics { sum += Self.value(of: topic, parameters.parameters(topic.name)) }
        if parameters.topicScoreCap > 0 { sum = min(sum, parameters.topicScoreCap) }
        sum += application * parameters.applicationWeight
        let excess = max(0, behaviour - parameters.behaviourThreshold)
        sum += excess * excess * parameters.behaviourWeight
        sum += max(0, slow - parameters.slowPeerThreshold) * parameters.slowPeerWeight
        return sum
    }

    private static func value(of topic: Topic, _ parameters: GossipsubTopicScoreParameters) -> Double {
        var sum = 0.0
        if topic.inMeshSince != nil {
            let quantum = max(1, parameters.timeInMeshQuantum.saturatedNanoseconds)
            sum += min(Double(topic.timeInMesh.saturatedNanoseconds / quantum), parameters.timeInMeshCap) * parameters.timeInMeshWeight
        }
        sum += topic.firstDeliveries * parameters.firstDeliveriesWeight
        let deficit = meshDeficit(topic, parameters)
        sum += deficit * deficit * parameters.meshDeliveriesWeight
        sum += topic.meshFailures * parameters.meshFailureWeight
        sum += topic.invalidMessages * topic.invalidMessages * parameters.invalidMessagesWeight
        return sum * parameters.weight
    }

    private static func meshDeficit(_ topic: Topic, _ parameters: GossipsubTopicScoreParameters) -> Double {
        guard topic.inMeshSince != nil, topic.timeInMesh > parameters.meshDeliveriesActivation else { return 0 }
        return max(0, parameters.meshDeliveriesThreshold - topic.meshDeliveries)
    }

    mutating func graft(_ topic: String, now: Instant) {
        revision += 1
        let index = index(topic)
        topics[index].inMeshSince = now
        topics[index].timeInMesh = .zero
    }

    /// Left the mesh, by whatever cause: a deficit at this time sticks (P3b).
    mutating func leaveMesh(_ topic: String, _ parameters: GossipsubScoreParameters) {
        revision += 1
        guard let index = topics.firstIndex(where: { $0.name == topic }) else { return }
        let deficit = Self.meshDeficit(topics[index], parameters.parameters(topic))
        topics[index].meshFailures += deficit * deficit
        topics[index].inMeshSince = nil
    }

    mutating func firstDelivery(_ topic: String, _ parameters: @autoclosure () -> GossipsubScoreParameters) {
        let index = index(topic), caps = caps(index, parameters())
        topics[index].firstDeliveries = min(caps.firstDeliveries, topics[index].firstDeliveries + 1)
        countMeshDelivery(index, caps)
    }

    /// A duplicate that came so soon after the first that the peer cannot have had it from us.
    mutating func nearFirstDelivery(_ topic: String, _ parameters: GossipsubScoreParameters) {
        let index = index(topic)
        countMeshDelivery(index, caps(index, parameters))
    }

    private mutating func countMeshDelivery(_ index: Int, _ caps: Caps) {
        if caps.deliveriesLower { revision += 1 }
        guard topics[index].inMeshSince != nil else { return }
        topics[index].meshDeliveries = min(caps.meshDeliveries, topics[index].meshDeliveries + 1)
    }

    private mutating func caps(_ index: Int, _ parameters: @autoclosure () -> GossipsubScoreParameters) -> Caps {
        if let caps = topics[index].caps { return caps }
        let caps = Caps(parameters().parameters(topics[index].name))
        topics[index].caps = caps
        return caps
    }

    mutating func invalidMessage(_ topic: String) {
        revision += 1
        topics[index(topic)].invalidMessages += 1
    }

    mutating func penalise(_ count: Double) {
        revision += 1
        behaviour += count
    }

    mutating func frameNotQueued() {
        revision += 1
        slow = min(slow + 1, Self.slowPeerCap)
    }

    mutating func decay(_ parameters: GossipsubScoreParameters, now: Instant) {
        revision += 1
        let floor = parameters.decayToZero
        func decayed(_ value: Double, _ factor: Double) -> Double {
            let result = value * factor
            return result < floor ? 0 : result
        }
        for index in topics.indices {
            let own = parameters.parameters(topics[index].name)
            topics[index].firstDeliveries = decayed(topics[index].firstDeliveries, own.firstDeliveriesDecay)
            topics[index].meshDeliveries = decayed(topics[index].meshDeliveries, own.meshDeliveriesDecay)
            topics[index].meshFailures = decayed(topics[index].meshFailures, own.meshFailureDecay)
            topics[index].invalidMessages = decayed(topics[index].invalidMessages, own.invalidMessagesDecay)
            if let since = topics[index].inMeshSince { topics[index].timeInMesh = now - since }
        }
        topics.removeAll { $0.isBlank }
        behaviour = decayed(behaviour, parameters.behaviourDecay)
        slow = decayed(slow, parameters.slowPeerDecay)
    }

    /// The connection ended: what was earned goes, what was broken stays.
    mutating func disconnect(_ parameters: GossipsubScoreParameters) {
        revision += 1
        for index in topics.indices {
            leaveMesh(topics[index].name, parameters)
            topics[index].firstDeliveries = 0
            topics[index].meshDeliveries = 0
        }
        topics.removeAll { $0.isBlank }
        slow = 0
    }

    private mutating func index(_ name: String) -> Int {
        if let index = topics.firstIndex(where: { $0.name == name }) { return index }
        var index = 0
        while index < topics.count, topics[index].name < name { index += 1 }
        topics.insert(Topic(name: name), at: index)
        return index
    }
}

extension GossipsubScoreParameters {
    func parameters(_ topic: String) -> GossipsubTopicScoreParameters {
        topics.isEmpty ? defaultTopic : topics[topic] ?? defaultTopic
    }
}

/// What P6 counts a peer under.
enum GossipsubColocation {
    /// The IPv4 address, or the /64 of the IPv6 address, which one host has to itself; empty for what is not counted.
    static func key(_ address: [UInt8], sparesLocal: Bool) -> [UInt8] {
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        let isMapped = address.count == 16 && address.starts(with: mapped)
        let plain = isMapped ? Array(address[12...]) : address
        switch plain.count {
        case 4: return sparesLocal && isLocal4(plain) ? [] : plain
        case 16: return sparesLocal && isLocal6(plain) ? [] : Array(plain[..<8])
        default: return []
        }
    }

    /// Loopback, RFC 1918, link-local, and the shared space of RFC 6598, where overlay networks live.
    private static func isLocal4(_ address: [UInt8]) -> Bool {
        switch (address[0], address[1]) {
        case (127, _), (10, _), (192, 168), (169, 254), (172, 16...31), (100, 64...127): true
        default: false
        }
    }

    /// Loopback, unique local, link-local.
    private static func isLocal6(_ address: [UInt8]) -> Bool {
        if address[0] & 0xfe == 0xfc { return true }
        if address[0] == 0xfe, address[1] & 0xc0 == 0x80 { return true }
        return address.dropLast().allSatisfy { $0 == 0 } && address[15] == 1
    }
}
