package import MeshNetProtocol

// What must outlive the process: given to the driver as changes, and followed by its consequences once it is on disk.
extension Swarm {
    /// Takes up what an earlier process left. Before the first `poll()`, at most once. With it, changes are stored from now on.
    package mutating func restore(_ state: StoredState, now: Instant) {
        self.now = now
        messages.clock = (state.now, now)
        messages.lastRequest = state.lastRequest
        messages.lastSpool = state.lastSpool
        if let incarnation = state.incarnation {
            messages.incarnation = incarnation
        } else {
            store(.incarnation(ownIncarnation()))
        }
        restoreReachability(state)
        for channel in state.channels { restore(channel, wall: state.now) }
        for stored in state.inbound { restore(stored) }
    }

    private mutating func restore(_ stored: StoredState.Channel, wall: Int64) {
        guard let at = try? openChannel(to: stored.peer) else { return }
        messages.channels[at].known = stored.known
        for lane in Lane.allCases {
            let expected = max(1, stored.expected[lane])
            messages.channels[at].into[lane].receiver.restore(expected: expected)
            messages.channels[at].into[lane].committed = expected
            messages.channels[at].into[lane].acknowledged = expected
            let waiting = stored.outbound.filter { $0.lane == lane }, next = max(1, stored.nextSequence[lane])
            let first = min(waiting.first?.sequence ?? next, stored.withdrawn[lane].first?.lowerBound ?? next)
            messages.channels[at].out[lane].sender.restore(first: first)
            for each in waiting { restore(each, lane, wall: wall, at) }
            messages.channels[at].out[lane].sender.skip(to: next)
            let sentBelow = stored.sentBelow[lane]
            messages.channels[at].out[lane].sender.restored(sentBelow: sentBelow)
            if sentBelow != nil { messages.channels[at].out[lane].mark = .kept }
        }
        if messages.channels[at].isBusy { wantPeer(stored.peer) }
        touchChannel(at)
    }

    private mutating func restore(_ stored: StoredOutbound, _ lane: Lane, wall: Int64, _ at: Int) {
        messages.channels[at].out[lane].sender.skip(to: stored.sequence)
        let rest = stored.deadline.map { Duration.nanoseconds(max(0, $0.subtractingReportingOverflow(wall).partialValue)) }
        let head: MessageHead
        switch stored.kind {
        case .message: head = .message
        case .reply(let id): head = .reply(id & UInt64(Int64.max))
        case .request: head = .request(stored.request ?? 0, milliseconds: UInt64(max(0, (rest ?? .zero).saturatedNanoseconds / 1_000_000)))
        }
        let before = messages.channels[at].out[lane].sender.byteCount
        switch stored.body {
        case .bytes(let bytes): _ = bytes.withView { messages.channels[at].out[lane].sender.append(head, $0, asks: false) }
        case .spooled(let spool, let byteCount):
            _ = messages.channels[at].out[lane].sender.append(head, spool.rawValue, byteCount: byteCount, asks: false)
        }
        messages.queuedBytes += messages.channels[at].out[lane].sender.byteCount - before
        if let rest { messages.channels[at].deadlines.set(.message(lane, stored.sequence), at: now + rest) }
    }

    private mutating func restore(_ stored: StoredInbound) {
        guard let at = try? openChannel(to: stored.message.peer) else { return }
        let lane = stored.message.lane
        messages.channels[at].into[lane].unsettledMessages += 1
        switch stored.body {
        case .bytes(let bytes):
            messages.channels[at].into[lane].unsettledBytes += bytes.count + LaneSender.messageOverhead
            let kept = BodyBytes(limit: bytes.count)
            bytes.withView { kept.append($0) }
            messages.retiredBodies.append(kept)
            actions.append(.deliver(stored.message, kept.view))
        case .spooled(let spool, let byteCount):
            messages.channels[at].into[lane].unsettledBytes += LaneSender.messageOverhead
            messages.spooledBytes += byteCount
            messages.spools[stored.message] = spool
            actions.append(.deliverSpooled(stored.message, spool, byteCount: byteCount))
        }
    }

    /// Nanoseconds since 1970 at an instant, by the clock that the store came with.
    func wallClock(at instant: Instant) -> Int64 {
        guard let clock = messages.clock else { return 0 }
        let (sum, overflow) = clock.wall.addingReportingOverflow((instant - clock.at).saturatedNanoseconds)
        return overflow ? .max : sum
    }

    // MARK: - Changes

    mutating func store(_ change: StoreChange) {
        messages.issued += 1
        actions.append(.store(change))
    }

    mutating func store(_ change: StoreChange, then consequence: Uncommitted.Consequence, _ at: Int) {
        store(change)
        messages.channels[at].uncommitted += 1
        messages.uncommitted.append(Uncommitted(number: messages.issued, channel: at, epoch: messages.channels[at].epoch, consequence: consequence))
    }

    /// Changes what is kept of a peer beside its queues. Without a store it is kept in memory only.
    mutating func updateKnown(_ peer: PeerID, _ change: (inout StoredPeer) -> Void) {
        guard let at = try? openChannel(to: peer) else { return }
        let before = messages.channels[at].known
        change(&messages.channels[at].known)
        guard messages.isStored, messages.channels[at].known != before else { return }
        store(.peer(peer, messages.channels[at].known))
    }

    /// A file that nobody needs: with a store only once that says so too.
    mutating func discard(_ spool: SpoolID) {
        messages.readers[spool] = nil
        guard messages.isStored else { return actions.append(.spool(spool, .discard)) }
        messages.uncommitted.append(Uncommitted(number: messages.issued, channel: nil, epoch: 0, consequence: .discard(spool)))
    }

    /// Every `.store` given out before the last `poll()` that gave nil is on disk.
    package mutating func committed(now: Instant) {
        self.now = now
        recycleRetired()
        while let first = messages.uncommitted.first, first.number <= messages.drained {
            _ = messages.uncommitted.popFirst()
            if let at = first.channel { messages.channels[at].uncommitted -= 1 }
            follow(first)
        }
    }

    private mutating func follow(_ change: Uncommitted) {
        if case .discard(let spool) = change.consequence { return actions.append(.spool(spool, .discard)) }
        guard let at = change.channel else { return }
        let isCurrent = messages.channels[at].epoch == change.epoch
        switch change.consequence {
        case .outbound(let lane, let place, let ticket):
            guard isCurrent else { return }
            let sequence = place + messages.channels[at].out[lane].shift
            messages.channels[at].out[lane].sender.commit(below: sequence + 1)
            if let ticket, isAwaited(ticket, sequence, lane, at) { actions.append(.accepted(ticket)) }
        case .marked: break
        case .unmarked(let lane):
            guard isCurrent else { return }
            sentMarkLifted(lane, at)
        case .inbound(let lane, let next):
            guard isCurrent else { return }
            messages.channels[at].into[lane].committed = max(messages.channels[at].into[lane].committed, next)
        case .deliver(let message, let body):
            messages.retiredBodies.append(body)
            actions.append(.deliver(message, body.view))
            if isCurrent { messages.channels[at].into[message.lane].committed = message.sequence + 1 }
        case .deliverSpooled(let message, let spool, let byteCount):
            actions.append(.deliverSpooled(message, spool, byteCount: byteCount))
            if isCurrent { messages.channels[at].into[message.lane].committed = message.sequence + 1 }
        case .discard: break
        }
        touchChannel(at)
    }

    /// Its ticket has not ended in the meantime.
    private mutating func isAwaited(_ ticket: Ticket, _ sequence: UInt64, _ lane: Lane, _ at: Int) -> Bool {
        guard let offset = ticketOffset(sequence, lane, at) else { return false }
        let each = messages.channels[at].out[lane].tickets[offset]
        if let request = each.request { return messages.channels[at].requests[request]?.ticket == ticket }
        return each.ticket == ticket
    }

    /// None of them is: our messages among them end, and give their numbers back; those of peers are as if they had never come.
    package mutating func commitFailed(_ problem: StorageProblem, now: Instant) {
        self.now = now
        recycleRetired()
        emit(.storage(problem))
        var revoked: [(at: Int, lane: Lane, from: UInt64)] = [], refused: [(at: Int, lane: Lane)] = []
        while let first = messages.uncommitted.first, first.number <= messages.drained {
            _ = messages.uncommitted.popFirst()
            if case .discard(let spool) = first.consequence { actions.append(.spool(spool, .discard)) }
            guard let at = first.channel else { continue }
            messages.channels[at].uncommitted -= 1
            guard messages.channels[at].epoch == first.epoch else { continue }
            switch first.consequence {
            case .outbound(let lane, let place, _):
                let sequence = place + messages.channels[at].out[lane].shift
                if !revoked.contains(where: { $0.at == at && $0.lane == lane }) { revoked.append((at, lane, sequence)) }
            case .marked(let lane): if messages.channels[at].out[lane].mark == .kept { messages.channels[at].out[lane].mark = .untouched }
            case .unmarked(let lane): sentMarkStays(lane, at)
            case .deliver(let message, let body): giveUp(message, body.count, &refused, at)
            case .deliverSpooled(let message, let spool, let byteCount):
                messages.spools[message] = nil
                messages.spooledBytes -= byteCount
                actions.append(.spool(spool, .discard))
                giveUp(message, 0, &refused, at)
            case .inbound(let lane, _): if !refused.contains(where: { $0.at == at && $0.lane == lane }) { refused.append((at, lane)) }
            case .discard: break
            }
        }
        for each in revoked { revoke(each.lane, from: each.from, problem, each.at) }
        for each in refused { rollBack(each.lane, each.at) }
    }

    private mutating func giveUp(_ message: InboundMessage, _ byteCount: Int, _ refused: inout [(at: Int, lane: Lane)], _ at: Int) {
        let lane = message.lane
        messages.channels[at].received -= 1
        messages.channels[at].into[lane].unsettledMessages -= 1
        messages.channels[at].into[lane].unsettledBytes -= byteCount + LaneSender.messageOverhead
        if !refused.contains(where: { $0.at == at && $0.lane == lane }) { refused.append((at, lane)) }
    }

    private mutating func revoke(_ lane: Lane, from sequence: UInt64, _ problem: StorageProblem, _ at: Int) {
        let bytes = messages.channels[at].out[lane].sender.byteCount
        var spools: [SpoolNumber] = []
        messages.channels[at].out[lane].sender.revoke(from: sequence) { spools.append($0) }
        messages.queuedBytes += messages.channels[at].out[lane].sender.byteCount - bytes
        for spool in spools {
            messages.readers[SpoolID(rawValue: spool)] = nil
            actions.append(.spool(SpoolID(rawValue: spool), .discard))
        }
        while let last = messages.channels[at].out[lane].tickets.last, last.sequence >= sequence {
            _ = messages.channels[at].out[lane].tickets.popLast()
            messages.channels[at].failed += 1
            if let ticket = last.ticket { complete(ticket, .failure(.storage(problem))) }
            if let request = last.request, let ticket = messages.channels[at].requests.removeValue(forKey: request)?.ticket {
                complete(ticket, .failure(.storage(problem)))
            }
        }
        // Given to the driver after the failed ones, and on disk or not: their numbers are others now.
        let shift = messages.channels[at].out[lane].shift
        messages.uncommitted.removeAll {
            guard $0.channel == at, case .outbound(lane, let place, _) = $0.consequence else { return false }
            return place + shift >= sequence
        }
        admitWaiting(at)
        touchChannel(at)
    }

    /// The lane goes back to what is on disk; the peer sends again, after a pause.
    private mutating func rollBack(_ lane: Lane, _ at: Int) {
        let committed = messages.channels[at].into[lane].committed
        refuseInbound(.busy, lane, at)
        messages.channels[at].into[lane].receiver.restore(expected: committed)
        messages.channels[at].into[lane].acknowledged = committed
    }
}
