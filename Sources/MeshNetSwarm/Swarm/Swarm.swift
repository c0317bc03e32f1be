package import MeshNetProtocol

/// The brain of a node: every decision, no system call. One value, driven by one thread or one simulator.
///
/// **The invariant**: call one input method, then drain `poll()` until it gives nil, then wait for the next input or for
/// `deadline`. At the end of a loop turn call `flush` and drain again: it seals what small writes left in the connections.
/// Time comes in as `now` and randomness from the seed, so that a network of swarms replays from its seeds.
package struct Swarm {
    /// As given, but for `discovery`, which changes with the `configureDiscovery` command.
    package internal(set) var configuration: Configuration
    package let localPeer: PeerID

    var now: Instant
    var random: RandomSource
    let pool = BufferPool()

    var actions = Fifo<SwarmAction>()
    var timers = TimerQueue<TimerKey>()
    /// So many timers make a sweep worth it.
    private var timerSweepCount = Self.minimumTimerSweep
    /// Pipelines that may have actions, and those that may hold unsealed bytes.
    var dirty = Fifo<ConnectionID>()
    var unflushed: [ConnectionID] = []

    var connections = ConnectionTable()
    var currentNoiseKey: NoiseKey?
    var noiseKeyUses = 0
    let provenSignatures = ProvenSignatures()
    let ephemeralKeys = EphemeralKeys()
    /// Of handshakes within this host, less those that ended, since `tookFlight`.
    var flightsAwaited = 0
    var peers: [PeerID: Peer] = [:]
    var addressBook: AddressBook
    var listenAddresses: [Multiaddr] = []
    var recordSequence: UInt64
    /// Counts the changes of what identify tells.
    var identifyRevision: UInt64 = 0
    /// Our signed peer record, once somebody asked for it.
    var sealedRecord: [UInt8]?
    var inboundGate: InboundGate
    var refusedHandshakes = RefusedHandshakes()
    var clones = Clones()
    var diagnoses: [DiagnosisID: PendingDiagnosis] = [:]
    var nextDiagnosis: UInt64 = 1
    let startedAt: Instant

    var dials: [DialID: Dial] = [:]
    /// Finds the dial to a peer or an address that is under way.
    var dialIndex: [DialKey: DialID] = [:]
    var nextDialID: UInt64 = 1
    var nextQuery: UInt64 = 1
    var queries: [UInt64: DialID] = [:]
    var queuedDials = Fifo<DialID>()
    var outboundAttempts = 0
    /// Attempts under way, and peers reached by connections of ours, by the address that was dialled.
    var triedAddresses: [Multiaddr: Int] = [:]
    var reachedPeers: [Multiaddr: PeerID] = [:]
    var addressProblems: [AddressProblem] = []

    /// What all sources know.
    var table = PeerTable()
    var rules: DiscoveryRules
    var addressSense = AddressSense()
    /// nil while it is off.
    var mdns: MDNSService?
    var multicastInterfaces: [MDNSInterface] = []
    /// Dials of found peers under way.
    var discoveryDials = 0
    var offersDueAt: Instant?
    var droppedOffers = 0
    var protectedPeers: Set<PeerID>
    /// A trim goes on until then.
    var trimEndsAt: Instant?
    var trimDueAt: Instant?
    /// Until then found peers are dialled only up to the low water mark.
    var heldUntil: Instant?

    /// Peers whose channels are in use, and those whose channel was closed on purpose.
    var wanted: [PeerID: WantedPeer] = [:]
    var closings: Closings

    var acceptedProtocols: [String] = []
    var protocols: [String] = []
    var nextStreamID: UInt64 = 1
    var streams: [StreamID: StreamLocation] = [:]

    /// nil while gossip discovery is off.
    var exchange: PeerExchange?

    var messages = Messages()

    var gossip: Gossipsub
    var gossipTimer: Instant?
    /// The last values of topics.
    var retained: Retained
    /// The topics that we follow.
    var subscribedSince: [String: Instant] = [:]
    var topicWaits: [TopicWait] = []
    var isShuttingDown = false

    /// `seed`: 32 bytes, from the kernel's entropy in a real node.
    package init(configuration: Configuration, seed: [UInt8], now: Instant) {
        self.configuration = configuration
        self.configuration.discovery.modes = configuration.discovery.modes ?? []
        rules = DiscoveryRules(configuration.discovery)
        protectedPeers = Set(configuration.protectedPeers)
        self.now = now
        startedAt = now
        localPeer = configuration.identity.peerID
        random = RandomSource(seed: seed)
        addressBook = AddressBook(limits: configuration.limits)
        recordSequence = configuration.firstSequenceNumber ?? 1
        inboundGate = InboundGate(limits: configuration.limits)
        closings = Closings(maximum: configuration.messages.channels)
        var gossipsub = configuration.gossipsub
        gossipsub.limits.ownTopics = min(gossipsub.limits.ownTopics, configuration.limits.topics)
        gossipsub.limits.topicsPerPeer = min(gossipsub.limits.topicsPerPeer, configuration.limits.topics)
        gossip = Gossipsub(
            configuration: gossipsub, identity: configuration.identity, random: random.fork(), now: now,
            sequenceNumber: configuration.firstSequenceNumber)
        retained = Self.makeRetained(configuration, now: now)
        refreshProtocols()
        startDiscovery()
        configurePeerExchange(configuration.discovery.modes ?? [])
        loadBootstrap()
    }

    /// Timers below which no sweep is made. 24 bytes and a key each.
    private static var minimumTimerSweep: Int { 1_024 }

    /// Takes timers of connections and dials that are gone out of the queue once they may be half of it, so that coming and going fills nothing.
    mutating func sweepTimers() {
        guard timers.count >= timerSweepCount else { return }
        var queue = timers
        timers = TimerQueue()
        queue.removeAll { !isLive($0) }
        timers = queue
        timerSweepCount = max(Self.minimumTimerSweep, 2 * timers.count)
    }

    private func isLive(_ key: TimerKey) -> Bool {
        switch key {
        case .pipeline(let id), .closing(let id), .ping(let id), .duplicate(let id): connections[id] != nil
        case .connect(let id): connections[id].map { $0.phase == .connecting || $0.phase == .handshaking } ?? false
        case .dial(let id): dials[id] != nil
        case .target(let id): table[id]?.timerSetFor != nil
        case .wanted(let peer): wanted[peer]?.timerSetFor != nil
        case .parting(let peer): closings[peer] != nil
        case .sighting(let id): table[id]?.isTimed == true
        case .offers, .trim: true
        case .clone: !clones.waiting.isEmpty
        case .diagnosis(let id): diagnoses[id] != nil
        case .channel(let at): messages.channels[at].timerSetFor != nil
        }
    }

    /// TCP connections of every phase.
    package var connectionCount: Int { connections.count }

    /// The earliest time at which `handleTimeout` has work.
    package var deadline: Instant? {
        mutating get { earlier(earlier(timers.deadline, gossipTimer), earlier(mdns?.deadline, earlier(exchange?.deadline, retained.deadline))) }
    }

    package mutating func handleTimeout(now: Instant) {
        self.now = now
        while let key = timers.popExpired(now: now) { fire(key) }
        if let due = gossipTimer, due <= now {
            gossip.handleTimeout(now: now)
            pumpGossip()
        }
        if let due = mdns?.deadline, due <= now {
            mdns?.handleTimeout(now: now)
            pumpDiscovery()
        }
        if let due = exchange?.deadline, due <= now {
            exchange?.handleTimeout(now: now)
            pumpExchange()
        }
        if let due = retained.deadline, due <= now {
            retained.handleTimeout(now: now)
            pumpRetained()
        }
    }

    /// The next thing to do, or nil when the swarm waits for input.
    package mutating func poll() -> SwarmAction? {
        while true {
            if let action = actions.popFirst() { return action }
            guard let id = dirty.first else {
                messages.drained = messages.issued
                return nil
            }
            guard let action = connections[id]?.pipeline?.poll() else {
                _ = dirty.popFirst()
                settlePipeline(id)
                continue
            }
            if let data = handle(action, on: id) { return data }
        }
    }

    /// Seals the bytes that small writes left open, so that those of one loop turn share a frame and a system call.
    package mutating func flush(now: Instant) {
        self.now = now
        if gossip.hasForwards { pumpGossip() }
        pumpMessages()
        let ids = unflushed
        unflushed.removeAll(keepingCapacity: true)
        for id in ids {
            connections[id]?.isUnflushed = false
            let timerSetFor = connections[id]?.timerSetFor
            guard let flushed = connections[id]?.pipeline?.flush(now: now, timerSetFor: timerSetFor) else { continue }
            if flushed.hasOutput { actions.append(.transmit(id)) }
            // With nothing to send, nobody else would wake a stream that waits for its turn to write.
            if flushed.needsPoll { touch(id) }
            // Sealing may end a connection, and bytes that wait for the socket have a deadline.
            if flushed.needsSettling { markDirty(id) }
        }
    }

    /// Sends go-aways; `close` actions follow as the connections drain.
    package mutating func shutdown(now: Instant) {
        self.now = now
        isShuttingDown = true
        endTopicWaits()
        mdns?.close()
        pumpDiscovery()
        for dial in dials.keys.sorted(by: { $0.rawValue < $1.rawValue }) { failDial(dial, .cancelled) }
        wanted.removeAll()
        for peer in peers.keys.sorted() where messages.index[peer] != nil { sayGoodbye(peer, .shutdown) }
        endMessages()
        for id in connections.ids { close(id, cause: .shutdown) }
    }

    /// Marks a connection as one whose pipeline was touched: it is polled, then flushed at the end of the turn.
    mutating func touch(_ id: ConnectionID) {
        guard connections[id]?.hasPipeline == true else { return }
        markDirty(id)
        if connections[id]?.isUnflushed == false {
            connections[id]?.isUnflushed = true
            unflushed.append(id)
        }
    }

    private mutating func markDirty(_ id: ConnectionID) {
        guard connections[id]?.isDirty == false else { return }
        connections[id]?.isDirty = true
        dirty.append(id)
    }

    mutating func emit(_ event: Event) { actions.append(.event(event)) }

    mutating func complete(_ ticket: Ticket, _ result: Result<Outcome, CallError>) {
        actions.append(.complete(ticket, result))
    }

    /// A drained pipeline: its deadline goes into the timer queue if it came nearer.
    private mutating func settlePipeline(_ id: ConnectionID) {
        connections[id]?.isDirty = false
        guard let deadline = connections[id]?.pipeline?.deadline else { return }
        if let set = connections[id]?.timerSetFor, set <= deadline { return }
        connections[id]?.timerSetFor = deadline
        timers.set(.pipeline(id), at: deadline)
    }

    private mutating func fire(_ key: TimerKey) {
        switch key {
        case .pipeline(let id):
            guard let set = connections[id]?.timerSetFor, set <= now else { return }
            connections[id]?.timerSetFor = nil
            connections[id]?.pipeline?.handleTimeout(now: now)
            touch(id)
        case .connect(let id): connectTimedOut(id)
        case .closing(let id): if connections[id] != nil { finish(id) }
        case .ping(let id): pingTimer(id)
        case .duplicate(let id): duplicateTimer(id)
        case .dial(let id): continueDial(id)
        case .target(let id): targetTimer(id)
        case .wanted(let peer): wantedTimer(peer)
        case .parting(let peer): part(from: peer)
        case .sighting(let id): sightingTimer(id)
        case .offers: offersTimer()
        case .trim:
            trimConnections()
            serveLines()
        case .clone: cloneTimer()
        case .diagnosis(let id): diagnosisTimer(id)
        case .channel(let at): channelTimer(at)
        }
    }
}

/// Who is called when a deadline comes.
enum TimerKey {
    case pipeline(ConnectionID)
    case connect(ConnectionID)
    case closing(ConnectionID)
    case ping(ConnectionID)
    case duplicate(ConnectionID)
    case dial(DialID)
    case target(TargetID)
    case wanted(PeerID)
    case parting(PeerID)
    case sighting(SightingID)
    case offers
    case trim
    case clone
    case diagnosis(DiagnosisID)
    /// The place of a channel.
    case channel(Int)
}
