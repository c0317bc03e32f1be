package import MeshNetProtocol

// Streams of the application, and the switch that leads a stream's bytes to who uses it.
extension Swarm {
    /// Copies bytes into the connection's send buffer and says how many. `.streamWritable` follows when it took fewer.
    package mutating func write(_ stream: StreamID, _ bytes: UnsafeRawBufferPointer) throws(CallError) -> Int {
        guard let place = streams[stream] else { throw .noSuchStream }
        let taken = connections[place.connection]?.pipeline?.write(place.stream, bytes) ?? 0
        touch(place.connection)
        return taken
    }

    /// The application read so many bytes of `streamData`: the peer may send as many more.
    package mutating func consumed(_ stream: StreamID, _ count: Int, now: Instant) {
        self.now = now
        guard let place = streams[stream] else { return }
        connections[place.connection]?.pipeline?.consumed(place.stream, count, now: now)
        touch(place.connection)
    }

    /// Ends our half behind everything written.
    package mutating func closeWrite(_ stream: StreamID, now: Instant) {
        self.now = now
        guard let place = streams[stream] else { return }
        connections[place.connection]?.pipeline?.closeWrite(place.stream)
        touch(place.connection)
    }

    /// The application is done with the stream: our half ends in order, what still arrives is thrown away.
    package mutating func closeStream(_ stream: StreamID, now: Instant) {
        self.now = now
        guard let place = agreedPlace(of: stream) else { return }
        streams[stream] = nil
        connections[place.connection]?.streams[place.stream] = .finished
        connections[place.connection]?.pipeline?.closeWrite(place.stream)
        touch(place.connection)
    }

    package mutating func resetStream(_ stream: StreamID, now: Instant) {
        self.now = now
        guard let place = agreedPlace(of: stream) else { return }
        streams[stream] = nil
        connections[place.connection]?.streams[place.stream] = nil
        connections[place.connection]?.pipeline?.reset(place.stream)
        touch(place.connection)
    }

    /// A stream that the application was told of; one that is still being opened has a ticket that waits for it.
    private func agreedPlace(of stream: StreamID) -> StreamLocation? {
        guard let place = streams[stream], case .application? = connections[place.connection]?.streams[place.stream] else { return nil }
        return place
    }

    mutating func openStream(to peer: PeerID, protocols: [String], ticket: Ticket) {
        guard let id = peers[peer]?.primary else { return complete(ticket, .failure(.notConnected(peer))) }
        let stream: PipelineStream
        do throws(StreamOpenError) {
            guard let opened = try connections[id]?.pipeline?.openStream(protocols, now: now) else {
                return complete(ticket, .failure(.notConnected(peer)))
            }
            stream = opened
        } catch {
            return complete(ticket, .failure(CallError(error, peer: peer)))
        }
        let handle = newStreamID()
        streams[handle] = StreamLocation(connection: id, stream: stream)
        connections[id]?.streams[stream] = .applicationOpening(handle, ticket, protocols: protocols)
        touch(id)
    }

    // MARK: - What the pipeline reports of streams

    mutating func inboundStream(_ stream: PipelineStream, protocolID: String, on id: ConnectionID) {
        if let service = Self.boundedService(protocolID), let limit = Self.inboundLimit(of: protocolID), inboundCount(of: service, on: id) >= limit {
            connections[id]?.pipeline?.reset(stream)
            return
        }
        switch protocolID {
        case IdentifyMessage.identifyProtocol: answerIdentify(stream, on: id)
        case IdentifyMessage.pushProtocol: receiveIdentifyPush(stream, on: id)
        case PingState.protocolID: use(stream, for: .pingIn, on: id)
        case PerfTransfer.protocolID: servePerf(stream, on: id)
        case let pubsub where Gossipsub.protocols.contains(pubsub): acceptPubSub(stream, protocolID: pubsub, on: id)
        case PeerExchangeMessage.protocolID: acceptExchange(stream, on: id)
        case RetainedMessage.protocolID: acceptRetained(stream, on: id)
        case MessageFrame.protocolID: acceptMessages(stream, on: id)
        default: acceptApplicationStream(stream, protocolID: protocolID, on: id)
        }
    }

    /// Streams that one peer may have open to a service of ours, over all its connections; further ones are reset.
    static func inboundLimit(of protocolID: String) -> Int? {
        switch protocolID {
        // go-libp2p: 16 for each peer.
        case IdentifyMessage.identifyProtocol: 16
        // Each may hold what ten messages say; a peer has one change to tell at a time, and perhaps the next one.
        case IdentifyMessage.pushProtocol: 2
        // libp2p specs, ping: "MUST NOT keep more than one outbound stream", listeners accept two.
        case PingState.protocolID: 2
        // Each may ask for bytes without end. One does for a measurement, a few for parallel ones.
        case PerfTransfer.protocolID: 4
        // Before their HELLO: three lanes, and those that replace them.
        case MessageFrame.protocolID: 8
        default: nil
        }
    }

    private static func boundedService(_ protocolID: String) -> StreamUse? {
        switch protocolID {
        case IdentifyMessage.identifyProtocol: .identifyAnswer
        case IdentifyMessage.pushProtocol: .identifyPushIn
        case PingState.protocolID: .pingIn
        case PerfTransfer.protocolID: .perfServer
        case MessageFrame.protocolID: .messagesGreeting
        default: nil
        }
    }

    private func inboundCount(of service: StreamUse, on id: ConnectionID) -> Int {
        guard let peer = connections[id]?.peer else { return 0 }
        return (peers[peer]?.connections ?? [id]).reduce(0) { count, each in
            count + (connections[each]?.streams.values.count { $0 == service } ?? 0)
        }
    }

    mutating func use(_ stream: PipelineStream, for purpose: StreamUse, on id: ConnectionID) {
        connections[id]?.streams[stream] = purpose
    }

    private mutating func acceptApplicationStream(_ stream: PipelineStream, protocolID: String, on id: ConnectionID) {
        guard let peer = connections[id]?.peer, streams.count < configuration.limits.pendingAccepts + Self.maximumOpenStreams else {
            connections[id]?.pipeline?.reset(stream)
            return
        }
        let handle = newStreamID()
        streams[handle] = StreamLocation(connection: id, stream: stream)
        use(stream, for: .application(handle), on: id)
        emit(.streamOpened(stream: handle, peer: peer, protocolID: protocolID))
    }

    /// Application streams of the whole node; go's system scope has 2,048 and more by memory.
    private static var maximumOpenStreams: Int { 65_536 }

    mutating func outboundStreamAgreed(_ stream: PipelineStream, protocolID: String, on id: ConnectionID) {
        switch connections[id]?.streams[stream] {
        case .applicationOpening(let handle, let ticket, _):
            use(stream, for: .application(handle), on: id)
            complete(ticket, .success(.stream(handle, protocolID: protocolID)))
        case .pubsubOut: pubsubAgreed(stream, protocolID: protocolID, on: id)
        case .exchangeOut: exchangeAgreed(stream, on: id)
        case .retainedOut: retainedAgreed(stream, on: id)
        default: break
        }
    }

    mutating func streamRefused(_ stream: PipelineStream, on id: ConnectionID) {
        guard let use = connections[id]?.streams.removeValue(forKey: stream) else { return }
        connections[id]?.unwritten[stream] = nil
        switch use {
        case .applicationOpening(let handle, let ticket, let protocols):
            streams[handle] = nil
            complete(ticket, .failure(.protocolNotSupported(protocols)))
        case .pingOut: pingRefused(id)
        case .perfClient: perfEnded(stream, on: id, .failure(.protocolNotSupported([PerfTransfer.protocolID])))
        case .pubsubOut: pubsubLost(stream, on: id, mayReopen: false)
        case .exchangeOut: exchangeLost(stream, on: id, mayReopen: false)
        case .retainedOut: retainedLost(stream, on: id, mayReopen: false)
        case .messagesOut(let lane): messagesRefused(stream, lane, on: id)
        case .identifyQuery: connections[id]?.identifyInputs[stream] = nil
        default: break
        }
    }

    /// Bytes of a peer: our services take them at once, the application's go out as an action.
    mutating func streamData(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) -> SwarmAction? {
        guard let use = connections[id]?.streams[stream] else {
            connections[id]?.pipeline?.consumed(stream, bytes.count, now: now)
            return nil
        }
        switch use {
        case .application(let handle):
            connections[id]?.lastUse = now
            return .streamData(handle, bytes)
        case .applicationOpening: return nil
        case .identifyQuery, .identifyPushIn: identifyBytes(stream, bytes, on: id)
        case .pingIn: echoPing(stream, bytes, on: id)
        case .pingOut: pongBytes(bytes, on: id)
        case .perfServer, .perfClient: perfBytes(stream, bytes, on: id)
        case .pubsubIn:
            connections[id]?.lastUse = now
            pubsubBytes(stream, bytes, on: id)
        case .exchangeIn: exchangeBytes(stream, bytes, on: id)
        case .retainedIn: retainedBytes(stream, bytes, on: id)
        // These say themselves what they consumed.
        case .messagesIn(let lane):
            receiveMessages(stream, bytes, lane, on: id)
            return nil
        case .messagesGreeting:
            receiveGreeting(stream, bytes, on: id)
            return nil
        case .messagesOut(let lane): receiveMessageReplies(stream, bytes, lane, on: id)
        case .identifyAnswer, .identifyPushOut, .pubsubOut, .exchangeOut, .retainedOut, .finished: break
        }
        connections[id]?.pipeline?.consumed(stream, bytes.count, now: now)
        return nil
    }

    mutating func streamEnded(_ stream: PipelineStream, on id: ConnectionID) {
        switch connections[id]?.streams[stream] {
        case .application(let handle): actions.append(.streamEnded(handle))
        case .identifyQuery, .identifyPushIn: identifyEnded(stream, on: id)
        case .perfServer, .perfClient: perfInputEnded(stream, on: id)
        case .pubsubIn, .exchangeIn, .retainedIn, .pingIn, .identifyAnswer, .finished: connections[id]?.pipeline?.closeWrite(stream)
        case .messagesIn, .messagesGreeting, .messagesOut: endMessageStream(stream, on: id)
        case .pingOut: pingStreamLost(id)
        default: break
        }
        touch(id)
    }

    /// The stream does not exist any more. `error` is nil after both sides ended it in order.
    mutating func streamGone(_ stream: PipelineStream, on id: ConnectionID, error: CallError?) {
        guard let use = connections[id]?.streams.removeValue(forKey: stream) else { return }
        connections[id]?.unwritten[stream] = nil
        release(stream, use, on: id, error: error)
    }

    private mutating func release(_ stream: PipelineStream, _ use: StreamUse, on id: ConnectionID, error: CallError?) {
        switch use {
        case .application(let handle):
            if streams.removeValue(forKey: handle) != nil { actions.append(.streamClosed(handle, error)) }
        case .applicationOpening(let handle, let ticket, _):
            streams[handle] = nil
            complete(ticket, .failure(error ?? .streamReset))
        case .identifyQuery, .identifyPushIn: connections[id]?.identifyInputs[stream] = nil
        case .pingOut: pingStreamLost(id)
        case .perfServer, .perfClient: perfEnded(stream, on: id, .failure(error ?? .streamClosed))
        case .pubsubIn: if connections[id]?.pubsubInput?.stream == stream { connections[id]?.pubsubInput = nil }
        case .pubsubOut: pubsubLost(stream, on: id, mayReopen: true)
        case .exchangeIn: if connections[id]?.exchangeInput?.stream == stream { connections[id]?.exchangeInput = nil }
        case .exchangeOut: exchangeLost(stream, on: id, mayReopen: true)
        case .retainedIn: if connections[id]?.retainedInput?.stream == stream { connections[id]?.retainedInput = nil }
        case .retainedOut: retainedLost(stream, on: id, mayReopen: true)
        case .messagesOut(let lane): messageStreamLost(stream, lane, on: id, pause: true)
        case .messagesIn(let lane): inboundLaneLost(stream, lane, on: id)
        case .messagesGreeting: connections[id]?.greetings[stream] = nil
        case .identifyAnswer, .identifyPushOut, .pingIn, .finished: break
        }
    }

    /// The connection is gone, and its streams with it; nothing of them may be reopened on it.
    mutating func failStreams(of connection: Connection) {
        let lost = connection.streamsInOrder.map { ($0, connection.streams[$0]!) }
        connection.streams.removeAll()
        for (stream, use) in lost {
            switch use {
            case .application(let handle):
                if streams.removeValue(forKey: handle) != nil { actions.append(.streamClosed(handle, .streamReset)) }
            case .applicationOpening(let handle, let ticket, _):
                streams[handle] = nil
                complete(ticket, .failure(.streamReset))
            case .perfServer, .perfClient:
                if let ticket = connection.perf[stream]?.ticket { complete(ticket, .failure(.streamReset)) }
            case .pubsubOut: pubsubConnectionLost(connection)
            case .exchangeOut: exchangeConnectionLost(connection)
            case .retainedOut: retainedConnectionLost(connection)
            case .messagesOut(let lane): messageStreamLost(stream, lane, on: connection.id, of: connection.peer, pause: false)
            case .messagesIn(let lane): inboundLaneLost(stream, lane, on: connection.id, of: connection.peer)
            default: break
            }
        }
    }

    mutating func streamWritable(_ stream: PipelineStream, on id: ConnectionID) {
        switch connections[id]?.streams[stream] {
        case .application(let handle): actions.append(.streamWritable(handle))
        case .perfServer, .perfClient: continuePerf(stream, on: id)
        case .pubsubOut: writePubSub(on: id)
        case .exchangeOut: exchangeWritable(on: id)
        case .retainedOut: retainedWritable(on: id)
        case .messagesOut(let lane): messagesWritable(lane, on: id)
        case .messagesIn(let lane): messageRepliesWritable(lane, on: id)
        default: writeRest(stream, on: id)
        }
    }

    // MARK: - Small writes of our services

    /// Writes an answer of a service; what the stream does not take at once follows when it can.
    mutating func send(_ bytes: [UInt8], on stream: PipelineStream, of id: ConnectionID, thenClose: Bool) {
        let taken = bytes.withUnsafeBytes { connections[id]?.pipeline?.write(stream, $0, .urgent) ?? bytes.count }
        if taken < bytes.count {
            connections[id]?.unwritten[stream] = UnwrittenBytes(bytes: Array(bytes[taken...]), thenClose: thenClose)
        } else if thenClose {
            connections[id]?.pipeline?.closeWrite(stream)
        }
        touch(id)
    }

    private mutating func writeRest(_ stream: PipelineStream, on id: ConnectionID) {
        guard let rest = connections[id]?.unwritten.removeValue(forKey: stream) else { return }
        send(rest.bytes, on: stream, of: id, thenClose: rest.thenClose)
    }

    private mutating func newStreamID() -> StreamID {
        defer { nextStreamID += 1 }
        return StreamID(rawValue: nextStreamID)
    }
}

extension CallError {
    init(_ error: StreamOpenError, peer: PeerID) {
        switch error {
        case .notOpen: self = .notConnected(peer)
        case .tooManyStreams(let limit): self = .limitReached("streamsPerConnection: \(limit)")
        case .tooManyUnacknowledged(let limit): self = .limitReached("unacknowledgedStreams: \(limit)")
        case .identifiersExhausted: self = .limitReached("stream ids of this connection")
        case .invalidProtocol(let protocolID): self = .invalidProtocol(protocolID)
        }
    }
}
