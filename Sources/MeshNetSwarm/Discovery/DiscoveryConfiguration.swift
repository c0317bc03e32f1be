public import MeshNetProtocol

/// Which kinds of discovery are on. Bootstrap peers work always, and beside any of these.
public struct DiscoveryModes: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The local network: libp2p's mDNS (libp2p specs, discovery/mdns).
    public static let mdns = DiscoveryModes(rawValue: 1)
    /// Names of `DiscoveryConfiguration.dnsServices`, such as a headless service of Kubernetes.
    public static let dns = DiscoveryModes(rawValue: 2)
    /// Connected peers tell each other whom they know (`/meshnet/peer-exchange/1.0.0`).
    public static let gossip = DiscoveryModes(rawValue: 4)
    /// The nodes of a Headscale server, by its API.
    public static let headscale = DiscoveryModes(rawValue: 8)
    /// The nodes of a tailnet: by tailscaled on this machine without any key, or by the API of Tailscale.
    public static let tailscale = DiscoveryModes(rawValue: 16)

    /// What a node does that was told nothing else.
    public static let standard: DiscoveryModes = [.mdns, .gossip]
}

/// Who speaks mDNS for us.
public enum MDNSBackend: UInt8, Sendable, Equatable {
    /// Our own responder, and Avahi too where its daemon answers.
    case auto
    case embedded
    case avahi
}

/// What happens with a peer that was found.
public enum DiscoveryPolicy: UInt8, Sendable, Equatable {
    case dial
    /// `Event.discovered` only: the application decides, and connects.
    case offer
}

/// How a node finds others. Can be changed while it runs, as a whole: then `invalidSetting` names what cannot be used, and nothing changes. What cannot
/// be used at a node's start is left out and reported as `Event.addressProblem`; an allow list in which nothing can be read allows nothing.
public struct DiscoveryConfiguration: Sendable, Equatable {
    /// nil: what `MESHNET_DISCOVERY_MODE` says, else `DiscoveryModes.standard`.
    public var modes: DiscoveryModes?
    public var mdnsBackend = MDNSBackend.auto
    /// Nodes of one tag find each other. nil: `_p2p._udp`, or in a private network the tag with its key's fingerprint.
    public var serviceTag: String?
    /// Told in announcements; when set, only announcements with the same one are dialled. 1 to 64 bytes.
    public var appID: String?
    /// Told in announcements; nothing follows from it. 1 to 64 bytes.
    public var endpointID: String?
    /// `name:port` (A and AAAA), `_service._proto.name` (SRV), or `/dnsaddr/name` (TXT). At most 32.
    public var dnsServices: [String] = []
    /// Between two lookups of a name. 1 s to 1 h.
    public var interval: Duration = .seconds(30)
    public var policy = DiscoveryPolicy.dial
    /// `Event.discovered` that wait for the application; further ones are counted, and the peer is offered again later.
    public var offerQueue = 10
    /// CIDR prefixes. Found addresses outside an allow list that is not empty, or inside the deny list, are not dialled.
    public var allowedNetworks: [String] = []
    public var deniedNetworks: [String] = []
    /// Interface names, `*` at the end for any ending: where mDNS runs, and where addresses were heard.
    public var allowedInterfaces: [String] = []
    public var deniedInterfaces: [String] = []
    /// When not empty, no other peers are dialled.
    public var allowedPeers: [PeerID] = []
    /// Required by `.headscale`.
    public var headscale: HeadscaleConfiguration?
    public var tailscale = TailscaleConfiguration()

    public init() {}
}

/// A secret that is shown nowhere: descriptions, mirrors, logs and errors have only its length.
public struct APIKey: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let text: String
    public init(_ text: String) { self.text = text }
    public var description: String { "(\(text.utf8.count) bytes)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A Headscale server, 0.22 or newer.
public struct HeadscaleConfiguration: Sendable, Equatable {
    /// `https://host[:port][/path]`.
    public var apiBaseURL: String
    /// Of `headscale apikeys create`. It rules the whole tailnet: give it to as few nodes as possible.
    public var apiKey: APIKey
    /// 1 s to 1 h; 30 s by default. While no peer is connected it is asked more often, down to a tenth.
    public var pollInterval: Duration = .seconds(30)
    /// The libp2p port of nodes whose tags name none.
    public var port: UInt16
    /// Only nodes with this tag are dialled; nil: all.
    public var requiredTag: String?
    /// Write our own peer id and port as tags of our node, once. It has side effects that cannot be undone: see docs/headscale.md.
    public var tagsItself = false
    /// Certificates to trust in place of the system's, PEM.
    public var certificateAuthorityFile: String?

    public init(apiBaseURL: String, apiKey: APIKey, port: UInt16) {
        self.apiBaseURL = apiBaseURL
        self.apiKey = apiKey
        self.port = port
    }
}

/// A tailnet, through tailscaled on this machine, or through the API when a key is given.
public struct TailscaleConfiguration: Sendable, Equatable {
    /// Of tailscaled; nil: the usual places.
    public var socketPath: String?
    public var apiBaseURL = "https://api.tailscale.com"
    /// An API access token; nil: none.
    public var apiKey: APIKey?
    /// An OAuth client in place of a token.
    public var clientID: String?
    public var clientSecret: APIKey?
    public var pollInterval: Duration = .seconds(30)
    /// The libp2p port of nodes whose tags name none; 0: our own.
    public var port: UInt16 = 0
    public var requiredTag: String?
    public var certificateAuthorityFile: String?

    public init() {}
}

/// When connections are given up because there are many. Protected peers (bootstrap, and those of `protect`) are never. First go those without a stream
/// of the application and without a place in a topic's mesh, the longest idle first, with `DisconnectCause.limitReached`.
public struct ConnectionManagerConfiguration: Sendable, Equatable {
    /// Trimmed down to.
    public var lowWater = 100
    /// More than so many peers start a trim.
    public var highWater = 400
    /// A connection younger than this is left alone.
    public var grace: Duration = .seconds(60)

    public init() {}
}
