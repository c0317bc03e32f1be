public import MeshNetProtocol
public import MeshNetSwarm
import MeshNetSystem

// Messages to one peer. A channel exists for each peer id, whether or not there is a connection: messages wait, the peer is dialled again and again,
// and each message arrives once, in the order of its lane.
extension Node {
    /// Queues a message for a peer, connected or not; returns when it is in the queue, and on disk where there is a state directory. The ticket
    /// tells what becomes of it; it need not be kept.
    ///
    /// Waits for room in a full queue unless `whenFull` says otherwise; a task that is cancelled while it waits takes the message back.
    /// Throws `.messageTooLarge`, `.queueFull`, `.expired`, `.peerClosed`, `.peerRestarted`, `.gaveUp`, `.storage`, `.limitReached`, `.cancelled`.
    @discardableResult
    public func send(
        _ bytes: [UInt8], to peer: PeerID, lane: Lane = .normal, deadline: Duration? = nil, whenFull: WhenFull = .wait
    ) async throws(CallError) -> MessageTicket {
        let message = OutboundMessage(peer: peer, options: SendOptions(lane: lane, deadline: deadline, whenFull: whenFull))
        return try await send(message, try engine.body(bytes))
    }

    /// Queues the content of a file, as it is now. Blocks the thread for the file. Throws `CallError` as `send`, and `MessageFileError`.
    @discardableResult
    public func send(
        file path: String, to peer: PeerID, lane: Lane = .bulk, deadline: Duration? = nil, whenFull: WhenFull = .wait
    ) async throws -> MessageTicket {
        let content: OutgoingBody
        do throws(SendFileError) { content = try engine.bodies.content(of: path) } catch {
            switch error {
            case .file(let error): throw MessageFileError(path, error)
            case .call(let error): throw error
            }
        }
        let options = SendOptions(lane: lane, deadline: deadline, whenFull: whenFull)
        return try await send(OutboundMessage(peer: peer, options: options), content)
    }

    /// Sends a request and waits for the reply of the peer; `timeout` nil: as long as `MessageConfiguration.requestTimeout`.
    /// A task that is cancelled no longer waits. Throws as `send`, and `.timedOut`.
    public func request(
        _ bytes: [UInt8], of peer: PeerID, lane: Lane = .normal, timeout: Duration? = nil, whenFull: WhenFull = .wait
    ) async throws(CallError) -> [UInt8] {
        let message = OutboundMessage(peer: peer, kind: .request, options: SendOptions(lane: lane, deadline: timeout, whenFull: whenFull))
        let ticket = MessageTicket(engine), body = try engine.body(bytes)
        let report = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                ticket.attach(engine.send(message, body, accepted: nil) { continuation.resume(returning: $0) })
            }
        } onCancel: {
            ticket.cancel()
        }
        if let failure = report.failure { throw failure }
        guard let reply = report.reply else { return [] }
        do throws(SystemError) { return try reply.bytes() } catch { throw .storage(.failed(path: "the reply", reason: error.description)) }
    }

    /// Messages of peers: the control lane first, then normal, then bulk. Each reaches one iterator. Nothing is dropped: what is not taken holds
    /// its sender back. A message is done with when the next one is asked for, or `done()` is called, or it is let go.
    public var messages: ReceivedMessages { ReceivedMessages(engine: engine) }

    /// Wants the channel to a peer, whatever closed it or gave it up: the peer is dialled now, and again until it is there.
    /// - Parameter addresses: where it may be found, beside those that are known.
    public func reconnect(_ peer: PeerID, at addresses: [Multiaddr] = []) async throws(CallError) { _ = try await run(.reconnect(peer, addresses)) }

    /// Tells the peer goodbye for this reason, of which 256 bytes are used, and keeps apart from it until `reconnect` here.
    public func closePeer(_ peer: PeerID, reason: String = "") async throws(CallError) { _ = try await run(.close(peer, reason: reason)) }

    /// The state of the channel to a peer; nil: there is none.
    public func channel(_ peer: PeerID) async throws(CallError) -> ChannelStatus? {
        guard case .channels(let channels) = try await run(.channels(peer)) else { throw .closed }
        return channels.first
    }

    public func channels() async throws(CallError) -> [ChannelStatus] {
        guard case .channels(let channels) = try await run(.channels(nil)) else { throw .closed }
        return channels
    }

    private func send(_ message: OutboundMessage, _ body: OutgoingBody) async throws(CallError) -> MessageTicket {
        let ticket = MessageTicket(engine)
        let report = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let accepted: SendCall.Completion = { continuation.resume(returning: $0) }
                ticket.attach(engine.send(message, body, accepted: accepted) { ticket.finish($0) })
            }
        } onCancel: {
            ticket.cancel()
        }
        if let failure = report.failure { throw failure }
        return ticket
    }
}

/// Why a file cannot be sent, or a message not read or saved.
public struct MessageFileError: Error, Sendable, Equatable, CustomStringConvertible {
    public let path: String
    public let reason: String
    public var description: String { "\(path): \(reason)" }

    init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    init(_ path: String, _ error: SystemError) { self.init(path: path, reason: error.description) }
}
