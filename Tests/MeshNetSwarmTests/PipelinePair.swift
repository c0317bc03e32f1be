@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// One end of a joined pair: a pipeline, what it reported, and an application that writes what is queued and reads what comes.
struct PipelineEnd {
    var pipeline: ConnectionPipeline
    /// Facts as short texts, without data.
    var log: [String] = []
    var peer: PipelinePeer?
    var streams: [String: PipelineStream] = [:]
    var received: [PipelineStream: [UInt8]] = [:]
    var receivedCount: [PipelineStream: Int] = [:]
    /// Bytes that the application wants to write, and where it is in them.
    var outgoing: [(stream: PipelineStream, bytes: [UInt8], sent: Int, ends: Bool)] = []
    /// Reported data not yet consumed.
    var unconsumed: [PipelineStream: Int] = [:]
    /// Answers every byte with the same byte.
    var echoes = false
    /// Consumes at once; a slow reader does it when the test says.
    var consumes = true
    /// Keeps received bytes; otherwise only counts them.
    var keeps = true
    var failure: HandshakeFailure?
    var cause: DisconnectCause?

    init(_ pipeline: ConnectionPipeline) { self.pipeline = pipeline }

    mutating func drain(now: Instant) {
        while let action = pipeline.poll() { handle(action, now: now) }
    }

    private mutating func handle(_ action: PipelineAction, now: Instant) {
        switch action {
        case .streamData(let stream, let view):
            precondition(!view.isEmpty, "data is never empty")
            receivedCount[stream, default: 0] += view.count
            if keeps { received[stream, default: []].append(contentsOf: view) }
            if echoes { outgoing.append((stream, Array(view), 0, false)) }
            if consumes { pipeline.consumed(stream, view.count, now: now) } else { unconsumed[stream, default: 0] += view.count }
        case .established(let peer):
            self.peer = peer
            log.append("established")
        case .streamOpened(let stream, let protocolID):
            streams[protocolID] = stream
            log.append("opened \(stream.rawValue) \(protocolID)")
        case .streamAgreed(let stream, let protocolID): log.append("agreed \(stream.rawValue) \(protocolID)")
        case .streamRefused(let stream): log.append("refused \(stream.rawValue)")
        case .streamEnded(let stream): log.append("ended \(stream.rawValue)")
        case .streamReset(let stream, let cause): log.append("reset \(stream.rawValue) \(cause)")
        case .streamClosed(let stream): log.append("closed \(stream.rawValue)")
        case .streamWritable: break
        case .failedHandshake(let failure):
            precondition(self.failure == nil && cause == nil, "a terminal action comes once")
            self.failure = failure
        case .closed(let cause):
            precondition(self.cause == nil && failure == nil, "a terminal action comes once")
            self.cause = cause
        }
    }

    mutating func put(_ bytes: [UInt8], _ stream: PipelineStream, _ urgency: WriteUrgency = .ordinary) -> Int {
        bytes.withUnsafeBytes { pipeline.write(stream, $0, urgency) }
    }

    mutating func write() {
        for index in outgoing.indices where outgoing[index].sent < outgoing[index].bytes.count {
            let entry = outgoing[index]
            // Order within a stream: a later entry waits for an earlier one.
            if outgoing[..<index].contains(where: { $0.stream == entry.stream && $0.sent < $0.bytes.count }) { continue }
            outgoing[index].sent += entry.bytes.withUnsafeBytes {
                pipeline.write(entry.stream, UnsafeRawBufferPointer(rebasing: $0[entry.sent...]))
            }
        }
        for index in outgoing.indices where outgoing[index].ends && outgoing[index].sent == outgoing[index].bytes.count {
            outgoing[index].ends = false
            pipeline.closeWrite(outgoing[index].stream)
        }
        outgoing.removeAll { $0.sent == $0.bytes.count && !$0.ends }
    }

    /// What a turn of the driver's loop does behind its input.
    mutating func finishTurn(now: Instant) {
        drain(now: now)
        write()
        drain(now: now)
        pipeline.flush(now: now)
        drain(now: now)
        if pipeline.needsFlush { pipeline.flush(now: now) }
    }

    /// Up to `limit` bytes out of the pipeline.
    mutating func transmit(limit: Int, now: Instant) -> [UInt8] {
        guard pipeline.hasOutput else { return [] }
        let bytes = pipeline.transmitBuffers { list in
            var bytes: [UInt8] = []
            for buffer in list { bytes.append(contentsOf: buffer.prefix(max(0, limit - bytes.count))) }
            return bytes
        }
        pipeline.didTransmit(bytes.count, now: now)
        return bytes
    }

    mutating func receive(_ bytes: ArraySlice<UInt8>, now: Instant) -> Int {
        let space = pipeline.receiveSpace()
        precondition(space.count >= 65_536, "a read gets 64 KiB or more")
        let count = min(bytes.count, space.count)
        space.copyBytes(from: bytes.prefix(count))
        pipeline.receive(count: count, now: now)
        return count
    }
}

/// Two pipelines joined by byte queues under a virtual clock.
struct PipelinePair {
    var client: PipelineEnd
    var server: PipelineEnd
    let pool = BufferPool()
    var now = Instant(nanoseconds: 1_000)
    var random: RandomSource
    /// Bytes on their way to the server and to the client.
    var toServer: [UInt8] = []
    var toClient: [UInt8] = []
    /// What the wire changes; for garbage and man-in-the-middle tests.
    var tamper: ((_ towardsServer: Bool, inout [UInt8]) -> Void)?
    let clientIdentity: KeyPair
    let serverIdentity: KeyPair

    init(
        seed: UInt64 = 1, clientKey: PreSharedKey? = nil, serverKey: PreSharedKey? = nil, expected: PeerID? = nil, limits: Limits = Limits(),
        serverLimits: Limits? = nil, protocols: [String] = ["/echo", "/sink"]
    ) {
        random = RandomSource(testSeed: seed)
        clientIdentity = KeyPair(random: &random)
        serverIdentity = KeyPair(random: &random)
        client = PipelineEnd(ConnectionPipeline(
            role: .outbound, configuration: PipelineConfiguration(identity: clientIdentity, preSharedKey: clientKey, limits: limits),
            expectedPeer: expected ?? serverIdentity.peerID, protocols: protocols, pool: pool, random: &random, now: now))
        server = PipelineEnd(ConnectionPipeline(
            role: .inbound, configuration: PipelineConfiguration(identity: serverIdentity, preSharedKey: serverKey, limits: serverLimits ?? limits),
            expectedPeer: nil, protocols: protocols, pool: pool, random: &random, now: now))
    }

    /// One turn of both ends. `cut` is the largest piece that a read or a write moves; pieces are drawn up to it.
    mutating func turn(cut: Int = .max) {
        now = now + .microseconds(10)
        func piece(_ random: inout RandomSource) -> Int { cut == .max ? .max : Int.random(in: 1...cut, using: &random) }
        client.finishTurn(now: now)
        server.finishTurn(now: now)
        var up = client.transmit(limit: piece(&random), now: now), down = server.transmit(limit: piece(&random), now: now)
        tamper?(true, &up)
        tamper?(false, &down)
        toServer += up
        toClient += down
        deliver(&toServer, to: &server, limit: piece(&random))
        deliver(&toClient, to: &client, limit: piece(&random))
    }

    private func deliver(_ wire: inout [UInt8], to end: inout PipelineEnd, limit: Int) {
        guard !wire.isEmpty else { return }
        let count = end.receive(wire.prefix(limit), now: now)
        wire.removeFirst(count)
        end.drain(now: now)
    }

    /// Turns until nothing moves, or the condition holds. False if it never did.
    @discardableResult
    mutating func run(cut: Int = .max, turns: Int = 100_000, until condition: (inout PipelinePair) -> Bool = { _ in false }) -> Bool {
        var idle = 0
        for _ in 0..<turns {
            if condition(&self) { return true }
            let before = (client.pipeline.bytesSent, server.pipeline.bytesSent, toServer.count, toClient.count)
            turn(cut: cut)
            let after = (client.pipeline.bytesSent, server.pipeline.bytesSent, toServer.count, toClient.count)
            idle = before == after ? idle + 1 : 0
            if idle > 40 { break }
        }
        return condition(&self)
    }

    mutating func handshake(cut: Int = .max) -> Bool {
        run(cut: cut) { $0.client.peer != nil && $0.server.peer != nil }
    }

    mutating func open(_ protocols: String...) throws(StreamOpenError) -> PipelineStream {
        try client.pipeline.openStream(protocols, now: now)
    }
}

extension Limits {
    /// The defaults with another send buffer, in bytes.
    static func sending(_ byteCount: Int) -> Limits {
        var limits = Limits()
        limits.sendBuffer = byteCount
        return limits
    }
}
