import MeshNetProtocol

extension ConnectionPipeline {
    // MARK: Frames

    /// Decrypts the next complete Noise frame and lends its plaintext to the muxer. A frame may be empty. False when more bytes are needed.
    mutating func openFrame() -> Bool {
        guard let message = nextNoiseMessage() else { return false }
        do throws(NoiseError) {
            let count = try inboundCipher?.open(message) ?? 0
            let plaintext = UnsafeRawBufferPointer(rebasing: message[..<count])
            if muxer != nil { readMuxer(plaintext) } else { session.receive(plaintext, now: now) }
        } catch {
            fail(error)
        }
        return true
    }

    /// What the muxer reports, as the swarm shall see it; nil for what concerns only the negotiation of a stream.
    mutating func translate(_ action: YamuxAction) -> PipelineAction? {
        switch action {
        case .data(let id, let view):
            guard let at = negotiations.find(id) else { return .streamData(PipelineStream(rawValue: id), view) }
            negotiate(at: at, view)
        case .opened(let id): accept(id)
        case .ended(let id):
            guard let at = negotiations.find(id) else { return .streamEnded(PipelineStream(rawValue: id)) }
            abandonNegotiation(at: at, .negotiationAbandoned)
        case .reset(let id, let error):
            turns.forget(id)
            guard let at = negotiations.find(id) else { return .streamReset(PipelineStream(rawValue: id), StreamResetCause(error)) }
            abandonNegotiation(at: at, StreamResetCause(error))
        case .closed(let id): return .streamClosed(PipelineStream(rawValue: id))
        case .writable(let id): return .streamWritable(PipelineStream(rawValue: id))
        case .finished(let end): finish(end)
        }
        return nil
    }

    // MARK: Writing

    /// A stream whose protocol is still open takes nothing yet.
    mutating func canWrite(_ id: UInt32) -> Bool {
        guard let at = negotiations.find(id) else { return true }
        return negotiations[at].lazyProtocol != nil
    }

    /// Puts bytes behind yamux headers into Noise frames. Returns how many.
    mutating func copy(_ bytes: UnsafeRawBufferPointer, to id: UInt32, allowance: Int) -> Int {
        if session.hasControl, !output.hasOpenFrame { writeControl() }
        var taken = 0
        while taken < bytes.count, taken < allowance {
            let end = min(bytes.count, allowance)
            // What is left of the allowance is no full frame: better a full one later than a small one now.
            if end < bytes.count, end - taken < min(SendTurns.share, limits.sendBuffer), !output.hasOpenFrame { break }
            let count = session.writeHeader(id, count: end - taken, into: output.space(for: end - taken + YamuxHeader.byteCount))
            if count == 0 { break }
            output.commit(YamuxHeader.byteCount, then: UnsafeRawBufferPointer(rebasing: bytes[taken..<taken + count]))
            taken += count
        }
        return taken
    }

    /// Moves waiting control frames into the open frame, as far as the reserve goes; the others wait in their bounded queue.
    mutating func writeControl() {
        while session.hasControl, output.queuedBytes < limits.sendBuffer + Self.sendReserve {
            output.commit(session.writeControl(into: output.space(for: YamuxHeader.byteCount), now: now))
        }
    }

    /// The next stream that waits for room in the send buffer and has it now.
    mutating func nextWriter() -> PipelineAction? {
        guard stage == .open else { return nil }
        while let id = turns.next(free: limits.sendBuffer - output.queuedBytes, capacity: limits.sendBuffer) {
            guard session.sendWindow(id) != nil else { continue }
            turns.grant(id)
            return .streamWritable(PipelineStream(rawValue: id))
        }
        return nil
    }

    // MARK: Negotiation

    mutating func open(_ protocols: [String]) throws(StreamOpenError) -> PipelineStream {
        guard stage == .open, isEstablished else { throw .notOpen }
        guard !protocols.isEmpty else { throw .invalidProtocol("") }
        for text in protocols where !MultistreamNegotiation.isValid(text) { throw .invalidProtocol(text) }
        let id: UInt32
        do throws(YamuxOpenError) { id = try session.open(now: now) } catch { throw StreamOpenError(error) }
        negotiations.append(StreamNegotiation(
            stream: id, isInbound: false, deadline: now + limits.streamNegotiationTimeout,
            machine: MultistreamNegotiation(dialerFor: protocols, lazy: true), lazyProtocol: protocols.count == 1 ? protocols[0] : nil))
        pollNegotiation(id)
        return PipelineStream(rawValue: id)
    }

    private mutating func accept(_ id: UInt32) {
        guard negotiations.inboundCount < Self.maximumNegotiatingStreams else {
            inboundStreamsFailed += 1
            return session.reset(id)
        }
        negotiations.append(StreamNegotiation(
            stream: id, isInbound: true, deadline: now + limits.streamNegotiationTimeout,
            machine: MultistreamNegotiation(listenerFor: protocols), lazyProtocol: nil, owesGreeting: true))
    }

    private mutating func negotiate(at: Int, _ view: UnsafeRawBufferPointer) {
        let id = negotiations[at].stream
        do throws(MultistreamError) {
            let taken = try negotiations[at].machine.receive(view)
            session.consumed(id, taken, now: now)
            pollNegotiation(id)
            // What is left is data, unless the stream or the connection went down with the negotiation.
            guard taken < view.count, session.contains(id) else { return }
            actions.append(.streamData(PipelineStream(rawValue: id), UnsafeRawBufferPointer(rebasing: view[taken...])))
        } catch {
            abandonNegotiation(at: at, .negotiationMalformed)
        }
    }

    private mutating func pollNegotiation(_ id: UInt32) {
        guard let at = negotiations.find(id) else { return }
        negotiations.settleGreeting(at: at)
        while let action = negotiations[at].machine.poll() {
            switch action {
            case .send(let bytes):
                guard send(bytes, to: id) else { return }
            case .agreed(let protocolID): if negotiations[at].isInbound || negotiations[at].lazyProtocol == nil { return agree(at: at, protocolID) }
            case .refused:
                negotiations.remove(at: at)
                session.reset(id)
                return actions.append(.streamRefused(PipelineStream(rawValue: id)))
            }
        }
        if let protocolID = negotiations[at].lazyProtocol, negotiations[at].machine.isFinished { agree(at: at, protocolID) }
    }

    private mutating func agree(at: Int, _ protocolID: String) {
        let entry = negotiations[at]
        let stream = PipelineStream(rawValue: entry.stream)
        negotiations.remove(at: at)
        actions.append(entry.isInbound ? .streamOpened(stream, protocolID: protocolID) : .streamAgreed(stream, protocolID: protocolID))
        if entry.endsOurHalf { session.closeWrite(entry.stream) }
    }

    /// The stream is torn down. The swarm knows of it only if it is ours.
    mutating func abandonNegotiation(at: Int, _ cause: StreamResetCause) {
        let entry = negotiations[at]
        negotiations.remove(at: at)
        turns.forget(entry.stream)
        session.reset(entry.stream)
        if entry.isInbound {
            inboundStreamsFailed += 1
        } else {
            actions.append(.streamReset(PipelineStream(rawValue: entry.stream), cause))
        }
    }

    /// Listeners greet together with their first answer; those who wait for the greeting before they ask get it at the end of the turn.
    mutating func sendGreetings() {
        if !negotiations.owesGreetings { return }
        for id in negotiations.greetingDebtors() { pollNegotiation(id) }
    }

    /// Lines of a negotiation, outside of the turns of the writers. False when the connection or the stream cannot take them.
    private mutating func send(_ bytes: [UInt8], to id: UInt32) -> Bool {
        guard output.queuedBytes < limits.sendBuffer + Self.sendReserve else {
            beginClosing(.limitReached("negotiation answers that the peer does not read"))
            return false
        }
        let taken = bytes.withUnsafeBytes { copy($0, to: id, allowance: $0.count) }
        if taken == bytes.count { return true }
        if let at = negotiations.find(id) { abandonNegotiation(at: at, .negotiationAbandoned) }
        return false
    }
}

extension StreamResetCause {
    init(_ error: YamuxStreamError) {
        self = switch error {
        case .resetByPeer(let code): .peer(code: code)
        case .dataAfterEnd: .dataAfterEnd
        }
    }
}

extension StreamOpenError {
    init(_ error: YamuxOpenError) {
        self = switch error {
        case .sessionOver: .notOpen
        case .tooManyStreams(let limit): .tooManyStreams(limit: limit)
        case .tooManyUnacknowledged(let limit): .tooManyUnacknowledged(limit: limit)
        case .identifiersExhausted: .identifiersExhausted
        }
    }
}
