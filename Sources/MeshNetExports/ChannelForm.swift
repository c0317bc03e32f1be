import CMeshNet
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem

// Channels and their events in the words of C. Texts are made once, although a block is laid out twice.

/// The channels of an outcome.
struct ChannelListForm {
    private let rows: [ChannelForm]

    /// nil: the outcome has none.
    init?(_ outcome: Outcome) {
        guard case .channels(let channels) = outcome else { return nil }
        rows = channels.map(ChannelForm.init).sorted { $0.peer < $1.peer }
    }

    func layOut(_ block: inout Block) -> meshnet_channel_list_t {
        let items = block.pointers(rows.count) { block, index in rows[index].layOut(&block) }
        return meshnet_channel_list_t(count: rows.count, items: items)
    }
}

private struct ChannelForm {
    let peer: String
    private let status: ChannelStatus
    private let state: meshnet_channel_state
    private var retryAfter: Int64 = -1
    private var closing: Closing?
    private let incarnation: String?
    private let failures: [(cause: Int32, detail: String)]

    init(_ status: ChannelStatus) {
        self.status = status
        peer = status.peer.description
        incarnation = status.incarnation?.description
        failures = status.failures.map { (Int32($0.form.rawValue), $0.description) }
        switch status.state {
        case .connected: state = MESHNET_CHANNEL_STATE_CONNECTED
        case .connecting: state = MESHNET_CHANNEL_STATE_CONNECTING
        case .waiting(let delay):
            state = MESHNET_CHANNEL_STATE_WAITING
            retryAfter = delay.milliseconds
        case .gaveUp(let delay):
            state = MESHNET_CHANNEL_STATE_GAVE_UP
            retryAfter = delay?.milliseconds ?? -1
        case .closed(let how):
            state = MESHNET_CHANNEL_STATE_CLOSED
            closing = how
        case .idle: state = MESHNET_CHANNEL_STATE_IDLE
        }
    }

    func layOut(_ block: inout Block) -> meshnet_channel_t {
        var form = meshnet_channel_t()
        form.peer_id = block.text(peer)
        form.state = Int32(state.rawValue)
        form.retry_after_ms = retryAfter
        form.closed_by_us = closing?.byUs ?? false
        form.closed_reason = block.text(closing?.reason)
        form.incarnation = block.text(incarnation)
        form.queued_messages = Self.byLane(status.queuedMessages)
        form.queued_bytes = Self.byLane(status.queuedBytes)
        form.unsettled_messages = UInt64(clamping: status.unsettledMessages)
        form.unsettled_bytes = UInt64(clamping: status.unsettledBytes)
        form.delivered = status.delivered
        form.received = status.received
        form.expired = status.expired
        form.displaced = status.displaced
        form.failed = status.failed
        form.duplicates = status.duplicates
        form.attempts = UInt64(clamping: status.attempts)
        form.failure_count = failures.count
        form.failures = block.pointers(failures.count) { block, index in
            meshnet_dial_failure_t(cause: failures[index].cause, detail: block.text(failures[index].detail))
        }
        form.silence_ms = status.silence?.milliseconds ?? -1
        form.sending_bytes = UInt64(clamping: status.sendingBytes)
        form.sending_total = UInt64(clamping: status.sendingTotal)
        form.is_sending_limited = status.isSendingLimited
        form.is_receiving_limited = status.isReceivingLimited
        form.round_trip_ns = status.roundTrip?.nanoseconds ?? -1
        return form
    }

    private static func byLane(_ counts: [Int]) -> (UInt64, UInt64, UInt64) {
        (UInt64(clamping: counts[0]), UInt64(clamping: counts[1]), UInt64(clamping: counts[2]))
    }
}

// MARK: Events

func makeChannelEvent(_ peer: PeerID, _ change: ChannelChange) -> UnsafeMutablePointer<meshnet_event_t>? {
    let peer = peer.description
    var account: ErrorAccount?
    if case .gaveUp(_, let failures, _) = change { account = failures.last?.account }
    return Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_CHANNEL)
        event.peer_id = block.text(peer)
        switch change {
        case .resumed(let resent):
            event.channel_change = Int32(MESHNET_CHANNEL_RESUMED.rawValue)
            event.message_count = UInt64(clamping: resent)
        case .peerRestarted(let failed):
            event.channel_change = Int32(MESHNET_CHANNEL_PEER_RESTARTED.rawValue)
            event.message_count = UInt64(clamping: failed)
        case .closed(let how):
            event.channel_change = Int32(MESHNET_CHANNEL_CLOSED.rawValue)
            event.by_us = how.byUs
            event.detail = how.reason.isEmpty ? nil : block.text(how.reason)
        case .gaveUp(let attempts, let failures, let delay):
            event.channel_change = Int32(MESHNET_CHANNEL_GAVE_UP.rawValue)
            event.attempts = UInt64(clamping: attempts)
            event.cause = failures.last.map { Int32($0.form.rawValue) } ?? 0
            event.retry_after_ms = delay?.milliseconds ?? -1
            if let account { event.fill(account, &block) }
        case .limited(let inbound, let limit):
            event.channel_change = Int32(MESHNET_CHANNEL_LIMITED.rawValue)
            event.inbound = inbound
            event.detail = block.text(limit)
        }
        return event
    }
}

func makeMembers(_ topic: String, _ peers: [PeerID]) -> UnsafeMutablePointer<meshnet_event_t>? {
    let rows = PeerRow.rows(of: .topicPeers(peers))
    return Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_MEMBERS)
        event.fill(topic: topic, &block)
        event.peers = block.nested { $0.peers(rows) }
        return event
    }
}

func makeWoke(_ pause: Duration) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { _ in
        var event = meshnet_event_t(MESHNET_EVENT_WOKE)
        event.after_ms = pause.milliseconds
        return event
    }
}

func makeStorage(_ problem: StorageProblem) -> UnsafeMutablePointer<meshnet_event_t>? {
    let account = CallError.storage(problem).account
    return Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_STORAGE)
        event.fill(account, &block)
        let kind: meshnet_storage_problem
        switch problem {
        case .full(let path):
            kind = MESHNET_STORAGE_FULL
            event.path = block.text(path)
        case .damaged(let path, let aside, _):
            kind = MESHNET_STORAGE_DAMAGED
            event.path = block.text(path)
            event.set_aside_as = block.text(aside)
        case .failed(let path, _):
            kind = MESHNET_STORAGE_FAILED
            event.path = block.text(path)
        case .inUse(let path):
            kind = MESHNET_STORAGE_IN_USE
            event.path = block.text(path)
        }
        event.storage_problem = Int32(kind.rawValue)
        return event
    }
}

func makeAccepted(_ ticket: Ticket) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { _ in
        var event = meshnet_event_t(MESHNET_EVENT_ACCEPTED)
        event.ticket = meshnet_ticket_t(id: ticket.rawValue)
        return event
    }
}

/// The reply is not in the event's block: `meshnet_event_free` knows.
func makeReply(_ ticket: Ticket, _ peer: String, _ body: Delivery.Body) -> UnsafeMutablePointer<meshnet_event_t>? {
    guard let reply = MessageBlock.make(replyOf: peer, body) else { return nil }
    let event = Block.make { _ in
        var event = meshnet_event_t(MESHNET_EVENT_COMPLETED)
        event.ticket = meshnet_ticket_t(id: ticket.rawValue)
        event.reply = UnsafePointer(reply)
        return event
    }
    if event == nil { MessageBlock.free(reply) }
    return event
}
