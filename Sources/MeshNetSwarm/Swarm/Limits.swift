/// Every bound of a node that can be chosen, in one place. Defaults follow go-libp2p's resource manager where it has the figure.
public struct Limits: Sendable, Equatable {
    /// Connections in all, both directions. go: system scope on a machine of a few GiB.
    public var connections = 1_024
    /// Inbound connections whose handshake is not finished. go: transient scope.
    public var pendingInboundConnections = 64
    /// Outbound attempts under way at once. go: 160 dials; each holds one descriptor.
    public var pendingOutboundConnections = 160
    /// Connections of one peer while duplicates settle. go: 8.
    public var connectionsPerPeer = 8
    /// Inbound connections from one IPv4 address or one IPv6 /56, loopback free. go: 8.
    public var inboundConnectionsPerAddress = 8
    /// Inbound connections a second from one IPv4 address or one IPv6 /56, and how many at once after a pause, loopback free; zero: without limit.
    /// go: 0.2, 16.
    public var inboundRatePerAddress = 0.2
    public var inboundBurstPerAddress = 16
    /// The same for one IPv6 /48. go: 0.5, 80.
    public var inboundRatePerNetwork = 0.5
    public var inboundBurstPerNetwork = 80
    /// Handshake from TCP connect to muxer. go: 15 s accept timeout.
    public var handshakeTimeout: Duration = .seconds(15)
    /// Multistream negotiation of one stream. go: 10 s.
    public var streamNegotiationTimeout: Duration = .seconds(10)
    /// Open streams of one connection, each direction. go: 256 inbound per peer.
    public var streamsPerConnection = 256
    /// Streams opened by us that the peer has not acknowledged (yamux specification, "ACK backlog").
    public var unacknowledgedStreams = 256
    /// First receive window of a stream in bytes (yamux specification).
    public var initialStreamWindow = 262_144
    /// Largest receive window of a stream in bytes that the bandwidth-delay product may grow to. go: 16 MiB.
    public var maximumStreamWindow = 16_777_216
    /// Bytes waiting in one connection's send buffer before writes are held back.
    public var sendBuffer = 524_288
    /// Addresses kept for one peer. go: 64.
    public var addressesPerPeer = 64
    /// Peers without connection in the address book.
    public var addressBookPeers = 10_000
    /// Parallel dials to one peer. rust, go: 8.
    public var dialsPerPeer = 8
    /// Messages and bytes waiting for the application; further messages are dropped and counted.
    public var eventQueueCount = 65_536
    public var eventQueueBytes = 64 << 20
    /// Topics that we subscribe to, and topics that a peer may announce.
    public var topics = 1_024
    /// Application streams of the node that the application has not accepted yet.
    public var pendingAccepts = 1_024

    public init() {}
}
