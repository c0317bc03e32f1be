extension Gossipsub {
    /// Sends a message of our own. It is not delivered here. We need not follow the topic.
    ///
    /// - Throws: `GossipsubError`; nothing was sent then.
    package mutating func publish(topic: String, data: [UInt8], now: Instant) throws(GossipsubError) {
        let failure = data.withUnsafeBytes { publish(topic: topic, run: [$0], now: now).failure }
        if let failure { throw failure }
    }

    /// The same for messages in order, at little more than the cost of one: up to the first that cannot be sent, and why it cannot.
    package mutating func publish(topic: String, run: [UnsafeRawBufferPointer], now: Instant) -> (count: Int, failure: GossipsubError?) {
        let recipients: [Int]
        do throws(GossipsubError) {
            try check(topic)
            recipients = self.recipients(topic, now: now)
            guard !recipients.isEmpty else { throw .noPeersSubscribed(topic: topic) }
        } catch { return (0, error) }
        let limit = GossipsubSigning.largestPayload(
            topic: topic, limit: configuration.maximumMessageSize, policy: configuration.signaturePolicy, peer: localPeer)
        var frames: [SharedBytes] = [], failure: GossipsubError?
        frames.reserveCapacity(run.count)
        for data in run {
            do throws(GossipsubError) {
                guard data.count <= limit else { throw .messageTooLarge(size: data.count, limit: limit) }
                frames.append(try makeFrame(topic, data, now: now))
            } catch {
                failure = error
                break
            }
        }
        guard !frames.isEmpty else { return (0, failure) }
        if topics[topic]?.isSubscribed != true { noteFanout(topic, now: now) }
        counters.published += UInt64(frames.count)
        counters.messagesSent += UInt64(recipients.count * frames.count)
        let pieces = GossipsubFrames.pieces(frames)
        for slot in recipients { for piece in pieces { send(piece, to: slot, .own) } }
        return (frames.count, failure)
    }

    private mutating func makeFrame(_ topic: String, _ data: UnsafeRawBufferPointer, now: Instant) throws(GossipsubError) -> SharedBytes {
        let number = makeOwnID(data), key = keyMaker.key(byteScratch)
        guard let place = seen.insert(key, now: now) else { throw .duplicate }
        let author = configuration.signaturePolicy == .strictSign ? (localPeer, identity) : nil
        let message = byteScratch.withUnsafeBytes {
            GossipsubSigning.message(topic: topic, data: data, sequence: number, id: $0, author: author, in: &blocks)
        }
        cache.insert(place, topic: topic, message)
        return message.frame
    }

    /// Returns the sequence number, and leaves the id in `byteScratch`.
    private mutating func makeOwnID(_ data: UnsafeRawBufferPointer) -> UInt64 {
        let number = sequence
        sequence &+= 1
        if usesContentHash {
            keyMaker.contentHash(data, into: &byteScratch)
        } else {
            byteScratch.removeAll(keepingCapacity: true)
            byteScratch += localPeer.multihash
            byteScratch.appendBigEndian(number)
        }
        return number
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
