import MeshNetProtocol
package import MeshNetSwarm

// Messages between simulated nodes: the application's side, the virtual disk, and files of large bodies.
extension Simulation {
    /// The wall clock of every node: nanoseconds since 1970.
    package var wall: Int64 { 1_700_000_000_000_000_000 + now.nanoseconds }

    /// Sends from one node to another; the ticket's end is in `completions`.
    @discardableResult
    package func send(
        _ bytes: [UInt8], from index: Int, to target: Int, kind: MessageKind = .message, options: SendOptions = SendOptions()
    ) -> Ticket {
        let peer = nodes[target].peer
        return send(from: index, OutboundMessage(peer: peer, kind: kind, options: options)) { body in bytes.withView { body(.view($0)) } }
    }

    /// The same from a file.
    @discardableResult
    package func sendSpooled(
        _ bytes: [UInt8], from index: Int, to target: Int, kind: MessageKind = .message, options: SendOptions = SendOptions()
    ) -> Ticket {
        nodes[index].inbox.nextFile += 1
        let spool = SpoolID(rawValue: nodes[index].inbox.nextFile)
        nodes[index].inbox.files[spool] = bytes
        countFiles(index)
        let message = OutboundMessage(peer: nodes[target].peer, kind: kind, options: options)
        return send(from: index, message) { body in body(.spooled(spool, byteCount: bytes.count)) }
    }

    /// Several at once, of which only what becomes of all of them is told: `inbox.acceptedRuns` counts those that are queued.
    @discardableResult
    package func sendRun(_ bodies: [[UInt8]], from index: Int, to target: Int, options: SendOptions = SendOptions()) -> Ticket {
        nodes[index].lastTicket += 1
        let ticket = Ticket(rawValue: nodes[index].lastTicket), message = OutboundMessage(peer: nodes[target].peer, options: options)
        bodies.flatMap { $0 }.withView { view in
            var views: [UnsafeRawBufferPointer] = [], start = 0
            for body in bodies {
                views.append(UnsafeRawBufferPointer(rebasing: view[start..<start + body.count]))
                start += body.count
            }
            nodes[index].swarm?.sendRun(message, views, ticket: ticket, now: now)
        }
        drain(index)
        return ticket
    }

    private func send(from index: Int, _ message: OutboundMessage, _ body: ((MessageBody) -> Void) -> Void) -> Ticket {
        nodes[index].lastTicket += 1
        let ticket = Ticket(rawValue: nodes[index].lastTicket)
        body { nodes[index].swarm?.send(message, $0, ticket: ticket, now: now) }
        drain(index)
        return ticket
    }

    /// The application of a node settles what it has, the oldest first.
    package func settle(_ count: Int = .max, at index: Int) {
        for _ in 0..<min(count, nodes[index].inbox.unsettled.count) where !nodes[index].inbox.unsettled.isEmpty {
            let (message, byteCount) = nodes[index].inbox.unsettled.removeFirst()
            nodes[index].swarm?.settled(message, byteCount: byteCount, now: now)
            drain(index)
        }
    }

    func forgetProcess(of index: Int, keepingStore: Bool) {
        let files = nodes[index].inbox.files
        nodes[index].inbox.unsettled = []
        nodes[index].inbox.reads = []
        nodes[index].inbox.fileFailures = []
        nodes[index].inbox.replies = []
        nodes[index].inbox.settleDueAt = nil
        nodes[index].store?.pending = []
        if !keepingStore, nodes[index].store != nil { nodes[index].store = SimulatedStore() }
        let kept = nodes[index].store?.spools ?? []
        nodes[index].inbox.files = files.filter { kept.contains($0.key) }
    }

    // MARK: - The driver's part

    func keep(_ action: SwarmAction, of index: Int) {
        switch action {
        case .accepted(let ticket):
            nodes[index].inbox.accepted.append(ticket)
            onAccepted?(index, ticket)
        case .acceptedRun(let ticket, let count): nodes[index].inbox.acceptedRuns[ticket, default: 0] += count
        case .deliver(let message, let view): arrived(message, [UInt8](view), isSpooled: false, at: index)
        case .deliverRun(let run): for (message, body) in run.messages { arrived(message, body, isSpooled: false, at: index) }
        case .deliverSpooled(let message, let spool, _):
            arrived(message, nodes[index].inbox.files[spool] ?? [], isSpooled: true, at: index)
        case .spool(let spool, let work): perform(work, on: spool, at: index)
        case .store(let change): nodes[index].store?.pending.append(change)
        default: break
        }
    }

    private func arrived(_ message: InboundMessage, _ body: [UInt8], isSpooled: Bool, at index: Int) {
        let delivery = Delivery(at: now, message: message, body: body, isSpooled: isSpooled)
        nodes[index].inbox.deliveries.append(delivery)
        trace.add(now, index, body)
        onDelivery?(index, delivery)
        nodes[index].inbox.unsettled.append((message, body.count))
        if message.request != nil, let answer = nodes[index].inbox.answers { nodes[index].inbox.replies.append((message, answer(body))) }
    }

    private func perform(_ work: SpoolWork, on spool: SpoolID, at index: Int) {
        if nodes[index].inbox.fileProblem != nil {
            if case .discard = work {} else { return nodes[index].inbox.fileFailures.append(spool) }
        }
        switch work {
        case .begin: nodes[index].inbox.files[spool] = []
        case .append(let bytes):
            nodes[index].inbox.files[spool]?.append(contentsOf: bytes)
            countFiles(index)
        case .read(let offset, let count): nodes[index].inbox.reads.append((spool, offset, count))
        case .discard: nodes[index].inbox.files[spool] = nil
        }
    }

    private func countFiles(_ index: Int) {
        let total = nodes[index].inbox.files.values.reduce(0) { $0 + $1.count }
        nodes[index].inbox.fileBytes = max(nodes[index].inbox.fileBytes, total)
    }

    /// What the application and the files answer. True if that gave the swarm anything to do.
    func serveInbox(_ index: Int) -> Bool {
        guard nodes[index].swarm != nil else { return false }
        var didAnything = false
        while let (spool, offset, count) = nodes[index].inbox.reads.first {
            nodes[index].inbox.reads.removeFirst()
            let bytes = [UInt8]((nodes[index].inbox.files[spool] ?? []).dropFirst(offset).prefix(count))
            bytes.withView { nodes[index].swarm?.spoolRead(spool, offset: offset, $0, now: now) }
            didAnything = true
        }
        while let spool = nodes[index].inbox.fileFailures.popLast() {
            let problem = nodes[index].inbox.fileProblem ?? .failed(path: "", reason: "gone")
            nodes[index].swarm?.spoolFailed(spool, problem, now: now)
            didAnything = true
        }
        while let (request, bytes) = nodes[index].inbox.replies.first {
            nodes[index].inbox.replies.removeFirst()
            let reply = OutboundMessage(peer: request.peer, kind: .reply(request.request ?? 0), options: SendOptions(lane: request.lane))
            bytes.withView { nodes[index].swarm?.send(reply, .view($0), ticket: nil, now: now) }
            didAnything = true
        }
        return applyPolicy(index) || didAnything
    }

    private func applyPolicy(_ index: Int) -> Bool {
        guard !nodes[index].inbox.unsettled.isEmpty else { return false }
        switch nodes[index].inbox.policy {
        case .never: return false
        case .settlesAtOnce:
            let (message, byteCount) = nodes[index].inbox.unsettled.removeFirst()
            nodes[index].swarm?.settled(message, byteCount: byteCount, now: now)
            return true
        case .settlesAfter(let pause):
            guard nodes[index].inbox.settleDueAt == nil else { return false }
            nodes[index].inbox.settleDueAt = now + pause
            schedule(.settle(node: index), at: now + pause)
            return false
        }
    }

    func settleOldest(_ index: Int) {
        guard nodes[index].inbox.settleDueAt == now else { return }
        nodes[index].inbox.settleDueAt = nil
        settle(1, at: index)
    }

    /// Puts on disk what the swarm gave, and tells it. False when there was nothing.
    func commit(_ index: Int) -> Bool {
        guard nodes[index].swarm != nil, let store = nodes[index].store, !store.pending.isEmpty else { return false }
        if store.diesAtCommit == store.commits {
            nodes[index].store?.diesAtCommit = nil
            if store.diesAfterwards, store.problem == nil { nodes[index].store?.commit(wall: wall) }
            kill(index)
            return false
        }
        if let problem = store.problem {
            nodes[index].store?.fail()
            nodes[index].swarm?.commitFailed(problem, now: now)
        } else {
            nodes[index].store?.commit(wall: wall)
            nodes[index].swarm?.committed(now: now)
        }
        return true
    }
}

extension InboundRun {
    /// Each of them, copied.
    package var messages: [(message: InboundMessage, body: [UInt8])] {
        var position = 0
        return (0..<run.count).map { index in
            let body = LaneRun.body(in: run.frames, at: position)
            position = body.upperBound
            let message = InboundMessage(peer: peer, incarnation: incarnation, lane: lane, sequence: run.sequence + UInt64(index))
            return (message, [UInt8](run.frames[body]))
        }
    }
}
