/// What the driver does for the machine.
package enum PeerExchangeAction: Equatable, Sendable {
    /// A frame for our stream to the peer. The next one follows after `written`.
    case send(PeerID, [UInt8])
    /// Said again when the record or its time changes.
    case found(PeerExchangeDiscovery)
    /// Not worth a dial any longer, or not now.
    case lost(PeerID)
    /// A record that a neighbour told had no effect.
    case dropped(PeerExchangeDrop, from: PeerID)
    /// The neighbour sent what cannot be read: its stream is of no use.
    case malformed(PeerID)
    /// The neighbour passed on too much that is wrong: nothing is taken from it until it connects anew.
    case silenced(PeerID)
}

package struct PeerExchangeDiscovery: Equatable, Sendable {
    package var peer: PeerID
    /// Without the peer id, as far as they make sense here. Never empty.
    package var addresses: [Multiaddr]
    /// From now on.
    package var lifetime: Duration

    package init(peer: PeerID, addresses: [Multiaddr], lifetime: Duration) {
        self.peer = peer
        self.addresses = addresses
        self.lifetime = lifetime
    }
}

/// Why a record had no effect. What is known already is no drop.
package enum PeerExchangeDrop: Int, CaseIterable, Sendable {
    /// Not signed by the peer that it is about.
    case notSigned
    /// A kind of key that is not known here.
    case unknownKey
    /// About ourselves.
    case own
    /// No address that could lead from here to the peer.
    case noAddress
    /// Nobody was connected to the peer for longer than `PeerExchangeLimits.expiry`.
    case expired
    /// More records than `PeerExchangeLimits.acceptedBurst` allows.
    case rateLimited
    /// An entry went to make room for another, or found none.
    case evicted
}

/// The bounds of the machine.
package struct PeerExchangeLimits: Sendable, Equatable {
    /// Records kept; with 2 KiB each they take 2 MiB. At the bound the neighbour that told the most gives up its oldest.
    package var entries = 1_024
    /// Addresses of one record that are used. Hosts have few; more only help those who lie.
    package var addressesPerEntry = 16
    /// Peers told by one neighbour that are being tried at once: whoever tells of a thousand dead peers holds up its own line only.
    package var triedAtOnce = 32
    /// A peer that was neither reached nor missed after this makes room for the next of its line.
    package var trialTime: Duration = .seconds(30)
    /// Between the trials of a peer that was not reached while others wait: three times longer after each, the upper half random.
    package var restFirst: Duration = .seconds(5)
    package var restCap: Duration = .seconds(600)
    /// A peer that nobody was connected to for so long is forgotten.
    package var expiry: Duration = .seconds(1_800)
    /// A neighbour is told again of who is still there after this.
    package var refresh: Duration = .seconds(600)
    /// News wait for others, between half of this and one and a half.
    package var coalescing: Duration = .seconds(1)
    /// Records sent to one neighbour at once, and in each second afterwards.
    package var sentBurst = 1_024
    package var sentPerSecond = 16
    /// Records taken from one neighbour at once, and in each second afterwards: twice what we would send.
    package var acceptedBurst = 2_048
    package var acceptedPerSecond = 32
    /// Records that nobody can pass on by mistake, until a neighbour is silenced.
    package var faults = 16

    package init() {}
}

package struct PeerExchangeCounters: Equatable, Sendable {
    package internal(set) var recordsHeard = 0
    package internal(set) var recordsSent = 0
    package internal(set) var messagesSent = 0
    /// Signatures checked: a record that is known already costs none.
    package internal(set) var verified = 0
    private var drops = [Int](repeating: 0, count: PeerExchangeDrop.allCases.count)

    package func dropped(_ reason: PeerExchangeDrop) -> Int { drops[reason.rawValue] }
    mutating func drop(_ reason: PeerExchangeDrop) { drops[reason.rawValue] += 1 }
}
