extension Gossipsub {
    /// One RPC without its length prefix. The bytes are not kept.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, from peer: PeerID, now: Instant) {
        guard let slot = slot(of: peer) else { return counters.count(.unknownPeer) }
        receive(bytes, from: slot, now: now)
        settleArrivals(from: slot, now: now)
        flush()
    }

    /// The RPCs that lie whole at the front of `bytes`, with their length prefixes; then `bytes` begins behind them.
    package mutating func receive(_ frames: LengthPrefixedFrames, _ bytes: inout UnsafeRawBufferPointer, from peer: PeerID, now: Instant) {
        guard let slot = slot(of: peer) else {
            while frames.nextInPlace(&bytes) != nil { counters.count(.unknownPeer) }
            return
        }
        while let rpc = frames.nextInPlace(&bytes) { receive(rpc, from: slot, now: now) }
        settleArrivals(from: slot, now: now)
        flush()
    }

    private mutating func receive(_ bytes: UnsafeRawBufferPointer, from slot: Int, now: Instant) {
        counters.rpcsReceived += 1
        guard isWelcome(slot) else { return drop(.graylisted, from: slot) }
        guard bytes.count <= configuration.maximumMessageSize else { return refuse(.tooLargeRPC, from: slot) }
        let takesMessages = configuration.limits.messagesPerRPC > 0
        if takesMessages, isExpectedDuplicate(bytes, from: slot, now: now) { return counters.count(.duplicate) }
        if takesMessages, let message = GossipsubWireMessage(alone: bytes) {
            receiveMessage(message, from: slot, now: now)
        } else {
            receiveAll(bytes, from: slot, now: now)
        }
    }

    private func isWelcome(_ slot: Int) -> Bool {
        guard let peer = peers[slot] else { return false }
        let revision = peer.score.revision
        if peer.colocation.isEmpty, peer.welcomedAt == revision { return true }
        guard score(slot) >= configuration.score.graylistThreshold else { return false }
        peer.welcomedAt = revision
        return true
    }

    private mutating func receiveAll(_ bytes: UnsafeRawBufferPointer, from slot: Int, now: Instant) {
        settleArrivals(from: slot, now: now)
        guard isWelcome(slot) else { return drop(.graylisted, from: slot) }
        var rpc = GossipsubRPC()
        swap(&rpc, &rpcScratch)
        defer {
            rpc.removeAll()
            swap(&rpc, &rpcScratch)
        }
        do {
            try rpc.read(bytes, limits: configuration.limits)
        } catch {
            switch error {
            case .malformed: return refuse(.malformedRPC, from: slot)
            case .tooMuchControl: return refuse(.tooMuchControl, from: slot)
            case .tooManyMessages: return refuse(.tooManyMessages, from: slot)
            }
        }
        apply(rpc, from: slot, now: now)
    }

    /// RPCs of one peer come in runs: the last slot is tried first.
    private mutating func slot(of peer: PeerID) -> Int? {
        if peers.indices.contains(lastSender), peers[lastSender]?.id == peer { return lastSender }
        guard let slot = slots[peer] else { return nil }
        lastSender = slot
        return slot
    }

    /// The topic with this name, if we follow it. Messages of one topic come in runs: the last one is tried first.
    private mutating func followedTopic(_ name: UnsafeRawBufferPointer) -> GossipsubTopic? {
        if let last = lastTopic, last.topic.isSubscribed, last.name.elementsEqual(name) { return last.topic }
        guard name.count <= configuration.maximumTopicLength, let text = String(validating: name, as: UTF8.self), let topic = topics[text],
            topic.isSubscribed
        else { return nil }
        lastTopic = ([UInt8](name), topic)
        return topic
    }

    private mutating func refuse(_ reason: GossipsubDropReason, from slot: Int) {
        penalise(slot)
        drop(reason, from: slot)
    }

    private mutating func apply(_ rpc: GossipsubRPC, from slot: Int, now: Instant) {
        counters.count(.excessSubscriptions, rpc.ignoredSubscriptions)
        counters.count(.excessControl, rpc.ignoredControl)
        for subscription in rpc.subscriptions { receiveSubscription(subscription, from: slot, now: now) }
        for message in rpc.messages { receiveMessage(message, from: slot, now: now) }
        settleArrivals(from: slot, now: now)
        receiveControl(rpc, from: slot, now: now)
    }

    // MARK: Messages

    private mutating func receiveMessage(_ message: GossipsubWireMessage, from slot: Int, now: Instant) {
        guard let topicBytes = message.topic, !topicBytes.isEmpty else { return drop(.missingTopic, from: slot) }
        if let reason = GossipsubSigning.checkFields(message, configuration.signaturePolicy) {
            return reject(reason, message, from: slot)
        }
        let key = makeID(of: message)
        arrivals.append(message, key, id: byteScratch)
        if arrivals.isFull { settleArrivals(from: slot, now: now) }
    }

    /// Looks at those that were read, in order.
    private mutating func settleArrivals(from slot: Int, now: Instant) {
        if arrivals.messages.isEmpty { return }
        var settled = GossipsubArrivals()
        swap(&settled, &arrivals)
        if settled.messages.count > 1 { seen.lookAhead(settled.messages.lazy.map(\.key)) }
        settled.ids.withUnsafeBytes { ids in
            for arrival in settled.messages {
                // One of them may have cost the peer its welcome.
                guard isWelcome(slot) else {
                    drop(.graylisted, from: slot)
                    continue
                }
                settle(arrival.message, arrival.key, id: UnsafeRawBufferPointer(rebasing: ids[arrival.id]), from: slot, now: now)
            }
        }
        settled.removeAll()
        swap(&settled, &arrivals)
    }

    private mutating func settle(
        _ message: GossipsubWireMessage, _ key: GossipsubMessageKey, id: UnsafeRawBufferPointer, from slot: Int, now: Instant
    ) {
        guard let topicBytes = message.topic else { return }
        if let number = seen.number(key), let first = seen.firstSeen(number), !seen.isOver(first, now) {
            noteHolder(slot, of: number)
            return receiveDuplicate(topicBytes, first, from: slot, now: now)
        }
        guard let topic = followedTopic(topicBytes) else { return drop(.notSubscribed, from: slot) }

        var origin: PeerID?
        if configuration.signaturePolicy == .strictSign {
            guard message.from?.elementsEqual(localPeer.multihash) != true else { return drop(.ownOrigin, from: slot) }
            let verdict = GossipsubSigning.verify(message, last: &lastAuthor, scratch: &signedScratch)
            if signedScratch.capacity > Self.keptScratch { signedScratch = [] }
            switch verdict {
            case .success(let author): origin = author
            case .failure(let failure): return reject(failure.reason, message, from: slot)
            }
        }
        accept(message, key, id, topic, origin, from: slot, now: now)
    }

    /// Bytes of scratch memory that are kept between messages.
    private static let keptScratch = 1 << 16

    /// Leaves the message id in `byteScratch`.
    private mutating func makeID(of message: GossipsubWireMessage) -> GossipsubMessageKey {
        if usesContentHash {
            keyMaker.contentHash(message.data ?? UnsafeRawBufferPointer(start: nil, count: 0), into: &byteScratch)
        } else {
            byteScratch.removeAll(keepingCapacity: true)
            if let from = message.from { byteScratch.append(contentsOf: from) }
            if let sequence = message.sequence { byteScratch.append(contentsOf: sequence) }
        }
        return keyMaker.key(byteScratch)
    }

    private mutating func accept(
        _ message: GossipsubWireMessage, _ key: GossipsubMessageKey, _ id: UnsafeRawBufferPointer, _ topic: GossipsubTopic, _ origin: PeerID?,
        from slot: Int, now: Instant
    ) {
        guard let peer = peers[slot] else { return }
        let number = seen.insert(unseen: key, now: now)
        promises.fulfil(key)
        peer.score.firstDelivery(topic.name, configuration.score)
        let (kept, payload) = message.kept(id: id, in: &blocks)
        let frame = kept.frame
        cache.insert(number, topic: topic.name, kept)
        let author = origin.flatMap { slots[$0] }
        if let data = message.data, data.count >= configuration.idontwantThreshold {
            announceUnwanted([UInt8](id), topic, except: slot, author)
        }
        if !topic.mesh.isEmpty || !topic.flooded.isEmpty {
            forward(GossipsubForward(number: number, key: key, frame: frame, sender: slot, author: author), topic)
        }
        counters.delivered += 1
        deliver(frame[payload], topic, by: origin, from: peer)
    }

    /// Tells the mesh that we have a large message. Never its sender (go-libp2p-pubsub #609), nor its author.
    private mutating func announceUnwanted(_ id: [UInt8], _ topic: GossipsubTopic, except sender: Int, _ author: Int?) {
        var frame: SharedBytes?
        for slot in topic.mesh where slot != sender && slot != author && peers[slot]!.version >= .v12 {
            let shared = frame ?? SharedBytes(GossipsubOutgoing.idontwantFrame([id]))
            frame = shared
            counters.idontwantSent += 1
            counters.controlFramesSent += 1
            send(shared, to: slot, .control)
        }
    }

    /// Whether this is the next of the messages that the peer brings and that we have: byte for byte, so that none of it needs to be read. The most
    /// frequent RPC of all in a mesh.
    private mutating func isExpectedDuplicate(_ bytes: UnsafeRawBufferPointer, from slot: Int, now: Instant) -> Bool {
        guard !configuration.score.countsDuplicates, let number = peers[slot]?.nextDuplicate, cache.holds(number, as: bytes),
            let first = seen.firstSeen(number), !seen.isOver(first, now)
        else { return false }
        noteHolder(slot, of: number)
        return true
    }

    /// The peer brought a message that we have: it needs none from us.
    private mutating func noteHolder(_ slot: Int, of number: UInt64) {
        peers[slot]!.nextDuplicate = number + 1
        forwards.noteHolder(slot, of: number)
    }

    private mutating func receiveDuplicate(_ topicBytes: UnsafeRawBufferPointer, _ first: Instant, from slot: Int, now: Instant) {
        counters.count(.duplicate)
        // The usual case: nothing to note, so no text is made of the topic.
        if !configuration.score.countsDuplicates { return }
        guard let topic = followedTopic(topicBytes), topic.mesh.contains(slot) else { return }
        let parameters = configuration.score.parameters(topic.name)
        guard parameters.meshDeliveriesWeight != 0, now - first <= parameters.meshDeliveriesWindow else { return }
        peers[slot]!.score.nearFirstDelivery(topic.name, configuration.score)
    }

    /// A message that breaks the rules counts against the one who brought it (P4), since it should have been refused there.
    private mutating func reject(_ reason: GossipsubDropReason, _ message: GossipsubWireMessage, from slot: Int) {
        drop(reason, from: slot)
        guard let bytes = message.topic, let topic = followedTopic(bytes) else { return }
        peers[slot]!.score.invalidMessage(topic.name)
    }
}
