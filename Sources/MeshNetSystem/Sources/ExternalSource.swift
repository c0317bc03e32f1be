import MeshNetProtocol
import MeshNetSwarm

/// A source of peers that needs system calls. Lives on the reactor thread, and waits only on the reactor's own poll.
///
/// Descriptors that it watches have the token `tokenBase + descriptor`, and are removed from the readiness set before they are closed.
/// After any call the loop drains `poll()`.
protocol ExternalSource: AnyObject {
    var source: DiscoverySource { get }
    /// The earliest time at which `handleTimeout` has work.
    var deadline: Instant? { get }
    func handleTimeout(now: Instant)
    func ready(_ descriptor: Int32, readable: Bool, writable: Bool, now: Instant)
    /// Where the node can be reached now, wildcards expanded.
    func listening(on addresses: [Multiaddr], now: Instant)
    /// So many peers are connected: who asks a server may ask more rarely.
    func connectedPeers(_ count: Int, now: Instant)
    func poll() -> SourceReport?
    func close()
}

/// What a source is made with.
struct SourceContext {
    let configuration: DiscoveryConfiguration
    let localPeer: PeerID
    let preSharedKey: PreSharedKey?
    let readiness: Readiness
    /// Added to a descriptor to make its token.
    let tokenBase: UInt64
    let random: RandomSource
    /// "address:port,…" in place of resolv.conf's, for tests.
    let nameServers: String?
    let now: Instant
}
