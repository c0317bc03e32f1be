/// Weights and thresholds of the peer score (libp2p specs, gossipsub v1.1, "Peer Scoring").
///
/// The defaults suit small and quiet networks of machines that know each other: nothing is lost by being silent (P3 is off), nor by sharing
/// an address, and only what breaks the protocol counts against a peer.
public struct GossipsubScoreParameters: Sendable, Equatable {
    /// Below: no gossip to or from the peer. Default −10.
    public var gossipThreshold = -10.0
    /// Below: own messages are not flooded to the peer. Default −50.
    public var publishThreshold = -50.0
    /// Below: nothing of the peer is read. Default −80.
    public var graylistThreshold = -80.0
    /// From here on peers offered with a PRUNE are taken. Default 10.
    public var acceptPXThreshold = 10.0
    /// A mesh whose median score is below grafts better peers. Default 20.
    public var opportunisticGraftThreshold = 20.0

    /// Between two decays. Default 1 s.
    public var decayInterval: Duration = .seconds(1)
    /// Counters below this become zero. Default 0.01.
    public var decayToZero = 0.01
    /// How long the score of a peer is kept after it went. Default 1 h, so that leaving does not wash it clean.
    public var retainScore: Duration = .seconds(3_600)

    /// Highest sum of the topic scores; 0 for none. Default 100.
    public var topicScoreCap = 100.0
    /// For every topic without parameters of its own.
    public var defaultTopic = GossipsubTopicScoreParameters()
    public var topics: [String: GossipsubTopicScoreParameters] = [:]

    /// Weight of the score that the application gives (P5). Default 1.
    public var applicationWeight = 1.0
    /// Weight of peers sharing one IP address above the threshold, squared (P6); at most 0. Default −5.
    public var colocationWeight = -5.0
    /// Default 10.
    public var colocationThreshold = 10
    /// Loopback, private, link-local and unique local addresses are not counted. Default on: this is a library for local networks, where
    /// containers, virtual machines and test programs share one address, and where an attacker has as many addresses as it likes.
    /// Public addresses are counted: the sybils that P6 was made for come from there.
    public var colocationSparesLocalAddresses = true
    /// Weight of broken promises and too early GRAFTs, squared (P7); at most 0. Default −10.
    public var behaviourWeight = -10.0
    /// Default 1: a single one is forgiven, since a full queue or a restart can cause it (rust: 0).
    public var behaviourThreshold = 1.0
    /// Default 0.2 per interval (rust): forgotten within seconds, unless repeated.
    public var behaviourDecay = 0.2
    /// Weight of frames that could not be queued for the peer, above the threshold. Default −0.2 (rust).
    public var slowPeerWeight = -0.2
    /// Default 10: a burst that overflows a queue by a few frames must not cost the place in the mesh and a minute of backoff (rust: 0).
    public var slowPeerThreshold = 10.0
    public var slowPeerDecay = 0.2

    public init() {}

    /// Whether a duplicate may count for who brings it (P3).
    var countsDuplicates: Bool { !topics.isEmpty || defaultTopic.meshDeliveriesWeight != 0 }
}

/// Weights of one topic. Decays are per `decayInterval`.
public struct GossipsubTopicScoreParameters: Sendable, Equatable {
    /// Weight of the topic in the score. Default 1.
    public var weight = 1.0
    /// P1: time in the mesh, in quanta, up to the cap. Default 0.01 per s, cap 1,000 s: 10 points at most.
    public var timeInMeshWeight = 0.01
    public var timeInMeshQuantum: Duration = .seconds(1)
    public var timeInMeshCap = 1_000.0
    /// P2: messages that the peer brought first. Default 1 each, cap 50, half gone after 7 s.
    public var firstDeliveriesWeight = 1.0
    public var firstDeliveriesDecay = 0.9
    public var firstDeliveriesCap = 50.0
    /// P3: mesh deliveries below the threshold, squared; at most 0. Default 0, off: a quiet topic is no fault of a peer.
    public var meshDeliveriesWeight = 0.0
    public var meshDeliveriesDecay = 0.9
    public var meshDeliveriesCap = 100.0
    public var meshDeliveriesThreshold = 10.0
    /// A duplicate counts as a delivery within this after the first. Default 10 ms.
    public var meshDeliveriesWindow: Duration = .milliseconds(10)
    /// Not counted before the peer is this long in the mesh. Default 30 s.
    public var meshDeliveriesActivation: Duration = .seconds(30)
    /// P3b: deficits at the time of a PRUNE; at most 0. Default 0, off.
    public var meshFailureWeight = 0.0
    public var meshFailureDecay = 0.9
    /// P4: invalid messages, squared; at most 0. Default −10 each squared: three of them silence a peer's gossip, the third graylists it.
    public var invalidMessagesWeight = -10.0
    /// Default 0.9: half gone after 7 s.
    public var invalidMessagesDecay = 0.9

    public init() {}
}
