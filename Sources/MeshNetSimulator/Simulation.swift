package import MeshNetProtocol
package import MeshNetSwarm

/// Many swarms under one virtual clock and one virtual network: a run replays bit for bit from its seed.
///
/// Links deliver in order, each piece after a random delay; partitions hold back what crosses them, as TCP does, until
/// they heal; a killed node answers nothing, a restarted one refuses what it does not know.
package final class Simulation {
    /// Ranges of the network, drawn anew for every piece of data.
    package struct Conditions {
        package var delay: ClosedRange<Duration> = .microseconds(100)...(.milliseconds(5))
        /// Bytes that a virtual socket holds before it is full.
        package var socketBuffer = 262_144
        /// Of the multicast packets, drawn anew for every receiver.
        package var multicastLossPercent = 0
        /// Dials of addresses where no node is get no answer at all, in place of "no route to host".
        package var swallowsUnknown = false
        package init() {}
    }

    package let seed: UInt64
    package var conditions = Conditions()
    package private(set) var now = Instant(nanoseconds: 1_000_000_000)
    package var nodes: [SimulatedNode] = []
    /// A digest over everything that happened, in order.
    package internal(set) var trace = Trace()
    /// Called as things happen; must not call the simulation, but may plan calls by `at`.
    package var onAccepted: ((_ node: Int, Ticket) -> Void)?
    package var onCompletion: ((_ node: Int, Ticket, Result<Outcome, CallError>) -> Void)?
    package var onDelivery: ((_ node: Int, Delivery) -> Void)?

    /// TCP dials and name look-ups so far.
    package private(set) var dials = 0
    package private(set) var lookups = 0
    package private(set) var multicasts = 0

    var random: RandomSource
    var links: [Link] = []
    var arrivals = TimerQueue<Arrival>()
    /// The partition that each node is in; nodes hear only their own.
    private var side: [Int] = []

    package init(seed: UInt64) {
        self.seed = seed
        random = RandomSource(testSeed: seed)
    }

    /// Adds a node that listens at 10.0.(n / 200).(n % 200 + 1), port 4001.
    @discardableResult
    package func addNode(bootstrap: [String] = [], isStored: Bool = false, configure: (inout Configuration) -> Void = { _ in }) -> Int {
        let index = nodes.count
        var configuration = Configuration(identity: KeyPair(random: &random), bootstrapPeers: bootstrap, listenPort: 4001)
        configure(&configuration)
        let ip: [UInt8] = [10, 0, UInt8(index / 200), UInt8(index % 200 + 1)]
        nodes.append(SimulatedNode(index: index, address: SocketAddress(ip: ip, port: 4001), configuration: configuration))
        side.append(0)
        if isStored { nodes[index].store = SimulatedStore() }
        start(index)
        return index
    }

    /// Ends the node without a word; its connections go silent. With `keepingStore` false its disk is wiped too.
    package func kill(_ index: Int, keepingStore: Bool = true) {
        nodes[index].swarm = nil
        nodes[index].isAsleep = false
        nodes[index].missed = []
        nodes[index].transmits = []
        forgetProcess(of: index, keepingStore: keepingStore)
        for link in links.indices where links[link].isOpen && links[link].joins(index) { links[link].isSilent = true }
    }

    /// Starts the node again with the same identity and address, or another port; what it knew is gone, and old connections are refused.
    package func restart(_ index: Int, port: UInt16? = nil) {
        if let port { nodes[index].address.port = port }
        for link in links.indices where links[link].isOpen && links[link].joins(index) {
            links[link].isOpen = false
            tellEnd(of: link, to: links[link].other(than: index), .failed(errno: 104))
        }
        start(index)
    }

    /// Nodes hear only nodes with the same number. TCP data that crosses waits.
    package func partition(_ sides: [Int]) { side = sides }

    package func heal() {
        side = side.map { _ in 0 }
        for link in links.indices where links[link].isOpen { resume(link) }
    }

    // MARK: - Running

    package func run(for duration: Duration) { run(until: now + duration) }

    package func run(until end: Instant) {
        while step(limit: end) {}
        now = max(now, end)
    }

    /// Runs until the condition holds; false if it did not within the limit.
    package func run(atMost duration: Duration, until condition: (Simulation) -> Bool) -> Bool {
        let end = now + duration
        while !condition(self) { if !step(limit: end) { return condition(self) } }
        return true
    }

    /// Asks a node to do something; the answer is in its `completions` under the ticket.
    @discardableResult
    package func perform(_ command: Command, at index: Int) -> Ticket {
        nodes[index].lastTicket += 1
        let ticket = Ticket(rawValue: nodes[index].lastTicket)
        nodes[index].swarm?.perform(command, ticket: ticket, now: now)
        drain(index)
        return ticket
    }

    /// Calls the body when the virtual clock shows this time.
    package func at(_ time: Instant, _ body: @escaping () -> Void) { arrivals.set(.call(body), at: max(time, now)) }

    /// Direct use of a node's swarm, drained afterwards.
    package func with(_ index: Int, _ body: (inout Swarm, Instant) -> Void) {
        guard nodes[index].swarm != nil else { return }
        body(&nodes[index].swarm!, now)
        drain(index)
    }

    private func step(limit: Instant) -> Bool {
        var next = arrivals.deadline
        for index in nodes.indices where !nodes[index].isAsleep { next = earlier(next, nodes[index].swarm?.deadline) }
        guard let next, next <= limit else { return false }
        now = max(now, next)
        while let arrival = arrivals.popExpired(now: now) { deliver(arrival) }
        for index in nodes.indices {
            guard !nodes[index].isAsleep, let deadline = nodes[index].swarm?.deadline, deadline <= now else { continue }
            nodes[index].wakes += 1
            nodes[index].swarm?.handleTimeout(now: now)
            drain(index)
        }
        return true
    }

    private func start(_ index: Int) {
        nodes[index].swarm = Swarm(configuration: nodes[index].configuration, seed: random.bytes(32), now: now)
        nodes[index].links = [:]
        nodes[index].life += 1
        if let store = nodes[index].store { nodes[index].swarm?.restore(store.state(now: wall), now: now) }
        let address = nodes[index].address.multiaddr
        if let prefix = NetworkPrefix(ip: nodes[index].address.ip, length: 16) {
            nodes[index].swarm?.setInterfaces([NetworkInterface(name: "eth0", addresses: [prefix])], now: now)
        }
        nodes[index].swarm?.listening(on: [address], now: now)
        let interface = MDNSInterface(id: Self.interface, name: "eth0", addresses: [.init(ip: nodes[index].address.ip, prefixLength: 16)])
        nodes[index].swarm?.setMulticastInterfaces([interface], now: now)
        drain(index)
    }

    // MARK: - The driver of one node

    /// Far more than any turn needs.
    private static let roundsOfATurn = 100_000

    func drain(_ index: Int) {
        var rounds = 0
        while true {
            rounds += 1
            precondition(rounds < Self.roundsOfATurn, "seed \(seed): node \(index) never rests")
            for _ in 0..<2 {
                pollAll(index)
                nodes[index].swarm?.flush(now: now)
            }
            pollAll(index)
            // As a driver does: what is to be kept is on disk before anything is sent.
            if commit(index) { continue }
            let waiting = nodes[index].transmits
            nodes[index].transmits = []
            var moved = false
            for id in waiting where transmit(id, from: index) { moved = true }
            // A socket that is full says so when it takes bytes again.
            if !moved { return }
        }
    }

    private func pollAll(_ index: Int) {
        repeat {
            while let action = nodes[index].swarm?.poll() { perform(action, of: index) }
        } while serveInbox(index)
    }

    private func perform(_ action: SwarmAction, of index: Int) {
        switch action {
        case .connect(let id, let address): connect(index, id, to: address)
        case .transmit(let id): nodes[index].transmits.append(id)
        case .close(let id): closeSocket(index, id)
        // The simulator has no sources of its own: tests report in their place.
        case .setReading, .configureSources: break
        case .resolve(let query, let host, _):
            lookups += 1
            schedule(.resolved(node: index, query: query, host: host))
        case .multicast(_, let packet): multicast(packet, from: index)
        case .event(let event):
            trace.add(now, index, event)
            nodes[index].events.append((now, event))
        case .messages(let messages): for place in 0..<messages.count { perform(.event(.message(messages.message(place))), of: index) }
        case .complete(let ticket, let result):
            if nodes[index].completions.updateValue(result, forKey: ticket) != nil { nodes[index].repeatedTickets.append(ticket) }
            onCompletion?(index, ticket, result)
        case .streamData(let stream, let bytes):
            nodes[index].received[stream, default: []].append(contentsOf: bytes)
            nodes[index].unread.append((stream, bytes.count))
        case .streamEnded(let stream): nodes[index].ended.append(stream)
        case .streamWritable(let stream): nodes[index].writable.append(stream)
        case .streamClosed(let stream, let error): nodes[index].closed[stream] = .some(error)
        case .accepted, .acceptedRun, .deliver, .deliverRun, .deliverSpooled, .spool, .store: keep(action, of: index)
        }
        while let (stream, count) = nodes[index].unread.popLast() { nodes[index].swarm?.consumed(stream, count, now: now) }
    }

    // MARK: - The virtual network

    /// Of every node, on the one network that all share.
    private static let interface: UInt32 = 1

    /// To every node of the partition, the sender too, as with IP_MULTICAST_LOOP.
    private func multicast(_ packet: [UInt8], from index: Int) {
        multicasts += 1
        for target in nodes.indices where nodes[target].swarm != nil && side[target] == side[index] {
            if target != index, Int.random(in: 0..<100, using: &random) < conditions.multicastLossPercent { continue }
            schedule(.multicast(to: target, packet))
        }
    }

    private func connect(_ index: Int, _ id: ConnectionID, to address: SocketAddress) {
        guard let target = nodes.firstIndex(where: { $0.address == address }) else {
            if !conditions.swallowsUnknown { schedule(.connectFailed(node: index, connection: id, errno: 113)) }
            return
        }
        dials += 1
        schedule(.dialled(from: index, connection: id, to: target))
    }

    private func accept(from index: Int, _ id: ConnectionID, at target: Int) {
        guard side[index] == side[target], nodes[target].swarm != nil else {
            // No answer at all: the dialler's own timeout ends it, as with a host that is off.
            if nodes[target].swarm == nil, side[index] == side[target] { schedule(.connectFailed(node: index, connection: id, errno: 111)) }
            return
        }
        let from = SocketAddress(ip: nodes[index].address.ip, port: UInt16(40_000 + links.count % 20_000))
        let to = nodes[target].address
        guard let accepted = nodes[target].swarm?.accepted(from: from, to: to, now: now) else {
            return schedule(.connectFailed(node: index, connection: id, errno: 104))
        }
        let link = links.count
        links.append(Link(ends: [LinkEnd(node: index, connection: id), LinkEnd(node: target, connection: accepted)]))
        nodes[target].links[accepted] = link
        drain(target)
        nodes[index].links[id] = link
        nodes[index].swarm?.connected(id, local: from, now: now)
        drain(index)
    }

    @discardableResult
    private func transmit(_ id: ConnectionID, from index: Int) -> Bool {
        guard let link = nodes[index].links[id], links[link].isOpen, let end = links[link].end(index, id) else { return false }
        var piece: [UInt8] = []
        let room = conditions.socketBuffer - links[link].ends[end].inFlight
        nodes[index].swarm?.withTransmitBuffers(id, { buffers in
            for buffer in buffers where piece.count < room { piece.append(contentsOf: buffer.prefix(room - piece.count)) }
            return piece.count
        }, now: now)
        guard !piece.isEmpty else { return false }
        links[link].ends[end].inFlight += piece.count
        links[link].ends[end].waiting.append(piece)
        if !links[link].isSilent { sendNext(link, end) }
        return true
    }

    /// Starts the journey of what waits, unless a partition or a silent peer holds it back.
    private func sendNext(_ link: Int, _ end: Int) {
        guard crosses(link), !links[link].isSilent else { return }
        while !links[link].ends[end].waiting.isEmpty {
            let piece = links[link].ends[end].waiting.removeFirst()
            let arrival = max(now + drawDelay(), links[link].ends[end].lastArrival)
            links[link].ends[end].lastArrival = arrival
            arrivals.set(.bytes(link: link, from: end, piece), at: arrival)
        }
    }

    private func resume(_ link: Int) {
        for end in 0..<2 { sendNext(link, end) }
        if let pending = links[link].pendingEnd {
            links[link].pendingEnd = nil
            tellEnd(of: link, to: pending, .endOfStream)
        }
    }

    private func crosses(_ link: Int) -> Bool { side[links[link].ends[0].node] == side[links[link].ends[1].node] }

    private func drawDelay() -> Duration {
        let low = conditions.delay.lowerBound.saturatedNanoseconds, high = conditions.delay.upperBound.saturatedNanoseconds
        return .nanoseconds(Int64.random(in: low...high, using: &random))
    }

    func schedule(_ arrival: Arrival, at time: Instant) { arrivals.set(arrival, at: time) }

    private func schedule(_ arrival: Arrival) { arrivals.set(arrival, at: now + drawDelay()) }

    private func closeSocket(_ index: Int, _ id: ConnectionID) {
        guard let link = nodes[index].links.removeValue(forKey: id), links[link].isOpen, let end = links[link].end(index, id) else { return }
        links[link].isOpen = false
        let other = 1 - end
        if crosses(link) { tellEnd(of: link, to: other, .endOfStream) } else { links[link].pendingEnd = other }
    }

    func tellEnd(of link: Int, to end: Int, _ cause: SocketEnd) {
        let last = links[link].ends[1 - end].lastArrival
        arrivals.set(.ended(link: link, to: end, cause), at: max(now + drawDelay(), last))
    }

    func deliver(_ arrival: Arrival) {
        if let node = receiver(of: arrival), nodes[node].isAsleep { return nodes[node].missed.append(arrival) }
        switch arrival {
        case .call(let body): body()
        case .dialled(let from, let connection, let target): accept(from: from, connection, at: target)
        case .connectFailed(let node, let connection, let errno):
            nodes[node].swarm?.connectFailed(connection, errno: errno, now: now)
            drain(node)
        case .resolved(let node, let query, let host):
            let found = nodes.filter { $0.hostName == host }.map { SocketAddress(ip: $0.address.ip, port: 0) }
            nodes[node].swarm?.resolved(
                query: query, found.isEmpty ? .failure(ResolveFailure(reason: "no such host")) : .success(found), now: now)
            drain(node)
        case .multicast(let node, let packet):
            packet.withView { nodes[node].swarm?.receivedMulticast($0, interface: Self.interface, now: now) }
            drain(node)
        case .bytes(let link, let from, let piece): deliver(piece, link, from)
        case .settle(let node): settleOldest(node)
        case .ended(let link, let to, let cause):
            let end = links[link].ends[to]
            guard nodes[end.node].links[end.connection] == link else { return }
            nodes[end.node].swarm?.receivedEnd(end.connection, cause, now: now)
            drain(end.node)
        }
    }

    private func deliver(_ piece: [UInt8], _ link: Int, _ from: Int) {
        let end = links[link].ends[1 - from], sender = links[link].ends[from].node
        links[link].ends[from].inFlight -= piece.count
        guard !links[link].isSilent else { return }
        trace.add(now, end.node, piece)
        if nodes[end.node].links[end.connection] == link {
            var offset = 0
            while offset < piece.count, let space = nodes[end.node].swarm?.receiveSpace(end.connection) {
                let count = min(space.count, piece.count - offset)
                piece.withUnsafeBytes { space.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
                offset += count
                nodes[end.node].swarm?.received(end.connection, count: count, now: now)
                drain(end.node)
            }
        }
        let sending = links[link].ends[from].connection
        if links[link].isOpen, nodes[sender].swarm?.hasOutput(sending) == true {
            transmit(sending, from: sender)
            drain(sender)
        }
    }
}
