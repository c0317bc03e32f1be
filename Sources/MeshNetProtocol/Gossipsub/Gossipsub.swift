/// The gossipsub router of one node, sans-IO: RPCs in, frames and deliveries out.
///
/// Mutate once, then drain `poll()` until nil; call `handleTimeout` at `deadline`.
package struct Gossipsub: Sendable {
    /// Protocol ids in order of preference.
    package static let protocols = ["/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0", "/floodsub/1.0.0"]

    package let configuration: GossipsubConfiguration
    package private(set) var counters = GossipsubCounters()
    var random: RandomSource

    package init(configuration: GossipsubConfiguration, identity: KeyPair, random: RandomSource, now: Instant) {
        self.configuration = configuration
        self.random = random
    }

    /// A peer whose outgoing pubsub stream is ready. `address` is its IP in network order, for P6.
    package mutating func addPeer(_ peer: PeerID, protocolID: String, direction: Direction, address: [UInt8], now: Instant) {}

    /// The peer is gone: what it announced is forgotten, its score is kept for a while.
    package mutating func removePeer(_ peer: PeerID, now: Instant) {}

    /// One RPC without its length prefix.
    package mutating func receive(_ rpc: UnsafeRawBufferPointer, from peer: PeerID, now: Instant) {}

    /// False when the topic is already subscribed to.
    package mutating func subscribe(_ topic: String, now: Instant) throws(GossipsubError) -> Bool { false }

    /// False when the topic is not subscribed to.
    package mutating func unsubscribe(_ topic: String, now: Instant) -> Bool { false }

    package mutating func publish(topic: String, data: [UInt8], now: Instant) throws(GossipsubError) {}

    package mutating func handleTimeout(now: Instant) {}

    package var deadline: Instant? { nil }

    package mutating func poll() -> GossipsubAction? { nil }

    /// The driver could not queue a frame of this priority for the peer.
    package mutating func queueFull(_ peer: PeerID, priority: GossipsubPriority = .forward) {}

    /// Topics that we follow, sorted.
    package var subscriptions: [String] { [] }

    /// Connected peers that follow the topic, sorted.
    package func peers(topic: String) -> [PeerID] { [] }

    /// The mesh of the topic, sorted.
    package func meshPeers(topic: String) -> [PeerID] { [] }

    package func score(of peer: PeerID, now: Instant) -> Double { 0 }
}

/// What happened so far; only ever grows.
package struct GossipsubCounters: Sendable, Equatable {
    package init() {}
}
