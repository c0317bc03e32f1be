import MeshNetProtocol

/// The pings of one connection (libp2p specs, ping): one stream, 32 random bytes at a time, echoed by the peer.
struct PingState {
    static let protocolID = "/ipfs/ping/1.0.0"
    static let byteCount = 32

    enum Purpose {
        /// Somebody waits for the round trip.
        case call(Ticket)
        /// The regular sign of life, or the proof that an older connection still works.
        case liveness
    }

    var stream: PipelineStream?
    var inFlight: (bytes: [UInt8], sentAt: Instant)?
    /// Bytes of the echo that arrived so far.
    var echoed = 0
    var waiting: [Ticket] = []
    var answered: [Ticket] = []
    var isUnsupported = false
    var lastAnswer: Instant?
    var roundTrip: Duration?
    var nextPing: Instant = .zero
    /// A link in doubt must answer until then.
    var provenBy: Instant?
    /// The timer that counts; others that stand in the queue are of the past.
    var timerSetFor: Instant?

    mutating func begin(_ bytes: [UInt8], now: Instant) {
        inFlight = (bytes, now)
        echoed = 0
        answered = waiting
        waiting = []
    }

    /// True if a ping sent at `since` or later has no answer. A peer that does not speak ping is believed to live.
    func isUnanswered(since: Instant) -> Bool {
        if isUnsupported { return false }
        return (lastAnswer ?? .zero) < since && inFlight != nil
    }
}

extension Swarm {
    /// Pings that calls wait for on one connection.
    private static var maximumWaitingPings: Int { 1_024 }

    /// Pings of all connections go out together at beats of the node, so far apart at most, and with them gossipsub's heartbeats: how often an idle node
    /// wakes does not grow with its peers.
    private static var longestBeat: Duration { .seconds(1) }

    /// The last beat within the interval from now.
    private var nextPingBeat: Instant {
        let due = now + configuration.pingInterval, first = startedAt + configuration.gossipsub.heartbeatInitialDelay
        let beat = max(1, min(Self.longestBeat, configuration.pingInterval / 15).saturatedNanoseconds)
        return due + .nanoseconds(-max(0, (due - first).saturatedNanoseconds) % beat)
    }

    mutating func startPings(_ id: ConnectionID) {
        guard configuration.pingInterval > .zero else { return }
        connections[id]?.ping.nextPing = nextPingBeat
        setPingTimer(id)
    }

    /// At the nearer of the next ping and the end of our patience with the one in flight, unless a timer stands that is as near.
    private mutating func setPingTimer(_ id: ConnectionID) {
        guard let state = connections[id]?.ping else { return }
        let next = configuration.pingInterval > .zero ? state.nextPing : nil
        let patience = earlier(state.inFlight.map { $0.sentAt + configuration.pingTimeout }, state.provenBy)
        guard let due = earlier(next, patience) else { return }
        if let set = state.timerSetFor, set <= due { return }
        connections[id]?.ping.timerSetFor = due
        timers.set(.ping(id), at: due)
    }

    mutating func ping(_ peer: PeerID, ticket: Ticket) {
        guard let id = peers[peer]?.primary, let state = connections[id]?.ping else { return complete(ticket, .failure(.notConnected(peer))) }
        guard !state.isUnsupported else { return complete(ticket, .failure(.protocolNotSupported([PingState.protocolID]))) }
        guard state.waiting.count < Self.maximumWaitingPings else { return complete(ticket, .failure(.limitReached("pings waiting"))) }
        sendPing(id, for: .call(ticket))
    }

    /// Sends a ping, or lets the one in flight end first.
    mutating func sendPing(_ id: ConnectionID, for purpose: PingState.Purpose) {
        guard connections[id]?.phase == .established else { return }
        if case .call(let ticket) = purpose { connections[id]?.ping.waiting.append(ticket) }
        guard connections[id]?.ping.inFlight == nil, connections[id]?.ping.isUnsupported == false else { return }
        if connections[id]?.ping.stream == nil {
            guard let stream = try? connections[id]?.pipeline?.openStream([PingState.protocolID], now: now) else {
                return failPingCalls(id, .limitReached("streamsPerConnection"))
            }
            connections[id]?.ping.stream = stream
            use(stream, for: .pingOut, on: id)
        }
        guard let stream = connections[id]?.ping.stream else { return }
        let bytes = random.bytes(PingState.byteCount)
        connections[id]?.ping.begin(bytes, now: now)
        send(bytes, on: stream, of: id, thenClose: false)
        setPingTimer(id)
    }

    /// Bytes of the echo. Anything else than what was sent breaks the protocol.
    mutating func pongBytes(_ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        guard let state = connections[id]?.ping, let (sent, sentAt) = state.inFlight, bytes.count <= sent.count - state.echoed,
            bytes.elementsEqual(sent[state.echoed..<state.echoed + bytes.count])
        else { return pingStreamLost(id) }
        connections[id]?.ping.echoed += bytes.count
        guard state.echoed + bytes.count == sent.count else { return }
        let roundTrip = now - sentAt
        connections[id]?.ping.inFlight = nil
        connections[id]?.ping.lastAnswer = now
        connections[id]?.ping.provenBy = nil
        connections[id]?.ping.roundTrip = roundTrip
        if let peer = connections[id]?.peer { mdns?.signOfLife(of: peer, now: now) }
        connections[id]?.ping.answered = []
        for ticket in state.answered { complete(ticket, .success(.roundTrip(roundTrip))) }
        if connections[id]?.ping.waiting.isEmpty == false { sendPing(id, for: .liveness) }
    }

    /// Due for the next ping, or the one in flight got no answer.
    mutating func pingTimer(_ id: ConnectionID) {
        guard let state = connections[id]?.ping, connections[id]?.phase == .established else { return }
        guard let set = state.timerSetFor, set <= now else { return }
        connections[id]?.ping.timerSetFor = nil
        if let limit = state.provenBy, limit <= now { return lost(id) }
        if let (_, sentAt) = state.inFlight {
            if now - sentAt >= configuration.pingTimeout { return lost(id) }
        }
        if configuration.pingInterval > .zero, state.nextPing <= now {
            connections[id]?.ping.nextPing = nextPingBeat
            sendPing(id, for: .liveness)
        }
        setPingTimer(id)
    }

    /// How long a link in doubt, as after a sleep, may take to answer.
    static var probePatience: Duration { .seconds(2) }

    /// Whether the link still stands: closed as `timedOut` unless a ping is answered soon. A peer that does not speak ping is left to the kernel.
    mutating func probeLink(_ id: ConnectionID) {
        guard connections[id]?.phase == .established, connections[id]?.ping.isUnsupported == false else { return }
        connections[id]?.ping.provenBy = now + Self.probePatience
        sendPing(id, for: .liveness)
        setPingTimer(id)
    }

    private mutating func lost(_ id: ConnectionID) { close(id, cause: .timedOut) }

    /// The peer's pings: every byte goes back.
    mutating func echoPing(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        guard connections[id]?.unwritten[stream] == nil else {
            // It does not read its own echoes: nothing more is kept for it.
            connections[id]?.unwritten[stream] = nil
            connections[id]?.streams[stream] = nil
            connections[id]?.pipeline?.reset(stream)
            return
        }
        let taken = connections[id]?.pipeline?.write(stream, bytes, .urgent) ?? bytes.count
        if taken < bytes.count {
            let rest = bytes[taken...].prefix(PingState.byteCount)
            connections[id]?.unwritten[stream] = UnwrittenBytes(bytes: [UInt8](rest), thenClose: false)
        }
        touch(id)
    }

    /// The stream ended or echoed nonsense: calls fail, and the next ping opens another one.
    mutating func pingStreamLost(_ id: ConnectionID) {
        if let stream = connections[id]?.ping.stream {
            connections[id]?.ping.stream = nil
            connections[id]?.streams[stream] = nil
            connections[id]?.pipeline?.reset(stream)
        }
        // Whoever ends a stream is there.
        connections[id]?.ping.provenBy = nil
        failPingCalls(id, .streamReset)
    }

    /// Nobody even agreed to the protocol: the ping in flight stays unanswered, and its timer decides about the connection.
    mutating func pingStreamSilent(_ id: ConnectionID) {
        guard let stream = connections[id]?.ping.stream else { return }
        connections[id]?.ping.stream = nil
        connections[id]?.streams[stream] = nil
    }

    mutating func pingRefused(_ id: ConnectionID) {
        connections[id]?.ping.stream = nil
        connections[id]?.ping.provenBy = nil
        connections[id]?.ping.isUnsupported = true
        failPingCalls(id, .protocolNotSupported([PingState.protocolID]))
    }

    private mutating func failPingCalls(_ id: ConnectionID, _ error: CallError) {
        guard let state = connections[id]?.ping else { return }
        connections[id]?.ping.inFlight = nil
        connections[id]?.ping.answered = []
        connections[id]?.ping.waiting = []
        for ticket in state.answered + state.waiting { complete(ticket, .failure(error)) }
    }

    mutating func failPings(of connection: Connection) {
        guard let peer = connection.peer else { return }
        let tickets = connection.ping.answered + connection.ping.waiting
        connection.ping.answered = []
        connection.ping.waiting = []
        for ticket in tickets { complete(ticket, .failure(.notConnected(peer))) }
    }
}
