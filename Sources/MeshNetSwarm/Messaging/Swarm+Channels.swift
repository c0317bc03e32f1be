import MeshNetProtocol

// Channels: found, made, forgotten, and worked on at the end of a turn.
extension Swarm {
    mutating func channel(of peer: PeerID) -> Int? {
        if let last = messages.last, last.peer == peer { return last.at }
        return messages.index[peer]
    }

    mutating func channel(on id: ConnectionID) -> Int? {
        if let at = connections[id]?.channel { return at }
        return connections[id]?.peer.flatMap { channel(of: $0) }
    }

    mutating func openChannel(to peer: PeerID) throws(CallError) -> Int {
        if let at = channel(of: peer) {
            messages.last = (peer, at)
            return at
        }
        guard peer != localPeer else { throw .dial(.selfDial, address: .peer(peer)) }
        if messages.index.count >= configuration.messages.channels { try forgetOne() }
        let channel = Channel(peer: peer, pool: pool, options: configuration.messages, isStored: messages.isStored, now: now)
        let at: Int
        if let free = messages.free.popLast() {
            at = free
            messages.channels[at] = channel
        } else {
            at = messages.channels.count
            messages.channels.append(channel)
        }
        messages.index[peer] = at
        messages.last = (peer, at)
        return at
    }

    /// Makes room: the channel that was idle for longest, and is not connected, is forgotten.
    private mutating func forgetOne() throws(CallError) {
        var oldest: Int?
        for at in messages.channels.indices where messages.index[messages.channels[at].peer] == at {
            let channel = messages.channels[at]
            guard channel.isIdle, peers[channel.peer] == nil, !channel.isDirty, closings[channel.peer]?.byUs != true else { continue }
            if let found = oldest, messages.channels[found].lastUse <= channel.lastUse { continue }
            oldest = at
        }
        guard let oldest else { throw .limitReached("channels: \(configuration.messages.channels)") }
        let peer = messages.channels[oldest].peer
        for lane in Lane.allCases { dropAssembly(lane, oldest) }
        messages.index[peer] = nil
        messages.last = nil
        messages.channels[oldest].timerSetFor = nil
        messages.channels[oldest].deadlines = TimerQueue()
        messages.free.append(oldest)
        if messages.isStored { store(.forget(peer)) }
    }

    /// Our own incarnation, drawn when it is first needed.
    mutating func ownIncarnation() -> Incarnation {
        if let incarnation = messages.incarnation { return incarnation }
        let incarnation = Incarnation(random: &random)
        messages.incarnation = incarnation
        return incarnation
    }

    /// The channel is looked at before the end of the turn.
    mutating func touchChannel(_ at: Int) {
        messages.channels[at].lastUse = now
        guard !messages.channels[at].isDirty else { return }
        messages.channels[at].isDirty = true
        messages.dirty.append(at)
    }

    /// Writes what waits, and what is to be acknowledged, so that all of a turn travels together.
    mutating func pumpMessages() {
        while let at = messages.dirty.popFirst() {
            messages.channels[at].isDirty = false
            var wrote = false
            let isConnected = peers[messages.channels[at].peer] != nil
            for lane in Lane.allCases where isConnected && messages.channels[at].out[lane].hasOutput {
                if write(lane, at) { wrote = true }
            }
            acknowledge(at, withOthers: wrote)
            setTimer(of: at)
        }
    }

    mutating func setTimer(of at: Int) {
        guard let deadline = messages.channels[at].deadline else { return }
        if let set = messages.channels[at].timerSetFor, set <= deadline { return }
        messages.channels[at].timerSetFor = deadline
        timers.set(.channel(at), at: deadline)
    }

    mutating func channelTimer(_ at: Int) {
        guard let set = messages.channels[at].timerSetFor, set <= now else { return }
        messages.channels[at].timerSetFor = nil
        while let due = messages.channels[at].deadlines.popExpired(now: now) {
            switch due {
            case .message(let lane, let place): withdraw(place + messages.channels[at].out[lane].shift, lane, .expired, at)
            case .request(let id): endRequest(id, .failure(.timedOut), at)
            case .waiting(let id): dropWaiting(id, .expired, at)
            }
        }
        ratesOpen(at)
        for lane in Lane.allCases {
            if let due = messages.channels[at].into[lane].acknowledgesAt, due <= now {
                messages.channels[at].into[lane].acknowledgesAt = nil
                messages.channels[at].into[lane].acknowledgesNow = true
            }
            if let due = messages.channels[at].out[lane].opensAt, due <= now { messages.channels[at].out[lane].opensAt = nil }
        }
        touchChannel(at)
    }

    // MARK: - Incarnations

    /// What the peer says it is. False for one that it was before: of no meaning any more.
    mutating func meet(_ incarnation: Incarnation, _ at: Int) -> Bool {
        if messages.channels[at].known.incarnation == incarnation { return true }
        if messages.channels[at].past.contains(incarnation) { return false }
        if let old = messages.channels[at].known.incarnation {
            messages.channels[at].past.append(old)
            if messages.channels[at].past.count > Channel.maximumPast { messages.channels[at].past.removeFirst() }
            peerRestarted(at)
        }
        messages.channels[at].known.incarnation = incarnation
        if messages.isStored { store(.peer(messages.channels[at].peer, messages.channels[at].known)) }
        return true
    }

    /// The peer forgot what it had and what it had promised: both directions begin again.
    private mutating func peerRestarted(_ at: Int) {
        let peer = messages.channels[at].peer, failedBefore = messages.channels[at].failed
        messages.channels[at].epoch += 1
        if messages.isStored { store(.reset(peer)) }
        var spools: [SpoolNumber] = []
        for lane in Lane.allCases {
            closeOutbound(lane, at)
            let bytes = messages.channels[at].out[lane].sender.byteCount
            messages.queuedBytes -= bytes
            messages.channels[at].failed += UInt64(messages.channels[at].out[lane].sender.messageCount)
            messages.channels[at].out[lane].sender.reset { spools.append($0) }
            messages.channels[at].out[lane].shift = 0
            if messages.isStored { messages.channels[at].out[lane].mark = .untouched }
            while let each = messages.channels[at].out[lane].tickets.popFirst() {
                if let ticket = each.ticket { complete(ticket, .failure(.peerRestarted(peer))) }
            }
            closeInbound(lane, at)
            dropAssembly(lane, at)
            messages.channels[at].into[lane].receiver.restore(expected: 1)
            messages.channels[at].into[lane].acknowledged = 1
            messages.channels[at].into[lane].committed = 1
        }
        for request in messages.channels[at].requests.keys.sorted() {
            if let ticket = messages.channels[at].requests.removeValue(forKey: request)?.ticket { complete(ticket, .failure(.peerRestarted(peer))) }
        }
        // What waited for room had no number yet: it goes to the new one.
        messages.channels[at].deadlines.removeAll { if case .waiting = $0 { false } else { true } }
        for spool in spools { discard(SpoolID(rawValue: spool)) }
        messages.channels[at].announcesResume = false
        emit(.channel(peer, .peerRestarted(failedMessages: Int(messages.channels[at].failed - failedBefore))))
        admitWaiting(at)
        touchChannel(at)
    }
}
