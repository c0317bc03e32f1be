import MeshNetProtocol
import MeshNetSwarm

// Application streams: from the swarm's views into the callers' memory, and back.
extension Loop {
    // MARK: Reading

    func read(_ stream: StreamID, _ read: StreamPort.Read) {
        guard let port = ports[stream] else { return finish(read, .failure(.noSuchStream)) }
        guard !read.memory.isEmpty else { return finish(read, .success(0)) }
        if port.reads.isEmpty {
            let count = port.received.take(into: read.memory)
            if count > 0 {
                deferred.append(.consumed(stream, count))
                return finish(read, .success(count))
            }
            if let end = port.endOfReading { return finish(read, end) }
        }
        port.reads.append(read)
        streamOfTicket[read.ticket] = stream
    }

    func received(_ stream: StreamID, _ bytes: UnsafeRawBufferPointer) {
        guard let port = ports[stream], port.closing != .both else {
            deferred.append(.consumed(stream, bytes.count))
            return
        }
        guard port.deliver(bytes), !port.isFilling else { return }
        port.isFilling = true
        filling.append(stream)
    }

    /// Completes the reads that this turn's bytes went to, and serves those behind them.
    func completeFilledReads() {
        guard !filling.isEmpty else { return }
        let streams = filling
        filling.removeAll(keepingCapacity: true)
        for stream in streams {
            guard let port = ports[stream] else { continue }
            port.isFilling = false
            var consumed = 0
            while var read = port.reads.first {
                let rest = UnsafeMutableRawBufferPointer(rebasing: read.memory[read.filled...])
                read.filled += port.received.take(into: rest)
                guard read.filled > 0 else { break }
                _ = port.reads.popFirst()
                consumed += read.filled
                finish(read, .success(read.filled))
            }
            deferred.append(.consumed(stream, consumed))
            settleReads(port)
        }
        drain()
    }

    func ended(_ stream: StreamID) {
        guard let port = ports[stream] else { return }
        port.isEnded = true
        if !port.isFilling { settleReads(port) }
    }

    /// Ends the reads that wait when nothing more will come.
    private func settleReads(_ port: StreamPort) {
        guard port.received.isEmpty, let end = port.endOfReading else { return }
        endReads(port, end)
    }

    func endReads(_ port: StreamPort, _ result: Result<Int, CallError>) {
        while let read = port.reads.popFirst() { finish(read, read.filled > 0 ? .success(read.filled) : result) }
    }

    func finish(_ read: StreamPort.Read, _ result: Result<Int, CallError>) {
        streamOfTicket[read.ticket] = nil
        mailbox.answered()
        read.completion(result)
    }

    // MARK: Writing

    func write(_ stream: StreamID, _ write: StreamPort.Write) {
        guard let port = ports[stream] else { return finish(write, .failure(.noSuchStream)) }
        if let error = port.endOfWriting { return finish(write, .failure(error)) }
        port.writes.append(write)
        streamOfTicket[write.ticket] = stream
        if !port.isFull { continueWriting(stream) }
    }

    /// Hands waiting bytes to the swarm until it takes no more; then what was to follow them.
    func continueWriting(_ stream: StreamID) {
        guard let port = ports[stream] else { return }
        while !port.isFull, var write = port.writes.first {
            do {
                write.taken += try swarm.write(stream, UnsafeRawBufferPointer(rebasing: write.bytes[write.taken...]))
            } catch {
                return endWrites(port, error)
            }
            guard write.taken == write.bytes.count else {
                port.writes.first = write
                port.isFull = true
                return
            }
            _ = port.writes.popFirst()
            finish(write, .success(write.taken))
        }
        guard port.writes.isEmpty else { return }
        switch port.closing {
        case .no: break
        case .writing: swarm.closeWrite(stream, now: now)
        case .both: swarm.closeStream(stream, now: now)
        }
    }

    func endWrites(_ port: StreamPort, _ error: CallError) {
        while let write = port.writes.popFirst() { finish(write, .failure(error)) }
    }

    func finish(_ write: StreamPort.Write, _ result: Result<Int, CallError>) {
        streamOfTicket[write.ticket] = nil
        mailbox.answered()
        write.completion(result)
    }

    // MARK: Ending

    func closeWrite(_ stream: StreamID) {
        guard let port = ports[stream], port.closing == .no else { return }
        port.closing = .writing
        if port.writes.isEmpty { swarm.closeWrite(stream, now: now) }
    }

    func closeStream(_ stream: StreamID) {
        guard let port = ports[stream], port.closing != .both else { return }
        port.closing = .both
        endReads(port, .failure(.streamClosed))
        let unread = port.received.clear()
        if unread > 0 { deferred.append(.consumed(stream, unread)) }
        if case .gone = port.ending {
            ports[stream] = nil
        } else if port.writes.isEmpty {
            swarm.closeStream(stream, now: now)
        }
    }

    func resetStream(_ stream: StreamID) {
        guard let port = ports.removeValue(forKey: stream) else { return }
        endReads(port, .failure(.streamClosed))
        endWrites(port, .streamClosed)
        swarm.resetStream(stream, now: now)
    }

    /// The stream is gone from its connection; what arrived can still be read.
    func gone(_ stream: StreamID, _ error: CallError?) {
        guard let port = ports[stream] else { return }
        port.ending = .gone(error)
        endWrites(port, error ?? .streamClosed)
        if port.closing == .both {
            ports[stream] = nil
            return
        }
        if !port.isFilling { settleReads(port) }
        endedStreams.append(stream)
        while endedStreams.count > Self.endedStreamsKept, let oldest = endedStreams.popFirst() {
            if let forgotten = ports.removeValue(forKey: oldest) { endReads(forgotten, .failure(.noSuchStream)) }
        }
    }
}
