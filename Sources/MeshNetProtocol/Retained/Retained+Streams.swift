// What goes to peers, and what comes from them.
extension Retained {
    /// Tells these peers of the topic's value, if there is one and they do not have it. A value of ours that was just published goes by gossip as well.
    package mutating func announce(_ topic: String, to peers: [PeerID], isFresh: Bool, now: Instant) {
        self.now = now
        guard let header = topics[topic]?.header, topics[topic]?.data != nil else { return }
        for peer in peers where neighbours[peer] != nil && neighbours[peer]?.knows[topic] != header.hash {
            neighbours[peer]?.knows[topic] = header.hash
            guard neighbours[peer]?.topicsInNews.insert(topic).inserted == true else { continue }
            neighbours[peer]?.news.append(.init(topic: topic, isFresh: isFresh))
            push(to: peer)
        }
    }

    /// The stream took the last frame as a whole.
    package mutating func written(_ peer: PeerID, now: Instant) {
        self.now = now
        neighbours[peer]?.isWriting = false
        push(to: peer)
    }

    /// Our stream to the peer is gone, and what was on its way with it. Then `announce` what it follows.
    package mutating func closed(_ peer: PeerID) {
        guard let old = neighbours[peer] else { return }
        neighbours[peer] = RetainedNeighbour(limits: limits, now: now)
        // Only the stream is new: who wrote too much or wrong did so on another one.
        neighbours[peer]?.sending = old.sending
        neighbours[peer]?.accepting = old.accepting
        neighbours[peer]?.faults = old.faults
        neighbours[peer]?.isSilenced = old.isSilenced
    }

    // MARK: - Out

    /// One message. Headers and requests overtake values.
    mutating func push(to peer: PeerID) {
        guard var neighbour = neighbours[peer], !neighbour.isWriting else { return }
        var message = RetainedMessage()
        while message.want.count < RetainedMessage.maximumEntries, let name = neighbour.wants.popFirst() { message.want.append(name) }
        while message.want.count + message.gone.count < RetainedMessage.maximumEntries, let name = neighbour.gone.popFirst() {
            message.gone.append(name)
        }
        addNews(to: &message, &neighbour)
        if message.isEmpty { message.part = nextPart(&neighbour) }
        neighbour.isWriting = !message.isEmpty
        neighbours[peer] = neighbour
        if !message.isEmpty { actions.append(.send(peer, message.frame)) }
    }

    private func addNews(to message: inout RetainedMessage, _ neighbour: inout RetainedNeighbour) {
        var bytes = 0
        while let news = neighbour.news.first, message.want.count + message.gone.count + message.have.count < RetainedMessage.maximumEntries {
            guard let header = topics[news.topic]?.header, topics[news.topic]?.data != nil else {
                _ = neighbour.takeNews()
                continue
            }
            bytes += RetainedHeader.maximumByteCount
            guard bytes <= RetainedMessage.maximumSentHeaderBytes, message.have.isEmpty || message.isFresh == news.isFresh else { return }
            message.isFresh = news.isFresh
            message.have.append(header)
            _ = neighbour.takeNews()
        }
    }

    /// Of the values that it asked for, in their order, as far as the budget goes.
    private mutating func nextPart(_ neighbour: inout RetainedNeighbour) -> RetainedMessage.Part? {
        while let name = neighbour.serving.first {
            guard let data = topics[name.topic]?.data, topics[name.topic]?.header?.hash == name.hash else {
                // Replaced meanwhile: the newer one was announced.
                _ = neighbour.serving.popFirst()
                neighbour.servedBytes = 0
                continue
            }
            guard neighbour.sending.take(now: now) else {
                neighbour.isHeld = true
                arm(now + .milliseconds(100))
                return nil
            }
            let start = neighbour.servedBytes, end = min(data.count, start + RetainedMessage.partByteCount)
            neighbour.servedBytes = end
            if end == data.count {
                _ = neighbour.serving.popFirst()
                neighbour.servedBytes = 0
            }
            counters.partsSent += 1
            return .init(name: name, offset: start, bytes: Array(data[start..<end]))
        }
        return nil
    }

    // MARK: - In

    /// A message of a peer, without its length prefix.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, from peer: PeerID, now: Instant) {
        self.now = now
        guard neighbours[peer]?.isSilenced == false else { return }
        let message: RetainedMessage
        do throws(WireError) {
            message = try RetainedMessage(decoding: bytes)
        } catch {
            actions.append(.malformed(peer))
            return fault(of: peer)
        }
        for header in message.have where neighbours[peer]?.isSilenced == false { receive(header, from: peer, isFresh: message.isFresh) }
        for name in message.want { serve(name, to: peer) }
        for name in message.gone where topics[name.topic]?.fetch?.header.hash == name.hash { lose(peer, for: name.topic) }
        if let part = message.part { receive(part, from: peer) }
        startFetches()
        push(to: peer)
    }

    private mutating func receive(_ header: RetainedHeader, from peer: PeerID, isFresh: Bool) {
        counters.headersHeard += 1
        guard neighbours[peer]?.accepting.take(now: now) == true else { return drop(.rateLimited, from: peer) }
        guard let entry = topics[header.topic] else { return drop(.notFollowed, from: peer) }
        guard header.size <= limits.valueBytes else { return drop(.tooLarge, from: peer) }
        neighbours[peer]?.knows[header.topic] = header.hash
        if let known = entry.header, !header.isNewer(than: known) {
            // Who holds an older one learns of ours.
            if !header.isSameValue(as: known) { announce(header.topic, to: [peer], isFresh: false, now: now) }
            return
        }
        if let awaited = entry.fetch?.header, !header.isNewer(than: awaited) {
            if header == awaited { remember(peer, for: header.topic) }
            return
        }
        counters.verified += 1
        guard header.isGenuine(policy) else {
            drop(.forged, from: peer)
            return fault(of: peer)
        }
        guard isBelievable(header.sequence) else { return drop(.future, from: peer) }
        if entry.isFollowed {
            fetch(header, from: peer, isFresh: isFresh)
        } else {
            // Somebody else's word is the last one now, and those who follow the topic keep it.
            dropData(header.topic)
            topics[header.topic]?.header = header
        }
    }

    /// Numbers that no clock of this age gives leave no room above them.
    private func isBelievable(_ sequence: UInt64) -> Bool {
        guard sequence <= UInt64(Int64.max) else { return false }
        guard let clock = clock(now), sequence > clock else { return true }
        return sequence - clock <= UInt64(max(0, limits.future.saturatedNanoseconds))
    }

    private mutating func remember(_ peer: PeerID, for topic: String) {
        guard let fetch = topics[topic]?.fetch, fetch.tellers.count < limits.tellers, fetch.askedPeer != peer, !fetch.tellers.contains(peer) else { return }
        topics[topic]?.fetch?.tellers.append(peer)
    }

    private mutating func serve(_ name: RetainedMessage.Name, to peer: PeerID) {
        guard let neighbour = neighbours[peer] else { return }
        guard neighbours[peer]?.accepting.take(now: now) == true, neighbour.serving.count + neighbour.gone.count < limits.requestsPerPeer else {
            return drop(.rateLimited, from: peer)
        }
        if topics[name.topic]?.data != nil, topics[name.topic]?.header?.hash == name.hash {
            neighbours[peer]?.serving.append(name)
        } else {
            neighbours[peer]?.gone.append(name)
        }
    }
}
