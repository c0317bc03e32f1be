public import MeshNetProtocol

/// Everything about a node that can be chosen. The three fields without default are the ones a node cannot guess.
public struct Configuration: Sendable {
    public var identity: KeyPair
    /// Texts, so that one bad entry is reported and the others still work.
    public var bootstrapPeers: [String]
    /// TCP port on every interface, 0 for one chosen by the kernel. Ignored when `listenAddresses` is not empty.
    public var listenPort: UInt16

    /// Multiaddrs to listen on instead of all interfaces; empty means IPv4 and IPv6 wildcards with `listenPort`.
    public var listenAddresses: [String] = []
    /// Do not listen at all: dial only.
    public var listens = true
    /// The key of a private network (libp2p specs, pnet); nil for the public one.
    public var preSharedKey: PreSharedKey?
    /// How peers are found.
    public var discovery = DiscoveryConfiguration()
    public var connectionManager = ConnectionManagerConfiguration()
    /// Never trimmed, beside the bootstrap peers.
    public var protectedPeers: [PeerID] = []
    /// Nodes of another network are not met. Isolation, not security: who knows the name can join. Without `secret` the private network's key is made
    /// from the name alone; nil with `secret`: the network without a name.
    public var network: String?
    /// A passphrase: the private network's key is made from it and `network` by Argon2id (`PreSharedKey.init(secret:network:)`). Or the text of a
    /// swarm.key file: then that is the key, and `network` is nil. At most one of `secret` and `preSharedKey`.
    public var secret: APIKey?
    /// Messages between peers, and how peers are reached again.
    public var messages = MessageConfiguration()
    public var keepalive = KeepaliveConfiguration()
    public var agentVersion = "meshnet/0.1.0"
    public var gossipsub = GossipsubConfiguration()
    public var limits = Limits()
    /// Between two pings of a connection, a fifteenth and a second less at most; zero switches them off. Default 15 s.
    public var pingInterval: Duration = .seconds(15)
    /// An unanswered ping closes the connection after this. Default 20 s.
    public var pingTimeout: Duration = .seconds(20)
    /// One TCP connection attempt including its handshake. Default 10 s.
    public var dialTimeout: Duration = .seconds(10)
    /// Delays between dials of a bootstrap peer: doubled from first up to the cap, the upper half of each random, for ever.
    public var backoffFirst: Duration = .milliseconds(500)
    public var backoffCap: Duration = .seconds(30)

    /// Whether what is left at its default is taken from the environment's `MESHNET_…` variables: see `Setting`.
    public var readsEnvironment = true

    /// Where the sequence numbers of our signed peer records and messages start. The driver sets nanoseconds since 1970, so that a
    /// restarted node's are above its last ones (go-libp2p does the same); without it records start at 1 and messages anywhere.
    package var firstSequenceNumber: UInt64?

    public init(identity: KeyPair, bootstrapPeers: [String], listenPort: UInt16) {
        self.identity = identity
        self.bootstrapPeers = bootstrapPeers
        self.listenPort = listenPort
    }
}

extension Configuration {
    /// Makes `preSharedKey` from `network` and `secret`, which are nil afterwards. Once, before the node starts: a passphrase takes about 0.2 s.
    package mutating func deriveNetworkKey() throws(NetworkKeyError) {
        guard network != nil || secret != nil else { return }
        guard preSharedKey == nil else { throw secret == nil ? .nameBesideKey : .secretBesideKey }
        if let secret {
            preSharedKey = try PreSharedKey(secret: secret.text, network: network)
        } else if let network {
            preSharedKey = try PreSharedKey(network: network)
        }
        network = nil
        secret = nil
    }
}
