package import MeshNetProtocol
package import MeshNetSwarm

/// A message as the application of a node got it.
package struct ArrivedMessage: Sendable {
    package let at: Instant
    /// Of the node: how often it had been started.
    package let life: Int
    package let message: InboundMessage
    package let body: ReceivedBody
}

/// When an application is done with a message.
package enum Settling: Sendable {
    case atOnce
    /// Drawn anew for every message.
    case after(ClosedRange<Duration>)
    /// By `settle(at:)`.
    case byHand
}

/// A process that dies around a commit: neither its peers nor its callers hear of that turn.
package enum Crash: Sendable { case beforeCommit, afterCommit }

enum SpoolAnswer {
    case read(SpoolID, offset: Int, count: Int)
    case failed(SpoolID, StorageProblem)
}

// Messages between peers: the driver's part of it.
extension Simulation {
    /// As an application does. A body above the threshold goes by a file. nil where the node is not alive or asleep.
    @discardableResult
    package func send(_ body: [UInt8], from index: Int, _ message: OutboundMessage) -> Ticket? {
        guard nodes[index].swarm != nil, !nodes[index].isAsleep else { return nil }
        nodes[index].lastTicket += 1
        let ticket = Ticket(rawValue: nodes[index].lastTicket)
        if body.count > nodes[index].configuration.messages.spoolThreshold {
            nodes[index].lastSpool += 1
            let spool = SpoolID(rawValue: 1 << 63 | nodes[index].lastSpool)
            nodes[index].spools[spool] = body
            nodes[index].swarm?.send(message, .spooled(spool, byteCount: body.count), ticket: ticket, now: now)
        } else {
            body.withUnsafeBytes { nodes[index].swarm?.send(message, .view($0), ticket: ticket, now: now) }
        }
        drain(index)
        return ticket
    }

    package func cancel(_ ticket: Ticket, at index: Int) { with(index) { $0.cancelMessage(ticket, now: $1) } }

    /// The application is done with all that it got in this life.
    package func settleAll(at index: Int) {
        let life = nodes[index].life, waiting = nodes[index].unsettled
        nodes[index].unsettled = []
        for (message, byteCount) in waiting { settle(message, byteCount: byteCount, life: life, at: index) }
    }

    package func channels(at index: Int) -> [ChannelStatus] {
        guard nodes[index].swarm != nil, !nodes[index].isAsleep else { return [] }
        let ticket = perform(.channels(nil), at: index)
        guard case .success(.channels(let channels)) = nodes[index].completions.removeValue(forKey: ticket) else { return [] }
        return channels
    }

    /// Nanoseconds since 1970 on the wall of the simulation.
    package var wallClock: Int64 { 1_700_000_000_000_000_000 + now.nanoseconds }

    // MARK: - Delivery

    func complete(_ ticket: Ticket, _ result: Result<Outcome, CallError>, of index: Int) {
        if nodes[index].completions.updateValue(result, forKey: ticket) != nil { nodes[index].repeatedTickets.append(ticket) }
        onCompletion?(index, ticket, result)
    }

    func receive(_ message: InboundMessage, _ body: ReceivedBody, at index: Int) {
        let bytes: [UInt8] = switch body {
        case .bytes(let bytes): bytes
        case .spooled(let spool, _): nodes[index].spools[spool] ?? []
        }
        trace.add(now, index, bytes)
        nodes[index].inbox.append(ArrivedMessage(at: now, life: nodes[index].life, message: message, body: body))
        onDelivery?(index, message, bytes)
        let life = nodes[index].life
        switch nodes[index].settling {
        case .atOnce: arrivals.set(.settle(node: index, life: life, message, byteCount: body.byteCount), at: now)
        case .after(let range):
            let low = range.lowerBound.saturatedNanoseconds, high = range.upperBound.saturatedNanoseconds
            let delay = Duration.nanoseconds(Int64.random(in: low...high, using: &random))
            arrivals.set(.settle(node: index, life: life, message, byteCount: body.byteCount), at: now + delay)
        case .byHand: nodes[index].unsettled.append((message, body.byteCount))
        }
    }

    func settle(_ message: InboundMessage, byteCount: Int, life: Int, at index: Int) {
        guard nodes[index].life == life else { return }
        with(index) { $0.settled(message, byteCount: byteCount, now: $1) }
    }

    // MARK: - The disk

    /// What a new process does before its first turn.
    func recover(_ index: Int) {
        nodes[index].life += 1
        nodes[index].unsettled = []
        guard nodes[index].configuration.messages.stateDirectory != nil else {
            nodes[index].store = nil
            nodes[index].spools = [:]
            return
        }
        let store = nodes[index].store ?? SimulatedStore()
        nodes[index].store = store
        let named = Set(store.namedSpools)
        nodes[index].spools = nodes[index].spools.filter { named.contains($0.key) }
        nodes[index].swarm?.restore(store.state(wallClock: wallClock), now: now)
    }

    /// True if the swarm was told something.
    func commit(_ index: Int) -> Bool {
        guard nodes[index].swarm != nil, nodes[index].store?.pending.isEmpty == false else {
            discard(index)
            return false
        }
        if nodes[index].crash == .beforeCommit {
            kill(index)
            return false
        }
        let result = nodes[index].store?.commit(wallClock: wallClock)
        if nodes[index].crash == .afterCommit {
            kill(index)
            return false
        }
        if case .failure(let problem) = result {
            nodes[index].swarm?.commitFailed(problem, now: now)
        } else {
            discard(index)
            nodes[index].swarm?.committed(now: now)
        }
        return true
    }

    /// Sends what waited for the commit. True if there was anything.
    func sendHeld(_ index: Int) -> Bool {
        let held = nodes[index].heldTransmits
        nodes[index].heldTransmits = []
        for id in held { transmit(id, from: index) }
        return !held.isEmpty
    }

    /// Files go after the commit that no longer names them.
    private func discard(_ index: Int) {
        for spool in nodes[index].discards { nodes[index].spools[spool] = nil }
        nodes[index].discards = []
    }

    func perform(_ work: SpoolWork, on spool: SpoolID, of index: Int) {
        let isFull = nodes[index].store?.isFull == true
        switch work {
        case .begin: nodes[index].spools[spool] = []
        case .append(let bytes):
            if isFull {
                nodes[index].spoolAnswers.append(.failed(spool, .full(path: "spool")))
            } else {
                nodes[index].spools[spool, default: []].append(contentsOf: bytes)
            }
        case .read(let offset, let count): nodes[index].spoolAnswers.append(.read(spool, offset: offset, count: count))
        case .discard: nodes[index].discards.append(spool)
        }
    }

    /// Answers what was asked of files. True if there was anything.
    func answer(_ index: Int) -> Bool {
        guard nodes[index].swarm != nil, !nodes[index].spoolAnswers.isEmpty else { return false }
        switch nodes[index].spoolAnswers.removeFirst() {
        case .failed(let spool, let problem): nodes[index].swarm?.spoolFailed(spool, problem, now: now)
        case .read(let spool, let offset, let count):
            guard let file = nodes[index].spools[spool], offset <= file.count else {
                nodes[index].swarm?.spoolFailed(spool, .failed(path: "spool", reason: "no such file"), now: now)
                return true
            }
            let piece = Array(file[offset..<min(file.count, offset + count)])
            piece.withUnsafeBytes { nodes[index].swarm?.spoolRead(spool, offset: offset, $0, now: now) }
        }
        return true
    }
}
