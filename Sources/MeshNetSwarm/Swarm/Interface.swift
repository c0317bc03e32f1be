package import MeshNetProtocol

/// One TCP connection of this node, numbered by the swarm, never reused.
package struct ConnectionID: Hashable, Comparable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: ConnectionID, b: ConnectionID) -> Bool { a.rawValue < b.rawValue }
}

/// An address of a TCP socket. For IPv6 link-local addresses `zone` is the interface name.
package struct SocketAddress: Hashable, Sendable {
    /// 4 or 16 bytes in network order.
    package var ip: [UInt8]
    package var port: UInt16
    package var zone: String?

    package init(ip: [UInt8], port: UInt16, zone: String? = nil) {
        self.ip = ip
        self.port = port
        self.zone = zone
    }
}

/// Matches a completion to the call that waits for it.
package struct Ticket: Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

package enum AddressFamily: Sendable, Equatable { case ipv4, ipv6, any }

/// What the application asks of the swarm. Each command is answered by exactly one `.complete` with its ticket.
package enum Command: Sendable {
    /// Answered with `.peer` when a connection (new or existing) is established.
    case connect(Multiaddr)
    case disconnect(PeerID)
    case addBootstrap(Multiaddr)
    case removeBootstrap(Multiaddr)
    /// Answered with `.changed(Bool)`.
    case subscribe(String)
    case unsubscribe(String)
    /// Answered with `.done`.
    case publish(topic: String, data: [UInt8])
    /// Accept inbound streams of this protocol id. Answered with `.changed(Bool)`.
    case accept(String)
    case stopAccepting(String)
    /// Answered with `.stream` once the peer agreed to one of the protocols.
    case openStream(PeerID, protocols: [String])
    /// Answered with `.roundTrip`.
    case ping(PeerID)
    /// `/perf/1.0.0`: answered with `.perf`.
    case perf(PeerID, upload: UInt64, download: UInt64)
    /// Answered with `.peers`.
    case peers
    /// Configured addresses that could not be used. Answered with `.problems`.
    case addressProblems
    /// Answered with `.topicPeers`.
    case topicPeers(String)
    /// Sources start, stop and change. Answered with `.done`.
    /// Indirect, so that the other commands stay small.
    indirect case configureDiscovery(DiscoveryConfiguration)
    /// Answered with `.discovery`.
    case discoveryTable
    /// Why a peer id or a multiaddr is not connected; within 10 s. Answered with `.diagnosis`.
    case diagnose(String)
    /// A protected peer's connection is never trimmed. Answered with `.changed(Bool)`.
    case protect(PeerID)
    case unprotect(PeerID)
    /// The channel to the peer is wanted, whatever closed it or gave it up; with addresses where it may be found. Answered with `.done`, at once.
    indirect case reconnect(PeerID, [Multiaddr])
    /// Tells the peer goodbye, for this reason, and keeps apart until `reconnect`. Answered with `.done`.
    indirect case close(PeerID, reason: String)
    /// Answered with `.channels`: of one peer, or of all.
    case channels(PeerID?)
    /// Answered with `.topicPeers` once so many connected peers follow the topic.
    case waitForPeers(Int, topic: String)
    /// As `publish`; the message is also kept, as the topic's last, for who subscribes later. Succeeds also where nobody follows the topic yet.
    case publishRetained(topic: String, data: [UInt8])
}

package enum Outcome: Sendable {
    case done
    case changed(Bool)
    case peer(PeerConnection)
    case stream(StreamID, protocolID: String)
    case roundTrip(Duration)
    case perf(upload: Duration, download: Duration)
    case peers([PeerConnection])
    case problems([AddressProblem])
    case topicPeers([PeerID])
    case discovery(DiscoveryTable)
    case diagnosis(Diagnosis)
    case channels([ChannelStatus])
    /// Of a request.
    case reply(ReceivedBody)
    /// Bytes read from or written to a stream; never an answer of the swarm: the faces complete their reads and writes with it.
    case transferred(Int)
}

/// What the driver must do for the swarm. Views are valid until the next call on the swarm other than `poll()`.
package enum SwarmAction {
    /// Open a TCP connection; answer with `connected` or `connectFailed`.
    case connect(ConnectionID, SocketAddress)
    /// Bytes wait to be sent: `transmitBuffers`, `writev`, `didTransmit`, until nothing waits or the socket is full.
    case transmit(ConnectionID)
    /// Close the socket at once; no further input for it is expected.
    case close(ConnectionID)
    /// Resume or pause reading of the socket (backpressure, or nothing to read for).
    case setReading(ConnectionID, Bool)
    /// Look a name up; answer with `resolved`.
    case resolve(query: UInt64, host: String, family: AddressFamily)
    /// Send an mDNS packet to port 5353 of 224.0.0.251 and ff02::fb on the interface with this index. Only after `setMulticastInterfaces` named it.
    case multicast(interface: UInt32, [UInt8])
    /// Start, stop and change the sources that the driver has (DNS, Avahi, Headscale, Tailscale), and the multicast sockets. `modes` is never nil here.
    indirect case configureSources(DiscoveryConfiguration)
    case event(Event)
    /// As `.event(.message)`, for each of them in order.
    case messages(TopicRun)
    case complete(Ticket, Result<Outcome, CallError>)
    /// Bytes for the application: keep what is not read at once, and report what was read with `consumed`.
    case streamData(StreamID, UnsafeRawBufferPointer)
    /// The peer will send nothing more on this stream.
    case streamEnded(StreamID)
    /// The stream takes bytes again after `write` took fewer than given.
    case streamWritable(StreamID)
    /// The stream is gone: nil after both sides closed in order.
    case streamClosed(StreamID, CallError?)
    /// The message is in its queue, and on disk where there is a state directory. Its completion follows.
    case accepted(Ticket)
    /// So many more messages of a `sendRun` are in their queue.
    case acceptedRun(Ticket, count: Int)
    /// A message for the application. The view is valid until the next call on the swarm. Report with `settled` that the application is done with it.
    indirect case deliver(InboundMessage, UnsafeRawBufferPointer)
    /// The same for messages that came together. Report with `settled(_:_:count:byteCount:)`.
    indirect case deliverRun(InboundRun)
    indirect case deliverSpooled(InboundMessage, SpoolID, byteCount: Int)
    case spool(SpoolID, SpoolWork)
    indirect case store(StoreChange)
}

/// Why a socket went away.
package enum SocketEnd: Sendable, Equatable {
    /// Orderly end of the peer's bytes.
    case endOfStream
    /// errno of a failed call.
    case failed(errno: Int32)
}

/// Why a name gave no address, in the resolver's words.
package struct ResolveFailure: Error, Sendable, Equatable {
    package let reason: String
    package init(reason: String) { self.reason = reason }
}
