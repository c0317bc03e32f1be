import MeshNetProtocol

/// A rate between us and one peer, in one direction.
struct Pace {
    /// Between two events that tell of it.
    static let reportInterval: Duration = .seconds(60)

    var gate: RateGate
    /// False: nothing else here is ever looked at.
    let isLimited: Bool
    /// Something waits for it, and may go then.
    var opensAt: Instant?
    var toldAt: Instant?

    init(_ limit: RateLimit) {
        gate = RateGate(limit)
        isLimited = !gate.isUnlimited
    }
}

// `sendRate` and `receiveRate`: what is more than a peer may be sent, or may send, waits for the channel's timer.
extension Swarm {
    /// Messages of ours in a row, the first of which asks. False: the lane waits, and those behind it.
    mutating func admit(_ count: Int, _ bytes: Int, _ lane: Lane, _ at: Int) -> Bool {
        let isBehind = Lane.allCases.contains { $0.rawValue < lane.rawValue && messages.channels[at].out[$0].waitsForRate }
        guard !isBehind, messages.channels[at].sendPace.gate.admit(messages: count, bytes: bytes, now: now) else {
            messages.channels[at].out[lane].waitsForRate = true
            wait(for: \.sendPace, at)
            return false
        }
        while let next = messages.channels[at].out[lane].sender.admit(), messages.channels[at].sendPace.gate.admit(bytes: next, now: now) {}
        return true
    }

    /// Nothing more of the lane may be read now.
    mutating func isHeldByRate(_ lane: Lane, _ at: Int) -> Bool {
        guard messages.channels[at].receivePace.isLimited else { return false }
        if messages.channels[at].receivePace.gate.nextAt(now: now) != nil { return true }
        return Lane.allCases.contains { $0.rawValue < lane.rawValue && messages.channels[at].into[$0].waitsForRate }
    }

    /// What was read while the rate admitted it: all bytes of the stream, whatever they say, and each message.
    mutating func pay(_ item: LaneItem?, _ bytes: Int, _ at: Int) {
        let count = switch item {
        case .message, .begin, .duplicate: 1
        case .piece, .complete, .abandoned, .skipped, .ask, .goodbye, nil: 0
        }
        _ = messages.channels[at].receivePace.gate.admit(messages: count, bytes: bytes, now: now)
    }

    /// What is held on the lane goes on once the rate admits it, if nothing else is in its way.
    mutating func awaitRate(_ lane: Lane, _ at: Int) {
        guard messages.channels[at].receivePace.isLimited, !messages.channels[at].into[lane].held.isEmpty, !isFull(lane, at), isHeldByRate(lane, at) else {
            return
        }
        messages.channels[at].into[lane].waitsForRate = true
        wait(for: \.receivePace, at)
    }

    private mutating func wait(for pace: WritableKeyPath<Channel, Pace>, _ at: Int) {
        // nil: behind a lane that waits, and whose timer is set.
        guard let opensAt = messages.channels[at][keyPath: pace].gate.nextAt(now: now) else { return }
        messages.channels[at][keyPath: pace].opensAt = opensAt
        setTimer(of: at)
        if let told = messages.channels[at][keyPath: pace].toldAt, now - told < Pace.reportInterval { return }
        guard let limit = messages.channels[at][keyPath: pace].gate.reason(now: now) else { return }
        messages.channels[at][keyPath: pace].toldAt = now
        emit(.channel(messages.channels[at].peer, .limited(inbound: pace == \.receivePace, limit: limit)))
    }

    /// At the channel's timer. Lanes of ours are written at the end of the turn anyway.
    mutating func ratesOpen(_ at: Int) {
        if let due = messages.channels[at].sendPace.opensAt, due <= now { messages.channels[at].sendPace.opensAt = nil }
        guard let due = messages.channels[at].receivePace.opensAt, due <= now else { return }
        messages.channels[at].receivePace.opensAt = nil
        for lane in Lane.allCases where messages.channels[at].into[lane].waitsForRate { readHeld(lane, at) }
    }
}
