/// What the driver of `Gossipsub` must do, in this order.
package enum GossipsubAction: Sendable, Equatable {
    /// Queue one RPC with its length prefix for the peer; call `queueFull` when there is no room. One array is shared by all peers that get it.
    case send(PeerID, frame: [UInt8], priority: GossipsubPriority)
    /// A message for the application; once for each message id.
    case deliver(GossipsubMessage)
    case peerSubscribed(PeerID, topic: String)
    case peerUnsubscribed(PeerID, topic: String)
    /// A peer offered with a PRUNE (only with `acceptsPeerExchange`): its signed record, unverified and possibly empty.
    case peerExchange(PeerID, record: [UInt8])
    /// Something of this peer was not taken; also counted in `counters`.
    case dropped(GossipsubDropReason, from: PeerID)
}

/// Which queue a frame belongs to: control overtakes own messages, these overtake forwarded ones.
package enum GossipsubPriority: UInt8, Sendable, Comparable {
    case control, own, forward

    package static func < (a: GossipsubPriority, b: GossipsubPriority) -> Bool { a.rawValue < b.rawValue }
}

package struct GossipsubMessage: Sendable, Equatable {
    package let topic: String
    /// The author; nil under StrictNoSign.
    package let origin: PeerID?
    /// The neighbour that brought it first.
    package let receivedFrom: PeerID
    package let data: [UInt8]
}

/// Why an RPC or a message was not taken.
package enum GossipsubDropReason: UInt8, Sendable, CaseIterable {
    case malformedRPC, tooLargeRPC, tooMuchControl, graylisted
    case missingTopic, topicTooLong, missingField, unexpectedField
    case malformedOrigin, malformedKey, keyMismatch, invalidSignature, ownOrigin
    case duplicate, notSubscribed, tooManyMessages
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
