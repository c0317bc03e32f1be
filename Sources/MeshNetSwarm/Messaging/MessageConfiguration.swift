public import MeshNetProtocol

/// How messages between peers are queued, kept and taken. Every bound that can be chosen, with its default.
public struct MessageConfiguration: Sendable, Equatable {
    /// Where queues, sequence numbers, incarnations and the address book outlive the process; nil: in memory only. Made, with mode 0700, when missing.
    public var stateDirectory: String?
    /// Waits for the disk at every commit: then a power failure loses nothing either. Without it the death of the process loses nothing.
    public var synchronizesDisk = false
    /// Bytes that may wait for one peer, over its three lanes. Each message counts 64 bytes beside its own.
    public var queueBytes = 64 << 20
    /// Messages that may wait for one peer. ocap-kernel: 200.
    public var queueMessages = 10_000
    /// Bytes that may wait for all peers together.
    public var totalQueueBytes = 512 << 20
    /// Received bytes of one peer and lane that the application has not settled; beyond it the peer waits.
    public var receiveBytes = 4 << 20
    /// Bytes of a message, both ways. ocap-kernel: 1 MiB.
    public var maximumMessageSize = 1 << 30
    /// A larger message lies in a file and not in memory, both ways.
    public var spoolThreshold = 1 << 20
    /// Bytes in such files, over all peers, for messages that arrive.
    public var spoolBytes = 8 << 30
    /// How long an acknowledgement waits for others, and for bytes to travel with. ocap-kernel: 50 ms.
    public var acknowledgementDelay: Duration = .milliseconds(50)
    /// How long a request waits for its reply where the call names no time.
    public var requestTimeout: Duration = .seconds(30)
    /// Requests of ours to one peer without reply.
    public var requestsPerPeer = 4_096
    /// What one peer may be sent, and may send, over all lanes and connections, in messages and in bytes with their frames; what is more waits, control
    /// before normal before bulk. ocap-kernel: 100 messages a second sent.
    public var sendRate = RateLimit()
    public var receiveRate = RateLimit()
    /// Peers with which messages are or were exchanged; beyond it the one idle for longest, with nothing waiting, is forgotten.
    public var channels = 10_000
    public var reconnect = ReconnectConfiguration()
    public var wake = WakeConfiguration()

    public init() {}
}

/// What may pass in one second; zero: without limit. A burst of one second's worth passes at once.
public struct RateLimit: Sendable, Equatable {
    public var messagesPerSecond = 0
    public var bytesPerSecond = 0

    public init() {}
}

/// When a peer is dialled again. The n-th delay is random between zero and first × factorⁿ, at most the cap.
public struct ReconnectConfiguration: Sendable, Equatable {
    public var first: Duration = .milliseconds(500)
    public var factor = 2.0
    public var cap: Duration = .seconds(10)
    /// Failed rounds in a row after which the tickets of the peer end with `gaveUp`; zero: never.
    public var maximumAttempts = 0
    /// A connection that lasted so long resets the delays.
    public var lastingTime: Duration = .seconds(5)
    /// So many failures of one kind in a row are taken to be permanent: reported, and dialled with `permanentDelay` only.
    public var permanentAfter = 5
    public var permanentDelay: Duration = .seconds(60)
    /// A peer that nothing waits for, and that was away for so long, is dialled no more until somebody sends to it; zero: it is for ever.
    /// ocap-kernel: 1 h, also where something waits.
    public var staleAfter: Duration = .seconds(86_400)
    /// Rounds of dialling to one peer in a minute; zero: without limit. ocap-kernel: 10, which stalls its own ladder.
    public var dialsPerMinute = 0

    public init() {}
}

/// What counts as a wake from sleep.
public struct WakeConfiguration: Sendable, Equatable {
    /// Between two looks at the clocks.
    public var interval: Duration = .seconds(15)
    /// A look that comes so much too late is a wake.
    public var jump: Duration = .seconds(30)
    /// A node that starts so long after it was last alive starts as after a wake.
    public var storedGap: Duration = .seconds(3_600)

    public init() {}
}

/// When a silent connection is asked about by the kernel (tcp(7): SO_KEEPALIVE), in whole seconds, and when it is given up; a timeout of zero: never.
public struct KeepaliveConfiguration: Sendable, Equatable {
    /// Peers on a network of ours, and on this host: silence until the first question, and until the connection is given up. An idle one is given up
    /// after the questions that fit into the time, one more second each: 3 s after the last sign of life by default, 2 s to 3 s after a cut.
    public var localIdle: Duration = .seconds(1)
    public var localTimeout: Duration = .milliseconds(2_500)
    /// All others.
    public var remoteIdle: Duration = .seconds(15)
    public var remoteTimeout: Duration = .seconds(30)

    public init() {}
}

/// How one message is sent.
public struct SendOptions: Sendable, Equatable {
    public var lane: Lane = .normal
    /// From now on; what is not delivered by then ends as `expired`. nil: it is tried for ever.
    public var deadline: Duration?
    public var whenFull: WhenFull = .wait

    public init() {}
    public init(lane: Lane = .normal, deadline: Duration? = nil, whenFull: WhenFull = .wait) {
        self.lane = lane
        self.deadline = deadline
        self.whenFull = whenFull
    }
}

/// What a send does that finds the queue of its peer full.
public enum WhenFull: UInt8, CaseIterable, Sendable {
    case wait = 0
    /// Ends with `queueFull`.
    case fail = 1
    /// The oldest waiting messages of the same lane make room; their tickets end with `displaced`.
    case dropOldest = 2
}
