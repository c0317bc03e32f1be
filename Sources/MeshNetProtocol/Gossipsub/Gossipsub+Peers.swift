extension Gossipsub {
    /// A peer that speaks pubsub with us. `address` is its IP in network order, for P6; empty when unknown.
    ///
    /// Call it before the first `receive` from the peer, whichever side opened its stream first: frames for a peer whose outgoing stream is not
    /// ready yet wait with the driver. Called again it updates version, direction and address and keeps all else.
    package mutating func addPeer(_ peer: PeerID, protocolID: String, direction: Direction, address: [UInt8], now: Instant) {
        guard peer != localPeer else { return }
        let version = GossipsubVersion(protocolID: protocolID)
        let colocation = GossipsubColocation.key(address, sparesLocal: configuration.score.colocationSparesLocalAddresses)
        if let slot = slots[peer] {
            update(slot, version, direction, colocation)
            return
        }
        let score = retainedScores.take(peer, now: now) ?? GossipsubPeerScore()
        let state = GossipsubPeer(id: peer, version: version, direction: direction, colocation: colocation, score: score)
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            peers[slot] = state
        } else {
            slot = peers.count
            peers.append(state)
        }
        slots[peer] = slot
        if !colocation.isEmpty { colocated[colocation, default: 0] += 1 }
        for topic in ownTopics { tell(slot) { $0.subscription(topic, subscribes: true) } }
        flush()
    }

    private mutating func update(_ slot: Int, _ version: GossipsubVersion, _ direction: Direction, _ colocation: [UInt8]) {
        forgetColocation(slot)
        if !colocation.isEmpty { colocated[colocation, default: 0] += 1 }
        peers[slot]!.colocation = colocation
        peers[slot]!.direction = direction
        guard peers[slot]!.version != version else { return }
        peers[slot]!.version = version
        for topic in peers[slot]!.topics {
            if version == .floodsub {
                topics[topic]?.flooded.insert(slot)
                leaveMesh(slot, topic)
            } else {
                topics[topic]?.flooded.remove(slot)
            }
        }
    }

    /// The peer is gone: what it announced is forgotten at once, without a `peerUnsubscribed` for each topic; a bad score is kept for a while.
    package mutating func removePeer(_ peer: PeerID, now: Instant) {
        releaseForwards()
        guard let slot = slots.removeValue(forKey: peer) else { return }
        for topic in peers[slot]!.topics { forget(slot, follows: topic) }
        forgetColocation(slot)
        promises.forget(peer: slot)
        cache.forget(peer: slot)
        var score = peers[slot]!.score
        score.disconnect(configuration.score)
        if score.value(configuration.score) < 0 {
            retainedScores.keep(score, of: peer, until: now + configuration.score.retainScore, now: now)
        }
        peers[slot] = nil
        freeSlots.append(slot)
    }

    /// The driver could not queue a frame of this priority for the peer: the peer is slow, and what it missed is made good by gossip.
    package mutating func queueFull(_ peer: PeerID, priority: GossipsubPriority = .forward) {
        guard let slot = slots[peer] else { return }
        counters.queueFull += 1
        peers[slot]!.score.frameNotQueued()
        if priority == .control { peers[slot]!.needsResync = true }
        peers[slot]!.lossyUntil = heartbeats + UInt64(configuration.historyGossip)
    }

    /// P5 of the score, from the application.
    package mutating func setApplicationScore(_ score: Double, of peer: PeerID) {
        guard let slot = slots[peer] else { return }
        peers[slot]!.score.application = score
    }

    func score(_ slot: Int) -> Double {
        guard peers[slot] != nil else { return 0 }
        let value = peers[slot]!.score.value(configuration.score)
        guard !peers[slot]!.colocation.isEmpty, let count = colocated[peers[slot]!.colocation], count > configuration.score.colocationThreshold else {
            return value
        }
        let surplus = Double(count - configuration.score.colocationThreshold)
        return value + surplus * surplus * configuration.score.colocationWeight
    }

    mutating func penalise(_ slot: Int, _ count: Double = 1) {
        counters.penalties += 1
        peers[slot]?.score.penalise(count)
    }

    private mutating func forgetColocation(_ slot: Int) {
        guard let key = peers[slot]?.colocation, !key.isEmpty, let count = colocated[key] else { return }
        colocated[key] = count > 1 ? count - 1 : nil
    }

    // MARK: Subscriptions of peers

    mutating func receiveSubscription(_ subscription: GossipsubRPC.Subscription, from slot: Int, now: Instant) {
        guard !subscription.topic.isEmpty, subscription.topic.count <= configuration.maximumTopicLength,
            let topic = String(validating: subscription.topic, as: UTF8.self)
        else { return drop(.excessTopics, from: slot) }
        if subscription.subscribes {
            guard follow(slot, topic), wantsMesh(topic), isGraftable(slot, topic, now: now) else { return }
            graft(slot, topic, now: now)
        } else if peers[slot]!.topics.remove(topic) != nil {
            peers[slot]!.topicBytes -= topic.utf8.count
            forget(slot, follows: topic)
            act(.peerUnsubscribed(peers[slot]!.id, topic: topic))
        }
    }

    /// Notes that a peer follows a topic; false when it cannot, true also when it did before.
    @discardableResult
    mutating func follow(_ slot: Int, _ topic: String) -> Bool {
        if peers[slot]!.topics.contains(topic) { return true }
        let bytes = topic.utf8.count
        let hasRoom = peers[slot]!.topics.count < configuration.limits.topicsPerPeer
        guard hasRoom, peers[slot]!.topicBytes + bytes <= configuration.limits.topicBytesPerPeer else {
            drop(.excessTopics, from: slot)
            return false
        }
        peers[slot]!.topics.insert(topic)
        peers[slot]!.topicBytes += bytes
        let state = ensure(topic)
        state.followers.insert(slot)
        if peers[slot]!.version == .floodsub { state.flooded.insert(slot) }
        act(.peerSubscribed(peers[slot]!.id, topic: topic))
        return true
    }

    /// Whether a newcomer should be grafted at once: waiting for the next heartbeat would cost a small mesh up to a second.
    private func wantsMesh(_ topic: String) -> Bool {
        guard let state = topics[topic], state.isSubscribed else { return false }
        return state.mesh.count < configuration.degree
    }

    private mutating func forget(_ slot: Int, follows topic: String) {
        leaveMesh(slot, topic)
        topics[topic]?.followers.remove(slot)
        topics[topic]?.flooded.remove(slot)
        topics[topic]?.fanout.remove(slot)
        forgetIfUnused(topic)
    }
}
