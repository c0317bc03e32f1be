import MeshNetProtocol

/// A stream, wherever it is.
struct StreamPlace: Equatable {
    let connection: ConnectionID
    let stream: PipelineStream
}

/// Who waits for the end of a message. Tickets of a lane lie in the order of its numbers.
struct LaneTicket {
    var sequence: UInt64
    /// nil for a request, which is ended by its reply and not by the acknowledgement, and for a message that has ended.
    var ticket: Ticket?
    var request: UInt64?
}

/// What the store says of a lane's messages: which of them may have been sent, so that a later process knows which the peer cannot have.
enum SentMark {
    /// All of them. None was queued since this process began, or since the peer's incarnation did.
    case untouched
    /// Those below a number. From there on nothing goes out.
    case kept
    /// All of them, once it is on disk.
    case lifting
    /// All of them, and they go out. So it is, too, where there is no store.
    case lifted
}

/// What we send on one lane.
struct OutboundLane {
    /// Streams that the peer resets are opened again after this, doubled up to the cap.
    static let firstPause: Duration = .milliseconds(100)
    static let longestPause: Duration = .seconds(10)
    /// After the peer said that it cannot keep messages.
    static let busyPause: Duration = .seconds(1)

    var sender: LaneSender
    var place: StreamPlace?
    var tickets = Fifo<LaneTicket>()
    /// Messages that wait for room in the queue.
    var waiting = Fifo<WaitingMessage>()
    var replies = MessageReplies()
    /// The answer to HELLO is still to come.
    var awaitsWelcome = false
    /// The next stream waits for WELCOME, whatever was sent.
    var mustWait = false
    var mark: SentMark
    /// Streams that ended in a row before they were any use.
    var failures = 0
    var opensAt: Instant?
    /// By so much numbers grew since the channel began: what is remembered of a message elsewhere is its number less this.
    var shift: UInt64 = 0
    /// Its next message is not admitted yet: lanes of less importance wait behind it.
    var waitsForRate = false

    init(pool: BufferPool, isPaced: Bool, isStored: Bool) {
        sender = LaneSender(pool: pool, isPaced: isPaced)
        mark = isStored ? .untouched : .lifted
    }

    /// There may be something to write: where nothing but numbers to pass is left, no stream is opened for it.
    var hasOutput: Bool { sender.messageCount > 0 || place != nil }
}

/// What a peer sends us on one lane.
struct InboundLane {
    /// Bytes and messages after which an acknowledgement goes out at once.
    static let acknowledgedBytes = 262_144
    static let acknowledgedMessages: UInt64 = 1_000

    var receiver: LaneReceiver
    var place: StreamPlace?
    /// Below it the peer was told that we have all, and may be told so.
    var acknowledged: UInt64 = 1
    var committed: UInt64 = 1
    var unacknowledgedBytes = 0
    var acknowledgesAt: Instant?
    var acknowledgesNow = false
    /// Frames of ours that the stream did not take yet.
    var replies: [UInt8] = []
    /// Bytes that arrived while the application was behind; at most what the stream's window allows, as it stays closed.
    var held = Fifo<HeldBytes>()
    var unsettledBytes = 0
    var unsettledMessages = 0
    var assembly: Assembly?
    /// A large body waits for room among the files.
    var waitsForSpool: Int?
    /// What is held waits for the rate: lanes of less importance wait behind it.
    var waitsForRate = false

    init(pool: BufferPool) { receiver = LaneReceiver(pool: pool) }
}

/// Bytes that arrived and are not looked at yet.
struct HeldBytes {
    let buffer: PooledBuffer
    var head = 0
    var tail = 0
}

/// A body in the making.
enum Assembly {
    case memory(BodyBytes)
    case spool(SpoolID, byteCount: Int)
}

/// The bytes of a body at a fixed place, growing with what arrives.
final class BodyBytes {
    private static let firstCapacity = 131_072

    private var storage: UnsafeMutableRawBufferPointer
    private(set) var count = 0
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
        storage = .allocate(byteCount: min(limit, Self.firstCapacity), alignment: 16)
    }

    /// All of the memory at once: views of parts stay where they are.
    init(capacity: Int) {
        limit = capacity
        storage = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { storage.deallocate() }

    /// Where the appended bytes lie. Precondition: made by `init(capacity:)`.
    func appendView(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let start = count
        append(bytes)
        return UnsafeRawBufferPointer(rebasing: storage[start..<count])
    }

    var view: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[..<count]) }

    func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count <= limit - count, "no more than was announced")
        if count + bytes.count > storage.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: min(limit, max(count + bytes.count, 2 * storage.count)), alignment: 16)
            larger.copyMemory(from: view)
            storage.deallocate()
            storage = larger
        }
        UnsafeMutableRawBufferPointer(rebasing: storage[count..<count + bytes.count]).copyMemory(from: bytes)
        count += bytes.count
    }
}

/// A message that waits outside of a full queue, or the rest of a run.
struct WaitingMessage {
    enum Body {
        case one(ReceivedBody)
        case run(WaitingRun)
    }

    let id: UInt64
    let message: OutboundMessage
    var body: Body
    /// Of the next one.
    var cost: Int
    let ticket: Ticket?
    let expiresAt: Instant?

    var count: Int { if case .run(let run) = body { run.views.count - run.next } else { 1 } }
    var totalCost: Int { if case .run(let run) = body { run.cost } else { cost } }
}

/// Messages of a run, copied together.
struct WaitingRun {
    private let memory: BodyBytes
    let views: [UnsafeRawBufferPointer]
    /// Those before it are in the queue.
    private(set) var next = 0
    /// Of those that wait.
    private(set) var cost: Int

    init(_ bodies: ArraySlice<UnsafeRawBufferPointer>) {
        let memory = BodyBytes(capacity: bodies.reduce(0) { $0 + $1.count })
        views = bodies.map { memory.appendView($0) }
        cost = memory.count + views.count * LaneSender.messageOverhead
        self.memory = memory
    }

    mutating func pass(_ count: Int) {
        for view in views[next..<next + count] { cost -= view.count + LaneSender.messageOverhead }
        next += count
    }

    /// The views hold as long as this does.
    func withViews<R>(_ body: (ArraySlice<UnsafeRawBufferPointer>) -> R) -> R { withExtendedLifetime(memory) { body(views[next...]) } }
}

struct PendingRequest {
    let ticket: Ticket?
    let lane: Lane
    /// Less the shift of its lane.
    let place: UInt64
}

enum ChannelDeadline {
    case message(Lane, UInt64)
    case request(UInt64)
    case waiting(UInt64)
}

/// All that is between us and one peer, whether it is connected or not.
struct Channel {
    /// Earlier incarnations of the peer of which nothing is believed any more.
    static let maximumPast = 8

    let peer: PeerID
    /// Over all lanes and connections, whatever incarnation the peer has.
    var sendPace: Pace
    var receivePace: Pace
    var out: [OutboundLane]
    var into: [InboundLane]
    var known = StoredPeer()
    var past: [Incarnation] = []
    /// What waits outside of the full queue.
    var waitingMessages = 0
    var waitingBytes = 0
    var nextWaiting: UInt64 = 1
    var requests: [UInt64: PendingRequest] = [:]
    var deadlines = TimerQueue<ChannelDeadline>()
    /// Changes with every new incarnation of the peer: what was given to the store before is of no meaning any more.
    var epoch = 0
    /// Changes that the store has not confirmed.
    var uncommitted = 0
    var lastUse: Instant
    var isDirty = false
    var timerSetFor: Instant?
    /// A stream carried messages before the last connection was lost.
    var wasResumed = false
    var announcesResume = false
    var resent = 0

    var delivered: UInt64 = 0
    var received: UInt64 = 0
    var expired: UInt64 = 0
    var displaced: UInt64 = 0
    var failed: UInt64 = 0
    var duplicates: UInt64 = 0

    init(peer: PeerID, pool: BufferPool, options: MessageConfiguration, isStored: Bool, now: Instant) {
        self.peer = peer
        lastUse = now
        sendPace = Pace(options.sendRate)
        receivePace = Pace(options.receiveRate)
        let isPaced = sendPace.isLimited
        out = Lane.allCases.map { _ in OutboundLane(pool: pool, isPaced: isPaced, isStored: isStored) }
        into = Lane.allCases.map { _ in InboundLane(pool: pool) }
    }

    /// All of it at one look.
    var queued: (messages: Int, bytes: Int, memory: Int) { mutating get { (queuedMessages, queuedBytes, memory) } }
    var queuedMessages: Int { out[0].sender.messageCount + out[1].sender.messageCount + out[2].sender.messageCount }
    var queuedBytes: Int { out[0].sender.byteCount + out[1].sender.byteCount + out[2].sender.byteCount }
    var memory: Int { mutating get { out[0].sender.memory + out[1].sender.memory + out[2].sender.memory } }

    /// Something of ours waits, or is awaited.
    var isBusy: Bool { queuedMessages > 0 || waitingMessages > 0 || !requests.isEmpty }

    /// Nothing is lost when it is forgotten.
    var isIdle: Bool { !isBusy && uncommitted == 0 && into.allSatisfy { $0.unsettledMessages == 0 && $0.place == nil } }

    var deadline: Instant? {
        mutating get {
            var next = earlier(earlier(deadlines.deadline, sendPace.opensAt), receivePace.opensAt)
            for lane in 0..<3 {
                next = earlier(next, into[lane].acknowledgesAt)
                if out[lane].hasOutput { next = earlier(next, out[lane].opensAt) }
            }
            return next
        }
    }
}

/// A change given to the driver, and what may follow once it is on disk.
struct Uncommitted {
    enum Consequence {
        /// The place is the message's number less the shift of its lane.
        case outbound(Lane, place: UInt64, Ticket?)
        case marked(Lane)
        case unmarked(Lane)
        case inbound(Lane, next: UInt64)
        case deliver(InboundMessage, BodyBytes)
        case deliverSpooled(InboundMessage, SpoolID, byteCount: Int)
        case discard(SpoolID)
    }

    let number: UInt64
    /// The channel, and its epoch then; nil for what belongs to none.
    let channel: Int?
    let epoch: Int
    let consequence: Consequence
}

/// All channels of the node.
struct Messages {
    var channels: [Channel] = []
    var free: [Int] = []
    var index: [PeerID: Int] = [:]
    /// The one looked up last: a caller mostly goes on with the same peer.
    var last: (peer: PeerID, at: Int)?
    var dirty = Fifo<Int>()
    /// Channels with messages that wait for room.
    var crowded: Set<Int> = []
    var incarnation: Incarnation?
    /// The wall clock at an instant, where there is a store.
    var clock: (wall: Int64, at: Instant)?
    var uncommitted = Fifo<Uncommitted>()
    /// Changes given out, and those given out before `poll()` last gave nil.
    var issued: UInt64 = 0
    var drained: UInt64 = 0
    var queuedBytes = 0
    var waitingBytes = 0
    var spooledBytes = 0
    var lastRequest: UInt64 = 0
    var lastSpool: UInt64 = 0
    /// Files of messages for the application.
    var spools: [InboundMessage: SpoolID] = [:]
    /// Channel and lane that read from a file.
    var readers: [SpoolID: (channel: Int, lane: Lane)] = [:]
    /// What views lie in that were given out; let go of once nobody looks at them.
    var retiredBuffers: [PooledBuffer] = []
    /// In `held` of all lanes: bytes that wait until the application caught up, or the rate admits them.
    var heldBuffers = 0
    var retiredBodies: [BodyBytes] = []

    var isStored: Bool { clock != nil }
}
