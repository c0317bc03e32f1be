import MeshNetProtocol

extension SentMark {
    /// What was never sent waits until the store says that it may have been.
    var holds: Bool { self == .kept || self == .lifting }
}

// A process that dies must leave behind which messages the peer cannot have: a peer that knows higher numbers than were ever sent has them of messages that
// our store forgot, and those that wait get others. So the first message of a lane is stored with a mark, nothing goes out before the peer said where it
// stands, and the mark is lifted on the disk before the first message follows.
extension Swarm {
    /// Before the first message that this process queues on a lane is stored.
    mutating func keepSentMark(_ lane: Lane, _ at: Int) {
        guard messages.channels[at].out[lane].mark == .untouched else { return }
        messages.channels[at].out[lane].mark = .kept
        store(.sent(messages.channels[at].peer, lane, below: messages.channels[at].out[lane].sender.everSent), then: .marked(lane), at)
    }

    /// The peer said where it stands; numbers that were taken over are given to the store before.
    mutating func liftSentMark(_ lane: Lane, _ at: Int) {
        switch messages.channels[at].out[lane].mark {
        case .untouched: messages.channels[at].out[lane].mark = .lifted
        case .kept:
            messages.channels[at].out[lane].mark = .lifting
            store(.sent(messages.channels[at].peer, lane, below: nil), then: .unmarked(lane), at)
        case .lifting, .lifted: break
        }
    }

    mutating func sentMarkLifted(_ lane: Lane, _ at: Int) {
        messages.channels[at].out[lane].mark = .lifted
        messages.channels[at].out[lane].sender.release()
    }

    /// The disk is full: what waits goes on waiting, and the peer is asked again where it stands after a pause.
    mutating func sentMarkStays(_ lane: Lane, _ at: Int) {
        messages.channels[at].out[lane].mark = .kept
        reopen(lane, after: OutboundLane.busyPause, at)
    }
}
