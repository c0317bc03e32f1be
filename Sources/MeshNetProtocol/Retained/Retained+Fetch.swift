// How a value that somebody told of gets here: by gossip, or from one holder after the other.
extension Retained {
    /// The answer to `.look`: the message's data, if gossip has it.
    package mutating func looked(_ header: RetainedHeader, _ data: [UInt8]?, now: Instant) {
        self.now = now
        guard let fetch = topics[header.topic]?.fetch, fetch.header == header, case .looking(let mayWait) = fetch.state else { return }
        if let data, data.count == header.size, SHA256.digest(data) == header.hash {
            endFetch(header.topic)
            settle(header, data, from: nil)
        } else if mayWait {
            let until = now + limits.gossipLead
            topics[header.topic]?.fetch?.state = .waiting(until: until)
            arm(until)
        } else {
            topics[header.topic]?.fetch?.state = .inLine
            line.append(header.topic)
        }
        startFetches()
    }

    /// A header that was verified, and is newer than all that is known of its topic.
    mutating func fetch(_ header: RetainedHeader, from teller: PeerID, isFresh: Bool) {
        endFetch(header.topic)
        fetches += 1
        topics[header.topic]?.fetch = RetainedFetch(header: header, tellers: [teller], state: .looking(mayWait: isFresh))
        actions.append(.look(header))
        startFetches()
    }

    mutating func endFetch(_ topic: String) {
        guard let fetch = topics[topic]?.fetch else { return }
        if fetch.askedPeer != nil { asking -= 1 }
        if case .inLine = fetch.state { line.removeAll { $0 == topic } }
        fetches -= 1
        topics[topic]?.fetch = nil
    }

    mutating func startFetches() {
        while asking < limits.fetches, let topic = line.popFirst() {
            guard let fetch = topics[topic]?.fetch, case .inLine = fetch.state else { continue }
            ask(for: topic)
        }
    }

    /// Asks the next one who told of the value; without any the value is given up until somebody tells of it again.
    private mutating func ask(for topic: String) {
        guard let fetch = topics[topic]?.fetch else { return }
        let index = fetch.tellers.firstIndex { teller in
            guard let neighbour = neighbours[teller], !neighbour.isSilenced else { return false }
            return neighbour.wants.count < RetainedMessage.maximumEntries
        }
        guard let index else {
            if let last = fetch.tellers.last { drop(.notFetched, from: last) } else { counters.drop(.notFetched) }
            return endFetch(topic)
        }
        let peer = fetch.tellers[index], until = now + limits.patience
        topics[topic]?.fetch?.tellers.removeSubrange(...index)
        topics[topic]?.fetch?.bytes = []
        topics[topic]?.fetch?.attempts += 1
        topics[topic]?.fetch?.state = .asking(peer, until: until)
        asking += 1
        neighbours[peer]?.wants.append(.init(topic: topic, hash: fetch.header.hash))
        arm(until)
        push(to: peer)
    }

    /// The peer cannot give the value.
    mutating func lose(_ peer: PeerID, for topic: String) {
        topics[topic]?.fetch?.tellers.removeAll { $0 == peer }
        if topics[topic]?.fetch?.askedPeer == peer { askAnother(than: peer, for: topic) }
    }

    private mutating func askAnother(than peer: PeerID, for topic: String) {
        asking -= 1
        neighbours[peer]?.knows[topic] = nil
        topics[topic]?.fetch?.state = .inLine
        ask(for: topic)
    }

    mutating func fetchTimedOut(_ topic: String) {
        guard let fetch = topics[topic]?.fetch else { return }
        switch fetch.state {
        case .waiting:
            topics[topic]?.fetch?.state = .looking(mayWait: false)
            actions.append(.look(fetch.header))
        case .asking(let peer, _):
            // Values come one after the other: as long as any of them comes, this one will.
            if let last = neighbours[peer]?.lastPart, last + limits.patience > now {
                topics[topic]?.fetch?.state = .asking(peer, until: last + limits.patience)
                return arm(last + limits.patience)
            }
            // It may only be slow: its turn comes again.
            if fetch.attempts < limits.attempts { topics[topic]?.fetch?.tellers.append(peer) }
            askAnother(than: peer, for: topic)
        case .looking, .inLine: break
        }
    }

    mutating func receive(_ part: RetainedMessage.Part, from peer: PeerID) {
        let topic = part.name.topic
        guard var fetch = topics[topic]?.fetch, fetch.askedPeer == peer, fetch.header.hash == part.name.hash, part.offset == fetch.bytes.count,
            part.bytes.count <= fetch.header.size - fetch.bytes.count, !part.bytes.isEmpty || fetch.header.size == 0
        else { return drop(.unasked, from: peer) }
        topics[topic]?.fetch = nil
        neighbours[peer]?.lastPart = now
        fetch.bytes += part.bytes
        let until = now + limits.patience
        fetch.state = .asking(peer, until: until)
        arm(until)
        topics[topic]?.fetch = fetch
        guard fetch.bytes.count == fetch.header.size else { return }
        guard SHA256.digest(fetch.bytes) == fetch.header.hash else {
            drop(.wrongBytes, from: peer)
            fault(of: peer)
            lose(peer, for: topic)
            return startFetches()
        }
        counters.fetched += 1
        endFetch(topic)
        settle(fetch.header, fetch.bytes, from: peer)
        startFetches()
    }

    /// The value is here. `from` is nil where gossip brought it.
    private mutating func settle(_ header: RetainedHeader, _ data: [UInt8], from peer: PeerID?) {
        if !keep(header, data) { drop(.noRoom, from: peer ?? identity.peerID) }
        if let peer { actions.append(.deliver(header, data, from: peer)) }
        if topics[header.topic]?.data != nil { actions.append(.announce(topic: header.topic, isOwn: false)) }
    }
}
