/// What the driver does for the machine.
package enum RetainedAction: Sendable, Equatable {
    /// A frame for our stream to the peer. The next one follows after `written`.
    case send(PeerID, [UInt8])
    /// Look whether gossip has the message, and answer with `looked`.
    case look(RetainedHeader)
    /// A value for the application, unless gossip delivered it since the topic was subscribed.
    case deliver(RetainedHeader, [UInt8], from: PeerID)
    /// The topic has another value: call `announce` with its followers if it is our own, else with those who get its gossip from us.
    case announce(topic: String, isOwn: Bool)
    /// What a peer told had no effect.
    case dropped(RetainedDrop, from: PeerID)
    /// The peer sent what cannot be read: its stream is of no use.
    case malformed(PeerID)
    /// The peer told too much that is wrong: nothing is taken from it until it connects anew.
    case silenced(PeerID)
}

/// Why something that a peer told had no effect. What is known already is no drop.
package enum RetainedDrop: Int, CaseIterable, Sendable {
    /// The author did not sign that this is a value to keep.
    case forged
    /// Bytes that are not those of the header.
    case wrongBytes
    /// Of a topic that we neither follow nor keep a value of.
    case notFollowed
    /// Larger than `RetainedLimits.valueBytes`.
    case tooLarge
    /// Of a time that is more than `RetainedLimits.future` ahead.
    case future
    /// More than `RetainedLimits.acceptedBurst` allows.
    case rateLimited
    /// A part of something that was not asked for, or not of this peer.
    case unasked
    /// No room in `RetainedLimits.totalBytes`: delivered, but not kept.
    case noRoom
    /// Nobody who told of the value could be got to give it.
    case notFetched
}

/// The bounds of the machine.
package struct RetainedLimits: Sendable, Equatable {
    /// Topics of which a value is kept without following them: those that we gave one.
    package var ownTopics = 1_024
    /// Bytes of one value: a larger one belongs elsewhere, with a reference in its place.
    package var valueBytes = 1 << 20
    /// Bytes of all values; at the bound values of others go, those of the lowest number first.
    package var totalBytes = 64 << 20
    /// Headers and requests taken from one peer at once, and in each second afterwards: a check of a signature each.
    package var acceptedBurst = 2_048
    package var acceptedPerSecond = 64
    /// Parts sent to one peer at once, and in each second afterwards: 64 MiB, 4 MiB.
    package var sentParts = 2_048
    package var sentPartsPerSecond = 128
    /// Requests of one peer that wait.
    package var requestsPerPeer = 1_024
    /// Values that are fetched at once, in all.
    package var fetches = 8
    /// Peers remembered that can give a value.
    package var tellers = 8
    /// Times that somebody is asked for one value.
    package var attempts = 16
    /// Without a part of any value for so long another peer is asked.
    package var patience: Duration = .seconds(5)
    /// What was published this moment is left to gossip for so long.
    package var gossipLead: Duration = .milliseconds(200)
    /// How far ahead of our clock a value may be: else one number could hold a topic for ever.
    package var future: Duration = .seconds(86_400)
    /// What nobody tells by mistake, until a peer is silenced.
    package var faults = 16

    package init() {}
}

package struct RetainedCounters: Sendable, Equatable {
    package internal(set) var headersHeard = 0
    /// Signatures checked.
    package internal(set) var verified = 0
    package internal(set) var fetched = 0
    package internal(set) var partsSent = 0
    private var drops = [Int](repeating: 0, count: RetainedDrop.allCases.count)

    package func dropped(_ reason: RetainedDrop) -> Int { drops[reason.rawValue] }
    mutating func drop(_ reason: RetainedDrop) { drops[reason.rawValue] += 1 }
}

/// Why a value cannot be kept. Nothing was sent then.
package enum RetainedError: Error, Sendable, Equatable {
    case tooLarge(size: Int, limit: Int)
    /// Our own values fill the room that there is.
    case noRoom(limit: Int)
    case tooManyTopics(limit: Int)
}
