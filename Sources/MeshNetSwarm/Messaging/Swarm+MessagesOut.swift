import MeshNetProtocol

// Messages of ours: their queue, and the streams that carry them.
extension Swarm {
    // MARK: - The queue

    mutating func queue(_ message: OutboundMessage, _ body: MessageBody, ticket: Ticket?, _ at: Int) throws(CallError) {
        let lane = message.options.lane, cost = Self.cost(of: body), options = configuration.messages
        var expiresAt = message.options.deadline.map { now + $0 }
        if case .request = message.kind, expiresAt == nil { expiresAt = now + options.requestTimeout }
        // Nobody overtakes those who wait for room in the same lane.
        let isBehind = message.options.whenFull != .dropOldest && !messages.channels[at].out[lane].waiting.isEmpty
        if let bound = fullBound(cost, lane, at) ?? (isBehind ? "queueMessages: \(options.queueMessages)" : nil) {
            switch message.options.whenFull {
            case .fail: throw .queueFull(message.peer, bound)
            case .dropOldest:
                makeRoom(cost, lane, at)
                if let bound = fullBound(cost, lane, at) { throw .queueFull(message.peer, bound) }
            case .wait: return try wait(message, body, ticket, expiresAt, at)
            }
        }
        enqueue(message, body, ticket, expiresAt, at)
    }

    /// The same for messages of one call, of which nobody awaits more than that they are queued.
    mutating func queue(_ message: OutboundMessage, _ bodies: [UnsafeRawBufferPointer], _ ticket: Ticket, _ at: Int) throws(CallError) {
        let lane = message.options.lane, isBehind = message.options.whenFull != .dropOldest && !messages.channels[at].out[lane].waiting.isEmpty
        var rest = isBehind ? bodies[...] : bodies.dropFirst(enqueue(bodies[...], lane, at))
        var error: CallError?
        while let body = rest.first, error == nil {
            let limit = sizeLimit(isSpooled: false)
            if body.count > limit {
                error = .messageTooLarge(size: body.count, limit: limit)
            } else if message.options.whenFull == .wait, isBehind || fullBound(Self.cost(of: .view(body)), lane, at) != nil {
                do throws(CallError) { try wait(message, rest, ticket, at) } catch let full { error = full }
                break
            } else {
                do throws(CallError) {
                    try queue(message, .view(body), ticket: nil, at)
                    rest = rest.dropFirst()
                    rest = rest.dropFirst(enqueue(rest, lane, at))
                } catch let full {
                    error = full
                }
            }
        }
        if rest.count < bodies.count {
            actions.append(.acceptedRun(ticket, count: bodies.count - rest.count))
            if peers[message.peer] == nil { wantPeer(message.peer) }
        }
        if let error { throw error }
    }

    /// Those from the front that are small, and for which there is room. Gives how many.
    private mutating func enqueue(_ bodies: ArraySlice<UnsafeRawBufferPointer>, _ lane: Lane, _ at: Int) -> Int {
        let options = configuration.messages, channel = messages.channels[at].queued
        let room = LaneSender.Room(
            messages: options.queueMessages - channel.messages,
            bytes: min(options.queueBytes - channel.bytes, options.totalQueueBytes - messages.queuedBytes),
            memory: Self.memoryLimit(options) - channel.memory + messages.channels[at].out[lane].sender.memory)
        let before = messages.channels[at].out[lane].sender.byteCount
        let count = messages.channels[at].out[lane].sender.append(bodies, room: room)
        messages.queuedBytes += messages.channels[at].out[lane].sender.byteCount - before
        if count > 0 { touchChannel(at) }
        return count
    }

    /// Withdrawn messages between others hold memory until those are gone.
    private static func memoryLimit(_ options: MessageConfiguration) -> Int { 2 * options.queueBytes + 4 * BufferPool.Size.frame.byteCount }

    private static func cost(of body: MessageBody) -> Int { LaneSender.messageOverhead + (body.isSpooled ? 0 : body.byteCount) }

    /// The bound that one message more would pass; nil: there is room. What fills the queue is mostly bulk: an eighth of it is control's own.
    private mutating func fullBound(_ cost: Int, _ lane: Lane, _ at: Int) -> String? {
        let options = configuration.messages
        if messages.queuedBytes + cost > options.totalQueueBytes { return "totalQueueBytes: \(options.totalQueueBytes)" }
        // The sender is asked in place: a copy of it costs a dozen references.
        let isReserved = lane == .control
        if messages.channels[at].queuedMessages >= options.queueMessages,
            !isReserved || messages.channels[at].out[lane].sender.messageCount >= options.queueMessages / 8 {
            return "queueMessages: \(options.queueMessages)"
        }
        if messages.channels[at].queuedBytes + cost > options.queueBytes,
            !isReserved || messages.channels[at].out[lane].sender.byteCount + cost > options.queueBytes / 8 {
            return "queueBytes: \(options.queueBytes)"
        }
        return messages.channels[at].memory > Self.memoryLimit(options) ? "queueBytes: \(options.queueBytes)" : nil
    }

    /// The oldest messages of the lane that are not on their way give way.
    private mutating func makeRoom(_ cost: Int, _ lane: Lane, _ at: Int) {
        while fullBound(cost, lane, at) != nil, let oldest = messages.channels[at].out[lane].sender.oldestWaiting() {
            withdraw(oldest, lane, .displaced, at, admits: false)
        }
    }

    /// Callers that wait hold as much again as the queue does, at most.
    private mutating func wait(_ message: OutboundMessage, _ body: MessageBody, _ ticket: Ticket?, _ expiresAt: Instant?, _ at: Int) throws(CallError) {
        let cost = Self.cost(of: body)
        try checkWaiting(message, 1, cost, at)
        let kept: ReceivedBody = switch body {
        case .view(let view): .bytes([UInt8](view))
        case .spooled(let spool, let byteCount): .spooled(spool, byteCount: byteCount)
        }
        let id = nextWaiting(at)
        wait(WaitingMessage(id: id, message: message, body: .one(kept), cost: cost, ticket: ticket, expiresAt: expiresAt), at)
        if let expiresAt { messages.channels[at].deadlines.set(.waiting(id), at: expiresAt) }
    }

    private mutating func wait(_ message: OutboundMessage, _ bodies: ArraySlice<UnsafeRawBufferPointer>, _ ticket: Ticket, _ at: Int) throws(CallError) {
        let limit = sizeLimit(isSpooled: false)
        if let large = bodies.first(where: { $0.count > limit }) { throw .messageTooLarge(size: large.count, limit: limit) }
        try checkWaiting(message, bodies.count, bodies.reduce(0) { $0 + Self.cost(of: .view($1)) }, at)
        let cost = Self.cost(of: .view(bodies[bodies.startIndex]))
        wait(WaitingMessage(id: nextWaiting(at), message: message, body: .run(WaitingRun(bodies)), cost: cost, ticket: ticket, expiresAt: nil), at)
    }

    private mutating func wait(_ waiting: WaitingMessage, _ at: Int) {
        messages.channels[at].out[waiting.message.options.lane].waiting.append(waiting)
        messages.channels[at].out[waiting.message.options.lane].sender.ask()
        countWaiting(waiting.count, waiting.totalCost, at)
        messages.crowded.insert(at)
        touchChannel(at)
    }

    private mutating func checkWaiting(_ message: OutboundMessage, _ count: Int, _ cost: Int, _ at: Int) throws(CallError) {
        let options = configuration.messages, channel = messages.channels[at]
        guard channel.waitingMessages + count > options.queueMessages || channel.waitingBytes + cost > options.queueBytes
            || messages.waitingBytes + cost > options.totalQueueBytes else { return }
        throw .queueFull(message.peer, "messages that wait for room: \(channel.waitingMessages)")
    }

    private mutating func nextWaiting(_ at: Int) -> UInt64 {
        defer { messages.channels[at].nextWaiting += 1 }
        return messages.channels[at].nextWaiting
    }

    private mutating func countWaiting(_ count: Int, _ cost: Int, _ at: Int) {
        messages.channels[at].waitingMessages += count
        messages.channels[at].waitingBytes += cost
        messages.waitingBytes += cost
    }

    /// What waits moves into the queue as far as there is room, the more important lanes first.
    mutating func admitWaiting(_ at: Int) {
        guard !messages.crowded.isEmpty else { return }
        // Room of the node may be what another channel waits for.
        for other in messages.crowded.sorted() {
            for lane in Lane.allCases {
                while let first = messages.channels[other].out[lane].waiting.first, fullBound(first.cost, lane, other) == nil {
                    switch first.body {
                    case .one(let body):
                        _ = messages.channels[other].out[lane].waiting.popFirst()
                        countWaiting(-1, -first.cost, other)
                        admit(first, body, other)
                    case .run(let run): admit(first, run, other)
                    }
                }
                if !messages.channels[other].out[lane].waiting.isEmpty { messages.channels[other].out[lane].sender.ask() }
            }
            if messages.channels[other].waitingMessages == 0 { messages.crowded.remove(other) }
        }
    }

    private mutating func admit(_ waiting: WaitingMessage, _ body: ReceivedBody, _ at: Int) {
        switch body {
        case .bytes(let bytes): bytes.withView { enqueue(waiting.message, .view($0), waiting.ticket, waiting.expiresAt, at) }
        case .spooled(let spool, let count): enqueue(waiting.message, .spooled(spool, byteCount: count), waiting.ticket, waiting.expiresAt, at)
        }
    }

    /// There is room for the first of them.
    private mutating func admit(_ waiting: WaitingMessage, _ waitingRun: WaitingRun, _ at: Int) {
        let lane = waiting.message.options.lane
        var run = waitingRun
        let count = run.withViews { views in
            let count = enqueue(views, lane, at)
            if count == 0, let large = views.first { enqueue(waiting.message, .view(large), nil, nil, at) }
            return max(1, count)
        }
        run.pass(count)
        countWaiting(-count, run.cost - waitingRun.cost, at)
        if let ticket = waiting.ticket { actions.append(.acceptedRun(ticket, count: count)) }
        if run.next == run.views.count {
            _ = messages.channels[at].out[lane].waiting.popFirst()
        } else {
            messages.channels[at].out[lane].waiting[0].body = .run(run)
            messages.channels[at].out[lane].waiting[0].cost = Self.cost(of: .view(run.views[run.next]))
        }
    }

    mutating func dropWaiting(_ id: UInt64, _ error: CallError, _ at: Int) {
        for lane in Lane.allCases {
            let waiting = messages.channels[at].out[lane].waiting
            for offset in 0..<waiting.count where waiting[offset].id == id {
                let dropped = waiting[offset]
                messages.channels[at].out[lane].waiting.removeAll { $0.id == id }
                countWaiting(-dropped.count, -dropped.totalCost, at)
                if case .one(.spooled(let spool, _)) = dropped.body { discard(spool) }
                count(error, at, dropped.count)
                if case .request = dropped.message.kind, error == .expired, let ticket = dropped.ticket { return complete(ticket, .failure(.timedOut)) }
                if let ticket = dropped.ticket { complete(ticket, .failure(error)) }
                return
            }
        }
    }

    private mutating func enqueue(_ message: OutboundMessage, _ body: MessageBody, _ ticket: Ticket?, _ expiresAt: Instant?, _ at: Int) {
        let lane = message.options.lane
        var request: UInt64?
        let head: MessageHead
        switch message.kind {
        case .message: head = .message
        case .reply(let id): head = .reply(id & UInt64(Int64.max))
        case .request:
            messages.lastRequest += 1
            request = messages.lastRequest
            let time = expiresAt.map { max(0, ($0 - now).saturatedNanoseconds / 1_000_000) } ?? 0
            head = .request(messages.lastRequest, milliseconds: UInt64(time))
        }
        let sequence = append(head, body, asks: ticket != nil && message.kind == .message, lane, at)
        let place = sequence - messages.channels[at].out[lane].shift
        if ticket != nil || request != nil {
            messages.channels[at].out[lane].tickets.append(LaneTicket(sequence: sequence, ticket: request == nil ? ticket : nil, request: request))
        }
        if let request { messages.channels[at].requests[request] = PendingRequest(ticket: ticket, lane: lane, place: place) }
        if let expiresAt {
            messages.channels[at].deadlines.set(request.map { .request($0) } ?? .message(lane, place), at: expiresAt)
            sweepDeadlines(at)
        }
        if messages.isStored {
            let stored = StoredOutbound(
                lane: lane, sequence: sequence, kind: message.kind, request: request, deadline: expiresAt.map { wallClock(at: $0) }, body: ReceivedBody(body))
            keepSentMark(lane, at)
            store(.outbound(message.peer, stored), then: .outbound(lane, place: place, ticket), at)
        } else if let ticket {
            actions.append(.accepted(ticket))
        }
        touchChannel(at)
    }

    private mutating func append(_ head: MessageHead, _ body: MessageBody, asks: Bool, _ lane: Lane, _ at: Int) -> UInt64 {
        let before = messages.channels[at].out[lane].sender.byteCount
        let sequence: UInt64
        switch body {
        case .view(let view): sequence = messages.channels[at].out[lane].sender.append(head, view, asks: asks, isCommitted: !messages.isStored)
        case .spooled(let spool, let byteCount):
            sequence = messages.channels[at].out[lane].sender.append(
                head, spool.rawValue, byteCount: byteCount, asks: asks, isCommitted: !messages.isStored)
        }
        messages.queuedBytes += messages.channels[at].out[lane].sender.byteCount - before
        return sequence
    }

    /// Deadlines of messages that are through go once they may be most of what is kept.
    private mutating func sweepDeadlines(_ at: Int) {
        guard messages.channels[at].deadlines.count > 1_024 else { return }
        let channel = messages.channels[at]
        guard channel.deadlines.count > 1_024 + 2 * (channel.queuedMessages + channel.waitingMessages + channel.requests.count) else { return }
        messages.channels[at].deadlines.removeAll { due in
            switch due {
            case .message(let lane, let place): place + channel.out[lane].shift < channel.out[lane].sender.firstSequence
            case .request(let id): channel.requests[id] == nil
            case .waiting: false
            }
        }
    }

    // MARK: - Taking back

    /// The message is not sent, or not again; its ticket ends.
    mutating func withdraw(_ sequence: UInt64, _ lane: Lane, _ error: CallError, _ at: Int, admits: Bool = true) {
        let before = messages.channels[at].out[lane].sender.byteCount
        guard messages.channels[at].out[lane].sender.withdraw(sequence) else { return }
        messages.queuedBytes += messages.channels[at].out[lane].sender.byteCount - before
        if messages.isStored { store(.withdrawn(messages.channels[at].peer, lane, sequence: sequence)) }
        if let spool = messages.channels[at].out[lane].sender.forgetSpool(of: sequence) { discard(SpoolID(rawValue: spool)) }
        endTicket(sequence, lane, error, at)
        if admits { admitWaiting(at) }
        touchChannel(at)
    }

    private mutating func endTicket(_ sequence: UInt64, _ lane: Lane, _ error: CallError, _ at: Int) {
        count(error, at)
        guard let offset = ticketOffset(sequence, lane, at) else { return }
        if let ticket = messages.channels[at].out[lane].tickets[offset].ticket {
            messages.channels[at].out[lane].tickets[offset].ticket = nil
            complete(ticket, .failure(error))
        }
        if let request = messages.channels[at].out[lane].tickets[offset].request,
            let ticket = messages.channels[at].requests.removeValue(forKey: request)?.ticket {
            complete(ticket, .failure(error))
        }
    }

    private mutating func count(_ error: CallError, _ at: Int, _ count: Int = 1) {
        switch error {
        case .expired, .timedOut: messages.channels[at].expired += UInt64(count)
        case .displaced: messages.channels[at].displaced += UInt64(count)
        default: messages.channels[at].failed += UInt64(count)
        }
    }

    mutating func ticketOffset(_ sequence: UInt64, _ lane: Lane, _ at: Int) -> Int? {
        var low = 0, high = messages.channels[at].out[lane].tickets.count
        while low < high {
            let middle = (low + high) / 2
            let found = messages.channels[at].out[lane].tickets[middle].sequence
            if found == sequence { return middle }
            if found < sequence { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// A request ends before its reply, or with it.
    mutating func endRequest(_ id: UInt64, _ result: Result<Outcome, CallError>, _ at: Int) {
        guard let request = messages.channels[at].requests.removeValue(forKey: id) else { return }
        if let ticket = request.ticket { complete(ticket, result) }
        guard case .failure(let error) = result else { return }
        let sequence = request.place + messages.channels[at].out[request.lane].shift
        if messages.channels[at].out[request.lane].sender.isWaiting(sequence) {
            withdraw(sequence, request.lane, error, at)
        } else {
            count(error, at)
        }
    }

    // MARK: - Streams

    @discardableResult
    mutating func openOutbound(_ lane: Lane, _ at: Int) -> StreamPlace? {
        let peer = messages.channels[at].peer
        guard messages.channels[at].out[lane].opensAt == nil, let id = peers[peer]?.primary, connections[id]?.phase == .established else { return nil }
        let own = ownIncarnation()
        guard let stream = try? connections[id]?.pipeline?.openStream([MessageFrame.protocolID], now: now) else {
            messages.channels[at].out[lane].opensAt = now + OutboundLane.busyPause
            return nil
        }
        let place = StreamPlace(connection: id, stream: stream), known = messages.channels[at].known.incarnation
        let mustWait = messages.channels[at].out[lane].mustWait || messages.channels[at].out[lane].mark != .lifted
        use(stream, for: .messagesOut(lane), on: id)
        connections[id]?.channel = at
        messages.channels[at].out[lane].place = place
        messages.channels[at].out[lane].replies = MessageReplies()
        messages.channels[at].out[lane].awaitsWelcome = true
        messages.channels[at].out[lane].sender.attach(own: own, receiver: known, lane: lane, mustWait: mustWait)
        touch(id)
        return place
    }

    /// Our stream is of no use: torn down, and opened again when something waits.
    mutating func closeOutbound(_ lane: Lane, _ at: Int) {
        messages.channels[at].out[lane].sender.detach()
        messages.channels[at].out[lane].awaitsWelcome = false
        messages.channels[at].out[lane].waitsForRate = false
        guard let place = messages.channels[at].out[lane].place else { return }
        messages.channels[at].out[lane].place = nil
        connections[place.connection]?.streams[place.stream] = nil
        connections[place.connection]?.pipeline?.reset(place.stream)
        touch(place.connection)
    }

    mutating func reopen(_ lane: Lane, after pause: Duration?, _ at: Int) {
        closeOutbound(lane, at)
        messages.channels[at].out[lane].opensAt = pause.map { now + $0 }
        touchChannel(at)
    }

    /// Writes what waits as far as the stream takes it and the rate admits it. Whether the stream took anything.
    @discardableResult
    mutating func write(_ lane: Lane, _ at: Int) -> Bool {
        guard let place = messages.channels[at].out[lane].place ?? openOutbound(lane, at) else { return false }
        messages.channels[at].out[lane].waitsForRate = false
        var wrote = false
        while true {
            let end = Self.write(&messages.channels[at].out[lane].sender, to: place, &connections, lane, &wrote)
            if case .gate(let count, let bytes) = end, admit(count, bytes, lane, at) { continue }
            if wrote { touch(place.connection) }
            if case .read(let spool, let offset, let count) = end {
                messages.readers[spool] = (at, lane)
                actions.append(.spool(spool, .read(offset: offset, count: count)))
            }
            return wrote
        }
    }

    /// Why nothing more is written now.
    private enum WriteEnd {
        /// The lane is empty, or the stream is full.
        case done
        case read(SpoolID, offset: Int, count: Int)
        case gate(messages: Int, bytes: Int)
    }

    private static func write(
        _ sender: inout LaneSender, to place: StreamPlace, _ connections: inout ConnectionTable, _ lane: Lane, _ wrote: inout Bool
    ) -> WriteEnd {
        while true {
            switch sender.next() {
            case .nothing: return .done
            case .gate(let messages, let bytes): return .gate(messages: messages, bytes: bytes)
            case .read(let spool, let offset, let count): return .read(SpoolID(rawValue: spool), offset: offset, count: count)
            case .control:
                let from = sender.controlSent
                let (taken, given) = sender.control.withUnsafeBytes { bytes in
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[from...])
                    return (Self.write(rest, to: place, &connections, lane), rest.count)
                }
                sender.wroteControl(taken)
                if taken > 0 { wrote = true }
                if taken < given { return .done }
            case .bytes(let bytes):
                let taken = Self.write(bytes, to: place, &connections, lane)
                sender.wrote(taken)
                if taken > 0 { wrote = true }
                if taken < bytes.count { return .done }
            }
        }
    }

    /// Control passes those who wait; the others leave the send buffer short.
    private static func write(_ bytes: UnsafeRawBufferPointer, to place: StreamPlace, _ connections: inout ConnectionTable, _ lane: Lane) -> Int {
        connections[place.connection]?.pipeline?.write(place.stream, bytes, lane == .control ? .express : .patient) ?? 0
    }

    mutating func messagesWritable(_ lane: Lane, on id: ConnectionID) {
        guard let at = channel(on: id), messages.channels[at].out[lane].place?.connection == id else { return }
        write(lane, at)
    }

    /// The peer speaks no messages.
    mutating func messagesRefused(_ stream: PipelineStream, _ lane: Lane, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, let at = channel(on: id) else { return }
        messageStreamLost(stream, lane, on: id, pause: true)
        messages.channels[at].out[lane].opensAt = now + OutboundLane.longestPause
        failMessages(of: peer, .protocolNotSupported([MessageFrame.protocolID]))
    }

    /// The stream is gone: opened again, after a pause if it was no use.
    mutating func messageStreamLost(_ stream: PipelineStream, _ lane: Lane, on id: ConnectionID, of peer: PeerID? = nil, pause: Bool) {
        guard let at = peer.flatMap({ channel(of: $0) }) ?? channel(on: id),
            messages.channels[at].out[lane].place == StreamPlace(connection: id, stream: stream)
        else { return }
        messages.channels[at].out[lane].place = nil
        messages.channels[at].out[lane].awaitsWelcome = false
        messages.channels[at].out[lane].waitsForRate = false
        messages.channels[at].out[lane].sender.detach()
        if pause { messages.channels[at].out[lane].opensAt = pauseAfterFailure(lane, at).map { now + $0 } }
        touchChannel(at)
    }

    private mutating func pauseAfterFailure(_ lane: Lane, _ at: Int) -> Duration? {
        let failures = messages.channels[at].out[lane].failures
        messages.channels[at].out[lane].failures = min(failures + 1, 16)
        return failures == 0 ? nil : min(OutboundLane.firstPause * (1 << (failures - 1)), OutboundLane.longestPause)
    }

    /// The peer ended its half: of ours, it answers no more; of its own, nothing follows.
    mutating func endMessageStream(_ stream: PipelineStream, on id: ConnectionID) {
        switch connections[id]?.streams[stream] {
        case .messagesOut(let lane):
            connections[id]?.streams[stream] = nil
            connections[id]?.pipeline?.reset(stream)
            messageStreamLost(stream, lane, on: id, pause: true)
        case .messagesIn(let lane):
            connections[id]?.streams[stream] = .finished
            connections[id]?.pipeline?.closeWrite(stream)
            inboundLaneLost(stream, lane, on: id)
        default:
            connections[id]?.greetings[stream] = nil
            connections[id]?.streams[stream] = .finished
            connections[id]?.pipeline?.closeWrite(stream)
        }
    }

    // MARK: - What the receiver says

    mutating func receiveMessageReplies(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, _ lane: Lane, on id: ConnectionID) {
        guard let at = channel(on: id) else { return }
        let place = StreamPlace(connection: id, stream: stream)
        var rest = bytes
        do throws(MessageError) {
            // A frame may end the stream, and another one take its place.
            while messages.channels[at].out[lane].place == place, let reply = try messages.channels[at].out[lane].replies.next(&rest) {
                try receive(reply, lane, at)
            }
        } catch {
            reopen(lane, after: pauseAfterFailure(lane, at), at)
        }
    }

    private mutating func receive(_ reply: MessageReply, _ lane: Lane, _ at: Int) throws(MessageError) {
        switch reply {
        case .welcome(let welcome): try receive(welcome, lane, at)
        case .acknowledge(let next):
            messages.channels[at].out[lane].failures = 0
            try acknowledged(lane, at) { sender throws(MessageError) in try sender.acknowledge(below: next) }
            touchChannel(at)
        case .refuse(.tooLarge(let sequence, let limit)):
            if messages.channels[at].out[lane].sender.isWaiting(sequence) {
                let size = messages.channels[at].out[lane].sender.bodyByteCount(of: sequence)
                withdraw(sequence, lane, .messageTooLarge(size: size, limit: Int(clamping: limit)), at)
            }
            messages.channels[at].out[lane].mustWait = true
            reopen(lane, after: pauseAfterFailure(lane, at), at)
        case .refuse: reopen(lane, after: OutboundLane.busyPause, at)
        case .goodbye(let word): receive(word, at)
        }
    }

    mutating func receive(_ word: MessageGoodbye, _ at: Int) {
        let goodbye: Goodbye = switch word {
        case .closed(let reason): .closed(reason: reason)
        case .shutdown: .shutdown
        }
        goodbyeReceived(from: messages.channels[at].peer, goodbye)
    }

    private mutating func receive(_ welcome: MessageWelcome, _ lane: Lane, _ at: Int) throws(MessageError) {
        guard messages.channels[at].out[lane].awaitsWelcome else { throw .outOfPlace(type: MessageFrame.FrameType.welcome.rawValue) }
        // Of another life of the peer: our streams are closed, and what is sent from now on goes to the new one.
        let before = messages.channels[at].epoch
        guard meet(welcome.incarnation, at) else { return reopen(lane, after: OutboundLane.busyPause, at) }
        guard messages.channels[at].epoch == before else { return }
        messages.channels[at].out[lane].awaitsWelcome = false
        let flowed = messages.channels[at].out[lane].sender.flows
        guard welcome.isTaken else {
            if flowed { messages.channels[at].out[lane].sender.nothingTaken() }
            messages.channels[at].out[lane].mustWait = true
            return reopen(lane, after: pauseAfterFailure(lane, at), at)
        }
        messages.channels[at].out[lane].mustWait = false
        messages.channels[at].out[lane].failures = 0
        if !flowed {
            var resent = 0
            let holds = messages.channels[at].out[lane].mark.holds
            try acknowledged(lane, at) { sender throws(MessageError) in
                resent = try sender.resume(at: welcome.next, held: Int(clamping: welcome.held), holds: holds)
            }
            liftSentMark(lane, at)
            messages.channels[at].resent += resent
        }
        announceResume(at)
        touchChannel(at)
    }

    /// Once every lane that has a stream knows where it stands.
    private mutating func announceResume(_ at: Int) {
        guard !messages.channels[at].out.contains(where: { $0.awaitsWelcome }) else { return }
        messages.channels[at].wasResumed = true
        guard messages.channels[at].announcesResume else { return }
        messages.channels[at].announcesResume = false
        emit(.channel(messages.channels[at].peer, .resumed(resent: messages.channels[at].resent)))
        messages.channels[at].resent = 0
    }

    /// The receiver has more than before: tickets end, and there is room.
    private mutating func acknowledged(_ lane: Lane, _ at: Int, _ change: (inout LaneSender) throws(MessageError) -> Void) throws(MessageError) {
        let bytes = messages.channels[at].out[lane].sender.byteCount, count = messages.channels[at].out[lane].sender.messageCount
        let first = messages.channels[at].out[lane].sender.firstSequence
        try change(&messages.channels[at].out[lane].sender)
        let shift = messages.channels[at].out[lane].sender.takeShift()
        let next = messages.channels[at].out[lane].sender.firstSequence
        messages.queuedBytes += messages.channels[at].out[lane].sender.byteCount - bytes
        messages.channels[at].delivered += UInt64(count - messages.channels[at].out[lane].sender.messageCount)
        guard next > first else { return }
        while let each = messages.channels[at].out[lane].tickets.first, each.sequence < next - shift {
            _ = messages.channels[at].out[lane].tickets.popFirst()
            if let ticket = each.ticket { complete(ticket, .success(.done)) }
        }
        if shift > 0 {
            messages.channels[at].out[lane].shift += shift
            for offset in 0..<messages.channels[at].out[lane].tickets.count { messages.channels[at].out[lane].tickets[offset].sequence += shift }
        }
        if messages.isStored {
            store(.acknowledged(messages.channels[at].peer, lane, below: next - shift))
            if shift > 0 { store(.renumbered(messages.channels[at].peer, lane, by: shift)) }
        }
        let spools = messages.channels[at].out[lane].sender.finishedSpools
        if !spools.isEmpty {
            messages.channels[at].out[lane].sender.finishedSpools = []
            for spool in spools { discard(SpoolID(rawValue: spool)) }
        }
        admitWaiting(at)
    }
}

extension ReceivedBody {
    init(_ body: MessageBody) {
        switch body {
        case .view(let view): self = .bytes([UInt8](view))
        case .spooled(let spool, let byteCount): self = .spooled(spool, byteCount: byteCount)
        }
    }
}
