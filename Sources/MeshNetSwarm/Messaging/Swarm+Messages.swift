package import MeshNetProtocol

// Messages between peers: what the driver calls.
extension Swarm {
    /// Queues a message. Without a ticket nobody hears of its end. With one: `.accepted` once it is queued, and exactly one `.complete`: success when the
    /// peer acknowledged it (`.done`) or replied to it (`.reply`), else `.expired`, `.queueFull`, `.displaced`, `.messageTooLarge`, `.peerRestarted`,
    /// `.peerClosed`, `.gaveUp`, `.storage`, `.timedOut` (a request), `.cancelled`, `.closed`, `.protocolNotSupported`, `.limitReached`.
    package mutating func send(_ message: OutboundMessage, _ body: MessageBody, ticket: Ticket?, now: Instant) {
        self.now = now
        do throws(CallError) {
            let limit = sizeLimit(isSpooled: body.isSpooled)
            guard body.byteCount <= limit else { throw .messageTooLarge(size: body.byteCount, limit: limit) }
            let at = try channelToSend(message)
            if case .request = message.kind, messages.channels[at].requests.count >= configuration.messages.requestsPerPeer {
                throw .limitReached("requestsPerPeer: \(configuration.messages.requestsPerPeer)")
            }
            try queue(message, body, ticket: ticket, at)
            if peers[message.peer] == nil { wantPeer(message.peer) }
        } catch {
            if case .spooled(let spool, _) = body { actions.append(.spool(spool, .discard)) }
            if let ticket { complete(ticket, .failure(error)) }
        }
    }

    /// Queues messages in order, of which nobody awaits more than that: `.acceptedRun` tells how many are queued, once or more often. Where one cannot be,
    /// that and those behind it are not, and the one `.complete` has the cause. Precondition: neither a store, nor a request, nor a deadline.
    package mutating func sendRun(_ message: OutboundMessage, _ bodies: [UnsafeRawBufferPointer], ticket: Ticket, now: Instant) {
        self.now = now
        precondition(!messages.isStored && message.kind == .message && message.options.deadline == nil)
        do throws(CallError) {
            let at = try channelToSend(message)
            try queue(message, bodies, ticket, at)
            if peers[message.peer] == nil { wantPeer(message.peer) }
        } catch {
            complete(ticket, .failure(error))
        }
    }

    private mutating func channelToSend(_ message: OutboundMessage) throws(CallError) -> Int {
        guard !isShuttingDown else { throw .closed }
        if let closing = closing(of: message.peer) { throw .peerClosed(message.peer, closing) }
        return try openChannel(to: message.peer)
    }

    /// The largest body that a queue takes; in a file also more.
    mutating func sizeLimit(isSpooled: Bool) -> Int {
        min(configuration.messages.maximumMessageSize, isSpooled ? .max : configuration.messages.queueBytes - LaneSender.messageOverhead)
    }

    /// Takes a message back that the peer has not acknowledged: its ticket ends with `.cancelled`. Of a request the reply is not awaited any longer.
    /// It is searched for among all tickets that wait.
    package mutating func cancelMessage(_ ticket: Ticket, now: Instant) {
        self.now = now
        for at in messages.channels.indices {
            if let request = messages.channels[at].requests.first(where: { $0.value.ticket == ticket })?.key {
                return endRequest(request, .failure(.cancelled), at)
            }
            for lane in Lane.allCases {
                let waiting = messages.channels[at].out[lane].waiting
                for offset in 0..<waiting.count where waiting[offset].ticket == ticket { return dropWaiting(waiting[offset].id, .cancelled, at) }
                let tickets = messages.channels[at].out[lane].tickets
                for offset in 0..<tickets.count where tickets[offset].ticket == ticket {
                    return withdraw(tickets[offset].sequence, lane, .cancelled, at)
                }
            }
        }
    }

    /// How much has to be `settled` to be worth a turn, in bytes with `LaneSender.messageOverhead` for each message: nothing where the store or the room for
    /// files depends on it; a quarter of what a peer may have unsettled where one is held back. nil: nothing depends on it, and it may come with the next turn.
    package var awaitedSettlements: Int? {
        mutating get {
            if messages.isStored || !messages.spools.isEmpty { return 0 }
            return messages.heldBuffers > 0 ? configuration.messages.receiveBytes / 4 : nil
        }
    }

    /// The application is done with a message that was delivered to it, `byteCount` being that of its body.
    package mutating func settled(_ message: InboundMessage, byteCount: Int, now: Instant) {
        self.now = now
        guard let at = channel(of: message.peer) else { return }
        let lane = message.lane
        messages.channels[at].into[lane].unsettledBytes = max(0, messages.channels[at].into[lane].unsettledBytes - byteCount - LaneSender.messageOverhead)
        messages.channels[at].into[lane].unsettledMessages = max(0, messages.channels[at].into[lane].unsettledMessages - 1)
        if messages.isStored { store(.settled(message.peer, message.incarnation, lane, sequence: message.sequence)) }
        if let spool = messages.spools.removeValue(forKey: message) {
            messages.spooledBytes = max(0, messages.spooledBytes - byteCount)
            discard(spool)
            readAllHeld()
        } else if !messages.channels[at].into[lane].held.isEmpty {
            readHeld(lane, at)
        }
    }

    /// The same for so many messages of `.deliverRun`, of whatever runs of this peer and lane.
    package mutating func settled(_ peer: PeerID, _ lane: Lane, count: Int, byteCount: Int, now: Instant) {
        self.now = now
        guard let at = channel(of: peer) else { return }
        let cost = byteCount + count * LaneSender.messageOverhead
        messages.channels[at].into[lane].unsettledBytes = max(0, messages.channels[at].into[lane].unsettledBytes - cost)
        messages.channels[at].into[lane].unsettledMessages = max(0, messages.channels[at].into[lane].unsettledMessages - count)
        if !messages.channels[at].into[lane].held.isEmpty { readHeld(lane, at) }
    }

    /// The answer to `SpoolWork.read`; fewer bytes than asked for only at the end of the file.
    package mutating func spoolRead(_ spool: SpoolID, offset: Int, _ bytes: UnsafeRawBufferPointer, now: Instant) {
        self.now = now
        guard let (at, lane) = messages.readers[spool] else { return }
        guard !bytes.isEmpty else { return spoolFailed(spool, .failed(path: "", reason: "the file is shorter than the message"), at, lane) }
        messages.channels[at].out[lane].sender.read(spool.rawValue, offset: offset, bytes)
        touchChannel(at)
    }

    /// A file of a message of ours cannot be read, or one of a message that arrives cannot be written.
    package mutating func spoolFailed(_ spool: SpoolID, _ problem: StorageProblem, now: Instant) {
        self.now = now
        emit(.storage(problem))
        if let (at, lane) = messages.readers[spool] { return spoolFailed(spool, problem, at, lane) }
        for at in messages.channels.indices {
            for lane in Lane.allCases {
                if case .spool(spool, _)? = messages.channels[at].into[lane].assembly { return refuseInbound(.busy, lane, at) }
            }
        }
    }

    private mutating func spoolFailed(_ spool: SpoolID, _ problem: StorageProblem, _ at: Int, _ lane: Lane) {
        if let sequence = messages.channels[at].out[lane].sender.sequence(of: spool.rawValue) { withdraw(sequence, lane, .storage(problem), at) }
    }
}

// Messages between peers: what the rest of the swarm calls.
extension Swarm {
    /// A first connection to the peer stands, or its primary connection is another one.
    mutating func messagesConnected(_ peer: PeerID) {
        guard let at = channel(of: peer), let primary = peers[peer]?.primary else { return }
        for lane in Lane.allCases {
            if let place = messages.channels[at].out[lane].place, place.connection != primary { closeOutbound(lane, at) }
            messages.channels[at].out[lane].opensAt = nil
            messages.channels[at].out[lane].failures = 0
        }
        touchChannel(at)
    }

    /// The last connection to the peer is gone.
    mutating func messagesDisconnected(_ peer: PeerID) {
        guard let at = channel(of: peer) else { return }
        messages.channels[at].announcesResume = messages.channels[at].wasResumed
        messages.channels[at].resent = 0
    }

    /// Whether anything waits to be sent to the peer, or for its answer.
    func hasMessages(for peer: PeerID) -> Bool { messages.index[peer].map { messages.channels[$0].isBusy } ?? false }

    /// Every ticket of the peer ends, and nothing that waits for it is sent.
    mutating func failMessages(of peer: PeerID, _ error: CallError) {
        guard let at = channel(of: peer) else { return }
        for lane in Lane.allCases {
            while let first = messages.channels[at].out[lane].waiting.first { dropWaiting(first.id, error, at) }
            for sequence in messages.channels[at].out[lane].sender.waiting { withdraw(sequence, lane, error, at) }
        }
        for request in messages.channels[at].requests.keys.sorted() { endRequest(request, .failure(error), at) }
        touchChannel(at)
    }

    /// Every ticket ends; with a store the messages stay in it.
    mutating func endMessages() {
        for at in messages.channels.indices {
            for lane in Lane.allCases {
                while let first = messages.channels[at].out[lane].waiting.first { dropWaiting(first.id, .closed, at) }
            }
            for request in messages.channels[at].requests.keys.sorted() {
                if let ticket = messages.channels[at].requests.removeValue(forKey: request)?.ticket { complete(ticket, .failure(.closed)) }
            }
            for lane in Lane.allCases {
                while let each = messages.channels[at].out[lane].tickets.popFirst() {
                    if let ticket = each.ticket, each.request == nil { complete(ticket, .failure(.closed)) }
                }
            }
        }
    }

    /// Tells the peer over a connection that stands, before that is closed. False: the word could not be written yet.
    @discardableResult
    mutating func sayGoodbye(_ peer: PeerID, _ goodbye: Goodbye) -> Bool {
        guard peers[peer] != nil, let at = try? openChannel(to: peer) else { return true }
        let word: MessageGoodbye = switch goodbye {
        case .closed(let reason): .closed(reason: reason)
        case .shutdown: .shutdown
        }
        if let lane = Lane.allCases.first(where: { messages.channels[at].into[$0].place != nil }) {
            reply(.goodbye(word), lane, at)
            return messages.channels[at].into[lane].replies.isEmpty
        }
        if messages.channels[at].out[.control].place == nil { openOutbound(.control, at) }
        messages.channels[at].out[.control].sender.say(word)
        return write(.control, at)
    }

    /// What `reachability(of:in:)` tells is another than before: where the peer may be found, whether its channel is closed.
    mutating func channelStateChanged(_ peer: PeerID) {
        guard messages.index[peer] != nil else { return }
        var fresh = StoredPeer()
        reachability(of: peer, in: &fresh)
        updateKnown(peer) { known in
            known.addresses = fresh.addresses
            known.closed = fresh.closed
        }
    }

    mutating func channels(_ peer: PeerID?, ticket: Ticket) {
        let peers = peer.map { [$0] } ?? messages.index.keys.sorted()
        complete(ticket, .success(.channels(peers.compactMap { status(of: $0) })))
    }

    private func status(of peer: PeerID) -> ChannelStatus? {
        guard let at = messages.index[peer] else { return nil }
        let channel = messages.channels[at]
        var status = ChannelStatus(peer: peer)
        status.state = peers[peer] != nil ? .connected : .idle
        status.incarnation = channel.known.incarnation
        status.queuedMessages = channel.out.map(\.sender.messageCount)
        status.queuedBytes = channel.out.map(\.sender.byteCount)
        for lane in channel.out {
            if let sending = lane.sender.sending { (status.sendingBytes, status.sendingTotal) = (sending.done, sending.total) }
        }
        status.unsettledMessages = channel.into.reduce(0) { $0 + $1.unsettledMessages }
        status.unsettledBytes = channel.into.reduce(0) { $0 + $1.unsettledBytes }
        status.delivered = channel.delivered
        status.received = channel.received
        status.expired = channel.expired
        status.displaced = channel.displaced
        status.failed = channel.failed
        status.duplicates = channel.duplicates
        status.isSendingLimited = channel.out.contains { $0.waitsForRate }
        status.isReceivingLimited = channel.into.contains { $0.waitsForRate }
        fillReachability(&status)
        return status
    }
}

/// What a node tells its peer before it goes.
enum Goodbye: Equatable {
    /// On purpose: not to be dialled again until somebody asks for it.
    case closed(reason: String)
    /// The node ends; it may come back.
    case shutdown
}

extension MessageBody {
    var byteCount: Int {
        switch self {
        case .view(let view): view.count
        case .spooled(_, let byteCount): byteCount
        }
    }

    var isSpooled: Bool { if case .spooled = self { true } else { false } }
}

extension Array {
    /// What belongs to a lane, in an array with one element for each.
    subscript(lane: Lane) -> Element {
        _read { yield self[Int(lane.rawValue)] }
        _modify { yield &self[Int(lane.rawValue)] }
    }
}
