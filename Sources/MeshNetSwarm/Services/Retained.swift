import MeshNetProtocol

/// The peer's stream, with its frames in the making.
struct RetainedInput {
    let stream: PipelineStream
    var frames = LengthPrefixedFrames(limit: RetainedMessage.maximumAcceptedByteCount)
}

// The last value of each topic, for who subscribes late: streams to those peers that speak the protocol, beside gossip, which others see alone.
extension Swarm {
    static func makeRetained(_ configuration: Configuration, now: Instant) -> Retained {
        var limits = RetainedLimits()
        limits.ownTopics = min(limits.ownTopics, configuration.limits.topics)
        limits.valueBytes = min(limits.valueBytes, configuration.gossipsub.maximumMessageSize)
        return Retained(
            identity: configuration.identity, policy: configuration.gossipsub.signaturePolicy, limits: limits,
            clock: configuration.firstSequenceNumber, now: now)
    }

    mutating func publishRetained(_ topic: String, _ data: [UInt8], ticket: Ticket) {
        do throws(RetainedError) {
            try retained.prepare(topic, byteCount: data.count)
        } catch {
            return complete(ticket, .failure(CallError(error)))
        }
        let number: UInt64
        do throws(GossipsubError) {
            number = try gossip.publish(topic: topic, data: data, sequenceAtLeast: retained.nextSequence(topic, now: now), now: now)
        } catch {
            return complete(ticket, .failure(CallError(error)))
        }
        pumpGossip()
        retained.publish(topic, data, sequence: number, now: now)
        pumpRetained()
        complete(ticket, .success(.done))
    }

    // MARK: - What happens to peers and topics

    /// Its protocols are known, or changed.
    mutating func retainedIdentified(_ peer: PeerID) {
        guard peers[peer]?.identity?.protocols.contains(RetainedMessage.protocolID) == true else { return }
        retained.connected(peer, now: now)
        tellAll(peer)
        pumpRetained()
    }

    mutating func retainedDisconnected(_ peer: PeerID) {
        retained.disconnected(peer, now: now)
        pumpRetained()
    }

    /// The peer follows the topic from now on: it gets the last value.
    mutating func retainedFollowed(_ topic: String, by peer: PeerID) {
        retained.announce(topic, to: [peer], isFresh: false, now: now)
        pumpRetained()
    }

    private mutating func tellAll(_ peer: PeerID) {
        for topic in retained.heldTopics where gossip.follows(peer, topic: topic) { retained.announce(topic, to: [peer], isFresh: false, now: now) }
    }

    mutating func pumpRetained() {
        while let action = retained.poll() {
            switch action {
            case .send(let peer, let frame): sendRetained(frame, to: peer)
            case .look(let header): retained.looked(header, gossip.cachedData(messageID(of: header, header.sequence)), now: now)
            case .deliver(let header, let data, let teller): deliver(header, data, from: teller)
            case .announce(let topic, let isOwn):
                let listeners = isOwn ? gossip.peers(topic: topic) : gossip.meshPeers(topic: topic)
                retained.announce(topic, to: listeners, isFresh: true, now: now)
            case .malformed(let peer), .silenced(let peer): resetRetainedInput(of: peer)
            case .dropped: break
            }
        }
    }

    /// Nobody hears a message twice, nor after this value one that its author had kept before it.
    private mutating func deliver(_ header: RetainedHeader, _ data: [UInt8], from teller: PeerID) {
        guard let since = subscribedSince[header.topic] else { return }
        let id = messageID(of: header, header.sequence)
        let heard = gossip.firstSeen(id)
        gossip.markSeen(id, now: now)
        if let heard, heard >= since { return }
        if !gossip.namesByContent { for number in header.older { gossip.markSeen(messageID(of: header, number), now: now) } }
        emit(.message(Message(topic: header.topic, origin: header.author, receivedFrom: teller, payload: SharedBytes(data), isRetained: true)))
    }

    private func messageID(of header: RetainedHeader, _ sequence: UInt64) -> [UInt8] {
        gossip.namesByContent ? header.hash : header.messageID(sequence: sequence)
    }

    // MARK: - The outbound stream

    private mutating func sendRetained(_ frame: [UInt8], to peer: PeerID) {
        guard peers[peer] != nil else { return }
        peers[peer]?.retained.unwritten = frame[...]
        if peers[peer]?.retained.stream == nil { openRetained(to: peer) } else { writeRetained(to: peer) }
    }

    private mutating func openRetained(to peer: PeerID) {
        guard let id = peers[peer]?.primary, connections[id]?.phase == .established,
            let stream = try? connections[id]?.pipeline?.openStream([RetainedMessage.protocolID], now: now)
        else { return }
        peers[peer]?.retained.connection = id
        peers[peer]?.retained.stream = stream
        use(stream, for: .retainedOut, on: id)
        touch(id)
    }

    mutating func retainedAgreed(_ stream: PipelineStream, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, let link = peers[peer]?.retained, link.stream == stream, link.connection == id else { return }
        peers[peer]?.retained.isAgreed = true
        writeRetained(to: peer)
        pumpRetained()
    }

    /// Writes the frame in hand as far as the stream takes it, and asks for the next one.
    private mutating func writeRetained(to peer: PeerID) {
        guard let link = peers[peer]?.retained, link.isAgreed, let id = link.connection, let stream = link.stream, !link.unwritten.isEmpty else { return }
        let taken = link.unwritten.withUnsafeBytes { connections[id]?.pipeline?.write(stream, $0) ?? 0 }
        peers[peer]?.retained.unwritten = link.unwritten.dropFirst(taken)
        touch(id)
        guard taken == link.unwritten.count else { return }
        peers[peer]?.retained.unwritten = []
        retained.written(peer, now: now)
    }

    mutating func retainedWritable(on id: ConnectionID) {
        guard let peer = connections[id]?.peer else { return }
        writeRetained(to: peer)
        pumpRetained()
    }

    /// The stream was refused, reset, or ended by the peer, while its connection lives.
    mutating func retainedLost(_ stream: PipelineStream, on id: ConnectionID, mayReopen: Bool) {
        guard let peer = connections[id]?.peer, let link = peers[peer]?.retained, link.stream == stream, link.connection == id else { return }
        peers[peer]?.retained.detach()
        peers[peer]?.retained.reopenings += 1
        if mayReopen, link.reopenings < ServiceLink.maximumReopenings { restartRetained(with: peer) } else { retainedDisconnected(peer) }
    }

    /// The peer has another primary connection: the next frame goes there.
    mutating func moveRetained(of peer: PeerID) {
        guard let link = peers[peer]?.retained, link.stream != nil, link.connection != peers[peer]?.primary else { return }
        if let old = link.connection, let stream = link.stream {
            connections[old]?.streams[stream] = .finished
            connections[old]?.pipeline?.closeWrite(stream)
            touch(old)
        }
        peers[peer]?.retained.detach()
        restartRetained(with: peer)
    }

    /// The connection ended under the stream.
    mutating func retainedConnectionLost(_ connection: Connection) {
        guard let peer = connection.peer, peers[peer]?.retained.connection == connection.id else { return }
        peers[peer]?.retained.detach()
        retained.closed(peer)
    }

    private mutating func restartRetained(with peer: PeerID) {
        retained.closed(peer)
        tellAll(peer)
        pumpRetained()
    }

    // MARK: - The inbound stream

    /// One for each connection; a newer one takes the older one's place.
    mutating func acceptRetained(_ stream: PipelineStream, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, peers[peer] != nil, !retained.isSilenced(peer) else {
            connections[id]?.pipeline?.reset(stream)
            return
        }
        // Who opens it speaks the protocol, whatever identify will say.
        retained.connected(peer, now: now)
        if let old = connections[id]?.retainedInput?.stream { abandonRetained(old, on: id) }
        connections[id]?.retainedInput = RetainedInput(stream: stream)
        use(stream, for: .retainedIn, on: id)
    }

    mutating func retainedBytes(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, connections[id]?.retainedInput?.stream == stream else { return }
        var rest = bytes
        do throws(WireError) {
            while let frame = try connections[id]?.retainedInput?.frames.next(&rest) {
                frame.withUnsafeBytes { retained.receive($0, from: peer, now: now) }
            }
        } catch {
            connections[id]?.retainedInput = nil
            abandonRetained(stream, on: id)
        }
        pumpRetained()
    }

    private mutating func resetRetainedInput(of peer: PeerID) {
        for id in peers[peer]?.connections ?? [] {
            guard let stream = connections[id]?.retainedInput?.stream else { continue }
            connections[id]?.retainedInput = nil
            abandonRetained(stream, on: id)
        }
    }

    private mutating func abandonRetained(_ stream: PipelineStream, on id: ConnectionID) {
        connections[id]?.streams[stream] = nil
        connections[id]?.pipeline?.reset(stream)
        touch(id)
    }
}

extension CallError {
    init(_ error: RetainedError) {
        switch error {
        case .tooLarge(let size, let limit): self = .messageTooLarge(size: size, limit: limit)
        case .noRoom(let limit): self = .limitReached("bytes of retained values: \(limit)")
        case .tooManyTopics(let limit): self = .limitReached("topics with a retained value of ours: \(limit)")
        }
    }
}
