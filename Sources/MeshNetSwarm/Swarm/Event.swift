public import MeshNetProtocol

/// What a node tells its application. Every case reaches C as one `meshnet_event_type` and Python as one class.
public enum Event: Sendable, Equatable {
    /// The node accepts connections at this address.
    case listening(Multiaddr)
    /// A peer is connected. One event per peer, however many dials raced.
    case connected(PeerConnection)
    /// The last connection to the peer ended.
    case disconnected(PeerConnection, cause: DisconnectCause)
    /// A published message arrived on a topic that we subscribe to.
    case message(Message)
    /// A peer told us that it follows a topic, or no longer does.
    case subscription(peer: PeerID, topic: String, subscribed: Bool)
    /// Identify told what a connected peer is and where it listens.
    case identified(PeerIdentity)
    /// A peer opened a stream for a protocol id that we accept.
    case streamOpened(stream: StreamID, peer: PeerID, protocolID: String)
    /// Every address of a dial failed; a bootstrap peer or an awaited peer is tried again at the given delay.
    case dialFailed(DialFailure)
    /// A configured address cannot be used, or was taken to mean another one.
    case addressProblem(AddressProblem)
    /// The application read too slowly: so many messages were dropped since the last event of this kind.
    case messagesDropped(count: Int)
    /// A peer was found that is neither connected nor being dialled for another reason; with `DiscoveryPolicy.offer` nobody dials it unless you do.
    case discovered(Discovery)
    /// A source of peers began to work, or no longer does.
    case discoverySource(DiscoverySource, SourceState)
    /// Another node is alive with our identity; both are told. At most once a minute.
    case duplicateIdentity(DuplicateIdentity)
    /// Something happened to the channel of a peer.
    case channel(PeerID, ChannelChange)
    /// Who followed a topic when we began to. Comes once for each `subscribe`, before any `subscription` of the topic.
    case members(topic: String, peers: [PeerID])
    /// The machine slept, or the process stood still, for so long: every wait for a peer was cut short.
    case woke(after: Duration)
    /// The state directory cannot be used as it should.
    case storage(StorageProblem)
}

public struct PeerConnection: Sendable, Equatable {
    public let peer: PeerID
    /// The remote address of the connection.
    public let address: Multiaddr
    public let direction: Direction

    package init(peer: PeerID, address: Multiaddr, direction: Direction) {
        self.peer = peer
        self.address = address
        self.direction = direction
    }
}

public struct Message: Sendable, Equatable {
    public let topic: String
    /// The author; nil only under StrictNoSign.
    public let origin: PeerID?
    /// The neighbour that delivered it first.
    public let receivedFrom: PeerID
    package let payload: SharedBytes
    /// The last value of the topic, published before we followed it, or not heard by gossip (`Command.publishRetained`).
    public let isRetained: Bool

    /// What was published: a copy, made here.
    public var data: [UInt8] { payload.array }

    package init(topic: String, origin: PeerID?, receivedFrom: PeerID, payload: SharedBytes, isRetained: Bool = false) {
        self.topic = topic
        self.origin = origin
        self.receivedFrom = receivedFrom
        self.payload = payload
        self.isRetained = isRetained
    }
}

extension TopicRun {
    /// The message at an index below `count`.
    package func message(_ index: Int) -> Message { Message(topic: topic, origin: origin, receivedFrom: receivedFrom, payload: self[index]) }
}

public struct PeerIdentity: Sendable, Equatable {
    public let peer: PeerID
    public let agentVersion: String
    public let protocolVersion: String
    public let protocols: [String]
    public let listenAddresses: [Multiaddr]
    /// Our address as the peer sees it.
    public let observedAddress: Multiaddr?

    package init(peer: PeerID, agentVersion: String, protocolVersion: String, protocols: [String], listenAddresses: [Multiaddr], observedAddress: Multiaddr?) {
        self.peer = peer
        self.agentVersion = agentVersion
        self.protocolVersion = protocolVersion
        self.protocols = protocols
        self.listenAddresses = listenAddresses
        self.observedAddress = observedAddress
    }
}

public struct DialFailure: Sendable, Equatable {
    public let peer: PeerID?
    public let address: Multiaddr
    public let cause: DialError
    /// The delay before the next try; nil when nobody tries again.
    public let retryAfter: Duration?

    package init(peer: PeerID?, address: Multiaddr, cause: DialError, retryAfter: Duration?) {
        self.peer = peer
        self.address = address
        self.cause = cause
        self.retryAfter = retryAfter
    }
}

public struct AddressProblem: Sendable, Equatable {
    public let text: String
    /// What is wrong with it and what to write instead, in one sentence.
    public let reason: String
    /// The address that is used in its place; nil when the entry is left out.
    public let usedInstead: Multiaddr?

    package init(text: String, reason: String, usedInstead: Multiaddr?) {
        self.text = text
        self.reason = reason
        self.usedInstead = usedInstead
    }
}

/// A handle on a stream that the application opened or accepted. Unique within a node, never reused.
public struct StreamID: Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}
