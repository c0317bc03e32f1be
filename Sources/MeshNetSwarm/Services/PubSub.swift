package import MeshNetProtocol

/// What gossip sends to one peer: queues in front of one outbound stream on the peer's primary connection.
struct PubSubLink {
    /// Bytes of messages that may wait for one peer; a few of the largest messages.
    static let maximumQueuedBytes = 32 << 20
    /// Frames with messages that may wait for one peer. rust: 5,000.
    static let maximumQueuedMessages = 5_000
    /// Frames with control only. rust: 20,000.
    static let maximumQueuedControl = 20_000
    /// Bytes of these. Every heartbeat announces ids anew, so that little is lost with what does not fit.
    static let maximumQueuedControlBytes = 4 << 20
    /// Bytes of small frames that are written together.
    static let writtenAtOnce = GossipsubFrames.joinedBytes
    /// A peer that ends our stream again and again is left alone after this.
    static let maximumReopenings = 5

    var connection: ConnectionID?
    var stream: PipelineStream?
    var isAgreed = false
    /// Gossip knows the peer.
    var isAdded = false
    var reopenings = 0

    /// Control overtakes own messages, these overtake forwarded ones; never within a frame.
    var control = Fifo<SharedBytes>()
    var own = Fifo<GossipsubFrames>()
    var forward = Fifo<GossipsubFrames>()
    var current: SharedBytes?
    var written = 0
    /// Messages that wait.
    var queuedMessages = 0
    /// Bytes of messages, and of control.
    var queuedBytes = 0
    var queuedControlBytes = 0
    /// Waits to be written at the end of a pump.
    var isTouched = false

    /// Takes frames as far as there is room, and says how many.
    mutating func enqueue(_ frames: GossipsubFrames, _ priority: GossipsubPriority) -> Int {
        if enqueueAll(frames, priority) { return frames.count }
        guard frames.count > 1 else { return 0 }
        let parts = frames.each.map { GossipsubFrames($0) }
        return parts.firstIndex { !enqueueAll($0, priority) } ?? parts.count
    }

    private mutating func enqueueAll(_ frames: GossipsubFrames, _ priority: GossipsubPriority) -> Bool {
        let byteCount = frames.bytes.count
        switch priority {
        case .control:
            guard control.count < Self.maximumQueuedControl, queuedControlBytes + byteCount <= Self.maximumQueuedControlBytes else { return false }
            control.append(frames.bytes)
            queuedControlBytes += byteCount
        case .own, .forward:
            guard frames.count <= room, queuedBytes + byteCount <= Self.maximumQueuedBytes else { return false }
            if priority == .own { own.append(frames) } else { forward.append(frames) }
            queuedMessages += frames.count
            queuedBytes += byteCount
        }
        return true
    }

    /// Messages that it takes, as long as they are not large.
    var room: Int { Self.maximumQueuedMessages - queuedMessages }

    /// Something is in hand, or was put there now.
    var hasMore: Bool {
        mutating get { written < current?.count ?? 0 || advance() }
    }

    /// Puts the next frames in hand, as many as are written at once; false when none waits.
    private mutating func advance() -> Bool {
        written = 0
        current = next()
        guard let first = current else { return false }
        var frames = [first], bytes = first.count
        while let count = nextCount, bytes + count <= Self.writtenAtOnce, let frame = next() {
            frames.append(frame)
            bytes += count
        }
        if frames.count > 1 { current = SharedBytes(joining: frames) }
        return true
    }

    /// Bytes of the frame that `next` gives.
    private var nextCount: Int? { control.first?.count ?? (own.first ?? forward.first)?.bytes.count }

    private mutating func next() -> SharedBytes? {
        if let next = control.popFirst() {
            queuedControlBytes -= next.count
            return next
        }
        guard let next = own.popFirst() ?? forward.popFirst() else { return nil }
        queuedMessages -= next.count
        queuedBytes -= next.bytes.count
        return next.bytes
    }

    /// The stream is gone: a frame that was not written whole is sent again from its start on the next one.
    mutating func detach() {
        connection = nil
        stream = nil
        isAgreed = false
        if let current { self.current = current[current.withBytes { Self.wholeFrames($0, within: written) }..<current.count] }
        written = 0
    }

    /// Bytes of the frames at the front that lie within so many bytes.
    private static func wholeFrames(_ bytes: UnsafeRawBufferPointer, within limit: Int) -> Int {
        let frames = LengthPrefixedFrames(limit: .max)
        var rest = UnsafeRawBufferPointer(rebasing: bytes[..<limit])
        while frames.nextInPlace(&rest) != nil {}
        return limit - rest.count
    }
}

/// What became of own messages in one pump. Those for one peer come together.
private struct OwnTally {
    /// In the queue of one peer at most, and how often a queue had no room for one.
    private(set) var queued = 0, refused = 0
    private var peer: PeerID?
    private var taken = 0
    private var isFull = false

    /// What follows one that found no room is not taken either: those taken are the first ones.
    mutating func isShut(to name: PeerID) -> Bool {
        if name != peer {
            peer = name
            taken = 0
            isFull = false
        }
        return isFull
    }

    mutating func note(_ count: Int, of all: Int) {
        taken += count
        queued = max(queued, taken)
        refused += all - count
        isFull = isFull || count < all
    }
}

/// The inbound pubsub stream of a connection.
struct PubSubInput {
    let stream: PipelineStream
    var frames: LengthPrefixedFrames
}

extension Swarm {
    // MARK: - The application's calls

    mutating func subscribe(_ topic: String, ticket: Ticket) {
        do throws(GossipsubError) {
            let isNew = try gossip.subscribe(topic, now: now)
            if isNew {
                subscribedSince[topic] = now
                retained.subscribed(topic, now: now)
                emit(.members(topic: topic, peers: gossip.peers(topic: topic)))
            }
            complete(ticket, .success(.changed(isNew)))
        } catch {
            complete(ticket, .failure(CallError(error)))
        }
        pumpGossip()
    }

    mutating func unsubscribe(_ topic: String, ticket: Ticket) {
        let wasFollowed = gossip.unsubscribe(topic, now: now)
        if wasFollowed {
            subscribedSince[topic] = nil
            retained.unsubscribed(topic, now: now)
        }
        complete(ticket, .success(.changed(wasFollowed)))
        pumpGossip()
        pumpRetained()
    }

    mutating func publish(_ topic: String, _ data: [UInt8], ticket: Ticket) {
        do throws(GossipsubError) {
            try gossip.publish(topic: topic, data: data, now: now)
        } catch {
            return complete(ticket, .failure(CallError(error)))
        }
        let sent = pumpGossip()
        if sent.queued == 0, sent.refused > 0 {
            complete(ticket, .failure(.allQueuesFull(topic: topic)))
        } else {
            complete(ticket, .success(.done))
        }
    }

    /// The same for messages in order, which lie where the caller has them: up to the first that cannot be published, and why it cannot.
    package mutating func publish(_ topic: String, run: [UnsafeRawBufferPointer], now: Instant) -> (count: Int, failure: CallError?) {
        self.now = now
        guard !isShuttingDown else { return (0, .closed) }
        // What finds no room is not published: another try would be a duplicate.
        let room = gossip.peers(topic: topic).compactMap { peers[$0]?.pubsub.room }.max() ?? run.count
        let published = gossip.publish(topic: topic, run: room < run.count ? Array(run[..<max(0, room)]) : run, now: now)
        let queued = pumpGossip().queued
        if let failure = published.failure, queued == published.count { return (queued, CallError(failure)) }
        return (queued, queued < run.count ? .allQueuesFull(topic: topic) : nil)
    }

    /// Does what gossip wants done. Says how many own messages are in the queue of a peer, and how often a queue had no room for one.
    @discardableResult
    mutating func pumpGossip(holdingForwards: Bool = false) -> (queued: Int, refused: Int) {
        var tally = OwnTally()
        var touched: [Peer] = []
        while let action = gossip.poll(holdingForwards: holdingForwards) {
            switch consume action {
            case .send(let name, let frames, let priority):
                let peer = peers[name], isShut = priority == .own && tally.isShut(to: name)
                let taken = isShut ? 0 : peer?.pubsub.enqueue(frames, priority) ?? 0
                if let peer, taken > 0, !peer.pubsub.isTouched {
                    peer.pubsub.isTouched = true
                    touched.append(peer)
                }
                for _ in taken..<frames.count { gossip.queueFull(name, priority: priority) }
                if priority == .own { tally.note(taken, of: frames.count) }
            case .deliver(let run): actions.append(.messages(run))
            case .peerSubscribed(let peer, let topic):
                emit(.subscription(peer: peer, topic: topic, subscribed: true))
                answerTopicWaits(topic)
                retainedFollowed(topic, by: peer)
            case .peerUnsubscribed(let peer, let topic):
                emit(.subscription(peer: peer, topic: topic, subscribed: false))
                retained.unfollowed(topic, by: peer)
            case .dropped(.malformedRPC, let peer): resetPubSubInput(of: peer)
            case .peerExchange, .dropped: break
            }
        }
        for peer in touched {
            peer.pubsub.isTouched = false
            if let id = peer.pubsub.connection { writePubSub(on: id) }
        }
        gossipTimer = gossip.deadline
        return (tally.queued, tally.refused)
    }

    // MARK: - The outbound stream

    mutating func openPubSub(to peer: PeerID) {
        guard let id = peers[peer]?.primary, let stream = try? connections[id]?.pipeline?.openStream(Gossipsub.protocols, now: now) else { return }
        peers[peer]?.pubsub.connection = id
        peers[peer]?.pubsub.stream = stream
        use(stream, for: .pubsubOut, on: id)
        touch(id)
    }

    mutating func pubsubAgreed(_ stream: PipelineStream, protocolID: String, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, peers[peer]?.pubsub.stream == stream, peers[peer]?.pubsub.connection == id else { return }
        peers[peer]?.pubsub.isAgreed = true
        addToGossip(peer, protocolID: protocolID, through: id)
        writePubSub(on: id)
    }

    /// Writes queued frames as far as the stream takes them.
    mutating func writePubSub(on id: ConnectionID) {
        guard let connection = connections[id], let name = connection.peer, let peer = peers[name], peer.pubsub.isAgreed, peer.pubsub.connection == id,
            let stream = peer.pubsub.stream
        else { return }
        while peer.pubsub.hasMore, let bytes = peer.pubsub.current {
            let written = peer.pubsub.written
            peer.pubsub.written += bytes.withBytes { connection.pipeline?.write(stream, UnsafeRawBufferPointer(rebasing: $0[written...])) ?? 0 }
            if peer.pubsub.written < bytes.count { break }
        }
        touch(id)
    }

    /// The peer has another primary connection: the stream moves there.
    mutating func movePubSub(of peer: PeerID, to id: ConnectionID) {
        guard let link = peers[peer]?.pubsub, link.connection != id else { return }
        if let old = link.connection, let stream = link.stream {
            connections[old]?.streams[stream] = .finished
            connections[old]?.pipeline?.closeWrite(stream)
            touch(old)
        }
        peers[peer]?.pubsub.detach()
        openPubSub(to: peer)
    }

    /// The stream was refused or reset while its connection lives.
    mutating func pubsubLost(_ stream: PipelineStream, on id: ConnectionID, mayReopen: Bool) {
        guard let peer = connections[id]?.peer, let link = peers[peer]?.pubsub, link.stream == stream, link.connection == id else { return }
        peers[peer]?.pubsub.detach()
        guard mayReopen, connections[id]?.phase == .established, link.reopenings < PubSubLink.maximumReopenings else {
            if link.isAdded { removeFromGossip(peer) }
            return
        }
        peers[peer]?.pubsub.reopenings += 1
        openPubSub(to: peer)
    }

    /// The connection ended under the stream; what waits moves on with the peer's next primary connection.
    mutating func pubsubConnectionLost(_ connection: Connection) {
        guard let peer = connection.peer, peers[peer]?.pubsub.connection == connection.id else { return }
        peers[peer]?.pubsub.detach()
    }

    // MARK: - The inbound stream

    mutating func acceptPubSub(_ stream: PipelineStream, protocolID: String, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, peers[peer] != nil else {
            connections[id]?.pipeline?.reset(stream)
            return
        }
        // Gossip with a peer needs a stream each way: one that ended ours gets a new one, but not for ever.
        if peers[peer]?.pubsub.stream == nil {
            guard let reopenings = peers[peer]?.pubsub.reopenings, reopenings < PubSubLink.maximumReopenings else {
                connections[id]?.pipeline?.reset(stream)
                return
            }
            peers[peer]?.pubsub.reopenings += 1
            openPubSub(to: peer)
        }
        if let old = connections[id]?.pubsubInput?.stream {
            connections[id]?.streams[old] = nil
            connections[id]?.pipeline?.reset(old)
        }
        connections[id]?.pubsubInput = PubSubInput(stream: stream, frames: LengthPrefixedFrames(limit: configuration.gossipsub.maximumMessageSize))
        use(stream, for: .pubsubIn, on: id)
        addToGossip(peer, protocolID: protocolID, through: id)
    }

    mutating func pubsubBytes(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        guard let connection = connections[id], let peer = connection.peer, connection.pubsubInput?.stream == stream else { return }
        var rest = bytes
        do throws(WireError) {
            while true {
                if let frames = connection.pubsubInput?.frames, frames.isBetweenFrames { gossip.receive(frames, &rest, from: peer, now: now) }
                if let frame = try connection.pubsubInput?.frames.next(&rest) {
                    frame.withUnsafeBytes { gossip.receive($0, from: peer, now: now) }
                } else {
                    break
                }
            }
        } catch {
            connections[id]?.pubsubInput = nil
            connections[id]?.streams[stream] = nil
            connections[id]?.pipeline?.reset(stream)
        }
        pumpGossip(holdingForwards: true)
    }

    /// Nothing that follows a malformed RPC can be trusted to be where it seems.
    private mutating func resetPubSubInput(of peer: PeerID) {
        for id in peers[peer]?.connections ?? [] {
            guard let stream = connections[id]?.pubsubInput?.stream else { continue }
            connections[id]?.pubsubInput = nil
            connections[id]?.streams[stream] = nil
            connections[id]?.pipeline?.reset(stream)
            touch(id)
        }
    }

    private mutating func addToGossip(_ peer: PeerID, protocolID: String, through id: ConnectionID) {
        guard peers[peer]?.pubsub.isAdded == false, let connection = connections[id] else { return }
        peers[peer]?.pubsub.isAdded = true
        gossip.addPeer(peer, protocolID: protocolID, direction: connection.direction, address: connection.remoteSocket.ip, now: now)
        pumpGossip()
    }

    private mutating func removeFromGossip(_ peer: PeerID) {
        let reopenings = peers[peer]?.pubsub.reopenings ?? 0
        peers[peer]?.pubsub = PubSubLink()
        peers[peer]?.pubsub.reopenings = reopenings
        gossip.removePeer(peer, now: now)
        pumpGossip()
    }
}

extension CallError {
    init(_ error: GossipsubError) {
        switch error {
        case .invalidTopic(let topic, _): self = .invalidTopic(topic)
        case .messageTooLarge(let size, let limit): self = .messageTooLarge(size: size, limit: limit)
        case .noPeersSubscribed(let topic): self = .noPeersSubscribed(topic: topic)
        case .tooManyTopics(let limit): self = .limitReached("topics: \(limit)")
        case .duplicate: self = .duplicateMessage
        }
    }
}
