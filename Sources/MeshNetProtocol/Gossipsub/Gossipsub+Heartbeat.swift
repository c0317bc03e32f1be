extension Gossipsub {
    /// Heartbeats between two looks at the whole table of backoffs: entries that are over do no harm until then.
    private static let sweepInterval: UInt64 = 15
    /// IHAVE RPCs that we send to one peer for one topic in one heartbeat: receivers read ten from us, of all topics.
    private static let ihaveFrames = 8

    mutating func heartbeat(_ now: Instant) {
        heartbeats += 1
        seen.expire(now)
        if heartbeats % Self.sweepInterval == 0 {
            backoffs.sweep(now)
            retainedScores.sweep(now)
        }
        resetAllowances()
        for slot in promises.takeBroken(now) {
            counters.brokenPromises += 1
            penalise(slot)
        }
        decayScores(now)
        for topic in ownTopics {
            maintainMesh(topic, now: now)
            gossip(topic, except: topics[topic]!.mesh)
        }
        maintainFanout(now)
        resync()
        cache.shift()
    }

    private mutating func resetAllowances() {
        for slot in peers.indices where peers[slot] != nil {
            peers[slot]!.ihaveRPCs = 0
            peers[slot]!.askedIDs = 0
            peers[slot]!.idontwantRPCs = 0
            if !peers[slot]!.unwanted.isEmpty { peers[slot]!.unwanted = peers[slot]!.unwanted.filter { $0.value >= heartbeats } }
        }
    }

    private mutating func decayScores(_ now: Instant) {
        guard nextDecay <= now else { return }
        nextDecay = nextDecay + configuration.score.decayInterval
        if nextDecay <= now { nextDecay = now + configuration.score.decayInterval }
        for slot in peers.indices where peers[slot] != nil { peers[slot]!.score.decay(configuration.score, now: now) }
    }

    // MARK: Mesh

    private mutating func maintainMesh(_ topic: String, now: Instant) {
        for slot in topics[topic]!.mesh.slots where score(slot) < 0 { prune(slot, topic, backoff: configuration.pruneBackoff, now: now) }
        if topics[topic]!.mesh.count < configuration.degreeLow {
            let missing = configuration.degree - topics[topic]!.mesh.count
            for slot in choose(missing, of: graftable(topic, now: now)) { graft(slot, topic, now: now) }
        }
        if topics[topic]!.mesh.count > configuration.degreeHigh { shrink(topic, now: now) }
        if topics[topic]!.mesh.count >= configuration.degreeLow { keepOutbound(topic, now: now) }
        let ticks = max(1, configuration.opportunisticGraftInterval.saturatedNanoseconds / configuration.heartbeatInterval.saturatedNanoseconds)
        if heartbeats % UInt64(ticks) == 0 { graftOpportunistically(topic, now: now) }
    }

    /// Down to D: the best by score stay, the rest by lot, and among them at least Dout that we dialled.
    private mutating func shrink(_ topic: String, now: Instant) {
        var order = topics[topic]!.mesh.slots.shuffled(using: &random).map { (slot: $0, score: score($0)) }
        order.sort { $0.score > $1.score }
        let best = order.prefix(configuration.degreeScore).map(\.slot)
        let rest = order.dropFirst(configuration.degreeScore).map(\.slot).shuffled(using: &random)
        var kept = best + rest.prefix(configuration.degree - best.count)
        var spare = Array(rest.dropFirst(configuration.degree - best.count))
        let missing = configuration.degreeOutbound - kept.count(where: isOutbound)
        for _ in 0..<max(0, missing) {
            guard let gain = spare.firstIndex(where: isOutbound), let loss = kept.lastIndex(where: { !isOutbound($0) }) else { break }
            swap(&kept[loss], &spare[gain])
        }
        for slot in spare.sorted() { prune(slot, topic, backoff: configuration.pruneBackoff, now: now) }
    }

    private func isOutbound(_ slot: Int) -> Bool { peers[slot]?.direction == .outbound }

    private mutating func keepOutbound(_ topic: String, now: Instant) {
        let missing = configuration.degreeOutbound - topics[topic]!.mesh.slots.count(where: isOutbound)
        guard missing > 0 else { return }
        for slot in choose(missing, of: graftable(topic, now: now).filter(isOutbound)) { graft(slot, topic, now: now) }
    }

    /// A mesh of poor peers takes in better ones.
    private mutating func graftOpportunistically(_ topic: String, now: Instant) {
        let scores = topics[topic]!.mesh.slots.map { score($0) }.sorted()
        guard scores.count > 1 else { return }
        let median = scores[scores.count / 2]
        guard median < configuration.score.opportunisticGraftThreshold else { return }
        let better = graftable(topic, now: now).filter { score($0) > median }
        for slot in choose(configuration.opportunisticGraftPeers, of: better) { graft(slot, topic, now: now) }
    }

    // MARK: Fanout

    private mutating func maintainFanout(_ now: Instant) {
        for topic in fanoutTopics {
            guard let last = topics[topic]?.lastPublished, last + configuration.fanoutTTL > now else {
                dropFanout(topic)
                continue
            }
            let state = topics[topic]!
            var fanout = GossipsubSlots(state.fanout.filter { score($0) >= configuration.score.publishThreshold })
            let others = state.followers.filter {
                !fanout.contains($0) && !state.flooded.contains($0) && score($0) >= configuration.score.publishThreshold
            }
            for slot in choose(configuration.degree - fanout.count, of: others) { fanout.insert(slot) }
            topics[topic]!.fanout = fanout
            gossip(topic, except: fanout)
        }
    }

    // MARK: Gossip

    /// Advertises what is in the cache to peers that do not get it by the mesh, and to those for which a frame was lost.
    private mutating func gossip(_ topic: String, except pushed: GossipsubSlots) {
        guard let state = topics[topic] else { return }
        let others = state.followers.filter {
            peers[$0]!.version >= .v10 && !pushed.contains($0) && score($0) >= configuration.score.gossipThreshold
        }
        let lossy = pushed.filter { peers[$0]!.lossyUntil >= heartbeats && score($0) >= configuration.score.gossipThreshold }
        guard !others.isEmpty || !lossy.isEmpty else { return }
        var places = cache.gossip(topic: topic)
        guard !places.isEmpty else { return }
        let target = max(configuration.degreeLazy, Int(configuration.gossipFactor * Double(others.count)))
        for slot in choose(target, of: others) + lossy { advertise(topic, &places, to: slot) }
    }

    /// More ids than fit are cut to another choice for each peer, so that together they are told all.
    private mutating func advertise(_ topic: String, _ places: inout [Int], to slot: Int) {
        let count = min(places.count, max(0, configuration.limits.ihaveLength))
        var ids = places[..<count].map { cache.id(at: $0) }
        let bytes = ids.reduce(0) { $0 + GossipsubEncoding.fieldSize($1.count) }
        if count < places.count || bytes > (Self.ihaveFrames - 1) * GossipsubOutgoing.controlBytesPerFrame {
            drawFirst(count, of: &places)
            ids = places[..<count].map { cache.id(at: $0) }
        }
        tell(slot) { $0.have(topic, ids: ids[...], limit: Self.ihaveFrames) }
    }

    /// Puts so many, drawn by lot, to the front; the others are hardly touched, for there may be many.
    private mutating func drawFirst(_ count: Int, of places: inout [Int]) {
        for index in 0..<count { places.swapAt(index, Int.random(in: index..<places.count, using: &random)) }
    }

    // MARK: Repair

    /// A control frame was lost on the way to the queue: what it may have said is said again. All of it can be repeated without harm.
    private mutating func resync() {
        for slot in peers.indices where peers[slot]?.needsResync == true {
            peers[slot]!.needsResync = false
            for topic in ownTopics {
                let inMesh = topics[topic]!.mesh.contains(slot)
                tell(slot) {
                    $0.subscription(topic, subscribes: true)
                    if inMesh { $0.graft(topic) }
                }
            }
        }
    }
}
