import CMeshNet
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem

/// Gives an item of the engine's queue the form of `meshnet_event_t`, messages that travel together one by one; false when there is no memory.
/// Released by `meshnet_event_free`.
func makeEvents(_ item: QueueItem, _ names: PeerNames, _ give: (UnsafeMutablePointer<meshnet_event_t>) -> Void) -> Bool {
    let made: UnsafeMutablePointer<meshnet_event_t>?
    switch item {
    case .messages(let run): return EventSlab.make(run, names, give)
    case .event(let event): made = makeEvent(event, names)
    case .completion(let ticket, .success(let outcome)): made = makeCompletion(ticket, outcome)
    case .completion(let ticket, .failure(let error)): made = makeFailure(ticket, error.account)
    case .reply(let ticket, let peer, let body): made = makeReply(ticket, names.text(of: peer), body)
    case .accepted(let ticket): made = makeAccepted(ticket)
    }
    if let made { give(made) }
    return made != nil
}

func makeClosedEvent() -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { _ in meshnet_event_t(MESHNET_EVENT_CLOSED) }
}

extension meshnet_event_t {
    init(_ kind: meshnet_event_type) {
        self.init()
        type = Int32(kind.rawValue)
    }
}

private func makeEvent(_ event: Event, _ names: PeerNames) -> UnsafeMutablePointer<meshnet_event_t>? {
    switch event {
    case .listening(let address): return makeListening(address.description)
    case .connected(let connection): return makeConnected(PeerRow(connection, names))
    case .disconnected(let connection, let cause): return makeDisconnected(PeerRow(connection, names), DisconnectForm(cause))
    case .message(let message): return makeMessage(message, names)
    case .subscription(let peer, let topic, let subscribed): return makeSubscription(peer.description, topic, subscribed)
    case .identified(let identity): return makeIdentified(identity)
    case .streamOpened(let stream, let peer, let protocolID): return makeStreamOpened(stream, peer.description, protocolID)
    case .dialFailed(let failure): return makeDialFailed(failure)
    case .addressProblem(let problem): return makeAddressProblem(ProblemRow(problem))
    case .discovered(let discovery): return makeDiscovered(discovery)
    case .discoverySource(let source, let state): return makeDiscoverySource(source, StateForm(state))
    case .duplicateIdentity(let duplicate): return makeDuplicateIdentity(duplicate)
    case .channel(let peer, let change): return makeChannelEvent(peer, change)
    case .members(let topic, let peers): return makeMembers(topic, peers)
    case .woke(let pause): return makeWoke(pause)
    case .storage(let problem): return makeStorage(problem)
    case .messagesDropped(let count):
        return Block.make { _ in
            var event = meshnet_event_t(MESHNET_EVENT_MESSAGES_DROPPED)
            event.dropped_count = UInt64(count)
            return event
        }
    }
}

private func makeListening(_ address: String) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_LISTENING)
        event.address = block.text(address)
        return event
    }
}

private func makeConnected(_ peer: PeerRow) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_CONNECTED)
        event.fill(peer, &block)
        return event
    }
}

private func makeDisconnected(_ peer: PeerRow, _ form: DisconnectForm) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_DISCONNECTED)
        event.fill(peer, &block)
        event.cause = Int32(form.cause.rawValue)
        event.system_errno = form.errno
        event.detail = block.text(form.detail)
        return event
    }
}

private func makeMessage(_ message: Message, _ names: PeerNames) -> UnsafeMutablePointer<meshnet_event_t>? {
    var run = TopicRun(topic: message.topic, origin: message.origin, receivedFrom: message.receivedFrom)
    run.append(message.payload)
    var event: UnsafeMutablePointer<meshnet_event_t>?
    return EventSlab.make(run, isRetained: message.isRetained, names) { event = $0 } ? event : nil
}

private func makeSubscription(_ peer: String, _ topic: String, _ subscribed: Bool) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_SUBSCRIPTION)
        event.peer_id = block.text(peer)
        event.fill(topic: topic, &block)
        event.subscribed = subscribed
        return event
    }
}

private func makeIdentified(_ identity: PeerIdentity) -> UnsafeMutablePointer<meshnet_event_t>? {
    let peer = identity.peer.description
    let addresses = identity.listenAddresses.map(\.description)
    let observed = identity.observedAddress?.description
    return Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_IDENTIFIED)
        event.peer_id = block.text(peer)
        event.agent_version = block.text(identity.agentVersion)
        event.protocol_version = block.text(identity.protocolVersion)
        event.observed_address = block.text(observed)
        event.protocols = block.nested { $0.strings(identity.protocols) }
        event.listen_addresses = block.nested { $0.strings(addresses) }
        return event
    }
}

private func makeStreamOpened(_ stream: StreamID, _ peer: String, _ protocolID: String) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_STREAM_OPENED)
        event.stream = meshnet_stream_t(id: stream.rawValue)
        event.peer_id = block.text(peer)
        event.protocol_id = block.text(protocolID)
        return event
    }
}

private func makeDialFailed(_ failure: DialFailure) -> UnsafeMutablePointer<meshnet_event_t>? {
    let peer = failure.peer?.description
    let address = failure.address.description
    let account = failure.cause.account
    return Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_DIAL_FAILED)
        event.peer_id = block.text(peer)
        event.address = block.text(address)
        event.cause = Int32(failure.cause.form.rawValue)
        event.retry_after_ms = failure.retryAfter?.milliseconds ?? -1
        event.fill(account, &block)
        return event
    }
}

private func makeAddressProblem(_ problem: ProblemRow) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_ADDRESS_PROBLEM)
        event.address = block.text(problem.text)
        event.detail = block.text(problem.reason)
        event.used_instead = block.text(problem.usedInstead)
        return event
    }
}

private func makeFailure(_ ticket: Ticket, _ account: ErrorAccount) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_COMPLETED)
        event.ticket = meshnet_ticket_t(id: ticket.rawValue)
        event.fill(account, &block)
        return event
    }
}

private func makeCompletion(_ ticket: Ticket, _ outcome: Outcome) -> UnsafeMutablePointer<meshnet_event_t>? {
    let texts = CompletionTexts(outcome)
    let table = TableForm(outcome), diagnosis = DiagnosisForm(outcome), channels = ChannelListForm(outcome)
    return Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_COMPLETED)
        event.ticket = meshnet_ticket_t(id: ticket.rawValue)
        switch outcome {
        case .done: break
        case .changed(let changed): event.changed = changed
        case .peer: if let peer = texts.peers.first { event.fill(peer, &block) }
        case .stream(let stream, let protocolID):
            event.stream = meshnet_stream_t(id: stream.rawValue)
            event.protocol_id = block.text(protocolID)
        case .roundTrip(let time): event.round_trip_ns = time.nanoseconds
        case .perf(let upload, let download):
            event.upload_ns = upload.nanoseconds
            event.download_ns = download.nanoseconds
        case .peers, .topicPeers: event.peers = block.nested { $0.peers(texts.peers) }
        case .problems: event.problems = block.nested { $0.problems(texts.problems) }
        case .discovery: if let table { event.discovery = block.nested { $0.table(table) } }
        case .diagnosis: if let diagnosis { event.diagnosis = block.nested { $0.diagnosis(diagnosis) } }
        case .transferred(let count): event.length = count
        case .channels: if let channels { event.channels = block.nested { channels.layOut(&$0) } }
        case .reply: break
        }
        return event
    }
}

/// The texts of an outcome, made once although a block is laid out twice.
private struct CompletionTexts {
    let peers: [PeerRow]
    var problems: [ProblemRow] = []

    init(_ outcome: Outcome) {
        peers = PeerRow.rows(of: outcome)
        if case .problems(let found) = outcome { problems = found.map(ProblemRow.init) }
    }
}

extension PeerRow {
    init(_ connection: PeerConnection, _ names: PeerNames? = nil) {
        let direction = connection.direction == .inbound ? MESHNET_DIRECTION_INBOUND : MESHNET_DIRECTION_OUTBOUND
        let id = names?.text(of: connection.peer) ?? connection.peer.description
        self.init(id: id, address: connection.address.description, direction: Int32(direction.rawValue))
    }
}

extension meshnet_event_t {
    mutating func fill(_ peer: PeerRow, _ block: inout Block) {
        peer_id = block.text(peer.id)
        address = block.text(peer.address)
        direction = peer.direction
    }

    mutating func fill(topic text: String, _ block: inout Block) {
        topic = block.text(text)
        topic_length = text.utf8.count
    }

    mutating func fill(_ account: ErrorAccount, _ block: inout Block) {
        code = account.code.rawValue
        system_errno = account.systemErrno
        detail = block.text(account.detail)
        hint = block.text(account.hint.description)
    }
}

extension PeerRow {
    /// The peers of an outcome, ordered by the text of their ids.
    static func rows(of outcome: Outcome) -> [PeerRow] {
        let rows: [PeerRow]
        switch outcome {
        case .peers(let connections): rows = connections.map { PeerRow($0) }
        case .topicPeers(let ids): rows = ids.map { PeerRow(id: $0.description, address: nil, direction: 0) }
        case .peer(let connection): rows = [PeerRow(connection)]
        case .done, .changed, .stream, .roundTrip, .perf, .problems, .discovery, .diagnosis, .channels, .reply, .transferred: rows = []
        }
        return rows.sorted { $0.id < $1.id }
    }
}
