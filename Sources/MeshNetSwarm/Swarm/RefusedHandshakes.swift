import MeshNetProtocol

/// An inbound connection that did not come through its handshake.
struct RefusedHandshake: Equatable {
    let address: Multiaddr
    let failure: HandshakeFailure
    let at: Instant
}

/// The last of them, for a diagnosis: whoever cannot reach us is often seen here.
struct RefusedHandshakes {
    /// Enough to show a handful of misconfigured peers that retry; a flood pushes out only evidence.
    static let kept = 16

    private(set) var newestFirst: [RefusedHandshake] = []
    private(set) var total = 0

    mutating func add(_ refused: RefusedHandshake) {
        total += 1
        newestFirst.insert(refused, at: 0)
        if newestFirst.count > Self.kept { newestFirst.removeLast() }
    }
}
