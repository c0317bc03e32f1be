/// The gossipsub router of one node, sans-IO: RPCs in, frames and deliveries out (libp2p specs, pubsub, gossipsub v1.0-1.2).
///
/// Mutate once, then drain `poll()` until nil; call `handleTimeout` at `deadline`. Everything that a peer can make it keep is bounded by
/// `GossipsubLimits`; all randomness comes from the source given, and one input gives one output, whatever the hash seed of the process.
package struct Gossipsub {
    /// Protocol ids in order of preference.
    package static let protocols = ["/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0", "/floodsub/1.0.0"]

    package let configuration: GossipsubConfiguration
    package internal(set) var counters = GossipsubCounters()

    let identity: KeyPair
    let localPeer: PeerID
    let usesContentHash: Bool
    let keyMaker: GossipsubKeyMaker
    var random: RandomSource
    /// Of the next own message. Starts at random, so that a restarted node does not repeat the ids of its last life.
    var sequence: UInt64

    /// Peers by slot; a slot is given again after its peer left.
    var peers: [GossipsubPeer?] = []
    var freeSlots: [Int] = []
    var slots: [PeerID: Int] = [:]
    var retainedScores: GossipsubRetainedScores
    /// Connected peers by what P6 counts them under.
    var colocated: [[UInt8]: Int] = [:]

    var topics: [String: GossipsubTopic] = [:]
    /// Topics that we follow, sorted.
    var ownTopics: [String] = []
    /// Topics that we publish to without following them, the one used last at the end.
    var fanoutTopics: [String] = []

    var seen: GossipsubSeenCache
    var cache: GossipsubMessageCache
    var backoffs: GossipsubBackoffs
    var promises: GossipsubPromises
    var forwards = GossipsubForwards()

    var heartbeats: UInt64 = 0
    var nextHeartbeat: Instant
    var nextDecay: Instant

    private var actions = Fifo<GossipsubAction>()
    /// What was heard last, from whom: the next may belong to it. It comes behind `actions`.
    private var heard: (topic: GossipsubTopic, neighbour: GossipsubPeer, run: TopicRun)?
    /// Slots with something in `outgoing`.
    private var touched: [Int] = []

    /// Whose RPC came last, and the topic and the author of the last message.
    var lastSender = 0
    var lastTopic: (name: [UInt8], topic: GossipsubTopic)?
    var lastAuthor: GossipsubAuthor?

    /// Reused from call to call.
    var rpcScratch = GossipsubRPC()
    var arrivals = GossipsubArrivals()
    var byteScratch: [UInt8] = []
    var signedScratch: [UInt8] = []

    /// Where the messages lie that the cache and the queues hold.
    var blocks = SharedBlocks()

    /// `sequenceNumber` is that of the first own message; nil draws one. Networks that demand rising numbers give nanoseconds of the wall clock.
    package init(configuration: GossipsubConfiguration, identity: KeyPair, random: RandomSource, now: Instant, sequenceNumber: UInt64? = nil) {
        let configuration = configuration.clamped
        let limits = configuration.limits
        self.configuration = configuration
        self.identity = identity
        self.random = random
        localPeer = identity.peerID
        usesContentHash = configuration.usesContentHash
        keyMaker = GossipsubKeyMaker(random: &self.random)
        let drawn = self.random.next() >> 1
        sequence = sequenceNumber ?? drawn
        retainedScores = GossipsubRetainedScores(limit: limits.retainedScores)
        seen = GossipsubSeenCache(ttl: configuration.seenTTL, limit: limits.seenMessages)
        cache = GossipsubMessageCache(historyLength: configuration.historyLength, gossipLength: configuration.historyGossip, byteLimit: limits.cacheBytes)
        backoffs = GossipsubBackoffs(limit: limits.backoffs, slack: configuration.backoffSlack)
        promises = GossipsubPromises(limit: limits.promises)
        nextHeartbeat = now + configuration.heartbeatInitialDelay
        nextDecay = now + configuration.score.decayInterval
    }

    package var deadline: Instant? { nextHeartbeat }

    package mutating func handleTimeout(now: Instant) {
        guard now >= nextHeartbeat else { return }
        heartbeat(now)
        nextHeartbeat = nextHeartbeat + configuration.heartbeatInterval
        if nextHeartbeat <= now { nextHeartbeat = now + configuration.heartbeatInterval }
        flush()
    }

    /// With `holdingForwards` messages to forward wait for a `poll` without it, soon: a peer that brings one meanwhile is spared it.
    package mutating func poll(holdingForwards: Bool = false) -> GossipsubAction? {
        if actions.isEmpty {
            if !holdingForwards { releaseForwards() }
            endRun()
        }
        return actions.popFirst()
    }

    // MARK: What it knows

    /// Topics that we follow, sorted.
    package var subscriptions: [String] { ownTopics }

    /// Connected peers that follow the topic, sorted.
    package func peers(topic: String) -> [PeerID] { ids(topics[topic]?.followers) }
    package func isSubscribed(topic: String) -> Bool { topics[topic]?.isSubscribed == true }

    /// The mesh of the topic, sorted.
    package func meshPeers(topic: String) -> [PeerID] { ids(topics[topic]?.mesh) }

    /// Those who are in the mesh of any topic that we follow.
    package var meshMembers: Set<PeerID> { ownTopics.reduce(into: []) { $0.formUnion(meshPeers(topic: $1)) } }

    /// The score of a connected peer, or the one kept of a peer that left; 0 for unknown peers.
    package func score(of peer: PeerID) -> Double {
        if let slot = slots[peer] { return score(slot) }
        return retainedScores.score(of: peer)?.value(configuration.score) ?? 0
    }

    /// The topic with this name, which is there from now on.
    mutating func ensure(_ name: String) -> GossipsubTopic {
        if let topic = topics[name] { return topic }
        let topic = GossipsubTopic(name: name)
        topics[name] = topic
        return topic
    }

    mutating func forgetIfUnused(_ topic: String) {
        if topics[topic]?.isUnused == true { topics[topic] = nil }
    }

    private func ids(_ slots: GossipsubSlots?) -> [PeerID] {
        (slots?.slots ?? []).compactMap { peers[$0]?.id }.sorted()
    }

    // MARK: Output

    mutating func act(_ action: consuming GossipsubAction) {
        endRun()
        actions.append(action)
    }

    mutating func deliver(_ payload: SharedBytes, _ topic: GossipsubTopic, by origin: PeerID?, from neighbour: GossipsubPeer) {
        if heard == nil || heard!.topic !== topic || heard!.neighbour !== neighbour || heard!.run.origin != origin {
            endRun()
            heard = (topic, neighbour, TopicRun(topic: topic.name, origin: origin, receivedFrom: neighbour.id))
        }
        heard!.run.append(payload)
    }

    private mutating func endRun() {
        guard let run = heard?.run else { return }
        heard = nil
        actions.append(.deliver(run))
    }

    /// Gathers control for a peer; it leaves at the end of the call, in as few RPCs as it fits.
    mutating func tell(_ slot: Int, _ write: (inout GossipsubOutgoing) -> Void) {
        guard peers[slot] != nil else { return }
        write(&peers[slot]!.outgoing)
        if !peers[slot]!.isTouched {
            peers[slot]!.isTouched = true
            touched.append(slot)
        }
    }

    mutating func send(_ frames: GossipsubFrames, to slot: Int, _ priority: GossipsubPriority) {
        guard let peer = peers[slot]?.id else { return }
        act(.send(peer, frames: frames, priority: priority))
    }

    mutating func send(_ frame: SharedBytes, to slot: Int, _ priority: GossipsubPriority) { send(GossipsubFrames(frame), to: slot, priority) }

    mutating func flush() {
        guard !touched.isEmpty else { return }
        for slot in touched {
            guard peers[slot] != nil else { continue }
            peers[slot]!.isTouched = false
            for frame in peers[slot]!.outgoing.takeFrames() {
                counters.controlFramesSent += 1
                send(SharedBytes(frame), to: slot, .control)
            }
        }
        touched.removeAll(keepingCapacity: true)
    }

    /// Counts, and reports what a correct peer does not cause.
    mutating func drop(_ reason: GossipsubDropReason, from slot: Int) {
        counters.count(reason)
        if reason.isViolation, let peer = peers[slot]?.id { act(.dropped(reason, from: peer)) }
    }
}

extension GossipsubConfiguration {
    var usesContentHash: Bool {
        switch messageIdentity {
        case .automatic: signaturePolicy == .strictNoSign
        case .originAndSequence: false
        case .contentHash: true
        }
    }

    /// Values that make no sense brought to the nearest that do.
    var clamped: GossipsubConfiguration {
        var result = self
        result.degree = max(1, degree)
        result.degreeLow = min(max(1, degreeLow), result.degree)
        result.degreeHigh = max(degreeHigh, result.degree)
        result.degreeScore = min(max(0, degreeScore), result.degree)
        result.degreeOutbound = min(max(0, degreeOutbound), result.degree / 2)
        result.degreeLazy = max(0, degreeLazy)
        result.gossipFactor = min(max(0, gossipFactor), 1)
        result.heartbeatInterval = max(.milliseconds(10), heartbeatInterval)
        result.score.decayInterval = max(.milliseconds(10), score.decayInterval)
        result.historyGossip = min(max(0, historyGossip), historyLength)
        return result
    }
}
