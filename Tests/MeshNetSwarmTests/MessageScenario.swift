import MeshNetSimulator

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// A network in trouble, drawn from a seed: who sends what to whom, when what breaks, and that all is mended in the end.
///
/// `run()` plays it and gives the promises that were broken. Everything goes by the virtual clock and by `random`, so the same seed is the same run.
final class MessageScenario {
    /// Bounds small enough that a scenario reaches them.
    struct Bounds {
        var queueBytes = 64 << 10
        var queueMessages = 40
        var totalQueueBytes = 128 << 10
        var receiveBytes = 16 << 10
        var maximumMessageSize = 48 << 10
        var spoolThreshold = 8 << 10
        /// Each message counts so much beside its own bytes.
        static let messageOverhead = 64
    }

    let seed: UInt64
    let network: Simulation
    let checker: MessageChecker
    let count: Int
    var random: RandomSource
    private var bounds: [Bounds] = []
    private var isDurable: [Bool] = []
    /// Dead, and its disk with it.
    private var isWiped: Set<Int> = []
    private let troubleTime: Duration
    private var troubleEnds = Instant.zero
    /// What went wrong, for who looks into a failure.
    private(set) var faults: [String] = []

    init(seed: UInt64) {
        self.seed = seed
        network = Simulation(seed: seed)
        random = RandomSource(testSeed: seed ^ 0x6d65_7373_6167_6573)
        count = Int.random(in: 2...5, using: &random)
        troubleTime = .seconds(Int64.random(in: 5...40, using: &random))
        var drawn: [Bounds] = []
        for _ in 0..<count { drawn.append(Self.drawBounds(&random)) }
        bounds = drawn
        checker = MessageChecker(nodes: count) { drawn[$0].maximumMessageSize }
        network.conditions.delay = Self.drawDelays(&random)
        if chance(20) { network.conditions.socketBuffer = 4_096 }
        watch()
        for index in 0..<count { addNode(index) }
        troubleEnds = network.now + troubleTime
    }

    /// The promises that were broken; none: all held.
    func run() -> [String] {
        planSends()
        planFaults()
        planLooks()
        network.run(until: troubleEnds)
        mend()
        finish()
        return checker.broken
    }

    func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    // MARK: - The network

    private static func drawBounds(_ random: inout RandomSource) -> Bounds {
        var bounds = Bounds()
        bounds.queueMessages = [3, 10, 40, 1_000].randomElement(using: &random)!
        bounds.queueBytes = [50 << 10, 64 << 10, 1 << 20].randomElement(using: &random)!
        bounds.totalQueueBytes = [64 << 10, 1 << 20].randomElement(using: &random)!
        bounds.receiveBytes = [1_000, 16 << 10, 256 << 10].randomElement(using: &random)!
        return bounds
    }

    private static func drawDelays(_ random: inout RandomSource) -> ClosedRange<Duration> {
        let longest: [Duration] = [.milliseconds(1), .milliseconds(5), .milliseconds(60), .milliseconds(400)]
        return .microseconds(100)...longest.randomElement(using: &random)!
    }

    private func addNode(_ index: Int) {
        let durable = chance(50), bounds = bounds[index]
        isDurable.append(durable)
        // Of two nodes at least one knows where the other is.
        let known = (0..<count).filter { $0 < index || ($0 != index && chance(50)) }
        network.addNode(bootstrap: known.map { "/ip4/10.0.0.\($0 + 1)/tcp/4001" }, isStored: durable) { configuration in
            configuration.messages.queueBytes = bounds.queueBytes
            configuration.messages.queueMessages = bounds.queueMessages
            configuration.messages.totalQueueBytes = bounds.totalQueueBytes
            configuration.messages.receiveBytes = bounds.receiveBytes
            configuration.messages.maximumMessageSize = bounds.maximumMessageSize
            configuration.messages.spoolThreshold = bounds.spoolThreshold
        }
        if chance(30) { network.nodes[index].inbox.policy = .settlesAfter(.milliseconds(Int64.random(in: 0...200, using: &random))) }
    }

    private func watch() {
        network.onAccepted = { [unowned self] in checker.accepted($0, $1) }
        network.onCompletion = { [unowned self] in checker.ended($0, $1, $2, at: network.now) }
        network.onDelivery = { [unowned self] node, delivery in
            let message = delivery.message, body = delivery.body
            let sender = network.nodes.firstIndex { $0.peer == message.peer }
            checker.arrived(node, life: network.nodes[node].life, message, body, sender: sender)
            if let request = message.request, let sender { planReply(to: request, body, from: node, to: sender, lane: message.lane) }
        }
    }

    // MARK: - Sending

    private func drawTime() -> Instant {
        network.now + .nanoseconds(Int64.random(in: 0..<troubleTime.saturatedNanoseconds, using: &random))
    }

    /// Bursts, so that bounds are reached.
    private func planSends() {
        for _ in 0..<Int.random(in: 3...20, using: &random) {
            let from = Int.random(in: 0..<count, using: &random), to = (from + Int.random(in: 1..<count, using: &random)) % count
            let burst = [1, 1, 3, 10, 30].randomElement(using: &random)!
            network.at(drawTime()) { [unowned self] in for _ in 0..<burst { send(from, to) } }
        }
    }

    private func drawSize(_ bounds: Bounds) -> Int {
        switch Int.random(in: 0..<20, using: &random) {
        case 0: Int.random(in: 0..<8, using: &random)
        case 1..<14: Int.random(in: 8..<300, using: &random)
        case 14..<18: Int.random(in: 300..<bounds.spoolThreshold, using: &random)
        case 18: Int.random(in: bounds.spoolThreshold...bounds.maximumMessageSize, using: &random)
        default: bounds.maximumMessageSize + Int.random(in: 1..<10, using: &random)
        }
    }

    func send(_ from: Int, _ to: Int) {
        var options = SendOptions(lane: Lane.allCases.randomElement(using: &random)!)
        if chance(20) { options.deadline = .milliseconds(Int64.random(in: 0...20_000, using: &random)) }
        options.whenFull = chance(50) ? .wait : chance(70) ? .fail : .dropOldest
        let isRequest = chance(15)
        if isRequest { options.deadline = .milliseconds(Int64.random(in: 100...30_000, using: &random)) }
        let ticket = send(from, to, isRequest ? .request : .message, options, count: drawSize(bounds[from]))
        guard let ticket, chance(4) else { return }
        network.at(network.now + .milliseconds(Int64.random(in: 0...2_000, using: &random))) { [unowned self] in
            guard isUp(from), checker.sent[ticket].life == network.nodes[from].life else { return }
            checker.cancels(ticket)
            if let known = checker.sent[ticket].ticket { network.with(from) { $0.cancelMessage(known, now: $1) } }
        }
    }

    /// The message's number, nil if nobody is there to send it.
    @discardableResult
    func send(_ from: Int, _ to: Int, _ kind: MessageKind, _ options: SendOptions, count: Int) -> Int? {
        guard isUp(from) else { return nil }
        let size = kind == .message ? count : max(8, count)
        return send(from, to, kind, options, MessageChecker.body(number: checker.nextNumber, count: size))
    }

    private func send(_ from: Int, _ to: Int, _ kind: MessageKind, _ options: SendOptions, _ body: [UInt8]) -> Int {
        let number = checker.willSend(
            from: from, to: to, life: network.nodes[from].life, kind: kind, options: options, bytes: body, at: network.now)
        let isSpooled = body.count > network.nodes[from].configuration.messages.spoolThreshold
        let ticket = isSpooled
            ? network.sendSpooled(body, from: from, to: to, kind: kind, options: options)
            : network.send(body, from: from, to: to, kind: kind, options: options)
        checker.didSend(number, ticket: ticket)
        return number
    }

    private func planReply(to request: UInt64, _ body: [UInt8], from node: Int, to requester: Int, lane: Lane) {
        if chance(10) { return }
        let life = network.nodes[node].life
        network.at(network.now + .milliseconds(Int64.random(in: 0...1_000, using: &random))) { [unowned self] in
            guard isUp(node), network.nodes[node].life == life else { return }
            _ = send(node, requester, .reply(request), SendOptions(lane: lane), MessageChecker.reply(to: body))
        }
    }

    // MARK: - Trouble

    private func planFaults() {
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            network.at(drawTime()) { [unowned self] in causeTrouble() }
        }
    }

    private func drawPause() -> Duration { .milliseconds([20, 300, 2_000, 15_000].randomElement(using: &random)! + Int64.random(in: 0..<500, using: &random)) }

    private func causeTrouble() {
        let a = Int.random(in: 0..<count, using: &random), b = (a + Int.random(in: 1..<count, using: &random)) % count
        let pause = drawPause(), kind = Int.random(in: 0..<13, using: &random)
        faults.append("\(network.now.nanoseconds / 1_000_000) ms: \(kind) at \(a) \(b) for \(pause)")
        switch kind {
        case 0:
            // What was on its way is lost, or arrives first.
            if chance(50) { network.cut(a, b, .reset) } else { lose(a, b, noticedAfter: .microseconds(1)) }
        case 1: lose(a, b, noticedAfter: chance(70) ? .milliseconds(2_500) : nil)
        case 2: part(for: pause)
        case 3: die(a, for: pause, forgets: false)
        case 4: die(a, for: pause, forgets: true)
        case 5: crash(a, afterwards: chance(50), pause: pause)
        case 6: fillDisk(a, for: pause)
        case 7: network.sleep(a, for: pause, tells: chance(60))
        case 8: readSlowly(a, for: pause)
        case 9: for (from, to) in [(a, b), (b, a)] { connect(from, to) }
        case 10: close(a, b, for: pause)
        case 11: network.conditions.delay = Self.drawDelays(&random)
        default: for _ in 0..<3 { network.cut(a, b, .reset) }
        }
    }

    private func lose(_ a: Int, _ b: Int, noticedAfter patience: Duration?) {
        network.cut(a, b, .silent)
        if let patience { network.noticeSilence(a, b, after: patience) }
    }

    private func part(for pause: Duration) {
        network.partition((0..<count).map { _ in Int.random(in: 0...1, using: &random) })
        network.at(network.now + pause) { [unowned self] in network.heal() }
    }

    private func die(_ node: Int, for pause: Duration, forgets: Bool) {
        guard network.nodes[node].swarm != nil else { return }
        network.kill(node, keepingStore: !forgets)
        if forgets { isWiped.insert(node) }
        network.at(network.now + pause) { [unowned self] in start(node) }
    }

    /// Starts a node that is dead; without a disk it has forgotten everything anyway.
    private func start(_ node: Int) {
        guard network.nodes[node].swarm == nil else { return }
        if !isDurable[node] || isWiped.remove(node) != nil { checker.forgets(node, met: whoMet(node)) }
        network.restart(node)
    }

    private func whoMet(_ node: Int) -> [(node: Int, life: Int)] {
        let peer = network.nodes[node].peer
        return (0..<count).filter { other in
            network.channels(at: other).contains { $0.peer == peer && $0.incarnation != nil }
        }.map { ($0, network.nodes[$0].life) }
    }

    private func crash(_ node: Int, afterwards: Bool, pause: Duration) {
        guard isDurable[node], network.nodes[node].swarm != nil, let commits = network.nodes[node].store?.commits else { return }
        network.nodes[node].store?.diesAtCommit = commits + Int.random(in: 0..<3, using: &random)
        network.nodes[node].store?.diesAfterwards = afterwards
        // It may have died by then.
        network.at(network.now + pause) { [unowned self] in
            network.nodes[node].store?.diesAtCommit = nil
            start(node)
        }
    }

    private func fillDisk(_ node: Int, for pause: Duration) {
        guard isDurable[node] else { return }
        checker.mayFailToStore.insert(node)
        setDisk(node, full: true)
        network.at(network.now + pause) { [unowned self] in setDisk(node, full: false) }
    }

    private func setDisk(_ node: Int, full: Bool) {
        network.nodes[node].store?.problem = full ? .full(path: "messages.db") : nil
        network.nodes[node].inbox.fileProblem = full ? .full(path: "spool") : nil
    }

    /// Closed on purpose, and opened again by the one who closed.
    private func close(_ a: Int, _ b: Int, for pause: Duration) {
        guard isUp(a) else { return }
        checker.mayBeClosed.formUnion([[a, b], [b, a]])
        network.perform(.close(network.nodes[b].peer, reason: "enough"), at: a)
        network.at(network.now + pause) { [unowned self] in reopen(a, b) }
    }

    private func reopen(_ a: Int, _ b: Int) {
        guard isUp(a) else { return }
        network.perform(.reconnect(network.nodes[b].peer, [network.nodes[b].address.multiaddr]), at: a)
    }

    private func isUp(_ node: Int) -> Bool { network.nodes[node].swarm != nil && !network.nodes[node].isAsleep }

    private func readSlowly(_ node: Int, for pause: Duration) {
        network.nodes[node].inbox.policy = .never
        network.at(network.now + pause) { [unowned self] in takeAll(node) }
    }

    private func takeAll(_ node: Int) {
        network.nodes[node].inbox.policy = .settlesAtOnce
        if !network.nodes[node].isAsleep { network.settle(at: node) }
    }

    private func connect(_ from: Int, _ to: Int) {
        guard isUp(from), let address = try? Multiaddr(network.nodes[to].multiaddr) else { return }
        network.perform(.connect(address), at: from)
    }

    // MARK: - Bounds

    /// Now and then the figures of every channel are held against the bounds.
    private func planLooks() {
        for _ in 0..<20 { network.at(drawTime()) { [unowned self] in for node in 0..<count { look(at: node) } } }
    }

    private func look(at node: Int) {
        let bounds = bounds[node], channels = network.channels(at: node)
        for channel in channels {
            let messages = channel.queuedMessages.reduce(0, +), bytes = channel.queuedBytes.reduce(0, +)
            // An eighth more for the control lane.
            if messages > bounds.queueMessages * 9 / 8 { checker.fail("node \(node) queues \(messages) messages of \(bounds.queueMessages)") }
            if bytes > bounds.queueBytes * 9 / 8 { checker.fail("node \(node) queues \(bytes) bytes of \(bounds.queueBytes)") }
            // One message more for each lane: it is taken while there is room at all.
            let room = 3 * (bounds.receiveBytes + bounds.maximumMessageSize + Bounds.messageOverhead)
            if channel.unsettledBytes > room { checker.fail("node \(node) holds \(channel.unsettledBytes) bytes unsettled, room \(room)") }
        }
        let total = channels.reduce(0) { $0 + $1.queuedBytes.reduce(0, +) }
        if total > bounds.totalQueueBytes { checker.fail("node \(node) queues \(total) bytes in all of \(bounds.totalQueueBytes)") }
    }

    // MARK: - The end

    private func mend() {
        network.heal()
        network.conditions.delay = .microseconds(100)...(.milliseconds(20))
        for node in 0..<count {
            setDisk(node, full: false)
            network.nodes[node].store?.diesAtCommit = nil
        }
    }

    private var lives: [Int?] { network.nodes.map { $0.swarm == nil ? nil : $0.life } }

    private var isCalm: Bool {
        network.nodes.allSatisfy { $0.swarm != nil && !$0.isAsleep } && checker.unfinished(lives: lives).isEmpty
    }

    private func finish() {
        // Sleepers wake and the dead come back by the plans made for them, at most 16 s from now.
        network.run(for: .seconds(17))
        for node in 0..<count {
            start(node)
            takeAll(node)
        }
        for pair in checker.mayBeClosed.sorted(by: { $0.lexicographicallyPrecedes($1) }) { reopen(pair[0], pair[1]) }
        var isOver = false
        for _ in 0..<30 where !isOver {
            network.run(for: .seconds(10))
            isOver = isCalm
        }
        for message in checker.unfinished(lives: lives).prefix(3) { checker.fail("\(checker.name(message.number)) never ended: \(message.options)") }
        network.run(for: .seconds(20))
        for node in 0..<count where !network.nodes[node].repeatedTickets.isEmpty { checker.fail("node \(node) ended tickets twice") }
        checker.checkNothingLost { isDurable[$0] }
        checkRestarts()
        checkQuiet()
        stop()
    }

    /// A peer is told to have restarted at most as often as it lost its memory.
    private func checkRestarts() {
        for node in 0..<count {
            for other in 0..<count where other != node {
                let peer = network.nodes[other].peer
                let told = network.nodes[node].events.count { if case .channel(peer, .peerRestarted) = $0.event { true } else { false } }
                if told > (checker.memories[other] - 1) * network.nodes[node].life {
                    checker.fail("node \(node) was told \(told) times that \(other) restarted, which lost its memory \(checker.memories[other] - 1) times")
                }
            }
        }
    }

    /// Nothing is left over: no bytes in queues, no unsettled messages, no file, no timer of a message, no stream but one for each lane and direction.
    private func checkQuiet() {
        for node in 0..<count {
            for channel in network.channels(at: node) {
                if channel.queuedMessages != [0, 0, 0] || channel.queuedBytes != [0, 0, 0] {
                    checker.fail("node \(node) still queues \(channel.queuedMessages) messages of \(channel.queuedBytes) bytes")
                }
                if channel.unsettledMessages != 0 || channel.unsettledBytes != 0 {
                    checker.fail("node \(node) still holds \(channel.unsettledMessages) unsettled messages of \(channel.unsettledBytes) bytes")
                }
            }
            let files = network.nodes[node].inbox.files.count
            if files > unfinishedBodies(at: node) { checker.fail("node \(node) keeps \(files) files") }
            if let stored = network.nodes[node].store?.inboundCount, stored > 0 { checker.fail("node \(node) keeps \(stored) settled messages") }
        }
    }

    /// A body that its sender took back in the middle stays until the lane says something again: at most one for each lane.
    private func unfinishedBodies(at node: Int) -> Int {
        let lanes = network.nodes[node].swarm?.messages.channels.flatMap(\.into) ?? []
        return lanes.count { if case .spool = $0.assembly { true } else { false } }
    }

    /// Nodes that stop in the middle of something end every ticket, and leave nothing that goes on.
    private func stop() {
        if chance(50) { network.partition((0..<count).map { $0 }) }
        for node in 0..<count { for _ in 0..<3 { send(node, (node + 1) % count) } }
        if chance(50) { network.run(for: .milliseconds(30)) }
        for node in 0..<count {
            checker.areEnding.insert(node)
            network.with(node) { $0.shutdown(now: $1) }
        }
        network.run(for: .seconds(2))
        for message in checker.unfinished(lives: lives) where network.nodes[message.from].swarm != nil {
            checker.fail("\(checker.name(message.number)) outlived its node")
        }
        for node in 0..<count {
            if let left = network.nodes[node].swarm?.connectionCount, left > 0 { checker.fail("node \(node) keeps \(left) connections after its end") }
        }
        network.run(for: .seconds(700))
        for node in 0..<count {
            guard var swarm = network.nodes[node].swarm else { continue }
            // The heart of gossipsub beats as long as the value lives.
            if swarm.deadline != swarm.gossipTimer { checker.fail("node \(node) still has a timer 700 s after its end") }
        }
    }
}
