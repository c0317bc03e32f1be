/// What happened so far; only ever grows.
package struct GossipsubCounters: Sendable, Equatable {
    /// Messages handed to the application.
    package internal(set) var delivered: UInt64 = 0
    package internal(set) var published: UInt64 = 0
    /// Frames with a message that were sent, own ones and forwarded ones.
    package internal(set) var messagesSent: UInt64 = 0
    package internal(set) var controlFramesSent: UInt64 = 0
    package internal(set) var rpcsReceived: UInt64 = 0
    package internal(set) var graftsSent: UInt64 = 0
    package internal(set) var prunesSent: UInt64 = 0
    package internal(set) var graftsReceived: UInt64 = 0
    package internal(set) var prunesReceived: UInt64 = 0
    /// Ids asked for, and messages sent because a peer asked.
    package internal(set) var iwantIDsSent: UInt64 = 0
    package internal(set) var iwantServed: UInt64 = 0
    /// Forwards that an IDONTWANT spared.
    package internal(set) var idontwantSpared: UInt64 = 0
    package internal(set) var idontwantSent: UInt64 = 0
    /// Behavioural penalties (P7) given.
    package internal(set) var penalties: UInt64 = 0
    package internal(set) var brokenPromises: UInt64 = 0
    /// Frames that the driver could not queue.
    package internal(set) var queueFull: UInt64 = 0

    private var drops = [UInt64](repeating: 0, count: GossipsubDropReason.allCases.count)

    package init() {}

    package subscript(reason: GossipsubDropReason) -> UInt64 { drops[Int(reason.rawValue)] }

    mutating func count(_ reason: GossipsubDropReason, _ number: Int = 1) { drops[Int(reason.rawValue)] += UInt64(number) }
}
