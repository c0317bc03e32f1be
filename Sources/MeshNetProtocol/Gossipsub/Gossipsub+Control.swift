extension Gossipsub {
    mutating func receiveControl(_ rpc: GossipsubRPC, from slot: Int, now: Instant) {
        if !rpc.have.isEmpty || !rpc.want.isEmpty {
            if score(slot) >= configuration.score.gossipThreshold {
                if !rpc.have.isEmpty { receiveHave(rpc, from: slot, now: now) }
                if !rpc.want.isEmpty { receiveWant(rpc, from: slot) }
            } else {
                drop(.gossipBelowThreshold, from: slot)
            }
        }
        for topic in rpc.graft { receiveGraft(topic, from: slot, now: now) }
        for prune in rpc.prune { receivePrune(prune, rpc, from: slot, now: now) }
        if !rpc.dontWant.isEmpty { receiveDontWant(rpc, from: slot) }
    }

    // MARK: IHAVE

    /// Asks for what we have not seen, within the allowance of this heartbeat.
    private mutating func receiveHave(_ rpc: GossipsubRPC, from slot: Int, now: Instant) {
        let limits = configuration.limits
        peers[slot]!.ihaveRPCs += 1
        guard peers[slot]!.ihaveRPCs <= limits.ihaveMessagesPerHeartbeat else { return drop(.excessIHave, from: slot) }
        var allowance = limits.ihaveLength - peers[slot]!.askedIDs
        guard allowance > 0 else { return drop(.excessIHave, from: slot) }

        var wanted: [UnsafeRawBufferPointer] = []
        var keys: [GossipsubMessageKey] = []
        var chosen: Set<GossipsubMessageKey> = []
        for have in rpc.have {
            guard let topic = String(validating: have.topic, as: UTF8.self), topics[topic]?.isSubscribed == true else { continue }
            for id in rpc.ids[have.ids] {
                let key = keyMaker.key(id)
                if seen.contains(key) || promises.isPending(key, retryAfter: configuration.heartbeatInterval, now: now) { continue }
                guard chosen.insert(key).inserted else { continue }
                guard allowance > 0 else {
                    drop(.excessIHave, from: slot)
                    break
                }
                allowance -= 1
                wanted.append(id)
                keys.append(key)
            }
        }
        ask(wanted, keys, of: slot, now: now)
    }

    private mutating func ask(_ ids: [UnsafeRawBufferPointer], _ keys: [GossipsubMessageKey], of slot: Int, now: Instant) {
        guard !ids.isEmpty else { return }
        peers[slot]!.askedIDs += ids.count
        counters.iwantIDsSent += UInt64(ids.count)
        let witness = Int(random.next() % UInt64(ids.count))
        for (index, key) in keys.enumerated() {
            promises.add(key, peer: slot, counts: index == witness, asked: now, ends: now + configuration.iwantFollowupTime)
        }
        tell(slot) { $0.want(ids) }
    }

    // MARK: IWANT

    /// Each message goes as the frame that is in the cache already: many asking cost references, not copies.
    private mutating func receiveWant(_ rpc: GossipsubRPC, from slot: Int) {
        for range in rpc.want {
            for id in rpc.ids[range] {
                let key = keyMaker.key(id)
                if peers[slot]!.unwanted[key] != nil { continue }
                guard let number = seen.number(key) else { continue }
                switch cache.serve(number, to: slot, request: counters.rpcsReceived, limit: configuration.limits.iwantRetransmissions) {
                case .unknown: continue
                case .tooOften: drop(.excessIWant, from: slot)
                case .frame(let frame):
                    counters.iwantServed += 1
                    counters.messagesSent += 1
                    send(frame, to: slot, .forward)
                }
            }
        }
    }

    // MARK: IDONTWANT

    private mutating func receiveDontWant(_ rpc: GossipsubRPC, from slot: Int) {
        peers[slot]!.idontwantRPCs += 1
        guard peers[slot]!.idontwantRPCs <= configuration.limits.idontwantMessagesPerHeartbeat else { return drop(.excessIDontWant, from: slot) }
        var allowance = configuration.limits.idontwantIDsPerMessage
        for range in rpc.dontWant {
            for id in rpc.ids[range] {
                guard allowance > 0 else { return drop(.excessIDontWant, from: slot) }
                allowance -= 1
                peers[slot]!.unwanted[keyMaker.key(id)] = heartbeats + UInt64(max(0, configuration.idontwantTTL))
            }
        }
    }

    // MARK: GRAFT

    private mutating func receiveGraft(_ bytes: UnsafeRawBufferPointer, from slot: Int, now: Instant) {
        counters.graftsReceived += 1
        guard let topic = String(validating: bytes, as: UTF8.self), topics[topic]?.isSubscribed == true else {
            // No answer, no state: a PRUNE for each unknown topic would make us an amplifier.
            return drop(.graftUnknownTopic, from: slot)
        }
        guard peers[slot]!.version >= .v10, topics[topic]!.mesh.contains(slot) == false else { return }
        if let end = backoffs.end(topic, peers[slot]!.id), now < end {
            punishEarlyGraft(slot, end: end, now: now)
            return refuseGraft(.graftInBackoff, slot, topic, now: now)
        }
        guard score(slot) >= 0 else { return refuseGraft(.graftNegativeScore, slot, topic, now: now) }
        // A full mesh takes only peers that we chose to dial: a defence against takeover by many who dialled us.
        if topics[topic]!.mesh.count >= configuration.degreeHigh, peers[slot]!.direction == .inbound {
            return refuseGraft(.graftMeshFull, slot, topic, now: now)
        }
        // Who grafts follows the topic, even when its announcement was lost.
        guard follow(slot, topic) else { return refuseGraft(.excessTopics, slot, topic, now: now) }
        joinMesh(slot, topic, now: now)
    }

    /// Peers of v1.0 are not told of backoffs and cannot know.
    private mutating func punishEarlyGraft(_ slot: Int, end: Instant, now: Instant) {
        guard peers[slot]!.version >= .v11 else { return }
        penalise(slot)
        let floodEnd = end + configuration.graftFloodThreshold + (.zero - configuration.pruneBackoff)
        if now < floodEnd { penalise(slot) }
    }

    private mutating func refuseGraft(_ reason: GossipsubDropReason, _ slot: Int, _ topic: String, now: Instant) {
        drop(reason, from: slot)
        prune(slot, topic, backoff: configuration.pruneBackoff, now: now)
    }

    // MARK: PRUNE

    private mutating func receivePrune(_ entry: GossipsubRPC.Prune, _ rpc: GossipsubRPC, from slot: Int, now: Instant) {
        counters.prunesReceived += 1
        guard let topic = String(validating: entry.topic, as: UTF8.self), topics[topic]?.isSubscribed == true else { return }
        leaveMesh(slot, topic)
        backoffs.set(topic, peers[slot]!.id, end: now + backoff(seconds: entry.backoff), now: now)
        receivePeerExchange(rpc.offeredPeers[entry.peers], from: slot)
    }

    /// What the peer asks for, within our maximum; our own default for none and for zero.
    private func backoff(seconds: UInt64?) -> Duration {
        guard let seconds, seconds > 0 else { return configuration.pruneBackoff }
        let maximum = configuration.maximumBackoff
        guard let seconds = Int64(exactly: seconds), seconds <= maximum.components.seconds else { return maximum }
        return .seconds(seconds)
    }

    private mutating func receivePeerExchange(_ offered: ArraySlice<GossipsubRPC.OfferedPeer>, from slot: Int) {
        guard !offered.isEmpty else { return }
        guard configuration.acceptsPeerExchange, score(slot) >= configuration.score.acceptPXThreshold else {
            return counters.count(.peerExchangeIgnored, offered.count)
        }
        for entry in offered {
            guard let peer = try? PeerID(multihash: entry.peer), peer != localPeer, let record = Self.record(entry, of: peer) else {
                counters.count(.peerExchangeIgnored)
                continue
            }
            act(.peerExchange(peer, record: record))
        }
    }

    /// `.some(nil)` when none was given; nil when it does not hold or is another peer's.
    private static func record(_ entry: GossipsubRPC.OfferedPeer, of peer: PeerID) -> PeerRecord?? {
        if entry.record.isEmpty { return .some(nil) }
        guard let record = try? PeerRecord(envelope: [UInt8](entry.record), from: peer) else { return nil }
        return record
    }
}
