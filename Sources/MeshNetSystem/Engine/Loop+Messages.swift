import MeshNetProtocol
import MeshNetSwarm

// Messages to and from peers: between the callers, the swarm and the inbox.
extension Loop {
    /// A tracked message that has not ended.
    struct TrackedSend {
        let call: SendCall
        var isAccepted = false
    }

    func send(_ call: SendCall) {
        if call.message.options.lane == .control { express.passed(now: now) }
        switch call.bodies {
        case .owned(let bytes): bytes.withUnsafeBytes { send(call, 0, .view($0)) }
        case .lent(let views) where call.tracking == .run:
            sends[call.firstTicket] = TrackedSend(call: call)
            swarm.sendRun(call.message, views, ticket: call.firstTicket, now: now)
            drain()
        case .lent(let views): for (index, view) in views.enumerated() { send(call, index, .view(view)) }
        case .file(let file):
            do throws(StorageProblem) {
                let spool = try storage.spool.adopt(file)
                send(call, 0, .spooled(spool, byteCount: file.byteCount))
            } catch {
                mailbox.sendAccepted(call.heldByteCount)
                call.refuse(.storage(error))
            }
        }
    }

    private func send(_ call: SendCall, _ index: Int, _ body: MessageBody) {
        let ticket = call.ticket(of: index)
        if let ticket { sends[ticket] = TrackedSend(call: call) }
        swarm.send(call.message, body, ticket: ticket, now: now)
        drain()
    }

    func accepted(_ ticket: Ticket) {
        guard let send = sends[ticket], !send.isAccepted else { return }
        if send.call.wantsEnds { sends[ticket]?.isAccepted = true } else { sends[ticket] = nil }
        if send.call.oneAccepted() { mailbox.sendAccepted(send.call.heldByteCount) }
    }

    func accepted(_ ticket: Ticket, _ count: Int) {
        guard let call = sends[ticket]?.call, call.someAccepted(count) else { return }
        sends[ticket] = nil
        mailbox.sendAccepted(call.heldByteCount)
    }

    /// False when the ticket is of no message.
    func sendEnded(_ ticket: Ticket, _ result: Result<Outcome, CallError>) -> Bool {
        guard !sends.isEmpty, let send = sends.removeValue(forKey: ticket) else { return false }
        if send.call.oneEnded(result.flatMap(reply), wasAccepted: send.isAccepted) { mailbox.sendAccepted(send.call.heldByteCount) }
        return true
    }

    /// The swarm has forgotten the file of a large reply.
    private func reply(_ outcome: Outcome) -> Result<Delivery.Body?, CallError> {
        guard case .reply(let body) = outcome else { return .success(nil) }
        switch body {
        case .bytes(let bytes): return .success(.bytes(bytes))
        case .spooled(let spool, let byteCount):
            do throws(StorageProblem) {
                return .success(.file(try storage.spool.release(spool, byteCount: byteCount)))
            } catch {
                return .failure(.storage(error))
            }
        }
    }

    func cancel(_ call: SendCall, _ error: CallError) {
        call.cancellation = error
        for index in 0..<call.count {
            guard let ticket = call.ticket(of: index), sends[ticket] != nil else { continue }
            swarm.cancelMessage(ticket, now: now)
            drain()
        }
    }

    func deliver(_ message: InboundMessage, _ bytes: UnsafeRawBufferPointer) {
        arrived.append(message, bytes)
        handOver(message.lane)
    }

    func deliver(_ run: InboundRun) {
        arrived.append(run)
        handOver(run.lane)
    }

    /// A control message does not wait for the end of the turn, unless for a commit.
    private func handOver(_ lane: Lane) {
        guard lane == .control else { return }
        express.passed(now: now)
        express.isHandedOver = true
        if !storage.wantsCommit(now: now) { inbox.put(&arrived) }
    }

    func deliver(_ message: InboundMessage, _ spool: SpoolID, _ byteCount: Int) {
        do throws(StorageProblem) {
            arrived.append(message, .file(try storage.spool.reader(of: spool, byteCount: byteCount)))
        } catch {
            // It stays unsettled, and with a state directory comes again after a restart.
            announce(.storage(error))
        }
    }

    /// From now on whoever settles a message wakes us, as long as something depends on it.
    func awaitSettlements() {
        let awaited = swarm.awaitedSettlements
        hasSettlements = false
        guard awaited != nil || areSettlementsAwaited else { return }
        areSettlementsAwaited = awaited != nil
        hasSettlements = inbox.settlements.setAwaited(awaited)
    }

    /// Tells the swarm what the application is done with.
    func serveSettlements() {
        inbox.settlements.take(into: &settled)
        settle(settled)
        settled.removeAll(keepingCapacity: true)
    }

    func settle(_ items: [Settlements.Item]) {
        for item in items {
            switch item {
            case .one(let delivery): swarm.settled(delivery.message, byteCount: delivery.byteCount, now: now)
            case .several(let source, let lane, let count, let byteCount): swarm.settled(source.peer, lane, count: count, byteCount: byteCount, now: now)
            }
            drain()
        }
    }

    /// Whoever still waits for the end of a message learns that the node closes. After the swarm's last word.
    func endSends() {
        for ticket in sends.keys.sorted(by: { $0.rawValue < $1.rawValue }) { _ = sendEnded(ticket, .failure(.closed)) }
    }
}
