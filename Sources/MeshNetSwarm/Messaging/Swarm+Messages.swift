package import MeshNetProtocol

// Messages between peers: what the driver calls.
extension Swarm {
    /// Takes up what an earlier process left. Before the first `poll()`, at most once. With it, changes are stored from now on.
    package mutating func restore(_ state: StoredState, now: Instant) {
        self.now = now
    }

    /// Queues a message. Without a ticket nobody hears of its end. With one: `.accepted` once it is queued, and exactly one `.complete`: success when the
    /// peer acknowledged it (`.done`) or replied to it (`.reply`), else `.expired`, `.queueFull`, `.displaced`, `.messageTooLarge`, `.peerRestarted`,
    /// `.peerClosed`, `.gaveUp`, `.storage`, `.timedOut` (a request), `.cancelled`, `.closed`.
    package mutating func send(_ message: OutboundMessage, _ body: MessageBody, ticket: Ticket?, now: Instant) {
        self.now = now
        if let ticket { complete(ticket, .failure(.protocolNotSupported(["/meshnet/message/1.0.0"]))) }
    }

    /// Takes a message back that the peer has not acknowledged: its ticket ends with `.cancelled`. Of a request the reply is not awaited any longer.
    package mutating func cancelMessage(_ ticket: Ticket, now: Instant) {
        self.now = now
    }

    /// The application is done with a message that was delivered to it, `byteCount` being that of its body.
    package mutating func settled(_ message: InboundMessage, byteCount: Int, now: Instant) {
        self.now = now
    }

    /// Every `.store` given out before the last `poll()` that gave nil is on disk.
    package mutating func committed(now: Instant) {
        self.now = now
    }

    /// None of them is.
    package mutating func commitFailed(_ problem: StorageProblem, now: Instant) {
        self.now = now
    }

    /// The answer to `SpoolWork.read`; fewer bytes than asked for only at the end of the file.
    package mutating func spoolRead(_ spool: SpoolID, offset: Int, _ bytes: UnsafeRawBufferPointer, now: Instant) {
        self.now = now
    }

    package mutating func spoolFailed(_ spool: SpoolID, _ problem: StorageProblem, now: Instant) {
        self.now = now
    }
}

// Messages between peers: what the rest of the swarm calls.
extension Swarm {
    /// A first connection to the peer stands, or its primary connection is another one.
    mutating func messagesConnected(_ peer: PeerID) {}

    /// The last connection to the peer is gone.
    mutating func messagesDisconnected(_ peer: PeerID) {}

    /// Whether anything waits to be sent to the peer.
    func hasMessages(for peer: PeerID) -> Bool { false }

    /// Every ticket of the peer ends.
    mutating func failMessages(of peer: PeerID, _ error: CallError) {}

    /// Tells the peer over a connection that stands, before that is closed.
    mutating func sayGoodbye(_ peer: PeerID, _ goodbye: Goodbye) {}

    /// What `reachability(of:in:)` tells is another than before: where the peer may be found, whether its channel is closed.
    mutating func channelStateChanged(_ peer: PeerID) {}

    mutating func channels(_ peer: PeerID?, ticket: Ticket) { complete(ticket, .success(.channels([]))) }
}

/// What a node tells its peer before it goes.
enum Goodbye: Equatable {
    /// On purpose: not to be dialled again until somebody asks for it.
    case closed(reason: String)
    /// The node ends; it may come back.
    case shutdown
}
