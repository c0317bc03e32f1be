/// Parameters of gossipsub (libp2p specs, gossipsub v1.0-1.2), with go's defaults.
public struct GossipsubConfiguration: Sendable, Equatable {
    public init() {}
}
