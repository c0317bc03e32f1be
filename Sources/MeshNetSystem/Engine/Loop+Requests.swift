import MeshNetProtocol
import MeshNetSwarm

// What callers ask for, and its answers.
extension Loop {
    func serveRequests() {
        // The wakeup for what came meanwhile may be used up in a turn that still serves the rest of an earlier batch.
        isInboxUnseen = nextRequest < requests.count
        if !isInboxUnseen {
            mailbox.take(into: &requests)
            nextRequest = 0
        }
        let end = min(requests.count, nextRequest + Self.requestsPerTurn)
        while nextRequest < end {
            let request = requests[nextRequest]
            nextRequest += 1
            serve(request)
            drain()
        }
    }

    private func serve(_ request: Request) {
        switch request {
        case .command(let command, let ticket, let completion):
            commands[ticket] = .some(completion)
            swarm.perform(command, ticket: ticket, now: now)
        case .read(let stream, let memory, let ticket, let completion):
            read(stream, StreamPort.Read(ticket: ticket, memory: memory.buffer, completion: completion))
        case .write(let stream, let memory, let ticket, let completion):
            write(stream, StreamPort.Write(ticket: ticket, bytes: memory.buffer, completion: completion))
        case .cancel(let ticket, let error): cancel(ticket, error)
        case .closeWrite(let stream): closeWrite(stream)
        case .closeStream(let stream): closeStream(stream)
        case .resetStream(let stream): resetStream(stream)
        case .send(let call): send(call)
        case .cancelSend(let call, let error): cancel(call, error)
        case .publish(let topic, let bodies, _, let completion):
            let (count, failure) = swarm.publish(topic, run: bodies.buffer, now: now)
            mailbox.answered()
            completion(.success(PublishReport(count: count, failure: failure)))
        }
    }

    func completed(_ ticket: Ticket, _ result: Result<Outcome, CallError>) {
        if sendEnded(ticket, result) { return }
        if abandoned.remove(ticket) != nil {
            mailbox.answered()
            if case .success(.stream(let stream, _)) = result { deferred.append(.reset(stream)) }
            return
        }
        guard let completion = commands.removeValue(forKey: ticket) else { return }
        if case .success(.stream(let stream, _)) = result { ports[stream] = StreamPort() }
        mailbox.answered()
        answer(ticket, completion, result)
    }

    private func answer(_ ticket: Ticket, _ completion: Engine.Completion<Outcome>?, _ result: Result<Outcome, CallError>) {
        if let completion {
            completion(result)
        } else {
            queue.put(.completion(ticket, result))
        }
    }

    private func cancel(_ ticket: Ticket, _ error: CallError) {
        if let completion = commands.removeValue(forKey: ticket) {
            abandoned.insert(ticket)
            answer(ticket, completion, .failure(error))
            swarm.cancelWait(ticket, now: now)
        } else if let stream = streamOfTicket[ticket], let port = ports[stream] {
            if let read = port.reads.removeFirst(where: { $0.ticket == ticket }) {
                if read.filled > 0 { deferred.append(.consumed(stream, read.filled)) }
                finish(read, read.filled > 0 ? .success(read.filled) : .failure(error))
            } else if let write = port.writes.removeFirst(where: { $0.ticket == ticket }) {
                finish(write, .failure(error))
                continueWriting(stream)
            }
        }
    }

    /// Everybody who waits for the reactor learns that it closes.
    func endCalls() {
        completeFilledReads()
        for stream in ports.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let port = ports.removeValue(forKey: stream) else { continue }
            endReads(port, .failure(.closed))
            endWrites(port, .closed)
        }
        for ticket in commands.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let completion = commands.removeValue(forKey: ticket) else { continue }
            mailbox.answered()
            answer(ticket, completion, .failure(.closed))
        }
        repeat {
            while nextRequest < requests.count {
                refuse(requests[nextRequest])
                nextRequest += 1
            }
            mailbox.take(into: &requests)
            nextRequest = 0
        } while !requests.isEmpty
    }

    private func refuse(_ request: Request) {
        guard request.isAnswered else { return }
        if case .send(let call) = request {
            mailbox.sendAccepted(call.heldByteCount)
            return call.refuse(.closed)
        }
        mailbox.answered()
        switch request {
        case .command(_, let ticket, let completion): answer(ticket, completion, .failure(.closed))
        case .read(_, _, _, let completion), .write(_, _, _, let completion): completion(.failure(.closed))
        case .publish(_, _, _, let completion): completion(.failure(.closed))
        case .cancel, .closeWrite, .closeStream, .resetStream, .send, .cancelSend: break
        }
    }
}
