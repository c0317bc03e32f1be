extension Gossipsub {
    /// Sends a message of our own. It is not delivered here. We need not follow the topic.
    ///
    /// - Throws: `GossipsubError`; nothing was sent then.
    package mutating func publish(topic: String, data: [UInt8], now: Instant) throws(GossipsubError) {
        try check(topic)
        let policy = configuration.signaturePolicy
        let limit = GossipsubSigning.largestPayload(topic: topic, limit: configuration.maximumMessageSize, policy: policy, peer: localPeer)
        guard data.count <= limit else { throw .messageTooLarge(size: data.count, limit: limit) }
        let recipients = recipients(topic, now: now)
        guard !recipients.isEmpty else { throw .noPeersSubscribed(topic: topic) }

        let (id, number) = makeOwnID(data)
        let key = keyMaker.key(id)
        guard seen.insert(key, now: now) else { throw .duplicate }
        let frame = GossipsubSigning.frame(topic: topic, data: data, sequence: number, identity: policy == .strictSign ? identity : nil)
        if topics[topic]?.isSubscribed != true { noteFanout(topic, now: now) }
        cache.insert(key, id: id, topic: topic, frame: frame)
        counters.published += 1
        counters.messagesSent += UInt64(recipients.count)
        for slot in recipients { send(frame, to: slot, .own) }
    }

    private mutating func makeOwnID(_ data: [UInt8]) -> (id: [UInt8], sequence: [UInt8]) {
        var number: [UInt8] = []
        number.appendBigEndian(sequence)
        sequence &+= 1
        return (usesContentHash ? data.withUnsafeBytes { GossipsubKeyMaker.contentHash($0) } : localPeer.multihash + number, number)
    }

    /// With flood publishing every follower above the threshold: the first hop is where censorship and latency hurt most.
    private mutating func recipients(_ topic: String, now: Instant) -> [Int] {
        guard let state = topics[topic] else { return [] }
        let reachable = state.followers.filter { score($0) >= configuration.score.publishThreshold }
        if configuration.floodPublish { return reachable }
        var chosen = state.isSubscribed ? state.mesh : state.fanout
        for slot in state.flooded { chosen.insert(slot) }
        let others = reachable.filter { !chosen.contains($0) }
        for slot in choose(configuration.degree - chosen.count, of: others) { chosen.insert(slot) }
        if !state.isSubscribed { topics[topic]!.fanout = GossipsubSlots(chosen.filter { !state.flooded.contains($0) }) }
        return reachable.filter { chosen.contains($0) }
    }

    /// The topic is kept for gossip although we do not follow it, until we stop publishing to it.
    private mutating func noteFanout(_ topic: String, now: Instant) {
        fanoutTopics.removeAll { $0 == topic }
        if fanoutTopics.count >= configuration.limits.fanoutTopics, let oldest = fanoutTopics.first { dropFanout(oldest) }
        fanoutTopics.append(topic)
        topics[topic]?.lastPublished = now
    }
}
