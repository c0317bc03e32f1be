import MeshNetProtocol
import MeshNetSwarm

/// The reactor's loop around one swarm. Everything here happens on the thread that steers (`Helm`): "the reactor".
///
/// A turn: wait, serve the sockets that are ready (a bounded number of bytes each, so that one peer cannot starve the others), the waiting requests
/// and the timers, then flush and send. After each call on the swarm `drain` carries out its actions; answers to the swarm that an action makes
/// necessary are deferred until `poll()` gave nil, because its views live until then.
final class Loop {
    /// Bytes after which one socket is read no further in one turn, and bytes given to it.
    static let receivedPerTurn = 524_288
    static let sentPerTurn = 1_048_576
    /// Requests served in one turn.
    static let requestsPerTurn = 4_096
    /// How long the go-aways of a shutdown may take to leave; the remaining sockets are closed then.
    static let linger: Duration = .milliseconds(400)
    /// Streams that ended while the application still holds their id, kept so that it can read the rest and learn the cause.
    static let endedStreamsKept = 4_096

    /// Answers to the swarm that wait until its actions are drained.
    enum Deferred {
        case connected(ConnectionID)
        case connectFailed(ConnectionID, errno: Int32)
        case consumed(StreamID, Int)
        case write(StreamID)
        case reset(StreamID)
        indirect case startSources(DiscoveryConfiguration)
        case offerDropped(Discovery)
        case spoolRead(SpoolID, offset: Int, count: Int)
        indirect case spoolFailed(SpoolID, StorageProblem)
    }

    var swarm: Swarm
    let mailbox: Mailbox
    let queue: EventQueue
    let inbox: Inbox
    let system: SystemCalls
    let readiness: Readiness
    let resolver: Resolver
    var listeners: [Listener]
    let addressWatch: AddressWatch?
    let log: Log
    var refreshAddressesAt: Instant?
    let localPeer: PeerID
    let preSharedKey: PreSharedKey?
    let storage: Storage
    let nameServers: String?
    var sources: [any ExternalSource] = []
    /// nil while our own mDNS responder is off.
    var multicast: Multicast?
    /// How many peers the sources were told of.
    var sourcePeerCount = 0

    var connections: [ConnectionID: Connection] = [:]
    var deferred = StableFifo<Deferred>()
    /// Connections with bytes to send, and those that had their share of this turn.
    var transmits = StableFifo<Connection>()
    var express = Express()
    var carriedOver: [Connection] = []
    /// Connections with bytes that the peer does not have yet.
    var underWay: [Connection] = []
    var progressDueAt: Instant?

    var refusalLoggedAt: Instant?
    /// As the kernel told last.
    var interfaces: [NetworkInterface] = []
    /// nil while it is off.
    let wakeWatch: WakeWatch?

    var commands: [Ticket: Engine.Completion<Outcome>?] = [:]
    /// Cancelled commands that the swarm still works on.
    var abandoned: Set<Ticket> = []
    var requests: [Request] = []
    var nextRequest = 0
    /// The last turn did not look for new requests.
    var isInboxUnseen = false

    var ports: [StreamID: StreamPort] = [:]
    var filling: [StreamID] = []
    var streamOfTicket: [Ticket: StreamID] = [:]
    var endedStreams = StableFifo<StreamID>()

    var sends: [Ticket: TrackedSend] = [:]
    /// What arrived in this turn, and what the application was done with before it.
    var arrived = DeliveryBatch()
    var settled: [Settlements.Item] = []
    /// Something depends on what the application is done with; and some came meanwhile.
    var areSettlementsAwaited = false
    var hasSettlements = false
    /// Nothing outlives the process: what waits in the inbox can be taken after the close.
    let keepsInbox: Bool

    var now: Instant
    var turnNumber: UInt64 = 0
    var isLeaving = false

    init(
        _ configuration: Configuration, mailbox: Mailbox, readiness: Readiness, queue: EventQueue, inbox: Inbox, storage: Storage,
        listeners: [Listener], system: SystemCalls, nameServers: String?
    ) throws(SystemError) {
        now = .now()
        log = Log(configuration.identity.peerID)
        var configuration = configuration
        configuration.firstSequenceNumber = WallClock.nanoseconds()
        localPeer = configuration.identity.peerID
        preSharedKey = configuration.preSharedKey
        self.nameServers = nameServers
        swarm = Swarm(configuration: configuration, seed: Entropy.bytes(RandomSource.seedByteCount), now: now)
        self.mailbox = mailbox
        self.queue = queue
        self.inbox = inbox
        keepsInbox = configuration.messages.stateDirectory == nil
        self.storage = storage
        self.system = system
        self.listeners = listeners
        self.readiness = readiness
        resolver = Resolver(readiness: readiness, tokenBase: Token.resolver.rawValue, servers: nameServers)
        addressWatch = AddressWatch()
        wakeWatch = WakeWatch(configuration.messages.wake)
        try readiness.add(mailbox.wakeup.descriptor, token: Token.wakeup.rawValue, .readable)
        for (index, listener) in listeners.enumerated() {
            try readiness.add(listener.descriptor, token: Token.listener.rawValue + UInt64(index), .readable)
        }
        if let wakeWatch { try? readiness.add(wakeWatch.descriptor, token: Token.wake.rawValue, .readable) }
        if let addressWatch { try? readiness.add(addressWatch.descriptor, token: Token.addresses.rawValue, .readable) }
        restoreMessages()
        announceAddresses()
    }

    deinit { for connection in connections.values { Socket.close(connection.descriptor) } }

    // MARK: Turns

    func turn(_ ready: [Ready], servesTimers: Bool = true) {
        turnNumber &+= 1
        express.turnBegins()
        now = .now()
        for report in ready { serve(report) }
        completeFilledReads()
        serveSettlements()
        if !isLeaving { serveRequests() }
        if servesTimers { serveTimers() }
        finishTurn()
        awaitSettlements()
    }

    /// Whether something can be done ahead while nothing is ready.
    var hasUseForIdleTime: Bool { swarm.hasUseForIdleTime && !isLeaving }

    func useIdleTime() { swarm.useIdleTime() }

    /// For so long the next bytes of the last turn's work are worth a look, since waking a processor takes longer.
    func longestLook() -> Duration? {
        if swarm.tookFlight() { return Looking.longestInHandshake }
        return express.isBesideBulk(now: now) ? Express.longestLook : nil
    }

    /// Zero while work is left over from the last turn, nil when nothing is due.
    var wakeTime: Instant? {
        if !carriedOver.isEmpty || nextRequest < requests.count || isInboxUnseen || hasSettlements { return .zero }
        var time = earlier(swarm.deadline, resolver.deadline(now: now))
        time = earlier(time, refreshAddressesAt)
        time = earlier(time, sourceDeadline)
        time = earlier(time, multicast?.deadline)
        time = earlier(time, progressDueAt)
        time = earlier(time, storage.deadline)
        for listener in listeners { time = earlier(time, listener.resumesAt) }
        return time
    }

    private func serve(_ report: Ready) {
        switch Token(report.token) {
        case .wakeup: mailbox.wakeup.clear()
        case .listener: accept(on: Int(report.token & Token.valueMask))
        case .addresses: addressesChanged()
        case .wake: serveWake()
        case .source: serveSource(report)
        case .multicast: serveMulticast(Int32(report.token & Token.valueMask))
        case .resolver:
            resolver.ready(Int32(report.token & Token.valueMask), readable: report.readable || report.failed, writable: report.writable)
            drain()
        case .connection: serve(ConnectionID(rawValue: report.token & Token.valueMask), report)
        }
    }

    private func serveTimers() {
        if let deadline = swarm.deadline, deadline <= now {
            swarm.handleTimeout(now: now)
            drain()
        }
        if let deadline = resolver.deadline(now: now), deadline <= now { resolver.handleTimeout() }
        drain()
        serveProgress()
        if let time = refreshAddressesAt, time <= now {
            refreshAddressesAt = nil
            announceAddresses()
            drain()
            refreshMulticast()
        }
        serveSourceTimers()
        serveMulticastTimer()
        resumeListeners()
    }

    /// Seals what the turn wrote and sends it. Room in a send buffer lets waiting writes go on, so it takes several rounds; each connection has its
    /// share of bytes in a turn, which ends them.
    func finishTurn() {
        let waiting = carriedOver
        carriedOver.removeAll(keepingCapacity: true)
        for connection in waiting where connection.isOpen { enqueue(connection) }
        while true {
            completeFilledReads()
            swarm.flush(now: now)
            drain()
            // Before any byte leaves: what it tells or acknowledges must not be lost.
            if commitChanges() { continue }
            inbox.put(&arrived)
            if transmits.isEmpty, filling.isEmpty { return }
            while let connection = transmits.popFirst() {
                connection.isQueued = false
                transmit(connection)
            }
        }
    }

    // MARK: The swarm

    /// Carries out what the swarm wants until it wants nothing.
    func drain() {
        while true {
            while let action = swarm.poll() { carryOut(action) }
            if let next = deferred.popFirst() {
                apply(next)
            } else if let answer = resolver.poll() {
                swarm.resolved(query: answer.query, answer.result, now: now)
            } else {
                return
            }
        }
    }

    private func carryOut(_ action: SwarmAction) {
        switch action {
        case .connect(let id, let address): connect(id, address)
        case .transmit(let id): if let connection = connections[id] { enqueue(connection) }
        case .close(let id): close(id)
        case .setReading(let id, let wanted): setReading(id, wanted)
        case .resolve(let query, let host, let family): resolver.resolve(query: query, host: host, family: family)
        case .multicast(let interface, let packet): multicast?.send(packet, interface: interface, now: now)
        case .configureSources(let configuration):
            queue.setOfferLimit(configuration.offerQueue)
            deferred.append(.startSources(configuration))
        case .event(let event): announce(event)
        case .messages(let messages): queue.put(messages)
        case .complete(let ticket, let result): completed(ticket, result)
        case .streamData(let stream, let bytes): received(stream, bytes)
        case .streamEnded(let stream): ended(stream)
        case .streamWritable(let stream): deferred.append(.write(stream))
        case .streamClosed(let stream, let error): gone(stream, error)
        case .spool(let spool, let work): carryOut(work, on: spool)
        case .store(let change): storage.apply(change)
        case .accepted(let ticket): accepted(ticket)
        case .acceptedRun(let ticket, let count): accepted(ticket, count)
        case .deliver(let message, let bytes): deliver(message, bytes)
        case .deliverRun(let run): deliver(run)
        case .deliverSpooled(let message, let spool, let byteCount): deliver(message, spool, byteCount)
        }
    }

    private func apply(_ answer: Deferred) {
        switch answer {
        case .connected(let id): connected(id)
        case .connectFailed(let id, let code): swarm.connectFailed(id, errno: code, now: now)
        case .consumed(let stream, let count): swarm.consumed(stream, count, now: now)
        case .write(let stream):
            ports[stream]?.isFull = false
            continueWriting(stream)
        case .reset(let stream): swarm.resetStream(stream, now: now)
        case .startSources(let configuration):
            startSources(configuration)
            configureMulticast(configuration)
        case .offerDropped(let discovery): swarm.offerDropped(discovery, now: now)
        case .spoolRead(let spool, let offset, let count): readSpool(spool, offset, count)
        case .spoolFailed(let spool, let problem): swarm.spoolFailed(spool, problem, now: now)
        }
    }

    func announce(_ event: Event) {
        if case .storage(let problem) = event, !storage.shouldTell(problem, now: now) { return }
        log.event(event)
        guard case .streamOpened(let stream, _, _) = event else {
            if queue.put(.event(event)) == .dropped, case .discovered(let discovery) = event { deferred.append(.offerDropped(discovery)) }
            return
        }
        ports[stream] = StreamPort()
        guard queue.put(.event(event)) == .dropped else { return }
        // The application leaves more streams unaccepted than it may: the peer learns it at once.
        ports[stream] = nil
        deferred.append(.reset(stream))
    }

    // MARK: Leaving

    /// Ends every call first, since their callers wait; then the connections, in order as far as that is quick; then the queue.
    func leave() {
        isLeaving = true
        endCalls()
        for listener in listeners {
            readiness.remove(listener.descriptor)
            listener.close()
        }
        listeners.removeAll()
        resolver.close()
        closeSources()
        drain()
        now = .now()
        swarm.shutdown(now: now)
        // The goodbyes of mDNS leave with this.
        drain()
        closeMulticast()
        finishTurn()
        let limit = now + Self.linger
        var ready: [Ready] = []
        while !connections.isEmpty, now < limit {
            readiness.wait(until: earlier(wakeTime, limit), into: &ready)
            turn(ready)
        }
        for id in connections.keys.sorted() { close(id) }
        endSends()
        inbox.put(&arrived)
        inbox.close(keeping: keepsInbox)
        settle(inbox.settlements.close())
        drain()
        storage.close(wallClock: WallClock.sinceEpoch())
        queue.close()
    }
}

/// What a readiness report is about: a kind in the top byte, and a number.
enum Token: UInt64 {
    case wakeup = 0
    case addresses = 0x0100_0000_0000_0000
    case listener = 0x0200_0000_0000_0000
    case resolver = 0x0300_0000_0000_0000
    case connection = 0x0400_0000_0000_0000
    /// With the source's index above bit 32.
    case source = 0x0500_0000_0000_0000
    case multicast = 0x0600_0000_0000_0000
    case wake = 0x0700_0000_0000_0000

    static let valueMask: UInt64 = 0x00ff_ffff_ffff_ffff

    /// Whether a caller that waits may serve it. The libraries behind the others, and what they do to a thread, are the reactor thread's.
    var isServedByCallers: Bool { self == .wakeup || self == .connection }

    /// Precondition: the token was made here.
    init(_ token: UInt64) { self = Token(rawValue: token & ~Self.valueMask)! }
}
