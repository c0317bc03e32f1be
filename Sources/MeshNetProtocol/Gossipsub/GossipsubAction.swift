/// What the driver of `Gossipsub` must do, in this order.
package enum GossipsubAction: Sendable, Equatable {
    /// Queue RPCs with their length prefixes for the peer, in order as far as there is room; call `queueFull` for each that finds none.
    case send(PeerID, frames: GossipsubFrames, priority: GossipsubPriority)
    /// Messages for the application; once for each message id.
    case deliver(TopicRun)
    case peerSubscribed(PeerID, topic: String)
    case peerUnsubscribed(PeerID, topic: String)
    /// A peer offered with a PRUNE (only with `acceptsPeerExchange`), with the record that it signed itself; nil when none was given.
    case peerExchange(PeerID, record: PeerRecord?)
    /// An RPC or a message of this peer was not taken, for a reason that a correct peer does not give. After `malformedRPC` the stream should
    /// be reset.
    case dropped(GossipsubDropReason, from: PeerID)
}

/// Which queue a frame belongs to: control overtakes own messages, these overtake forwarded ones.
package enum GossipsubPriority: UInt8, Sendable, Comparable {
    case control, own, forward

    package static func < (a: GossipsubPriority, b: GossipsubPriority) -> Bool { a.rawValue < b.rawValue }
}

/// Why something that a peer sent had no effect. Each is counted in `GossipsubCounters`; those that a correct peer does not cause are also actions.
package enum GossipsubDropReason: UInt8, Sendable, CaseIterable {
    /// The whole RPC.
    case unknownPeer, malformedRPC, tooLargeRPC, tooMuchControl, tooManyMessages, graylisted
    /// One message, against the rules.
    case missingTopic, missingField, unexpectedField, malformedOrigin, malformedKey, keyMismatch, invalidSignature
    /// One message of our own, come back: after a restart this is no fault of the peer.
    case ownOrigin
    /// One message, in good order.
    case duplicate, notSubscribed
    /// Entries beyond a limit.
    case excessSubscriptions, excessControl, excessTopics
    case excessIHave, excessIWant, excessIDontWant
    /// GRAFTs that were refused, and gossip of peers below the threshold.
    case graftInBackoff, graftNegativeScore, graftMeshFull, graftUnknownTopic, gossipBelowThreshold
    /// Peers offered with a PRUNE that are not wanted or make no sense.
    case peerExchangeIgnored

    /// Such RPCs and messages break the protocol.
    var isViolation: Bool {
        switch self {
        case .malformedRPC, .tooLargeRPC, .tooMuchControl, .tooManyMessages, .missingTopic, .missingField, .unexpectedField, .malformedOrigin,
            .malformedKey, .keyMismatch, .invalidSignature:
            true
        default: false
        }
    }
}

/// Why a publish or a subscription failed. Nothing was sent then.
package enum GossipsubError: Error, Sendable, Equatable {
    /// An empty topic, or one of more bytes than the limit.
    case invalidTopic(String, limit: Int)
    /// The payload's size and the largest that fits with this topic.
    case messageTooLarge(size: Int, limit: Int)
    case noPeersSubscribed(topic: String)
    /// The same message was published or seen before (only with `contentHash`).
    case duplicate
    case tooManyTopics(limit: Int)
}
