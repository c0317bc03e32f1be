public import MeshNetProtocol
public import MeshNetSwarm
import MeshNetSystem

/// A message of a peer. It is the application's until `done()`, or until it is let go: then it makes room for others of its peer, and with a state
/// directory it does not come again after a restart.
public final class ReceivedMessage: Sendable {
    let delivery: Delivery
    private let engine: Engine
    private struct State {
        var isDone = false
        var isAnswered = false
    }
    private let state = Guarded(State())

    init(_ delivery: Delivery, _ engine: Engine) {
        self.delivery = delivery
        self.engine = engine
    }

    deinit { done() }

    public var peer: PeerID { delivery.source.peer }
    public var lane: Lane { delivery.lane }
    /// From 1. With incarnation and lane it names a message of this peer for ever.
    public var sequence: UInt64 { delivery.sequence }
    public var incarnation: Incarnation { delivery.source.incarnation }
    /// It was given out before the process ended, and not done with.
    public var isRedelivered: Bool { delivery.isRedelivered }
    /// The peer waits for `reply`.
    public var isRequest: Bool { delivery.request != nil }
    public var byteCount: Int { delivery.byteCount }
    /// It lies in a file, and is better read in pieces or saved.
    public var isLarge: Bool { if case .file = delivery.body { true } else { false } }

    /// All of it, copied. A large message is read from its file, which blocks.
    public var bytes: [UInt8] {
        get throws(MessageFileError) {
            do throws(SystemError) { return try delivery.body.bytes() } catch { throw MessageFileError("the message", error) }
        }
    }

    /// At most `count` bytes from `offset` on; fewer at the end only.
    public func read(from offset: Int, upTo count: Int) throws(MessageFileError) -> [UInt8] {
        do throws(SystemError) { return try delivery.body.bytes(from: max(0, offset), upTo: count) } catch { throw MessageFileError("the message", error) }
    }

    /// Writes it into a file that is complete or not there; one that exists is replaced. Mode 0600. Blocks.
    /// - Parameter progress: is told how many bytes are written.
    public func save(to path: String, progress: ((Int) -> Void)? = nil) throws(MessageFileError) {
        do throws(SystemError) { try MessageFiles.save(delivery.body, path, progress: progress) } catch { throw MessageFileError(path, error) }
    }

    /// Answers a request, once, on its lane. Returns when the reply is in its queue. Of a message that is no request, or was answered, nothing is sent
    /// and false returned.
    @discardableResult
    public func reply(_ bytes: [UInt8]) async throws(CallError) -> Bool {
        guard let request = delivery.request else { return false }
        let body = try engine.body(bytes)
        let isFirst = state.with { state in
            defer { state.isAnswered = true }
            return !state.isAnswered
        }
        guard isFirst else { return false }
        let reply = OutboundMessage(peer: peer, kind: .reply(request), options: SendOptions(lane: lane))
        let report = await withCheckedContinuation { continuation in
            engine.send(reply, body, accepted: { continuation.resume(returning: $0) }, ended: nil)
        }
        guard let failure = report.failure else { return true }
        state.with { $0.isAnswered = false }
        throw failure
    }

    /// The application needs it no more. Twice is once.
    public func done() {
        let isFirst = state.with { state in
            defer { state.isDone = true }
            return !state.isDone
        }
        if isFirst { engine.inbox.settlements.settle(delivery) }
    }
}

/// The messages that arrive at a node. Ends with the node, or when the task that waits is cancelled.
public struct ReceivedMessages: AsyncSequence, Sendable {
    let engine: Engine

    public struct AsyncIterator: AsyncIteratorProtocol {
        let engine: Engine
        private var last: ReceivedMessage?

        init(engine: Engine) { self.engine = engine }

        /// Also says that the application is done with the message before.
        public mutating func next() async -> ReceivedMessage? {
            last?.done()
            last = nil
            guard let delivery = try? await engine.inbox.next() else { return nil }
            let message = ReceivedMessage(delivery, engine)
            last = message
            return message
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(engine: engine) }
}
