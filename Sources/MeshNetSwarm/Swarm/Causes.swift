public import MeshNetProtocol

/// Why a connection ended.
public enum DisconnectCause: Sendable, Equatable {
    /// `disconnect` was called here.
    case closedByUs
    /// The node is shutting down.
    case shutdown
    /// The peer closed in good order (go-away or end of stream).
    case closedByPeer
    /// The kernel reported the connection broken; the errno.
    case connectionLost(errno: Int32)
    /// Nothing came back within the time: pings stayed unanswered.
    case timedOut
    /// The peer broke a protocol rule; the text names the rule.
    case protocolViolation(String)
    /// A second connection to the same peer; the other one was kept.
    case duplicate
    /// A limit was reached; the text names it.
    case limitReached(String)
}

/// Why a dial failed.
public enum DialError: Error, Sendable, Equatable {
    case refused
    case unreachable(errno: Int32)
    case timedOut(after: Duration)
    /// The name has no address, or the resolver failed; its words.
    case unresolved(host: String, reason: String)
    /// No transport here speaks this address.
    case unsupportedAddress
    /// The peer at the address has another identity than asked for.
    case wrongPeer(expected: PeerID, actual: PeerID)
    /// The address is our own.
    case selfDial
    /// Another network or secret: the peer's first bytes are not of our private network.
    case otherNetwork(OtherNetwork)
    /// The connection ended while security or the muxer were negotiated.
    case handshakeFailed(HandshakeFailure)
    case limitReached(String)
    case cancelled
    case noAddresses
}

/// How far a handshake came before it failed.
public enum HandshakeFailure: Sendable, Equatable {
    /// The peer closed before it answered: typical of another private network key, or of none.
    case closedDuring(HandshakeStage)
    case timedOut(HandshakeStage)
    /// The two sides have no security protocol or muxer in common.
    case noCommonProtocol(HandshakeStage)
    /// Bytes that are not what the stage expects: typical of another private network key.
    case malformed(HandshakeStage, String)
    /// A signature or authentication tag does not hold.
    case notAuthentic(String)
    case wrongPeer(expected: PeerID, actual: PeerID)
    /// The first bytes are not of our private network.
    case otherNetwork(OtherNetwork)
}

public enum HandshakeStage: UInt8, Sendable { case privateNetwork, security, noise, muxer }

/// Why a call of the application failed.
public enum CallError: Error, Sendable, Equatable {
    case closed
    case timedOut
    case cancelled
    case notConnected(PeerID)
    /// The address is the one that the call named.
    case dial(DialError, address: Multiaddr)
    case noPeersSubscribed(topic: String)
    case allQueuesFull(topic: String)
    case messageTooLarge(size: Int, limit: Int)
    /// The same content was published a short time ago (only with message ids made from the content).
    case duplicateMessage
    case invalidTopic(String)
    case notSubscribed(topic: String)
    /// The peer speaks none of the protocols.
    case protocolNotSupported([String])
    case invalidProtocol(String)
    case noSuchStream
    /// The stream was reset by the peer or lost with its connection.
    case streamReset
    case streamClosed
    case limitReached(String)
    case invalidAddress(text: String, reason: String)
    /// A part of the configuration that cannot be used; `name` is the field, variable or option. Without any secret.
    case invalidSetting(name: String, reason: String)
    /// `Configuration.network` and `.secret` make no private network.
    case invalidNetwork(NetworkKeyError)
    /// The environment says LIBP2P_FORCE_PNET=1, and no pre-shared key is configured (as in go-libp2p).
    case privateNetworkRequired
    /// The port or address to listen on cannot be had; the errno.
    case listenFailed(address: String, errno: Int32)
    /// The deadline of a message passed before the peer acknowledged it.
    case expired
    /// `WhenFull.fail`: the text names the bound.
    case queueFull(PeerID, String)
    /// `WhenFull.dropOldest`: a newer message took the place of this one.
    case displaced
    /// The peer lost its state; whether it had got the message before is not known.
    case peerRestarted(PeerID)
    /// The channel was closed on purpose: see `Closing`.
    case peerClosed(PeerID, Closing)
    /// `ReconnectConfiguration.maximumAttempts` rounds of dialling failed; the last one.
    case gaveUp(PeerID, attempts: Int, last: DialError)
    case storage(StorageProblem)
}
