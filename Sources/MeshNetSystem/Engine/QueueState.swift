import MeshNetProtocol
import MeshNetSwarm

/// The rules of `EventQueue`, under its lock.
///
/// Connected and disconnected events must not be lost, and yet an application that never reads must not cost more and more memory while peers come
/// and go. So in a full queue the disconnect of a peer whose connected event still waits takes that event out, and both are gone: what is read later
/// is true. At most two such events per connection wait beyond the bound.
struct QueueState {
    typealias Waiter = QueueWaiters<QueueItem>.Resume

    /// Bytes that a queued message holds beside its data and topic: two peer ids and its slot, rounded up.
    static let messageOverhead = 256

    private let limits: Limits
    private var items = StableFifo<QueueItem>()
    /// Messages that travel together counted.
    private(set) var count = 0
    private var messageBytes = 0
    private var streamsWaiting = 0
    private var offersWaiting = 0
    /// The reactor counts those that it could not put, and offers them again.
    var offerLimit = DiscoveryConfiguration().offerQueue
    private var dropped = 0
    private var waitingConnected: [PeerID: UInt64] = [:]
    private(set) var isClosed = false

    /// They wait only while `items` is empty.
    private var waiters = QueueWaiters<QueueItem>()
    private var signal: QueueSignal

    init(limits: Limits, event: Int32) {
        self.limits = limits
        signal = QueueSignal(event: event)
    }

    // MARK: In

    /// The waiter must be resumed with the item by the caller, outside the lock.
    mutating func put(_ item: QueueItem) -> (EventQueue.Acceptance, Waiter?) {
        guard !isClosed else { return (.closed, nil) }
        if let waiter = waiters.popFirst() { return (.taken, waiter) }
        guard admit(item) else {
            updateReadiness()
            return (.dropped, nil)
        }
        let position = items.append(item)
        if case .event(.connected(let connection)) = item { waitingConnected[connection.peer] = position }
        count(item, 1)
        updateReadiness()
        return (.taken, nil)
    }

    /// Puts messages as one item, when there is room for all of them and nobody waits; else they must be put one by one.
    mutating func putWhole(_ run: TopicRun) -> Bool {
        let fits = count + run.count <= limits.eventQueueCount && messageBytes + Self.bytes(run) <= limits.eventQueueBytes
        guard fits, !isClosed, waiters.isEmpty else { return false }
        items.append(.messages(run))
        count(.messages(run), 1)
        updateReadiness()
        return true
    }

    private mutating func admit(_ item: QueueItem) -> Bool {
        switch item {
        case .completion, .reply, .accepted, .messages, .event(.messagesDropped), .event(.connected):
            return true
        case .event(.disconnected(let connection, _)):
            guard count >= limits.eventQueueCount, let position = waitingConnected.removeValue(forKey: connection.peer) else { return true }
            guard let connected = items.remove(at: position) else { return true }
            count(connected, -1)
            return false
        case .event(.streamOpened):
            return streamsWaiting < limits.pendingAccepts
        case .event(.discovered):
            return offersWaiting < offerLimit
        case .event(.message):
            let fits = count < limits.eventQueueCount && messageBytes + Self.bytes(item) <= limits.eventQueueBytes
            if !fits { dropped += 1 }
            return fits
        case .event:
            let fits = count < limits.eventQueueCount
            if !fits { dropped += 1 }
            return fits
        }
    }

    private static func bytes(_ item: QueueItem) -> Int {
        guard case .event(.message(let message)) = item else { return 0 }
        return message.payload.count + message.topic.utf8.count + messageOverhead
    }

    private static func bytes(_ run: TopicRun) -> Int { run.byteCount + run.count * (run.topic.utf8.count + messageOverhead) }

    private mutating func count(_ item: QueueItem, _ sign: Int) {
        count += sign * item.count
        switch item {
        case .event(.message): messageBytes += sign * Self.bytes(item)
        case .messages(let run): messageBytes += sign * Self.bytes(run)
        case .event(.streamOpened): streamsWaiting += sign
        case .event(.discovered): offersWaiting += sign
        default: break
        }
    }

    // MARK: Out

    mutating func take() -> QueueItem? {
        let item = take(upTo: 1)
        if case .messages(let run)? = item { return .event(.message(run.message(0))) }
        return item
    }

    /// The next item; of messages that travel together as many as that.
    mutating func take(upTo limit: Int) -> QueueItem? {
        guard let item = popFirst(limit) else { return nil }
        count(item, -1)
        if case .event(.connected(let connection)) = item { forgetConnected(connection.peer) }
        if dropped > 0, count < limits.eventQueueCount, !isClosed {
            items.append(.event(.messagesDropped(count: dropped)))
            count += 1
            dropped = 0
        }
        updateReadiness()
        return item
    }

    private mutating func popFirst(_ limit: Int) -> QueueItem? {
        guard case .messages(var run)? = items.first, run.count > limit else { return items.popFirst() }
        let part = run.removeFirst(limit)
        items.first = .messages(run)
        return .messages(part)
    }

    /// Unless a later connected event of the same peer waits.
    private mutating func forgetConnected(_ peer: PeerID) {
        guard let position = waitingConnected[peer], !items.holds(position) else { return }
        waitingConnected[peer] = nil
    }

    mutating func close() -> [Waiter] {
        guard !isClosed else { return [] }
        if dropped > 0 {
            items.append(.event(.messagesDropped(count: dropped)))
            count += 1
            dropped = 0
        }
        isClosed = true
        updateReadiness()
        return waiters.removeAll()
    }

    // MARK: Asynchronous consumers

    mutating func makeWaiter() -> UInt64 { waiters.make() }

    /// A result when there is no need to wait; nil when `resume` was kept.
    mutating func park(_ id: UInt64, _ resume: @escaping Waiter) -> Result<QueueItem, CallError>? {
        if waiters.arrive(id) { return .failure(.cancelled) }
        if let item = take() { return .success(item) }
        if isClosed { return .failure(.closed) }
        waiters.park(id, resume)
        return nil
    }

    mutating func cancel(_ id: UInt64) -> Waiter? { waiters.cancel(id) }

    // MARK: The descriptor

    mutating func showReadiness() { signal.watch(isClosed || !items.isEmpty) }

    private mutating func updateReadiness() { signal.update(isClosed || !items.isEmpty) }
}
