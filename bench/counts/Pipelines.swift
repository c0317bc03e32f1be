import MeshNetProtocol
import MeshNetSwarm

/// One end of a connection in memory: a pipeline, and what it did.
struct PipelineEnd {
    var pipeline: ConnectionPipeline
    var isEstablished = false
    /// Bytes of streams that came.
    var dataBytes = 0
    /// Sends every byte back.
    var echoes = false

    init(_ pipeline: ConnectionPipeline) { self.pipeline = pipeline }

    /// What a turn of the driver's loop does behind its input.
    mutating func finishTurn(now: Instant) {
        drain(now: now)
        pipeline.flush(now: now)
        drain(now: now)
        if pipeline.needsFlush { pipeline.flush(now: now) }
    }

    mutating func drain(now: Instant) {
        while let action = pipeline.poll() {
            switch action {
            case .established: isEstablished = true
            case .streamData(let stream, let view):
                dataBytes += view.count
                if echoes {
                    withUnsafeTemporaryAllocation(byteCount: view.count, alignment: 1) { copy in
                        copy.copyMemory(from: view)
                        _ = pipeline.write(stream, UnsafeRawBufferPointer(copy))
                    }
                }
                pipeline.consumed(stream, view.count, now: now)
            default: break
            }
        }
    }

    /// Everything that waits to be sent, straight into the other end.
    mutating func transmit(to other: inout PipelineEnd, now: Instant) {
        while pipeline.hasOutput {
            let space = other.pipeline.receiveSpace()
            let count = pipeline.transmitBuffers { copy($0, into: space) }
            pipeline.didTransmit(count, now: now)
            other.pipeline.receive(count: count, now: now)
            other.drain(now: now)
            drain(now: now)
        }
    }

    /// Up to `limit` bytes that wait to be sent.
    mutating func take(limit: Int, now: Instant) -> [UInt8] {
        let bytes = pipeline.transmitBuffers { list in
            var bytes: [UInt8] = []
            for buffer in list { bytes.append(contentsOf: buffer.prefix(max(0, limit - bytes.count))) }
            return bytes
        }
        pipeline.didTransmit(bytes.count, now: now)
        return bytes
    }

    mutating func give(_ bytes: [UInt8], now: Instant) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let space = pipeline.receiveSpace()
            let count = min(rest.count, space.count)
            space.copyBytes(from: rest.prefix(count))
            pipeline.receive(count: count, now: now)
            rest = rest.dropFirst(count)
            drain(now: now)
        }
    }
}

/// As many bytes of the buffers as there is room for; returns their count.
func copy(_ list: UnsafeBufferPointer<UnsafeRawBufferPointer>, into space: UnsafeMutableRawBufferPointer) -> Int {
    var count = 0
    for buffer in list {
        let size = min(buffer.count, space.count - count)
        UnsafeMutableRawBufferPointer(rebasing: space[count..<count + size]).copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<size]))
        count += size
    }
    return count
}

/// Two ends joined by nothing but copies, under a virtual clock.
struct PipelinePair {
    static let protocolID = "/meshnet/bench/1.0.0"
    private static let key = PreSharedKey(bytes: [UInt8](repeating: 7, count: 32))

    var client: PipelineEnd
    var server: PipelineEnd
    var now = Instant(nanoseconds: 1_000)

    init(isPrivate: Bool) {
        var random = RandomSource(testSeed: 1)
        let ours = KeyPair(random: &random), theirs = KeyPair(random: &random), pool = BufferPool()
        func end(_ role: Direction, _ identity: KeyPair, expects peer: PeerID?, now: Instant) -> PipelineEnd {
            PipelineEnd(ConnectionPipeline(
                role: role, configuration: PipelineConfiguration(identity: identity, preSharedKey: isPrivate ? Self.key : nil), expectedPeer: peer,
                protocols: [Self.protocolID], pool: pool, random: &random, now: now))
        }
        client = end(.outbound, ours, expects: theirs.peerID, now: now)
        server = end(.inbound, theirs, expects: nil, now: now)
    }

    /// One turn of either end, and what they have to say.
    mutating func turn() {
        now = now + .microseconds(10)
        client.finishTurn(now: now)
        server.finishTurn(now: now)
        client.transmit(to: &server, now: now)
        server.transmit(to: &client, now: now)
    }

    /// A stream that both sides agreed on.
    mutating func connect() throws -> PipelineStream {
        for _ in 0..<40 where !(client.isEstablished && server.isEstablished) { turn() }
        let stream = try client.pipeline.openStream([Self.protocolID], now: now)
        for _ in 0..<40 { turn() }
        return stream
    }
}
