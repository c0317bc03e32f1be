extension Gossipsub {
    /// One RPC without its length prefix. The bytes are not kept.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, from peer: PeerID, now: Instant) {
        guard let slot = slot(of: peer) else { return counters.count(.unknownPeer) }
        counters.rpcsReceived += 1
        guard score(slot) >= configuration.score.graylistThreshold else { return drop(.graylisted, from: slot) }
        guard bytes.count <= configuration.maximumMessageSize else { return refuse(.tooLargeRPC, from: slot) }
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
        flush()
    }

    /// RPCs of one peer come in runs: the last slot is tried first.
    private mutating func slot(of peer: PeerID) -> Int? {
        if peers.indices.contains(lastSender), peers[lastSender]?.id == peer { return lastSender }
        guard let slot = slots[peer] else { return nil }
        lastSender = slot
        return slot
    }

    /// The name as text; nil when it is none. Messages of one topic come in runs: the last name is kept.
    private mutating func name(of topic: UnsafeRawBufferPointer) -> String? {
        if lastTopic.bytes.elementsEqual(topic) { return lastTopic.name }
        guard topic.count <= configuration.maximumTopicLength, let name = String(validating: topic, as: UTF8.self) else { return nil }
        lastTopic = ([UInt8](topic), name)
        return name
    }

    private func isFollowed(_ topic: String) -> Bool {
        guard let place = topics.index(forKey: topic) else { return false }
        return topics.values[place].isSubscribed
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
        receiveControl(rpc, from: slot, now: now)
    }

    // MARK: Messages

    private mutating func receiveMessage(_ message: GossipsubWireMessage, from slot: Int, now: Instant) {
        guard let topicBytes = message.topic, !topicBytes.isEmpty else { return drop(.missingTopic, from: slot) }
        if let reason = GossipsubSigning.checkFields(message, configuration.signaturePolicy) {
            return reject(reason, message, from: slot)
        }
        let key = makeID(of: message)
        if let first = seen.firstSeen(key), first + configuration.seenTTL > now {
            return receiveDuplicate(topicBytes, first, from: slot, now: now)
        }
        guard let topic = name(of: topicBytes), isFollowed(topic) else { return drop(.notSubscribed, from: slot) }

        var origin: PeerID?
        if configuration.signaturePolicy == .strictSign {
            guard message.from?.elementsEqual(localPeer.multihash) != true else { return drop(.ownOrigin, from: slot) }
            let verdict = GossipsubSigning.verify(message, scratch: &signedScratch)
            if signedScratch.capacity > Self.keptScratch { signedScratch = [] }
            switch verdict {
            case .success(let author): origin = author
            case .failure(let failure): return reject(failure.reason, message, from: slot)
            }
            accept(message, key, topic, origin, from: slot, now: now)
        } else {
            accept(message, key, topic, nil, from: slot, now: now)
        }
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

    /// The id in `byteScratch`, to keep.
    mutating func keptID() -> SharedBytes { byteScratch.withUnsafeBytes { blocks.write($0) } }

    private mutating func accept(
        _ message: GossipsubWireMessage, _ key: GossipsubMessageKey, _ topic: String, _ origin: PeerID?, from slot: Int, now: Instant
    ) {
        guard seen.insert(key, now: now) else { return }
        promises.fulfil(key)
        peers[slot]!.score.firstDelivery(topic, configuration.score)
        let (frame, payload) = message.frame(in: &blocks)
        cache.insert(key, id: keptID(), topic: topic, frame: frame)
        let author = origin.flatMap { slots[$0] }
        if let data = message.data, data.count >= configuration.idontwantThreshold {
            announceUnwanted(byteScratch, topic, except: slot, author)
        }
        forward(frame, key, topic, except: slot, author)
        counters.delivered += 1
        act(.deliver(GossipsubMessage(topic: topic, origin: origin, receivedFrom: peers[slot]!.id, payload: payload)))
    }

    private mutating func forward(_ frame: SharedBytes, _ key: GossipsubMessageKey, _ topic: String, except sender: Int, _ author: Int?) {
        guard let place = topics.index(forKey: topic) else { return }
        let mesh = topics.values[place].mesh, flooded = topics.values[place].flooded
        for slot in mesh where slot != sender && slot != author {
            if peers[slot]!.unwanted[key] != nil {
                counters.idontwantSpared += 1
                continue
            }
            counters.messagesSent += 1
            send(frame, to: slot, .forward)
        }
        for slot in flooded where slot != sender && slot != author && score(slot) >= configuration.score.publishThreshold {
            counters.messagesSent += 1
            send(frame, to: slot, .forward)
        }
    }

    /// Tells the mesh that we have a large message. Never its sender (go-libp2p-pubsub #609), nor its author.
    private mutating func announceUnwanted(_ id: [UInt8], _ topic: String, except sender: Int, _ author: Int?) {
        guard let mesh = topics[topic]?.mesh else { return }
        var frame: SharedBytes?
        for slot in mesh where slot != sender && slot != author && peers[slot]!.version >= .v12 {
            let shared = frame ?? SharedBytes(GossipsubOutgoing.idontwantFrame([id]))
            frame = shared
            counters.idontwantSent += 1
            counters.controlFramesSent += 1
            send(shared, to: slot, .control)
        }
    }

    private mutating func receiveDuplicate(_ topicBytes: UnsafeRawBufferPointer, _ first: Instant, from slot: Int, now: Instant) {
        counters.count(.duplicate)
        // The usual case, and the most frequent RPC of all: nothing to note, so no text is made of the topic.
        if configuration.score.topics.isEmpty, configuration.score.defaultTopic.meshDeliveriesWeight == 0 { return }
        guard let topic = name(of: topicBytes), topics[topic]?.mesh.contains(slot) == true else { return }
        let parameters = configuration.score.parameters(topic)
        guard parameters.meshDeliveriesWeight != 0, now - first <= parameters.meshDeliveriesWindow else { return }
        peers[slot]!.score.nearFirstDelivery(topic, configuration.score)
    }

    /// A message that breaks the rules counts against the one who brought it (P4), since it should have been refused there.
    private mutating func reject(_ reason: GossipsubDropReason, _ message: GossipsubWireMessage, from slot: Int) {
        drop(reason, from: slot)
        guard let bytes = message.topic, let topic = name(of: bytes), isFollowed(topic) else { return }
        peers[slot]!.score.invalidMessage(topic)
    }
}
