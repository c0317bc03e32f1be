public import MeshNetProtocol

// What the swarm and its driver say to each other about messages between peers.

/// A file of the driver that holds the body of one large message. Numbers below 2^63 are drawn by the swarm, the others by the driver.
package struct SpoolID: Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

package enum MessageKind: Sendable, Equatable {
    case message
    /// Ends with the reply of the peer. The time that it may take is the message's deadline.
    case request
    /// To a request of this number that the peer sent.
    case reply(UInt64)
}

package struct OutboundMessage: Sendable, Equatable {
    package var peer: PeerID
    package var kind: MessageKind
    package var options: SendOptions

    package init(peer: PeerID, kind: MessageKind = .message, options: SendOptions = SendOptions()) {
        self.peer = peer
        self.kind = kind
        self.options = options
    }
}

/// What is sent: copied from memory before the call returns, or a file that the driver filled.
package enum MessageBody {
    case view(UnsafeRawBufferPointer)
    case spooled(SpoolID, byteCount: Int)
}

/// What arrived and is kept.
package enum ReceivedBody: Sendable, Equatable {
    case bytes([UInt8])
    case spooled(SpoolID, byteCount: Int)

    package var byteCount: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .spooled(_, let byteCount): byteCount
        }
    }
}

/// A message for the application, without its body.
package struct InboundMessage: Sendable, Hashable {
    package var peer: PeerID
    /// Of the sender. With lane and sequence it names a message for ever: the same three never name another one.
    package var incarnation: Incarnation
    package var lane: Lane
    /// From 1, without gaps but for messages that the sender took back.
    package var sequence: UInt64
    /// To be answered with `MessageKind.reply`; nil: no request.
    package var request: UInt64?
    /// It was handed out before the process ended, and not settled.
    package var isRedelivered: Bool

    package init(peer: PeerID, incarnation: Incarnation, lane: Lane, sequence: UInt64, request: UInt64? = nil, isRedelivered: Bool = false) {
        self.peer = peer
        self.incarnation = incarnation
        self.lane = lane
        self.sequence = sequence
        self.request = request
        self.isRedelivered = isRedelivered
    }
}

/// Messages for the application that follow each other on one lane: small, no requests, and never delivered before.
package struct InboundRun {
    package let peer: PeerID
    package let incarnation: Incarnation
    package let lane: Lane
    package let run: LaneRun
}

/// What the driver does with a spool file. A failure is answered with `spoolFailed`.
package enum SpoolWork {
    /// A new, empty one for a message of so many bytes.
    case begin(byteCount: Int)
    /// At its end. The view is valid until the next call.
    case append(UnsafeRawBufferPointer)
    /// At most 1 MiB. Answered with `spoolRead`, at once or later.
    case read(offset: Int, count: Int)
    /// Nobody needs it any more.
    case discard
}

/// A change of what must outlive the process. The driver gathers the changes of a turn into one transaction, before it sends any byte of that turn
/// and before it tells a caller anything, and answers with `committed` or `commitFailed`. Without a state directory there are none.
package enum StoreChange: Sendable {
    /// Our own. Comes once, in a new store.
    case incarnation(Incarnation)
    /// What is known of a peer; replaces what was.
    case peer(PeerID, StoredPeer)
    /// The peer and all of its queues.
    case forget(PeerID)
    /// A message of ours waits.
    case outbound(PeerID, StoredOutbound)
    /// The peer has all below this.
    case acknowledged(PeerID, Lane, below: UInt64)
    /// All messages of the lane that wait, and the next number, are so much higher: the peer has others of ours, which a store that forgot gave.
    case renumbered(PeerID, Lane, by: UInt64)
    /// Of the lane's messages only those below this may have been sent; nil: all may. Renumbering raises it too. With nil the disk itself must have it
    /// before the change counts as stored, as a message goes out that would be taken for unsent without it.
    case sent(PeerID, Lane, below: UInt64?)
    /// Expired, displaced or cancelled: the number stays used and the body goes.
    case withdrawn(PeerID, Lane, sequence: UInt64)
    /// A message of the peer is complete; `sequence + 1` is expected next.
    case inbound(StoredInbound)
    /// The next number expected of the peer, where numbers were taken back.
    case expected(PeerID, Lane, next: UInt64)
    /// The application is done with a message.
    case settled(PeerID, Incarnation, Lane, sequence: UInt64)
    /// The queues of both directions are void: another incarnation of the peer. Messages not settled by the application stay.
    case reset(PeerID)
}

package struct StoredPeer: Sendable, Equatable {
    package var incarnation: Incarnation?
    package var addresses: [Multiaddr] = []
    /// `close` was called here, or the peer said goodbye; nil: neither.
    package var closed: Closing?
    /// Nanoseconds since 1970 of the last sign of life; zero: never.
    package var lastHeard: Int64 = 0

    package init() {}
}

package struct StoredOutbound: Sendable, Equatable {
    package var lane: Lane
    package var sequence: UInt64
    package var kind: MessageKind
    /// The number of a request of ours.
    package var request: UInt64?
    /// Nanoseconds since 1970; nil: none.
    package var deadline: Int64?
    package var body: ReceivedBody

    package init(lane: Lane, sequence: UInt64, kind: MessageKind, request: UInt64? = nil, deadline: Int64? = nil, body: ReceivedBody) {
        self.lane = lane
        self.sequence = sequence
        self.kind = kind
        self.request = request
        self.deadline = deadline
        self.body = body
    }
}

package struct StoredInbound: Sendable, Equatable {
    package var message: InboundMessage
    package var body: ReceivedBody

    package init(message: InboundMessage, body: ReceivedBody) {
        self.message = message
        self.body = body
    }
}

/// What a store held when the node started; given to the swarm before its first `poll()`.
package struct StoredState: Sendable {
    package struct Channel: Sendable {
        package var peer: PeerID
        package var known = StoredPeer()
        /// By lane: the next number of ours, and the next one expected.
        package var nextSequence: [UInt64] = [1, 1, 1]
        package var expected: [UInt64] = [1, 1, 1]
        /// Those of ours below it may have been sent; nil: all.
        package var sentBelow: [UInt64?] = [nil, nil, nil]
        /// In order of lane and sequence.
        package var outbound: [StoredOutbound] = []
        /// By lane, ascending: numbers of withdrawn ones that the peer has not passed yet. At most one range more than `outbound` has messages of the lane.
        package var withdrawn: [[Range<UInt64>]] = [[], [], []]
        package init(peer: PeerID) { self.peer = peer }
    }

    /// nil: a new store.
    package var incarnation: Incarnation?
    /// The wall clock, nanoseconds since 1970: now, and when the store was last written; nil: never.
    package var now: Int64
    package var lastActive: Int64?
    package var channels: [Channel] = []
    /// Not settled, in order of arrival.
    package var inbound: [StoredInbound] = []
    /// The highest number of a request of ours so far, and of a spool file.
    package var lastRequest: UInt64 = 0
    package var lastSpool: UInt64 = 0

    package init(now: Int64) { self.now = now }
}

/// Why the state directory could not be used.
public enum StorageProblem: Error, Sendable, Equatable {
    /// No room on the disk.
    case full(path: String)
    /// The file was no store any more; it was renamed, and a new one begun.
    case damaged(path: String, setAsideAs: String, reason: String)
    case failed(path: String, reason: String)
    /// Another process uses it.
    case inUse(path: String)
}

/// How a channel was closed on purpose.
public struct Closing: Sendable, Equatable {
    /// `close` was called here; else the peer said goodbye.
    public var byUs: Bool
    /// In the words of who closed; at most 256 bytes.
    public var reason: String

    package init(byUs: Bool, reason: String) {
        self.byUs = byUs
        self.reason = reason
    }
}

/// The state of the channel to one peer.
public struct ChannelStatus: Sendable, Equatable {
    public enum State: Sendable, Equatable {
        /// Connected.
        case connected
        case connecting
        /// The next try comes after this.
        case waiting(Duration)
        /// Failures look permanent; it is still tried, seldom.
        case gaveUp(retryAfter: Duration?)
        case closed(Closing)
        /// Nothing waits, and nobody asked for a connection.
        case idle
    }

    public let peer: PeerID
    public var state = State.idle
    public var incarnation: Incarnation?
    /// Waiting, unacknowledged ones included: by lane, messages and bytes.
    public var queuedMessages = [0, 0, 0]
    public var queuedBytes = [0, 0, 0]
    /// Of a large message that is being sent: bytes handed to the connection, and its size; zeros without one. The least important lane's.
    public var sendingBytes = 0
    public var sendingTotal = 0
    /// Received and not settled.
    public var unsettledMessages = 0
    public var unsettledBytes = 0
    public var delivered: UInt64 = 0
    public var received: UInt64 = 0
    public var expired: UInt64 = 0
    public var displaced: UInt64 = 0
    public var failed: UInt64 = 0
    /// Arrived again and dropped.
    public var duplicates: UInt64 = 0
    /// A rate holds messages back now: `sendRate`, `receiveRate`.
    public var isSendingLimited = false
    public var isReceivingLimited = false
    /// Failed rounds of dialling in a row, and the latest failures, newest last, at most 5.
    public var attempts = 0
    public var failures: [DialError] = []
    /// The time since bytes of the peer came last; nil: never.
    public var silence: Duration?
    public var roundTrip: Duration?

    package init(peer: PeerID) { self.peer = peer }
}

/// What happened to the channel of a peer.
public enum ChannelChange: Sendable, Equatable {
    /// Messages flow. `resent`: so many had been sent before and were not acknowledged.
    case resumed(resent: Int)
    /// The peer lost its state: so many messages of ours failed.
    case peerRestarted(failedMessages: Int)
    /// The peer said goodbye and is not dialled until `reconnect`.
    case closed(Closing)
    /// Failures look permanent, or the attempts are used up. The latest last.
    case gaveUp(attempts: Int, failures: [DialError], retryAfter: Duration?)
    /// `sendRate` begins to hold messages of ours back, or `receiveRate` those of the peer: told once a minute at most, for each direction.
    case limited(inbound: Bool, limit: String)
}
