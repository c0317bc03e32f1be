import CMeshNet
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem
import Synchronization

/// What stands behind a node handle: the engine, the calls that were started on it, and the streams that were handed out.
final class NodeBox: Sendable {
    /// Started calls whose completion the application has not fetched; one more is refused. Completions are never dropped from the queue, so
    /// this bounds them there. Far above what a loop that fetches its events has under way; some 100 bytes each.
    static let startedCallLimit = 65_536

    let engine: Engine
    let names = PeerNames()
    private let generation = Generation.current
    private let closeCalled = Atomic<Bool>(false)
    private let closedEventGiven = Atomic<Bool>(false)
    private let state = Mutex(State())

    private struct State {
        var lastTicket: UInt64 = 0
        var started: [UInt64: Started] = [:]
        var unfetched = 0
        var streams: [UInt64: StreamUse] = [:]
    }

    /// A call under way. Transfers are known to the engine by a ticket of its own, so that they can be ended there.
    private enum Started {
        case command(Ticket?)
        case transfer(Ticket?)
        /// nil until it is posted.
        case send(SendCall?)
    }

    /// Which directions of a stream have a call under way.
    private struct StreamUse {
        var reading = false
        var writing = false
    }

    enum TransferDirection {
        case read, write
        var name: StaticString { self == .read ? "read" : "write" }
    }

    init(_ configuration: Configuration) throws(Failure) {
        do { engine = try Engine(configuration) } catch { throw .call(error) }
    }

    /// The node belongs to a process that this one was forked from: nothing of its engine may be touched.
    var isInherited: Bool { generation != Generation.current }

    // MARK: Closing

    /// False when it was closed before.
    func close() -> Bool {
        guard closeCalled.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged else { return false }
        engine.close()
        return true
    }

    var isClosed: Bool { closeCalled.load(ordering: .acquiring) }

    /// True once in the life of a node.
    func takeClosedEvent() -> Bool { !closedEventGiven.exchange(true, ordering: .acquiringAndReleasing) }

    // MARK: Started calls

    func start(_ command: Command) throws(Failure) -> UInt64 {
        let id = try register(.command(nil))
        let ticket = engine.submit(command) { [self] result in
            if settle(id) {
                engine.queue.post(Ticket(rawValue: id), result)
            } else if case .success(.stream(let stream, _)) = result {
                // Nobody waits for it any more.
                engine.resetStream(stream)
            }
        }
        // It may be complete already.
        state.withLock { state in
            if state.started[id] != nil { state.started[id] = .command(ticket) }
        }
        return id
    }

    func startRead(_ stream: StreamID, into memory: UnsafeMutableRawBufferPointer) throws(Failure) -> UInt64 {
        try begin(.read, on: stream)
        let id = try registerTransfer(.read, on: stream)
        attach(engine.read(stream, into: memory, completion: transferCompletion(id, .read, stream)), to: id)
        return id
    }

    func startWrite(_ stream: StreamID, _ bytes: UnsafeRawBufferPointer) throws(Failure) -> UInt64 {
        try begin(.write, on: stream)
        let id = try registerTransfer(.write, on: stream)
        attach(engine.write(stream, bytes, completion: transferCompletion(id, .write, stream)), to: id)
        return id
    }

    func startSend(_ sending: Sending, _ bytes: [UInt8]) throws(Failure) -> UInt64 {
        let body: OutgoingBody
        do throws(CallError) { body = try engine.body(bytes) } catch { throw .call(error) }
        return try startSend(sending, body)
    }

    func startSend(_ sending: Sending, _ body: OutgoingBody) throws(Failure) -> UInt64 {
        let id = try register(.send(nil)), peer = sending.message.peer
        var accepted: SendCall.Completion?
        if sending.reportsAcceptance {
            accepted = { [self] report in if report.failure == nil { engine.queue.post(accepted: Ticket(rawValue: id)) } }
        }
        let call = engine.send(sending.message, body, accepted: accepted) { [self] report in
            guard settle(id) else { return }
            if let reply = report.reply {
                engine.queue.post(Ticket(rawValue: id), reply: reply, of: peer)
            } else {
                engine.queue.post(Ticket(rawValue: id), report.failure.map { .failure($0) } ?? .success(.done))
            }
        }
        state.withLock { state in
            if state.started[id] != nil { state.started[id] = .send(call) }
        }
        return id
    }

    func cancel(_ id: UInt64) {
        let started = state.withLock { state -> Started? in
            guard let started = state.started[id] else { return nil }
            if case .command = started { state.started[id] = nil }
            return started
        }
        switch started {
        case .command(let ticket):
            engine.queue.post(Ticket(rawValue: id), .failure(.cancelled))
            // Whoever waits for others there is waited for no longer.
            if let ticket { engine.cancel(ticket) }
        case .transfer(let ticket?): engine.cancel(ticket)
        case .send(let call?): engine.cancel(call)
        case .transfer(nil), .send(nil), nil: break
        }
    }

    private func register(_ call: Started) throws(Failure) -> UInt64 {
        if isClosed { throw .call(.closed) }
        let id = state.withLock { state -> UInt64? in
            guard state.unfetched < Self.startedCallLimit else { return nil }
            state.unfetched += 1
            state.lastTicket += 1
            state.started[state.lastTicket] = call
            return state.lastTicket
        }
        guard let id else { throw .call(.limitReached("\(Self.startedCallLimit) started calls whose completion was not fetched")) }
        return id
    }

    private func registerTransfer(_ direction: TransferDirection, on stream: StreamID) throws(Failure) -> UInt64 {
        do { return try register(.transfer(nil)) } catch {
            end(direction, on: stream)
            throw error
        }
    }

    /// The engine may have completed the transfer before its ticket is known here.
    private func attach(_ ticket: Ticket, to id: UInt64) {
        state.withLock { state in
            if state.started[id] != nil { state.started[id] = .transfer(ticket) }
        }
    }

    private func transferCompletion(_ id: UInt64, _ direction: TransferDirection, _ stream: StreamID) -> Engine.Completion<Int> {
        { [self] result in
            end(direction, on: stream)
            if settle(id) { engine.queue.post(Ticket(rawValue: id), result.map(Outcome.transferred)) }
        }
    }

    /// The application has the completion of a started call.
    func completionFetched() {
        state.withLock { $0.unfetched -= 1 }
    }

    /// False when the call was cancelled before.
    private func settle(_ id: UInt64) -> Bool {
        state.withLock { $0.started.removeValue(forKey: id) != nil }
    }

    // MARK: Streams that were handed out

    func handOut(_ stream: StreamID) {
        state.withLock { $0.streams[stream.rawValue] = StreamUse() }
    }

    /// Throws unless the application has the stream.
    func check(_ stream: StreamID) throws(Failure) {
        if isClosed { throw .call(.closed) }
        guard state.withLock({ $0.streams[stream.rawValue] != nil }) else { throw .call(.noSuchStream) }
    }

    /// The application gives the stream up.
    func takeBack(_ stream: StreamID) throws(Failure) {
        if isClosed { throw .call(.closed) }
        guard state.withLock({ $0.streams.removeValue(forKey: stream.rawValue) != nil }) else { throw .call(.noSuchStream) }
    }

    /// Marks one direction of a stream as used, until `end`.
    func begin(_ direction: TransferDirection, on stream: StreamID) throws(Failure) {
        if isClosed { throw .call(.closed) }
        let failure = state.withLock { state -> Failure? in
            guard var use = state.streams[stream.rawValue] else { return .call(.noSuchStream) }
            switch direction {
            case .read:
                if use.reading { return .busy(direction.name) }
                use.reading = true
            case .write:
                if use.writing { return .busy(direction.name) }
                use.writing = true
            }
            state.streams[stream.rawValue] = use
            return nil
        }
        if let failure { throw failure }
    }

    func end(_ direction: TransferDirection, on stream: StreamID) {
        state.withLock { state in
            switch direction {
            case .read: state.streams[stream.rawValue]?.reading = false
            case .write: state.streams[stream.rawValue]?.writing = false
            }
        }
    }
}
