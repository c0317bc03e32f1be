import MeshNetProtocol

// Messages of peers: their streams, and how they reach the application.
extension Swarm {
    // MARK: - Streams

    /// Which lane it carries, its HELLO says.
    mutating func acceptMessages(_ stream: PipelineStream, on id: ConnectionID) {
        use(stream, for: .messagesGreeting, on: id)
        connections[id]?.greetings[stream] = MessageReplies()
    }

    mutating func receiveGreeting(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        var rest = bytes
        do throws(MessageError) {
            guard var greeting = connections[id]?.greetings[stream] else { return abandonInbound(stream, on: id) }
            guard let hello = try greeting.hello(&rest) else {
                connections[id]?.greetings[stream] = greeting
                connections[id]?.pipeline?.consumed(stream, bytes.count, now: now)
                return
            }
            connections[id]?.greetings[stream] = nil
            connections[id]?.pipeline?.consumed(stream, bytes.count - rest.count, now: now)
            guard greet(hello, stream, on: id) else { return abandonInbound(stream, on: id) }
        } catch {
            return abandonInbound(stream, on: id)
        }
        guard !rest.isEmpty else { return }
        guard case .messagesIn(let lane)? = connections[id]?.streams[stream] else {
            connections[id]?.pipeline?.consumed(stream, rest.count, now: now)
            return
        }
        receiveMessages(stream, rest, lane, on: id)
    }

    private mutating func abandonInbound(_ stream: PipelineStream, on id: ConnectionID) {
        connections[id]?.greetings[stream] = nil
        connections[id]?.streams[stream] = nil
        connections[id]?.pipeline?.reset(stream)
        touch(id)
    }

    /// Takes up the lane where it stands. False: nothing is taken from this peer.
    private mutating func greet(_ hello: MessageHello, _ stream: PipelineStream, on id: ConnectionID) -> Bool {
        guard let peer = connections[id]?.peer, peers[peer] != nil, hello.first < LaneReceiver.maximumSequence,
            let at = try? openChannel(to: peer)
        else { return false }
        guard mayOpenChannel(peer) else { return answerClosed(peer, stream, on: id) }
        let isNew = messages.channels[at].known.incarnation == nil
        guard meet(hello.incarnation, at) else { return false }
        connections[id]?.channel = at
        let lane = hello.lane, own = ownIncarnation()
        closeInbound(lane, at)
        if isNew, hello.receiver == own, hello.first > 1 { forgotten(hello, lane, at) }
        let expected = messages.channels[at].into[lane].receiver.expected
        let next = messages.isStored ? messages.channels[at].into[lane].committed : expected
        let isBelieved = hello.receiver == nil || hello.receiver == own
        let isTaken = isBelieved && (hello.flowsAtOnce ? hello.first == expected : true)
        let place = StreamPlace(connection: id, stream: stream)
        if isTaken {
            messages.channels[at].into[lane].receiver.attach(first: hello.flowsAtOnce ? hello.first : next)
            messages.channels[at].into[lane].place = place
            messages.channels[at].into[lane].acknowledged = next
            use(stream, for: .messagesIn(lane), on: id)
            if lane != .control { connections[id]?.pipeline?.keepShort(stream) }
        } else {
            use(stream, for: .finished, on: id)
        }
        let held = next == expected ? messages.channels[at].into[lane].receiver.held : 0
        var frame: [UInt8] = []
        frame.append(.welcome(MessageWelcome(incarnation: own, isTaken: isTaken, next: next, held: UInt64(held))))
        if isTaken {
            messages.channels[at].into[lane].replies = frame
            writeReplies(lane, at)
        } else {
            send(frame, on: stream, of: id, thenClose: false)
        }
        touchChannel(at)
        return true
    }

    /// We closed the channel, and nobody here asked for it since: the peer is told again.
    private mutating func answerClosed(_ peer: PeerID, _ stream: PipelineStream, on id: ConnectionID) -> Bool {
        var frame: [UInt8] = []
        frame.append(.goodbye(.closed(reason: closings[peer]?.reason ?? "")))
        use(stream, for: .finished, on: id)
        send(frame, on: stream, of: id, thenClose: true)
        return true
    }

    /// The peer goes on with a channel that we forgot, since it was idle for long: what it begins with was not here.
    private mutating func forgotten(_ hello: MessageHello, _ lane: Lane, _ at: Int) {
        messages.channels[at].into[lane].receiver.restore(expected: hello.first)
        messages.channels[at].into[lane].committed = hello.first
        if messages.isStored { store(.expected(messages.channels[at].peer, lane, next: hello.first)) }
    }

    /// The stream of the lane, if there is one, is torn down; what it brought and nobody looked at is given up.
    mutating func closeInbound(_ lane: Lane, _ at: Int) {
        if let place = messages.channels[at].into[lane].place {
            connections[place.connection]?.streams[place.stream] = nil
            connections[place.connection]?.pipeline?.reset(place.stream)
            touch(place.connection)
        }
        detachInbound(lane, at)
    }

    private mutating func detachInbound(_ lane: Lane, _ at: Int) {
        messages.channels[at].into[lane].place = nil
        messages.channels[at].into[lane].replies = []
        messages.channels[at].into[lane].acknowledgesAt = nil
        messages.channels[at].into[lane].acknowledgesNow = false
        messages.channels[at].into[lane].unacknowledgedBytes = 0
        messages.channels[at].into[lane].receiver.detach()
        takeRetired(lane, at)
        messages.channels[at].into[lane].waitsForRate = false
        while retireHeld(lane, at) {}
    }

    mutating func inboundLaneLost(_ stream: PipelineStream, _ lane: Lane, on id: ConnectionID, of peer: PeerID? = nil) {
        guard let at = peer.flatMap({ channel(of: $0) }) ?? channel(on: id),
            messages.channels[at].into[lane].place == StreamPlace(connection: id, stream: stream)
        else { return }
        detachInbound(lane, at)
        if let size = messages.channels[at].into[lane].waitsForSpool, size >= 0 {
            messages.channels[at].into[lane].waitsForSpool = nil
            messages.channels[at].into[lane].receiver.forgetBody()
        }
    }

    /// Nothing more is taken on this stream, and the peer is told why.
    mutating func refuseInbound(_ refusal: MessageRefusal, _ lane: Lane, _ at: Int) {
        dropAssembly(lane, at)
        messages.channels[at].into[lane].receiver.forgetBody()
        guard let place = messages.channels[at].into[lane].place else { return }
        reply(.refuse(refusal), lane, at)
        connections[place.connection]?.streams[place.stream] = .finished
        connections[place.connection]?.pipeline?.closeWrite(place.stream)
        touch(place.connection)
        detachInbound(lane, at)
    }

    // MARK: - Bytes

    mutating func receiveMessages(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, _ lane: Lane, on id: ConnectionID) {
        connections[id]?.lastUse = now
        if lane == .control { connections[id]?.pipeline?.hurry() }
        guard let at = channel(on: id), messages.channels[at].into[lane].place == StreamPlace(connection: id, stream: stream) else {
            connections[id]?.pipeline?.consumed(stream, bytes.count, now: now)
            return
        }
        recycleRetired()
        var rest = bytes
        if messages.channels[at].into[lane].held.isEmpty {
            read(&rest, lane, at)
            connections[id]?.pipeline?.consumed(stream, bytes.count - rest.count, now: now)
        }
        // Not consumed: the window of the stream stays closed.
        if !rest.isEmpty, messages.channels[at].into[lane].place != nil {
            hold(rest, lane, at)
            awaitRate(lane, at)
        }
        touchChannel(at)
    }

    mutating func isFull(_ lane: Lane, _ at: Int) -> Bool {
        messages.channels[at].into[lane].unsettledBytes >= configuration.messages.receiveBytes || messages.channels[at].into[lane].waitsForSpool != nil
    }

    /// Precondition: there are bytes.
    private mutating func hold(_ bytes: UnsafeRawBufferPointer, _ lane: Lane, _ at: Int) {
        var rest = bytes
        while !rest.isEmpty {
            let last = messages.channels[at].into[lane].held.count - 1
            if last < 0 || messages.channels[at].into[lane].held[last].tail == messages.channels[at].into[lane].held[last].buffer.count {
                messages.channels[at].into[lane].held.append(HeldBytes(buffer: pool.take(.frame)))
                messages.heldBuffers += 1
                continue
            }
            let held = messages.channels[at].into[lane].held[last]
            let count = min(rest.count, held.buffer.count - held.tail)
            UnsafeMutableRawBufferPointer(rebasing: held.buffer.bytes[held.tail..<held.tail + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            messages.channels[at].into[lane].held[last].tail += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// False when none is held.
    @discardableResult
    private mutating func retireHeld(_ lane: Lane, _ at: Int) -> Bool {
        guard let held = messages.channels[at].into[lane].held.popFirst() else { return false }
        messages.heldBuffers -= 1
        messages.retiredBuffers.append(held.buffer)
        return true
    }

    /// The application caught up, or the rate admits more: what was held is read.
    mutating func readHeld(_ lane: Lane, _ at: Int) {
        recycleRetired()
        messages.channels[at].into[lane].waitsForRate = false
        while let held = messages.channels[at].into[lane].held.first, let place = messages.channels[at].into[lane].place, !isFull(lane, at),
            !isHeldByRate(lane, at) {
            var rest = UnsafeRawBufferPointer(rebasing: held.buffer.bytes[held.head..<held.tail])
            let before = rest.count
            read(&rest, lane, at)
            guard messages.channels[at].into[lane].place == place else { return touchChannel(at) }
            connections[place.connection]?.pipeline?.consumed(place.stream, before - rest.count, now: now)
            touch(place.connection)
            if rest.isEmpty {
                retireHeld(lane, at)
            } else {
                messages.channels[at].into[lane].held[0].head = held.tail - rest.count
            }
        }
        awaitRate(lane, at)
        touchChannel(at)
    }

    /// There may be room among the files again.
    mutating func readAllHeld() {
        for at in messages.channels.indices {
            for lane in Lane.allCases {
                if let size = messages.channels[at].into[lane].waitsForSpool, messages.spooledBytes + size <= configuration.messages.spoolBytes {
                    messages.channels[at].into[lane].waitsForSpool = nil
                    beginSpool(size, lane, at)
                }
                if !messages.channels[at].into[lane].held.isEmpty { readHeld(lane, at) }
            }
        }
    }

    private mutating func read(_ bytes: inout UnsafeRawBufferPointer, _ lane: Lane, _ at: Int) {
        let place = messages.channels[at].into[lane].place, isPaced = messages.channels[at].receivePace.isLimited
        do throws(MessageError) {
            let takesRuns = !isPaced && !messages.isStored
            while !isFull(lane, at) {
                if takesRuns, deliverRun(&bytes, lane, at) { continue }
                // Without bytes only the end of a body can follow, which is paid for.
                if isPaced, !bytes.isEmpty, isHeldByRate(lane, at) { break }
                let before = bytes.count
                let item = try messages.channels[at].into[lane].receiver.next(&bytes)
                if isPaced { pay(item, before - bytes.count, at) }
                guard let item else { break }
                take(item, lane, at)
                // What came may have ended the stream.
                if messages.channels[at].into[lane].place != place { break }
            }
        } catch {
            closeInbound(lane, at)
        }
        takeRetired(lane, at)
    }

    private mutating func take(_ item: LaneItem, _ lane: Lane, _ at: Int) {
        switch item {
        case .message(let head, let sequence, let body):
            messages.channels[at].into[lane].unacknowledgedBytes += body.count
            deliver(head, sequence, body, lane, at)
        case .begin(let head, _, let byteCount, let held): begin(head, byteCount, held: held, lane, at)
        case .piece(let bytes):
            messages.channels[at].into[lane].unacknowledgedBytes += bytes.count
            switch messages.channels[at].into[lane].assembly {
            case .memory(let body): body.append(bytes)
            case .spool(let spool, _): actions.append(.spool(spool, .append(bytes)))
            case nil: break
            }
        case .complete(let head, let sequence, let byteCount): complete(head, sequence, byteCount, lane, at)
        case .abandoned:
            dropAssembly(lane, at)
            passed(lane, at)
        case .skipped: passed(lane, at)
        case .ask: messages.channels[at].into[lane].acknowledgesNow = true
        case .goodbye(let word): receive(word, at)
        case .duplicate: messages.channels[at].duplicates += 1
        }
    }

    /// Numbers went by without a message for the application.
    private mutating func passed(_ lane: Lane, _ at: Int) {
        guard messages.isStored else { return }
        let next = messages.channels[at].into[lane].receiver.expected
        store(.expected(messages.channels[at].peer, lane, next: next), then: .inbound(lane, next: next), at)
    }

    // MARK: - Bodies in pieces

    private mutating func begin(_ head: MessageHead, _ byteCount: UInt64, held: Int, _ lane: Lane, _ at: Int) {
        let options = configuration.messages
        let limit = min(options.maximumMessageSize, max(options.spoolBytes, options.spoolThreshold))
        guard let size = Int(exactly: byteCount), size <= limit else {
            messages.channels[at].into[lane].receiver.forgetBody()
            return refuseInbound(.tooLarge(sequence: messages.channels[at].into[lane].receiver.expected, limit: UInt64(limit)), lane, at)
        }
        if held > 0, messages.channels[at].into[lane].assembly != nil { return }
        dropAssembly(lane, at)
        if size <= options.spoolThreshold {
            messages.channels[at].into[lane].assembly = .memory(BodyBytes(limit: size))
        } else if messages.spooledBytes + size > options.spoolBytes {
            messages.channels[at].into[lane].waitsForSpool = size
        } else {
            beginSpool(size, lane, at)
        }
    }

    private mutating func beginSpool(_ size: Int, _ lane: Lane, _ at: Int) {
        messages.lastSpool += 1
        let spool = SpoolID(rawValue: messages.lastSpool)
        messages.spooledBytes += size
        messages.channels[at].into[lane].assembly = .spool(spool, byteCount: size)
        actions.append(.spool(spool, .begin(byteCount: size)))
    }

    /// What came of a large body is of no use.
    mutating func dropAssembly(_ lane: Lane, _ at: Int) {
        if case .spool(let spool, let byteCount)? = messages.channels[at].into[lane].assembly {
            messages.spooledBytes -= byteCount
            actions.append(.spool(spool, .discard))
        }
        messages.channels[at].into[lane].assembly = nil
    }

    private mutating func complete(_ head: MessageHead, _ sequence: UInt64, _ byteCount: Int, _ lane: Lane, _ at: Int) {
        let assembly = messages.channels[at].into[lane].assembly
        messages.channels[at].into[lane].assembly = nil
        switch assembly {
        case .memory(let body):
            messages.retiredBodies.append(body)
            deliver(head, sequence, body.view, lane, at)
        case .spool(let spool, _): deliver(head, sequence, spool, byteCount, lane, at)
        case nil: break
        }
    }

    // MARK: - To the application

    private func message(_ head: MessageHead, _ sequence: UInt64, _ lane: Lane, _ at: Int) -> InboundMessage? {
        guard let incarnation = messages.channels[at].known.incarnation else { return nil }
        var request: UInt64?
        if case .request(let id, _) = head { request = id }
        return InboundMessage(peer: messages.channels[at].peer, incarnation: incarnation, lane: lane, sequence: sequence, request: request)
    }

    /// What lies at the front and can pass together. False when nothing does.
    private mutating func deliverRun(_ bytes: inout UnsafeRawBufferPointer, _ lane: Lane, _ at: Int) -> Bool {
        let room = configuration.messages.receiveBytes - messages.channels[at].into[lane].unsettledBytes
        guard let incarnation = messages.channels[at].known.incarnation,
            let run = messages.channels[at].into[lane].receiver.nextRun(&bytes, room: room)
        else { return false }
        messages.channels[at].received += UInt64(run.count)
        messages.channels[at].into[lane].unacknowledgedBytes += run.bodyByteCount
        messages.channels[at].into[lane].unsettledMessages += run.count
        messages.channels[at].into[lane].unsettledBytes += run.bodyByteCount + run.count * LaneSender.messageOverhead
        actions.append(.deliverRun(InboundRun(peer: messages.channels[at].peer, incarnation: incarnation, lane: lane, run: run)))
        return true
    }

    private mutating func deliver(_ head: MessageHead, _ sequence: UInt64, _ body: UnsafeRawBufferPointer, _ lane: Lane, _ at: Int) {
        if case .reply(let id) = head {
            endRequest(id, .success(.reply(.bytes([UInt8](body)))), at)
            return passed(lane, at)
        }
        guard let message = message(head, sequence, lane, at) else { return }
        countUnsettled(body.count, lane, at)
        guard messages.isStored else { return actions.append(.deliver(message, body)) }
        let kept = BodyBytes(limit: body.count)
        kept.append(body)
        store(.inbound(StoredInbound(message: message, body: .bytes([UInt8](body)))), then: .deliver(message, kept), at)
    }

    private mutating func deliver(_ head: MessageHead, _ sequence: UInt64, _ spool: SpoolID, _ byteCount: Int, _ lane: Lane, _ at: Int) {
        if case .reply(let id) = head {
            messages.spooledBytes -= byteCount
            if messages.channels[at].requests[id] != nil {
                // The file is the caller's from now on.
                endRequest(id, .success(.reply(.spooled(spool, byteCount: byteCount))), at)
            } else {
                actions.append(.spool(spool, .discard))
            }
            return passed(lane, at)
        }
        guard let message = message(head, sequence, lane, at) else { return }
        countUnsettled(0, lane, at)
        messages.spools[message] = spool
        guard messages.isStored else { return actions.append(.deliverSpooled(message, spool, byteCount: byteCount)) }
        store(
            .inbound(StoredInbound(message: message, body: .spooled(spool, byteCount: byteCount))),
            then: .deliverSpooled(message, spool, byteCount: byteCount), at)
    }

    private mutating func countUnsettled(_ byteCount: Int, _ lane: Lane, _ at: Int) {
        messages.channels[at].received += 1
        messages.channels[at].into[lane].unsettledMessages += 1
        messages.channels[at].into[lane].unsettledBytes += byteCount + LaneSender.messageOverhead
    }

    // MARK: - Acknowledgements

    /// What is due, or can travel with what is written anyway.
    mutating func acknowledge(_ at: Int, withOthers: Bool) {
        for lane in Lane.allCases where messages.channels[at].into[lane].place != nil {
            let expected = messages.channels[at].into[lane].receiver.expected, acknowledged = messages.channels[at].into[lane].acknowledged
            let next = messages.isStored ? messages.channels[at].into[lane].committed : expected
            guard next > acknowledged else {
                // Asked, and the store has not answered: then.
                if acknowledged == expected { messages.channels[at].into[lane].acknowledgesNow = false }
                continue
            }
            let isAsked = messages.channels[at].into[lane].acknowledgesNow
            let isDue = isAsked || withOthers || messages.channels[at].into[lane].unacknowledgedBytes >= InboundLane.acknowledgedBytes
                || next - acknowledged >= InboundLane.acknowledgedMessages
            guard isDue else {
                if messages.channels[at].into[lane].acknowledgesAt == nil {
                    messages.channels[at].into[lane].acknowledgesAt = now + configuration.messages.acknowledgementDelay
                }
                continue
            }
            // Behind a frame that the stream did not take: it comes when that is through.
            guard messages.channels[at].into[lane].replies.isEmpty else { continue }
            messages.channels[at].into[lane].acknowledged = next
            messages.channels[at].into[lane].unacknowledgedBytes = 0
            messages.channels[at].into[lane].acknowledgesAt = nil
            messages.channels[at].into[lane].acknowledgesNow = next < expected && isAsked
            reply(.acknowledge(next: next), lane, at)
        }
    }

    mutating func reply(_ reply: MessageReply, _ lane: Lane, _ at: Int) {
        messages.channels[at].into[lane].replies.append(reply)
        writeReplies(lane, at)
    }

    private mutating func writeReplies(_ lane: Lane, _ at: Int) {
        guard let place = messages.channels[at].into[lane].place, !messages.channels[at].into[lane].replies.isEmpty else { return }
        let taken = messages.channels[at].into[lane].replies.withUnsafeBytes {
            connections[place.connection]?.pipeline?.write(place.stream, $0, .urgent) ?? 0
        }
        messages.channels[at].into[lane].replies.removeFirst(taken)
        touch(place.connection)
    }

    mutating func messageRepliesWritable(_ lane: Lane, on id: ConnectionID) {
        guard let at = channel(on: id), messages.channels[at].into[lane].place?.connection == id else { return }
        writeReplies(lane, at)
        touchChannel(at)
    }

    // MARK: - Memory that was lent

    private mutating func takeRetired(_ lane: Lane, _ at: Int) {
        guard !messages.channels[at].into[lane].receiver.retired.isEmpty else { return }
        messages.retiredBuffers.append(contentsOf: messages.channels[at].into[lane].receiver.retired)
        messages.channels[at].into[lane].receiver.retired.removeAll(keepingCapacity: true)
    }

    /// Nobody looks at it any more once every action was taken.
    mutating func recycleRetired() {
        guard actions.isEmpty else { return }
        for buffer in messages.retiredBuffers { pool.recycle(buffer) }
        messages.retiredBuffers.removeAll(keepingCapacity: true)
        if !messages.retiredBodies.isEmpty { messages.retiredBodies.removeAll() }
    }
}
