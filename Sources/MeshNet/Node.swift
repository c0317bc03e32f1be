public import MeshNetProtocol
public import MeshNetSwarm
import MeshNetSystem

/// A libp2p node: it listens, dials, keeps its connections, and carries messages and streams.
///
/// ```swift
/// let node = try Node(identity: KeyPair.generate(), bootstrapPeers: [], listenPort: 0)
/// _ = try await node.subscribe("news")
/// for await event in node.events {
///     if case .message(let message) = event { print(message.data) }
/// }
/// ```
///
/// The node runs on a thread of its own and makes progress whatever the application does. All methods may be called from any
/// task or thread, and throw `CallError.closed` after `close()`. Letting go of the last reference closes the node.
public final class Node: Sendable {
    let engine: Engine

    /// Starts a node that listens on `listenPort` (0: the kernel chooses) of every interface and dials `bootstrapPeers` for ever.
    ///
    /// An entry that cannot be used does not stop the node: see `Event.addressProblem` and `addressProblems()`.
    /// Throws `CallError.listenFailed` when the port cannot be had.
    public convenience init(identity: KeyPair, bootstrapPeers: [String], listenPort: UInt16) throws(CallError) {
        try self.init(Configuration(identity: identity, bootstrapPeers: bootstrapPeers, listenPort: listenPort))
    }

    /// Starts a node with everything that can be chosen. Throws `.listenFailed` or `.invalidAddress`.
    public init(_ configuration: Configuration) throws(CallError) {
        engine = try Engine(configuration)
    }

    deinit { engine.close() }

    /// The name by which others know this node.
    public var peerID: PeerID { engine.localPeer }

    /// Where this node can be reached: real ports, wildcards expanded, loopback last, without `/p2p/…`. Empty after close.
    public func listenAddresses() -> [Multiaddr] { engine.listenAddresses() }

    /// What happens to the node. Each event reaches one iterator: give the sequence one consumer, or share what it gives.
    ///
    /// The sequence ends when the node is closed and everything was read.
    public var events: Events { Events(queue: engine.queue) }

    /// Ends the node: go-aways are sent, everything that waits ends with `.closed`. Takes less than a second; twice is once.
    public func close() { engine.close() }

    // MARK: - Peers

    /// Connects to an address, with or without `/p2p/…`; gives the connection there is when the peer is connected already.
    /// Throws `.dial` with the reason, after at most `Configuration.dialTimeout` for each address.
    @discardableResult
    public func connect(_ address: Multiaddr) async throws(CallError) -> PeerConnection {
        guard case .peer(let connection) = try await run(.connect(address)) else { throw .closed }
        return connection
    }

    /// Reads the address first; throws `.invalidAddress` with the reason.
    @discardableResult
    public func connect(_ address: String) async throws(CallError) -> PeerConnection {
        try await connect(Self.parse(address))
    }

    /// Closes every connection to the peer and stops dialling it as a bootstrap peer until `connect` or the peer itself comes back.
    public func disconnect(_ peer: PeerID) async throws(CallError) { _ = try await run(.disconnect(peer)) }

    /// Dials the address for ever, as if it had been configured. False: it was there already.
    @discardableResult
    public func addBootstrapPeer(_ address: Multiaddr) async throws(CallError) -> Bool { try await change(.addBootstrap(address)) }

    /// Stops dialling it; a connection stays. False: it was not there.
    @discardableResult
    public func removeBootstrapPeer(_ address: Multiaddr) async throws(CallError) -> Bool { try await change(.removeBootstrap(address)) }

    /// Connected peers, in the order of their ids.
    public func peers() async throws(CallError) -> [PeerConnection] {
        guard case .peers(let peers) = try await run(.peers) else { throw .closed }
        return peers
    }

    /// Configured addresses that could not be used, or were taken to mean another one.
    public func addressProblems() async throws(CallError) -> [AddressProblem] {
        guard case .problems(let problems) = try await run(.addressProblems) else { throw .closed }
        return problems
    }

    /// The round trip of a libp2p ping.
    public func ping(_ peer: PeerID) async throws(CallError) -> Duration {
        guard case .roundTrip(let time) = try await run(.ping(peer)) else { throw .closed }
        return time
    }

    // MARK: - Discovery

    /// What the sources of peers told, and what became of it.
    public func discoveryTable() async throws(CallError) -> DiscoveryTable {
        guard case .discovery(let table) = try await run(.discoveryTable) else { throw .closed }
        return table
    }

    /// Why a peer id or a multiaddr is not connected, or that it is; within 10 s. A text that is neither is a finding, not an error.
    public func diagnose(_ target: String) async throws(CallError) -> Diagnosis {
        guard case .diagnosis(let diagnosis) = try await run(.diagnose(target)) else { throw .closed }
        return diagnosis
    }

    /// Changes how others are found, as a whole: sources start, stop and change, connections stay. Throws `.invalidSetting`.
    public func configureDiscovery(_ discovery: DiscoveryConfiguration) async throws(CallError) {
        _ = try await run(try engine.configureDiscovery(discovery))
    }

    /// Never trims the connections of the peer: see `ConnectionManagerConfiguration`. False: it was protected already.
    @discardableResult
    public func protect(_ peer: PeerID) async throws(CallError) -> Bool { try await change(.protect(peer)) }

    /// False: it was not protected.
    @discardableResult
    public func unprotect(_ peer: PeerID) async throws(CallError) -> Bool { try await change(.unprotect(peer)) }

    // MARK: - Messages

    /// Follows a topic. False: it was followed already.
    @discardableResult
    public func subscribe(_ topic: String) async throws(CallError) -> Bool { try await change(.subscribe(topic)) }

    /// False: it was not followed.
    @discardableResult
    public func unsubscribe(_ topic: String) async throws(CallError) -> Bool { try await change(.unsubscribe(topic)) }

    /// Sends a message to everyone who follows the topic. Returns when it is queued for the peers that get it first.
    /// Throws `.noPeersSubscribed`, `.allQueuesFull`, `.messageTooLarge`, `.invalidTopic`.
    public func publish(_ topic: String, _ data: [UInt8]) async throws(CallError) {
        _ = try await run(.publish(topic: topic, data: data))
    }

    /// Publishes messages in order, at the cost of one call for each 256 of them. Returns how many were published: where these are fewer, publishing the rest
    /// tells why. Throws as `publish`, and `.limitReached`, when not even the first was.
    @discardableResult
    public func publish(_ topic: String, many messages: [[UInt8]]) async throws(CallError) -> Int {
        var published = 0
        while published < messages.count {
            let part = LentMessages(messages[published...].prefix(Engine.publishedAtOnce))
            let result: Result<PublishReport, CallError> = await withCheckedContinuation { continuation in
                engine.publish(topic, part.bodies) { result in
                    withExtendedLifetime(part) { continuation.resume(returning: result) }
                }
            }
            let failure: CallError?
            switch result {
            case .success(let report):
                published += report.count
                failure = report.failure
            case .failure(let error): failure = error
            }
            guard let failure else { continue }
            if published == 0 { throw failure }
            break
        }
        return published
    }

    /// Connected peers that follow the topic.
    public func peers(topic: String) async throws(CallError) -> [PeerID] {
        guard case .topicPeers(let peers) = try await run(.topicPeers(topic)) else { throw .closed }
        return peers
    }

    /// As `publish`; the message is also kept as the topic's last value: who follows the topic later gets it from anybody who follows it now, as a message with
    /// `isRetained`. Succeeds also where nobody follows the topic yet. Throws `.messageTooLarge` above 1 MiB, `.limitReached`, `.invalidTopic`.
    public func publishRetained(_ topic: String, _ data: [UInt8]) async throws(CallError) {
        _ = try await run(.publishRetained(topic: topic, data: data))
    }

    /// Waits until so many connected peers follow the topic, and gives those that follow it then. We need not follow it.
    /// Throws `.cancelled` when the task is cancelled, `.limitReached` when 1,024 such calls wait.
    @discardableResult
    public func waitForPeers(_ count: Int, topic: String) async throws(CallError) -> [PeerID] {
        let call = CancellableCall(engine)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                call.start(.waitForPeers(count, topic: topic)) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            call.cancel()
        }
        guard case .topicPeers(let peers) = try result.get() else { throw .closed }
        return peers
    }

    // MARK: - Streams

    /// Opens a stream with the first of the protocol ids that the peer speaks. Throws `.protocolNotSupported`, `.notConnected`.
    public func openStream(to peer: PeerID, protocols: [String]) async throws(CallError) -> Stream {
        guard case .stream(let id, let protocolID) = try await run(.openStream(peer, protocols: protocols)) else { throw .closed }
        return Stream(engine: engine, id: id, peer: peer, protocolID: protocolID)
    }

    /// Lets peers open streams for a protocol id, such as "/chat/1.0.0": they arrive as `Event.streamOpened`. False: already so.
    @discardableResult
    public func accept(_ protocolID: String) async throws(CallError) -> Bool { try await change(.accept(protocolID)) }

    @discardableResult
    public func stopAccepting(_ protocolID: String) async throws(CallError) -> Bool { try await change(.stopAccepting(protocolID)) }

    /// The stream of an `Event.streamOpened`.
    public func stream(_ id: StreamID, peer: PeerID, protocolID: String) -> Stream {
        Stream(engine: engine, id: id, peer: peer, protocolID: protocolID)
    }

    /// Measures with `/perf/1.0.0`: how long so many bytes take to the peer, and back from it.
    public func perf(_ peer: PeerID, upload: UInt64, download: UInt64) async throws(CallError) -> (upload: Duration, download: Duration) {
        guard case .perf(let up, let down) = try await run(.perf(peer, upload: upload, download: download)) else { throw .closed }
        return (up, down)
    }

    // MARK: -

    func run(_ command: Command) async throws(CallError) -> Outcome {
        try await withCheckedContinuation { continuation in
            engine.submit(command) { continuation.resume(returning: $0) }
        }.get()
    }

    private func change(_ command: Command) async throws(CallError) -> Bool {
        guard case .changed(let changed) = try await run(command) else { throw .closed }
        return changed
    }

    private static func parse(_ text: String) throws(CallError) -> Multiaddr {
        do throws(MultiaddrError) {
            return try Multiaddr(text)
        } catch {
            throw .invalidAddress(text: text, reason: "\(error)")
        }
    }
}

/// The events of a node, in order. Ends with the node, or when the task that waits is cancelled.
public struct Events: AsyncSequence, Sendable {
    let queue: EventQueue

    public struct AsyncIterator: AsyncIteratorProtocol {
        let queue: EventQueue

        public mutating func next() async -> Event? {
            while let item = try? await queue.next() {
                if case .event(let event) = item { return event }
            }
            return nil
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: queue) }
}
