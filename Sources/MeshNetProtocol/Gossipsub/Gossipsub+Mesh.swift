extension Gossipsub {
    /// Follows a topic: tells every peer, and grafts up to D of its followers at once. False when it is followed already.
    package mutating func subscribe(_ topic: String, now: Instant) throws(GossipsubError) -> Bool {
        try check(topic)
        if topics[topic]?.isSubscribed == true { return false }
        guard ownTopics.count < configuration.limits.ownTopics else { throw .tooManyTopics(limit: configuration.limits.ownTopics) }
        ensure(topic).isSubscribed = true
        ownTopics.insert(topic, at: ownTopics.firstIndex { $0 > topic } ?? ownTopics.endIndex)
        for slot in peers.indices { tell(slot) { $0.subscription(topic, subscribes: true) } }
        join(topic, now: now)
        flush()
        return true
    }

    /// Leaves a topic. False when it is not followed.
    package mutating func unsubscribe(_ topic: String, now: Instant) -> Bool {
        guard let state = topics[topic], state.isSubscribed else { return false }
        releaseForwards()
        ownTopics.removeAll { $0 == topic }
        for slot in peers.indices { tell(slot) { $0.subscription(topic, subscribes: false) } }
        for slot in state.mesh { prune(slot, topic, backoff: configuration.unsubscribeBackoff, now: now) }
        topics[topic]!.isSubscribed = false
        forgetIfUnused(topic)
        flush()
        return true
    }

    func check(_ topic: String) throws(GossipsubError) {
        guard !topic.isEmpty, topic.utf8.count <= configuration.maximumTopicLength else {
            throw .invalidTopic(topic, limit: configuration.maximumTopicLength)
        }
    }

    /// The fanout becomes the mesh; backoffs hold here as everywhere (a node that grafts too early is penalised by its peers).
    private mutating func join(_ topic: String, now: Instant) {
        let fanout = topics[topic]!.fanout
        dropFanout(topic)
        for slot in fanout where isGraftable(slot, topic, now: now) { graft(slot, topic, now: now) }
        let missing = configuration.degree - topics[topic]!.mesh.count
        for slot in choose(missing, of: graftable(topic, now: now)) { graft(slot, topic, now: now) }
    }

    mutating func dropFanout(_ topic: String) {
        fanoutTopics.removeAll { $0 == topic }
        topics[topic]?.fanout = GossipsubSlots()
        topics[topic]?.lastPublished = nil
        forgetIfUnused(topic)
    }

    // MARK: One peer

    /// Whether we may ask a follower of the topic into the mesh.
    func isGraftable(_ slot: Int, _ topic: String, now: Instant) -> Bool {
        guard let version = peers[slot]?.version, version >= .v10, let state = topics[topic], !state.mesh.contains(slot) else { return false }
        return score(slot) >= 0 && backoffs.allowsGraft(topic, peers[slot]!.id, now: now)
    }

    func graftable(_ topic: String, now: Instant) -> [Int] {
        guard let state = topics[topic] else { return [] }
        return state.followers.filter { isGraftable($0, topic, now: now) }
    }

    /// Into the mesh, and tell the peer.
    mutating func graft(_ slot: Int, _ topic: String, now: Instant) {
        joinMesh(slot, topic, now: now)
        counters.graftsSent += 1
        tell(slot) { $0.graft(topic) }
    }

    /// Out of the mesh if it was in, and tell the peer, with the backoff that holds on both sides.
    mutating func prune(_ slot: Int, _ topic: String, backoff: Duration, now: Instant) {
        leaveMesh(slot, topic)
        backoffs.set(topic, peers[slot]!.id, end: now + backoff, now: now)
        counters.prunesSent += 1
        let seconds = peers[slot]!.version >= .v11 ? UInt64(clamping: backoff.components.seconds) : nil
        tell(slot) { $0.prune(topic, backoff: seconds) }
    }

    mutating func joinMesh(_ slot: Int, _ topic: String, now: Instant) {
        topics[topic]?.mesh.insert(slot)
        peers[slot]?.score.graft(topic, now: now)
    }

    mutating func leaveMesh(_ slot: Int, _ topic: String) {
        guard topics[topic]?.mesh.remove(slot) == true else { return }
        peers[slot]?.score.leaveMesh(topic, configuration.score)
    }

    /// Up to `count` by lot.
    mutating func choose(_ count: Int, of slots: [Int]) -> ArraySlice<Int> {
        guard count > 0 else { return [] }
        guard slots.count > count else { return slots[...] }
        return slots.shuffled(using: &random).prefix(count)
    }
}
