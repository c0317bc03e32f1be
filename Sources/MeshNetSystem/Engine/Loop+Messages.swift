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
        for index in 0..<call.count {
            let ticket = call.ticket(of: index)
            if let ticket { sends[ticket] = TrackedSend(call: call) }
            call.withBody(index) { swarm.send(call.message, .view($0), ticket: ticket, now: now) }
            drain()
        }
    }

    func accepted(_ ticket: Ticket) {
        guard let send = sends[ticket], !send.isAccepted else { return }
        if send.call.wantsEnds { sends[ticket]?.isAccepted = true } else { sends[ticket] = nil }
        if send.call.oneAccepted() { mailbox.sendAccepted(send.call.byteCount) }
    }

    /// False when the ticket is of no message.
    func sendEnded(_ ticket: Ticket, _ result: Result<Outcome, CallError>) -> Bool {
        guard !sends.isEmpty, let send = sends.removeValue(forKey: ticket) else { return false }
        if send.call.oneEnded(result.map(replyBody), wasAccepted: send.isAccepted) { mailbox.sendAccepted(send.call.byteCount) }
        return true
    }

    private func replyBody(_ outcome: Outcome) -> Delivery.Body? {
        guard case .reply(.bytes(let bytes)) = outcome else { return nil }
        return .bytes(bytes)
    }

    func cancel(_ call: SendCall, _ error: CallError) {
        call.cancellation = error
        for index in 0..<call.count {
            guard let ticket = call.ticket(of: index), sends[ticket] != nil else { continue }
            swarm.cancelMessage(ticket, now: now)
            drain()
        }
    }

    func deliver(_ message: InboundMessage, _ bytes: UnsafeRawBufferPointer) { arrived.append(message, bytes) }

    /// Tells the swarm what the application is done with.
    func serveSettlements() {
        inbox.settlements.take(into: &settled)
        for delivery in settled {
            swarm.settled(delivery.message, byteCount: delivery.byteCount, now: now)
            drain()
        }
        settled.removeAll(keepingCapacity: true)
    }

    /// Whoever still waits for the end of a message learns that the node closes. After the swarm's last word.
    func endSends() {
        for ticket in sends.keys.sorted(by: { $0.rawValue < $1.rawValue }) { _ = sendEnded(ticket, .failure(.closed)) }
    }
}
