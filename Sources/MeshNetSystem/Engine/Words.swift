public import MeshNetProtocol
public import MeshNetSwarm

// What errors and causes say: the evidence in words. C and Python show the same texts.

extension CallError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .closed: "the node is closed"
        case .timedOut: "nothing happened in the time allowed"
        case .cancelled: "the call was cancelled"
        case .notConnected(let peer): "there is no connection with \(peer)"
        case .dial(let error, let address): "\(address): \(error)"
        case .noPeersSubscribed(let topic): "no connected peer follows topic \"\(topic)\""
        case .allQueuesFull(let topic): "every peer that follows topic \"\(topic)\" has a full queue"
        case .messageTooLarge(let size, let limit): "the message has \(size) bytes with its envelope; the limit is \(limit)"
        case .duplicateMessage: "a message with this content was published a short time ago"
        case .invalidTopic(let topic): "\"\(topic)\" is no topic name"
        case .notSubscribed(let topic): "topic \"\(topic)\" is not followed"
        case .protocolNotSupported(let protocols): "the peer speaks none of \(protocols.joined(separator: ", "))"
        case .invalidProtocol(let text): "\"\(text)\" is no protocol id"
        case .noSuchStream: "the stream was never opened, or was closed here"
        case .streamReset: "the peer reset the stream, or its connection was lost"
        case .streamClosed: "the writing side of the stream is closed"
        case .limitReached(let name): "limit reached: \(name)"
        case .invalidAddress(let text, let reason): "\"\(text)\": \(reason)"
        case .invalidSetting(let name, let reason): "\(name): \(reason)"
        case .invalidNetwork(let error): error.description
        case .privateNetworkRequired: "LIBP2P_FORCE_PNET is set and no pre-shared key is configured"
        case .listenFailed(let address, let errno): "cannot listen on \(address): \(describe(errno: errno))"
        case .expired: "the deadline passed before the peer acknowledged the message"
        case .queueFull(let peer, let bound): "the queue of \(peer) is full: \(bound)"
        case .displaced: "a newer message took the place of this one in a full queue"
        case .peerRestarted(let peer): "\(peer) came back without its state"
        case .peerClosed(let peer, let closing):
            (closing.byUs ? "the channel to \(peer) was closed here" : "\(peer) closed its channel to us")
                + (closing.reason.isEmpty ? "" : ": \(closing.reason)")
        case .gaveUp(let peer, let attempts, let last): "\(peer) could not be reached in \(attempts) attempts, at last: \(last)"
        case .storage(let problem): problem.description
        }
    }
}

extension Lane: CustomStringConvertible {
    public var description: String {
        switch self {
        case .control: "control"
        case .normal: "normal"
        case .bulk: "bulk"
        }
    }
}

extension StorageProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .full(let path): "no room on the disk for \(path)"
        case .damaged(let path, let aside, let reason): "\(path) is damaged (\(reason)): it was set aside as \(aside), and a new one begun"
        case .failed(let path, let reason): "\(path): \(reason)"
        case .inUse(let path): "\(path) is in use by another process"
        }
    }
}

extension NetworkKeyError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .nameLength(let count): "the network's name has \(count) bytes; it must have 1 to \(PreSharedKey.maximumNameByteCount)"
        case .secretLength(let count): "the secret has \(count) bytes; it must have 1 to \(PreSharedKey.maximumFileByteCount)"
        case .keyFile(let error): "the secret begins like a swarm.key file and is none: \(error)"
        case .nameBesideKey: "a key was given and a network name beside it: the key alone makes the network, leave the name out"
        case .secretBesideKey: "a secret and a pre-shared key were given: give one of them"
        case .noMemory: "the key of the secret could not be derived: it takes \(PreSharedKey.derivationMemory >> 20) MiB of memory"
        }
    }
}

extension DialError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused: "connection refused"
        case .unreachable(let errno): describe(errno: errno)
        case .timedOut(let time): "no answer within \(time)"
        case .unresolved(let host, let reason): "\(host): \(reason)"
        case .unsupportedAddress: "no transport here speaks this address"
        case .wrongPeer(let expected, let actual): "expected \(expected), but \(actual) answered"
        case .selfDial: "the address is this node's own"
        case .otherNetwork(let how): how.description
        case .handshakeFailed(let failure): failure.description
        case .limitReached(let name): "limit reached: \(name)"
        case .cancelled: "the dial was cancelled"
        case .noAddresses: "no address to dial"
        }
    }
}

extension HandshakeFailure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .closedDuring(let stage): "the peer closed the connection during \(stage): typical of another private network key, or of none"
        case .timedOut(let stage): "no answer in time during \(stage)"
        case .noCommonProtocol(let stage): "no protocol in common for \(stage)"
        case .malformed(let stage, let what): "unexpected bytes during \(stage): \(what)"
        case .notAuthentic(let what): "not authentic: \(what)"
        case .wrongPeer(let expected, let actual): "expected \(expected), but \(actual) answered"
        case .otherNetwork(let how): how.description
        }
    }
}

extension OtherNetwork: CustomStringConvertible {
    public var description: String {
        switch self {
        case .otherKey: "another network or secret: both nodes are in private networks, with different keys"
        case .peerInNone: "another network or secret: this node is in a private network, and the peer is in none"
        case .peerInPrivate: "another network or secret: the peer is in a private network, and this node is in none"
        }
    }
}

extension HandshakeStage: CustomStringConvertible {
    public var description: String {
        switch self {
        case .privateNetwork: "private network"
        case .security: "security negotiation"
        case .noise: "noise"
        case .muxer: "muxer negotiation"
        }
    }
}

extension DisconnectCause: CustomStringConvertible {
    public var description: String {
        switch self {
        case .closedByUs: "disconnect was called"
        case .shutdown: "the node is closing"
        case .closedByPeer: "the peer closed the connection in order"
        case .connectionLost(let errno): "connection lost: \(describe(errno: errno))"
        case .timedOut: "pings stayed unanswered"
        case .protocolViolation(let rule): rule
        case .duplicate: "a second connection with the same peer; the other was kept"
        case .limitReached(let name): "limit reached: \(name)"
        }
    }
}
