/// Parameters of gossipsub (libp2p specs, gossipsub v1.0-1.2). Names follow the specification; defaults are go's where not said otherwise.
public struct GossipsubConfiguration: Sendable, Equatable {
    // MARK: Messages

    public var signaturePolicy: GossipsubSignaturePolicy = .strictSign
    public var messageIdentity: GossipsubMessageIdentity = .automatic
    /// Largest RPC in bytes that is sent or taken, without its length prefix; the payload must leave room for topic and signature.
    /// Default 8 MiB: go and nim have 1 MiB, rust 64 KiB, and users of both had to raise it.
    public var maximumMessageSize = 8 << 20
    /// Longest topic name in bytes of UTF-8, own and foreign. Default 1,024; the specification has no limit.
    public var maximumTopicLength = 1_024

    // MARK: Mesh

    /// Degree of the mesh of a topic that is aimed at (D). Default 6.
    public var degree = 6
    /// Below this more peers are grafted (Dlo). Default 5.
    public var degreeLow = 5
    /// Above this peers are pruned down to D (Dhi). Default 12.
    public var degreeHigh = 12
    /// Peers kept by score when pruning (Dscore). Default 4.
    public var degreeScore = 4
    /// Outbound connections kept in a mesh (Dout); below Dlo and at most D/2. Default 2.
    public var degreeOutbound = 2
    /// Peers that get gossip at each heartbeat, at least (Dlazy). Default 6.
    public var degreeLazy = 6
    /// Share of the other peers that get gossip, when more than Dlazy. Default 0.25.
    public var gossipFactor = 0.25

    // MARK: Time

    /// Between two heartbeats. Default 1 s.
    public var heartbeatInterval: Duration = .seconds(1)
    /// From start to the first heartbeat. Default 100 ms.
    public var heartbeatInitialDelay: Duration = .milliseconds(100)
    /// Heartbeats for which a message is kept for IWANT (mcache_len). Default 5.
    public var historyLength = 5
    /// Heartbeats for which a message is advertised by IHAVE (mcache_gossip). Default 3.
    public var historyGossip = 3
    /// How long a message id is remembered. Default 120 s.
    public var seenTTL: Duration = .seconds(120)
    /// Without publishing for this long the fanout of a topic is forgotten. Default 60 s.
    public var fanoutTTL: Duration = .seconds(60)
    /// No GRAFT to or from a peer this long after a PRUNE. Default 60 s.
    public var pruneBackoff: Duration = .seconds(60)
    /// The same after leaving a topic. Default 10 s.
    public var unsubscribeBackoff: Duration = .seconds(10)
    /// Added to a backoff before we graft ourselves, so that clocks and delays of the peer cannot make it a violation. Default 2 s.
    public var backoffSlack: Duration = .seconds(2)
    /// The longest backoff that a peer can impose. Default 3,600 s (rust; go has no limit. CVE-2026-33040, CVE-2026-34219).
    public var maximumBackoff: Duration = .seconds(3_600)
    /// A GRAFT this soon after a PRUNE counts twice. Default 10 s.
    public var graftFloodThreshold: Duration = .seconds(10)
    /// A message asked for by IWANT must arrive within this. Default 3 s.
    public var iwantFollowupTime: Duration = .seconds(3)
    /// Between two looks at the median score of a mesh. Default 60 s.
    public var opportunisticGraftInterval: Duration = .seconds(60)
    /// Peers grafted then. Default 2.
    public var opportunisticGraftPeers = 2

    // MARK: Behaviour

    /// Own messages go to every peer of the topic above the publish threshold. Default on.
    public var floodPublish = true
    /// Take peers offered with a PRUNE, from peers above `acceptPXThreshold`. Default off: a node is told whom to trust, not by a stranger.
    public var acceptsPeerExchange = false
    /// Payloads of at least so many bytes are announced by IDONTWANT (v1.2 peers). Default 1,024; `Int.max` switches it off.
    public var idontwantThreshold = 1_024
    /// Heartbeats for which an IDONTWANT of a peer counts. Default 3.
    public var idontwantTTL = 3

    // MARK: Bounds

    public var limits = GossipsubLimits()
    public var score = GossipsubScoreParameters()

    public init() {}
}

/// What messages must carry (libp2p specs, pubsub, "Message Signing").
public enum GossipsubSignaturePolicy: Sendable, Equatable {
    /// Every message has author, sequence number and a valid signature.
    case strictSign
    /// No message has author, sequence number, signature or key.
    case strictNoSign
}

/// How the id of a message, by which duplicates are known, is made. All nodes of a topic must agree.
public enum GossipsubMessageIdentity: Sendable, Equatable {
    /// `originAndSequence` under StrictSign, `contentHash` under StrictNoSign, where there is neither origin nor sequence number.
    case automatic
    /// The author's peer id followed by the sequence number: the default of every implementation.
    case originAndSequence
    /// SHA-256 of the payload: js' default under StrictNoSign (go and rust give all unsigned messages one id, so an application must choose there).
    /// Two messages of equal payload count as one for `seenTTL`, also in different topics.
    case contentHash
}

/// Bounds on what peers can make this node keep or do. Each is counted; see `GossipsubCounters`.
public struct GossipsubLimits: Sendable, Equatable {
    /// Control bytes (everything but messages) of one RPC, counted before anything of it is kept.
    /// Default 512 KiB: go may put 5,000 ids of 46 bytes (Ed25519 author and sequence number) into one IHAVE, 240 kB with framing, and piggybacks more;
    /// rust's 16 KiB would drop that whole RPC.
    public var controlBytes = 512 << 10
    /// Subscription entries of one RPC; the rest of them is ignored. Default 1,024: go announces all topics in its first RPC.
    public var subscriptionsPerRPC = 1_024
    /// Topics kept for one peer. Default 1,024 (rust's filter: 100; CVE-2026-46679).
    public var topicsPerPeer = 1_024
    /// Bytes of topic names kept for one peer. Default 64 KiB.
    public var topicBytesPerPeer = 64 << 10
    /// Topics that this node follows. Default 1,024.
    public var ownTopics = 1_024
    /// Messages of one RPC; one with more is refused. Default 5,000: as many as can be asked for at once (rust 500).
    public var messagesPerRPC = 5_000
    /// Control entries (IHAVE, IWANT, GRAFT, PRUNE, IDONTWANT) of one RPC; the rest is ignored. Default 5,000 (js).
    public var controlEntriesPerRPC = 5_000
    /// Message ids in the control entries of one RPC; the rest is ignored. Default 10,000: an IHAVE and an IWANT of 5,000 each.
    public var idsPerRPC = 10_000
    /// Longest message id in bytes; longer ones are ignored. Default 256: the usual ones have 20 to 50.
    public var messageIDLength = 256
    /// Peers offered in one PRUNE. Default 16.
    public var peersPerPrune = 16
    /// IHAVE RPCs from one peer in one heartbeat. Default 10.
    public var ihaveMessagesPerHeartbeat = 10
    /// Ids asked of one peer in one heartbeat, and ids advertised to one peer for one topic. Default 5,000.
    public var ihaveLength = 5_000
    /// Times that one message is sent to one peer by IWANT. Default 3.
    public var iwantRetransmissions = 3
    /// IDONTWANT RPCs from one peer in one heartbeat. Default 1,000.
    public var idontwantMessagesPerHeartbeat = 1_000
    /// Ids in the IDONTWANT of one RPC. Default 10.
    public var idontwantIDsPerMessage = 10
    /// Message ids remembered, in all; the oldest goes first. Default 1,048,576: 8,700 messages per second for 120 s.
    public var seenMessages = 1 << 20
    /// Bytes of messages kept for IWANT; the oldest goes first. Default 64 MiB: eight messages of the largest size.
    public var cacheBytes = 64 << 20
    /// Messages asked for by IWANT that are being waited for, in all. Default 16,384; beyond it a request is sent but not tracked.
    public var promises = 16_384
    /// Backoff entries in all; beyond it the one that ends first goes. Default 65,536.
    public var backoffs = 65_536
    /// Scores kept of peers that are gone; the one that ends first goes. Default 4,096.
    public var retainedScores = 4_096
    /// Topics that this node publishes to without following them. Default 1,024; the one unused for longest goes first.
    public var fanoutTopics = 1_024

    public init() {}
}
