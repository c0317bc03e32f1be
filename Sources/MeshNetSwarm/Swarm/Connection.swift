import MeshNetProtocol

/// What the swarm knows of one TCP connection, with its pipeline inside once the socket is connected.
///
/// One object of its table: as a value it was copied, pipeline and all, wherever a field of it was read (decision 011).
final class Connection {
    enum Phase: Equatable {
        case connecting
        case handshaking
        case established
        /// The last bytes are on their way out.
        case closing(DisconnectCause)
    }

    let id: ConnectionID
    let direction: Direction
    let remoteSocket: SocketAddress
    /// The remote address without peer id, as it is told to the application.
    let remote: Multiaddr
    let dial: DialID?
    var phase: Phase
    /// Known once the socket is connected.
    var isWithinHost = false
    var peer: PeerID?
    var establishedAt: Instant?
    /// When bytes came last.
    var lastHeard: Instant?
    /// When bytes of the application or of its topics came last.
    var lastUse: Instant?
    /// Only what may change it works in place: asking it for anything else copies it.
    var pipeline: ConnectionPipeline?

    /// What each negotiated or negotiating stream is for.
    var streams: [PipelineStream: StreamUse] = [:]
    /// Bytes of our own services that the stream did not take at once.
    var unwritten: [PipelineStream: UnwrittenBytes] = [:]
    var ping = PingState()
    /// The one inbound pubsub stream, its frames in the making.
    var pubsubInput: PubSubInput?
    var exchangeInput: PeerExchangeInput?
    var retainedInput: RetainedInput?
    var identifyInputs: [PipelineStream: IdentifyReader] = [:]
    var perf: [PipelineStream: PerfTransfer] = [:]
    /// Where the channel of the peer is, once it was looked up.
    var channel: Int?
    var greetings: [PipelineStream: MessageReplies] = [:]

    /// Waits in the swarm's list of pipelines to poll.
    var isDirty = false
    /// Waits in the swarm's list of pipelines to flush.
    var isUnflushed = false
    /// The pipeline deadline that stands in the timer queue.
    var timerSetFor: Instant?
    /// A duplicate that the other connection of the peer outlives.
    var drainingSince: Instant?

    init(id: ConnectionID, direction: Direction, remoteSocket: SocketAddress, remote: Multiaddr, dial: DialID?, phase: Phase) {
        self.id = id
        self.direction = direction
        self.remoteSocket = remoteSocket
        self.remote = remote
        self.dial = dial
        self.phase = phase
    }

    /// Whether there is a pipeline, without a look at it.
    var hasPipeline: Bool { if case .connecting = phase { false } else { true } }

    var streamsInOrder: [PipelineStream] { streams.keys.sorted { $0.rawValue < $1.rawValue } }
}

/// What a stream is used for.
enum StreamUse: Equatable {
    case application(StreamID)
    /// Opened for the application, the protocol not agreed yet.
    case applicationOpening(StreamID, Ticket, protocols: [String])
    case identifyQuery
    case identifyAnswer
    case identifyPushIn
    case identifyPushOut
    case pingOut
    case pingIn
    case perfServer
    case perfClient
    case pubsubOut
    case pubsubIn
    case exchangeOut
    case exchangeIn
    case retainedOut
    case retainedIn
    /// Of messages: ours, and the peer's before and after its HELLO.
    case messagesOut(Lane)
    case messagesGreeting
    case messagesIn(Lane)
    /// A stream that is of no use any more and is only closed in order.
    case finished
}

/// The rest of a service's answer: at most a few KiB, since services write little.
struct UnwrittenBytes {
    var bytes: [UInt8]
    var thenClose: Bool
}

/// Numbers a dial: one wish to reach a peer or an address, with all its attempts.
struct DialID: Hashable {
    let rawValue: UInt64
}
