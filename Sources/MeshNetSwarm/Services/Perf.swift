import MeshNetProtocol

/// One run of `/perf/1.0.0` (libp2p specs, perf): the client says in 8 bytes how many it wants back, uploads and ends its half;
/// the server reads to the end and sends that many.
struct PerfTransfer {
    static let protocolID = "/perf/1.0.0"
    static let headerByteCount = 8

    enum Role {
        case client(Ticket, upload: UInt64)
        case server
    }

    let role: Role
    /// Bytes that are still to be sent.
    var toSend: UInt64
    /// Bytes that the client still expects.
    var toReceive: UInt64 = 0
    /// The header, as far as it was sent or received.
    var header: [UInt8] = []
    var headerDone = 0
    var isSending: Bool
    let startedAt: Instant
    var uploadedAt: Instant?

    var ticket: Ticket? {
        if case .client(let ticket, _) = role { return ticket }
        return nil
    }
}

extension Swarm {
    mutating func startPerf(_ peer: PeerID, upload: UInt64, download: UInt64, ticket: Ticket) {
        guard let id = peers[peer]?.primary else { return complete(ticket, .failure(.notConnected(peer))) }
        let stream: PipelineStream
        do throws(StreamOpenError) {
            guard let opened = try connections[id]?.pipeline?.openStream([PerfTransfer.protocolID], now: now) else {
                return complete(ticket, .failure(.notConnected(peer)))
            }
            stream = opened
        } catch {
            return complete(ticket, .failure(CallError(error, peer: peer)))
        }
        var header: [UInt8] = []
        header.appendBigEndian(download)
        connections[id]?.perf[stream] = PerfTransfer(
            role: .client(ticket, upload: upload), toSend: upload, toReceive: download, header: header, isSending: true, startedAt: now)
        use(stream, for: .perfClient, on: id)
        continuePerf(stream, on: id)
    }

    mutating func servePerf(_ stream: PipelineStream, on id: ConnectionID) {
        connections[id]?.perf[stream] = PerfTransfer(role: .server, toSend: 0, isSending: false, startedAt: now)
        use(stream, for: .perfServer, on: id)
    }

    /// Writes as much as the stream takes: the header first, zeros afterwards, then the end.
    mutating func continuePerf(_ stream: PipelineStream, on id: ConnectionID) {
        guard var transfer = connections[id]?.perf[stream], transfer.isSending else { return }
        if transfer.headerDone < transfer.header.count {
            let rest = transfer.header[transfer.headerDone...]
            transfer.headerDone += rest.withUnsafeBytes { connections[id]?.pipeline?.write(stream, $0) ?? 0 }
        }
        while transfer.headerDone == transfer.header.count, transfer.toSend > 0 {
            let size = Int(min(transfer.toSend, UInt64(PerfZeros.byteCount)))
            let taken = PerfZeros.withBytes(size) { connections[id]?.pipeline?.write(stream, $0) ?? 0 }
            transfer.toSend -= UInt64(taken)
            if taken < size { break }
        }
        if transfer.headerDone == transfer.header.count, transfer.toSend == 0 {
            transfer.isSending = false
            transfer.uploadedAt = now
            connections[id]?.pipeline?.closeWrite(stream)
        }
        connections[id]?.perf[stream] = transfer
        touch(id)
    }

    mutating func perfBytes(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        guard var transfer = connections[id]?.perf[stream] else { return }
        switch transfer.role {
        case .server:
            let take = min(PerfTransfer.headerByteCount - transfer.header.count, bytes.count)
            if take > 0 { transfer.header.append(contentsOf: bytes.prefix(take)) }
        case .client:
            let (rest, overflow) = transfer.toReceive.subtractingReportingOverflow(UInt64(bytes.count))
            if overflow { return failPerf(stream, on: id) }
            transfer.toReceive = rest
        }
        connections[id]?.perf[stream] = transfer
    }

    mutating func perfInputEnded(_ stream: PipelineStream, on id: ConnectionID) {
        guard var transfer = connections[id]?.perf[stream] else { return }
        switch transfer.role {
        case .server:
            guard transfer.header.count == PerfTransfer.headerByteCount else { return failPerf(stream, on: id) }
            transfer.toSend = transfer.header.reduce(0) { $0 << 8 | UInt64($1) }
            transfer.header = []
            transfer.isSending = true
            connections[id]?.perf[stream] = transfer
            continuePerf(stream, on: id)
        case .client(let ticket, _):
            guard transfer.toReceive == 0, let uploadedAt = transfer.uploadedAt else { return failPerf(stream, on: id) }
            connections[id]?.perf[stream] = nil
            connections[id]?.streams[stream] = .finished
            complete(ticket, .success(.perf(upload: uploadedAt - transfer.startedAt, download: now - uploadedAt)))
        }
    }

    mutating func perfEnded(_ stream: PipelineStream, on id: ConnectionID, _ result: Result<Outcome, CallError>) {
        guard let transfer = connections[id]?.perf.removeValue(forKey: stream), let ticket = transfer.ticket else { return }
        complete(ticket, result)
    }

    private mutating func failPerf(_ stream: PipelineStream, on id: ConnectionID) {
        connections[id]?.streams[stream] = nil
        connections[id]?.pipeline?.reset(stream)
        perfEnded(stream, on: id, .failure(.streamReset))
    }
}

/// The bytes that a perf run sends: one region of zeros for all, as many as fill a Noise frame.
private enum PerfZeros {
    static let byteCount = SendTurns.share
    nonisolated(unsafe) private static let memory: UnsafeRawPointer = {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4_096)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        return UnsafeRawPointer(memory)
    }()

    static func withBytes(_ count: Int, _ body: (UnsafeRawBufferPointer) -> Int) -> Int {
        body(UnsafeRawBufferPointer(start: memory, count: count))
    }
}
