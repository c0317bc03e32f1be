import MeshNetProtocol

// Two connections to one peer. Which one is kept follows from what both sides know, without a message:
// of two that were dialled by different sides the one that the smaller peer id dialled, of two that one side dialled the
// newer one, since nobody dials a peer that it believes to be connected.
//
// Of two that one side dialled at once, the newer one may be another on each side. So the larger peer id closes later: what it would keep is closed
// by then, and the other one is all that it has.
//
// The older one may be dead without our knowing (the peer restarted). It is kept only once it answered a ping; until then,
// and for a grace time afterwards, both live, so that there is no gap.
extension Swarm {
    /// What the loser may still carry before it is closed.
    static var duplicateGrace: Duration { .seconds(2) }
    /// How much longer the larger peer id waits: more than bytes are under way.
    static var duplicateStagger: Duration { .seconds(1) }
    /// Application streams hold a duplicate open for at most this long.
    static var duplicateStreamGrace: Duration { .seconds(30) }

    mutating func settleDuplicate(of peer: PeerID, newcomer: ConnectionID) {
        guard let known = peers[peer]?.primary, known != newcomer, let old = connections[known], let new = connections[newcomer] else { return }
        if (peers[peer]?.connections.count ?? 0) > configuration.limits.connectionsPerPeer, let oldest = peers[peer]?.connections.first {
            guard oldest != known else { return close(newcomer, cause: .limitReached("connectionsPerPeer")) }
            close(oldest, cause: .limitReached("connectionsPerPeer"))
        }
        let closesAt = now + Self.duplicateGrace + (localPeer < peer ? .zero : Self.duplicateStagger)
        if Self.keepsOld(old: old.direction, new: new.direction, local: localPeer, remote: peer) {
            connections[newcomer]?.drainingSince = now
            sendPing(known, for: .liveness)
            timers.set(.duplicate(newcomer), at: closesAt)
        } else {
            connections[known]?.drainingSince = now
            makePrimary(newcomer, of: peer)
            timers.set(.duplicate(known), at: closesAt)
        }
    }

    static func keepsOld(old: Direction, new: Direction, local: PeerID, remote: PeerID) -> Bool {
        guard old != new else { return false }
        let winner: Direction = local < remote ? .outbound : .inbound
        return old == winner
    }

    mutating func duplicateTimer(_ id: ConnectionID) {
        guard let connection = connections[id], connection.phase == .established, let peer = connection.peer,
            let since = connection.drainingSince, let primary = peers[peer]?.primary, primary != id
        else { return }
        if let kept = connections[primary], kept.ping.isUnanswered(since: since) {
            // The elder does not answer: the newcomer takes over.
            connections[id]?.drainingSince = nil
            makePrimary(id, of: peer)
            close(primary, cause: .timedOut)
            return
        }
        let carriesStreams = connection.streamsInOrder.contains { connection.streams[$0]?.isApplication == true }
        if carriesStreams, now - since < Self.duplicateStreamGrace {
            timers.set(.duplicate(id), at: now + Self.duplicateGrace)
        } else {
            close(id, cause: .duplicate)
        }
    }

    /// New streams, and gossip, use this connection from now on.
    mutating func makePrimary(_ id: ConnectionID, of peer: PeerID) {
        guard peers[peer] != nil, let connection = connections[id] else { return }
        connections[id]?.drainingSince = nil
        peers[peer]?.primary = id
        peers[peer]?.announced = PeerConnection(peer: peer, address: connection.remote, direction: connection.direction)
        movePubSub(of: peer, to: id)
        moveExchange(of: peer)
        moveRetained(of: peer)
        messagesConnected(peer)
    }
}

extension StreamUse {
    var isApplication: Bool {
        switch self {
        case .application, .applicationOpening: true
        default: false
        }
    }
}
