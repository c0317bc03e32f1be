import TestSupport
@testable import MeshNetProtocol

/// Many machines, one virtual clock, links with seeded delays that keep the order of frames.
struct GossipNetwork {
    private struct Event {
        let time: Instant
        let number: UInt64
        let from: Int
        let to: Int
        let epoch: UInt64
        let frame: [UInt8]
    }

    struct Link: Hashable {
        let from: Int
        let to: Int
    }

    private(set) var now = Instant.zero
    private(set) var machines: [Gossipsub] = []
    private(set) var peers: [PeerID] = []
    private var indices: [PeerID: Int] = [:]
    /// The protocol that each node speaks.
    private var versions: [String] = []
    /// Frames on the way of a link that ended do not arrive.
    private var epochs: [Link: UInt64] = [:]
    private var lastArrival: [Link: Instant] = [:]
    private var nextEpoch: UInt64 = 1
    private var nextNumber: UInt64 = 0
    private var heap: [Event] = []
    private var random: RandomSource

    var minimumDelay = Duration.milliseconds(1)
    var delaySpread = Duration.milliseconds(20)
    /// Percent of forwarded messages that are lost, with or without `queueFull`.
    var lossPercent: UInt64 = 0
    var reportsLoss = true

    /// For each node, how often it delivered each message, and when first.
    private(set) var deliveries: [[[UInt8]: Int]] = []
    private(set) var firstDelivery: [[[UInt8]: Instant]] = []
    private(set) var messageFrames = 0
    private(set) var lost = 0
    /// Of everything that was sent, in order.
    private(set) var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    private static let digest: GossipsubKeyMaker = {
        var random = RandomSource(testSeed: 0)
        return GossipsubKeyMaker(random: &random)
    }()

    init(_ count: Int, seed: UInt64, versions cycle: [String] = ["/meshsub/1.2.0"], configure: (inout GossipsubConfiguration) -> Void = { _ in }) {
        random = RandomSource(testSeed: seed)
        var configuration = GossipsubConfiguration()
        configure(&configuration)
        for index in 0..<count {
            let identity = KeyPair(secret: [UInt8(index & 255), UInt8(index >> 8), 1] + [UInt8](repeating: 0, count: 29))!
            machines.append(Gossipsub(configuration: configuration, identity: identity, random: random.fork(), now: now))
            peers.append(identity.peerID)
            indices[identity.peerID] = index
            versions.append(cycle[index % cycle.count])
        }
        deliveries = Array(repeating: [:], count: count)
        firstDelivery = Array(repeating: [:], count: count)
    }

    // MARK: Links

    func isConnected(_ a: Int, _ b: Int) -> Bool { epochs[Link(from: a, to: b)] != nil }

    mutating func connect(_ a: Int, _ b: Int) {
        guard a != b, !isConnected(a, b) else { return }
        epochs[Link(from: a, to: b)] = nextEpoch
        epochs[Link(from: b, to: a)] = nextEpoch
        nextEpoch += 1
        let order = ["/floodsub/1.0.0", "/meshsub/1.0.0", "/meshsub/1.1.0", "/meshsub/1.2.0"]
        let version = order[min(order.firstIndex(of: versions[a])!, order.firstIndex(of: versions[b])!)]
        machines[a].addPeer(peers[b], protocolID: version, direction: .outbound, address: [10, 0, 0, UInt8(b & 255)], now: now)
        machines[b].addPeer(peers[a], protocolID: version, direction: .inbound, address: [10, 0, 0, UInt8(a & 255)], now: now)
        drain(a)
        drain(b)
    }

    mutating func disconnect(_ a: Int, _ b: Int) {
        guard isConnected(a, b) else { return }
        epochs[Link(from: a, to: b)] = nil
        epochs[Link(from: b, to: a)] = nil
        machines[a].removePeer(peers[b], now: now)
        machines[b].removePeer(peers[a], now: now)
        drain(a)
        drain(b)
    }

    mutating func connectAll() {
        for a in machines.indices { for b in machines.indices where a < b { connect(a, b) } }
    }

    /// A connected graph: a ring, and links by lot until each node has about `degree`.
    mutating func connectRandomly(degree: Int) {
        for a in machines.indices { connect(a, (a + 1) % machines.count) }
        for a in machines.indices {
            while machines.indices.count(where: { isConnected(a, $0) }) < degree { connect(a, pick(machines.count)) }
        }
    }

    mutating func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }

    // MARK: The application

    mutating func subscribe(_ node: Int, _ topic: String) {
        _ = try! machines[node].subscribe(topic, now: now)
        drain(node)
    }

    mutating func unsubscribe(_ node: Int, _ topic: String) {
        _ = machines[node].unsubscribe(topic, now: now)
        drain(node)
    }

    mutating func publish(_ node: Int, _ topic: String, _ data: [UInt8]) throws(GossipsubError) {
        try machines[node].publish(topic: topic, data: data, now: now)
        drain(node)
    }

    // MARK: Time

    mutating func run(_ duration: Duration) {
        let end = now + duration
        while true {
            var timer = end
            for machine in machines { if let deadline = machine.deadline { timer = min(timer, deadline) } }
            if let first = heap.first, first.time <= timer, first.time <= end {
                now = max(now, first.time)
                arrive(pop())
                continue
            }
            guard timer < end else { break }
            now = max(now, timer)
            for node in machines.indices where machines[node].deadline! <= now {
                machines[node].handleTimeout(now: now)
                drain(node)
            }
        }
        now = end
    }

    private mutating func arrive(_ event: Event) {
        guard epochs[Link(from: event.from, to: event.to)] == event.epoch else { return }
        event.frame.withUnsafeBytes { view in
            var reader = ByteReader(view)
            guard let length = try? reader.readVarint(), length == UInt64(reader.remaining) else { preconditionFailure("a frame without right length") }
            machines[event.to].receive(reader.readRest(), from: peers[event.from], now: now)
        }
        drain(event.to)
    }

    private mutating func drain(_ node: Int) {
        while let action = machines[node].poll() {
            switch action {
            case .send(let peer, let frames, let priority): for frame in frames.each { send(frame.array, priority, from: node, to: indices[peer]!) }
            case .deliver(let run):
                for data in (0..<run.count).map({ run[$0].array }) {
                    deliveries[node][data, default: 0] += 1
                    if firstDelivery[node][data] == nil { firstDelivery[node][data] = now }
                }
            case .peerSubscribed, .peerUnsubscribed, .peerExchange, .dropped: break
            }
        }
    }

    private mutating func send(_ frame: [UInt8], _ priority: GossipsubPriority, from: Int, to: Int) {
        let link = Link(from: from, to: to)
        guard let epoch = epochs[link] else { return }
        record(UInt64(from) << 32 | UInt64(to))
        record(UInt64(bitPattern: now.nanoseconds))
        record(Self.digest.key(frame).low)
        if priority != .control { messageFrames += 1 }
        if priority == .forward, lossPercent > 0, random.next() % 100 < lossPercent {
            lost += 1
            if reportsLoss { machines[from].queueFull(peers[to], priority: priority) }
            return
        }
        let spread = UInt64(max(1, delaySpread.saturatedNanoseconds))
        var time = now + minimumDelay + .nanoseconds(Int64(random.next() % spread))
        if let last = lastArrival[link] { time = max(time, last) }
        lastArrival[link] = time
        push(Event(time: time, number: nextNumber, from: from, to: to, epoch: epoch, frame: frame))
        nextNumber += 1
    }

    private mutating func record(_ value: UInt64) { trace = (trace ^ value) &* 0x100_0000_01b3 }

    // MARK: Heap

    private static func isBefore(_ a: Event, _ b: Event) -> Bool { (a.time, a.number) < (b.time, b.number) }

    private mutating func push(_ event: Event) {
        heap.append(event)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard Self.isBefore(heap[child], heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func pop() -> Event {
        let result = heap[0]
        let last = heap.removeLast()
        guard !heap.isEmpty else { return result }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && Self.isBefore(heap[child], heap[least]) { least = child }
            if least == parent { return result }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
