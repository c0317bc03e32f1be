import MeshNetProtocol
import MeshNetSwarm

let muxerTargets: [FuzzTarget] = [
    FuzzTarget(name: "yamux-bytes") { bytes in
        // The first byte says which side we are and how the rest is cut.
        guard let first = bytes.first else { return }
        var driver = YamuxDriver(role: first & 1 == 0 ? .client : .server)
        var rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(Int(first >> 1) + 1))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
            driver.receive(piece)
        }
    },
    FuzzTarget(name: "yamux-operations") { bytes in
        var reader = ByteReader(bytes)
        var driver = YamuxDriver(role: .server)
        while let operation = try? reader.readByte() { driver.perform(operation, &reader) }
    },
    FuzzTarget(name: "connection") { bytes in
        connectionBytes(bytes, preSharedKey: nil)
    },
    FuzzTarget(name: "connection-private") { bytes in
        connectionBytes(bytes, preSharedKey: PreSharedKey(bytes: [UInt8](repeating: 7, count: 32)))
    },
]

/// An owner of a session that does what the input says, and checks that the session keeps its bounds.
private struct YamuxDriver: ~Copyable {
    private var session: YamuxSession
    private var ours: [UInt32] = []
    private var now = Instant.zero
    private let limits: YamuxLimits
    private let region = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 16)

    init(role: YamuxRole) {
        var limits = YamuxLimits()
        limits.inboundStreams = 8
        limits.outboundStreams = 8
        limits.unacknowledgedStreams = 4
        limits.controlFrames = 64
        limits.pingAnswers = 4
        self.limits = limits
        session = YamuxSession(role: role, limits: limits)
    }

    deinit { region.deallocate() }

    mutating func receive(_ bytes: UnsafeRawBufferPointer) {
        session.receive(bytes, now: now)
        var delivered = 0
        while let action = session.poll() {
            switch action {
            case .opened(let id): ours.append(id)
            case .data(let id, let view):
                precondition(!view.isEmpty)
                delivered += view.count
                if view.count & 1 == 0 { session.consumed(id, view.count, now: now) }
            case .closed(let id), .reset(let id, _): ours.removeAll { $0 == id }
            case .ended, .writable: break
            case .finished: precondition(session.isOver)
            }
        }
        precondition(delivered <= bytes.count, "more came out than went in")
        check()
    }

    /// One operation: a frame of the peer with fields of the input, or a call of the application.
    mutating func perform(_ operation: UInt8, _ reader: inout ByteReader) {
        let argument = (try? reader.readByte()) ?? 0
        let stream = ours.isEmpty ? UInt32(argument) : ours[Int(argument) % ours.count]
        switch operation % 8 {
        case 0, 1, 2: peerFrame(operation, stream: operation & 0x40 == 0 ? stream : UInt32(argument), &reader)
        case 3: if let id = try? session.open(now: now) { ours.append(id) }
        case 4: session.closeWrite(stream)
        case 5:
            session.reset(stream)
            ours.removeAll { $0 == stream }
        case 6: _ = session.writeHeader(stream, count: Int(argument), into: region)
        default:
            now = now + .milliseconds(Int(argument))
            _ = session.writeControl(into: region, now: now)
        }
        check()
    }

    private mutating func peerFrame(_ operation: UInt8, stream: UInt32, _ reader: inout ByteReader) {
        let flags = (try? reader.readByte()) ?? 0
        let length = (try? reader.readBigEndian(UInt32.self)) ?? 0
        guard let type = YamuxHeader.FrameType(rawValue: operation >> 3 & 3) else { return }
        // A short body that is really there, or any length at all.
        let body = type == .data && flags & 0x80 == 0 ? Int(length % 64) : 0
        let header = YamuxHeader(type, .init(rawValue: UInt16(flags & 0x0f)), stream: stream, length: body > 0 ? UInt32(body) : length)
        var frame = [UInt8](repeating: 0, count: YamuxHeader.byteCount + body)
        frame.withUnsafeMutableBytes { header.encode(into: $0) }
        frame.withUnsafeBytes { receive($0) }
    }

    private func check() {
        precondition(session.inboundStreamCount <= limits.inboundStreams)
        precondition(session.outboundStreamCount <= limits.outboundStreams)
        precondition(session.streamCount == session.inboundStreamCount + session.outboundStreamCount)
    }
}

/// Bytes of a stranger on a fresh connection: nothing is established without the keys.
private func connectionBytes(_ bytes: UnsafeRawBufferPointer, preSharedKey: PreSharedKey?) {
    guard let first = bytes.first else { return }
    var random = RandomSource(testSeed: 4)
    var pipeline = ConnectionPipeline(
        role: first & 1 == 0 ? .inbound : .outbound,
        configuration: PipelineConfiguration(identity: KeyPair(random: &random), preSharedKey: preSharedKey),
        expectedPeer: nil, protocols: ["/ipfs/ping/1.0.0"], pool: BufferPool(), random: &random, now: .zero)
    var rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
    let cut = Int(first >> 1) + 1
    while !rest.isEmpty, !pipeline.isOver {
        let space = pipeline.receiveSpace()
        let count = min(cut, rest.count, space.count)
        space.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        pipeline.receive(count: count, now: .zero)
        while pipeline.poll() != nil {}
        pipeline.flush(now: .zero)
        while pipeline.poll() != nil {}
        if pipeline.hasOutput {
            let waiting = pipeline.transmitBuffers { $0.reduce(0) { $0 + $1.count } }
            pipeline.didTransmit(waiting, now: .zero)
            while pipeline.poll() != nil {}
        }
    }
    precondition(!pipeline.isEstablished, "nobody is a peer without keys")
}
