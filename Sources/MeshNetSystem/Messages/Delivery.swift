package import MeshNetProtocol
import MeshNetSwarm

/// A message on its way to the application, or with it, until it is settled.
package struct Delivery: Sendable {
    package enum Body: Sendable {
        case block(InboxBlock, offset: Int, count: Int)
        case bytes([UInt8])
        case file(SpoolReader)

        package var byteCount: Int {
            switch self {
            case .block(_, _, let count): count
            case .bytes(let bytes): bytes.count
            case .file(let reader): reader.byteCount
            }
        }
    }

    package let source: MessageSource
    package let lane: Lane
    package let isRedelivered: Bool
    package let sequence: UInt64
    package let request: UInt64?
    package let body: Body

    package var byteCount: Int { body.byteCount }

    /// What the swarm calls it.
    var message: InboundMessage {
        InboundMessage(
            peer: source.peer, incarnation: source.incarnation, lane: lane, sequence: sequence, request: request, isRedelivered: isRedelivered)
    }
}

/// Messages of one lane that follow each other, in the frames that they came in: small, no requests, and without a store.
package struct DeliveryRun: Sendable {
    package let source: MessageSource
    package let lane: Lane
    /// Of the first.
    package private(set) var sequence: UInt64
    package private(set) var count: Int
    private let block: InboxBlock
    private var offset: Int
    private let end: Int

    init(_ source: MessageSource, _ run: InboundRun, _ block: InboxBlock, at offset: Int) {
        self.source = source
        lane = run.lane
        sequence = run.run.sequence
        count = run.run.count
        self.block = block
        self.offset = offset
        end = offset + run.run.frames.count
    }

    package var frameByteCount: Int { end - offset }

    /// Bytes of the first body. Precondition: there is one.
    package var firstByteCount: Int { LaneRun.body(in: block.bytes(offset, end - offset), at: 0).count }

    /// Takes messages from the front until `take` refuses one, giving it their bodies, which are valid during the call.
    @inline(__always) package mutating func takeBodies(_ take: (UnsafeRawBufferPointer) -> Bool) {
        let frames = block.bytes(offset, end - offset)
        var position = 0, taken = 0
        while taken < count {
            let body = LaneRun.body(in: frames, at: position)
            guard take(UnsafeRawBufferPointer(rebasing: frames[body])) else { break }
            position = body.upperBound
            taken += 1
        }
        offset += position
        sequence += UInt64(taken)
        count -= taken
    }

    /// Precondition: there is one.
    mutating func popFirst() -> Delivery {
        let body = LaneRun.body(in: block.bytes(offset, end - offset), at: 0)
        defer {
            offset += body.upperBound
            sequence += 1
            count -= 1
        }
        return Delivery(
            source: source, lane: lane, isRedelivered: false, sequence: sequence, request: nil,
            body: .block(block, offset: offset + body.lowerBound, count: body.count))
    }

    /// The first messages, leaving the others. Precondition: there are more.
    mutating func split(_ count: Int) -> DeliveryRun {
        var front = self, left = count
        takeBodies { _ in
            left -= 1
            return left >= 0
        }
        front.count = count
        return front
    }
}

/// What waits in the inbox.
package enum InboxItem: Sendable {
    case one(Delivery)
    case run(DeliveryRun)

    package var count: Int { if case .run(let run) = self { run.count } else { 1 } }
}

/// The messages that the reactor has for the inbox and not yet put there: one lock for all of a turn. Reactor thread only.
struct DeliveryBatch {
    private(set) var lanes: [[InboxItem]] = Array(repeating: [], count: Lane.allCases.count)
    private(set) var isEmpty = true
    let pool = InboxBlockPool()
    private var open = [InboxBlock?](repeating: nil, count: Lane.allCases.count)
    private var sources: [PeerID: MessageSource] = [:]
    private var lastSource: MessageSource?
    /// Texts of peers that are kept; beyond it all are made anew.
    static let maximumSources = 4_096

    mutating func append(_ message: InboundMessage, _ bytes: UnsafeRawBufferPointer) {
        let block = bytes.count > InboxBlock.largestShared ? InboxBlock(capacity: bytes.count) : block(message.lane, bytes.count)
        append(message, .block(block, offset: block.append(bytes), count: bytes.count))
    }

    mutating func append(_ message: InboundMessage, _ body: Delivery.Body) {
        append(.one(Delivery(
            source: source(message.peer, message.incarnation), lane: message.lane, isRedelivered: message.isRedelivered, sequence: message.sequence,
            request: message.request, body: body)), message.lane)
    }

    mutating func append(_ run: InboundRun) {
        let block = block(run.lane, run.run.frames.count)
        append(.run(DeliveryRun(source(run.peer, run.incarnation), run, block, at: block.append(run.run.frames))), run.lane)
    }

    private mutating func append(_ item: InboxItem, _ lane: Lane) {
        lanes[Int(lane.rawValue)].append(item)
        isEmpty = false
    }

    /// One with so much room.
    private mutating func block(_ lane: Lane, _ byteCount: Int) -> InboxBlock {
        let lane = Int(lane.rawValue)
        if let current = open[lane], current.room >= byteCount { return current }
        let block = InboxBlock(capacity: max(byteCount, InboxBlock.sharedByteCount), pool: pool)
        open[lane] = block
        return block
    }

    private mutating func source(_ peer: PeerID, _ incarnation: Incarnation) -> MessageSource {
        if let last = lastSource, last.incarnation == incarnation, last.peer == peer { return last }
        let found: MessageSource
        if let known = sources[peer], known.incarnation == incarnation {
            found = known
        } else {
            found = MessageSource(peer: peer, incarnation: incarnation)
            if sources.count >= Self.maximumSources { sources.removeAll(keepingCapacity: true) }
            sources[peer] = found
        }
        lastSource = found
        return found
    }

    /// For tests.
    var sourceCount: Int { sources.count }

    mutating func removeAll() {
        for lane in lanes.indices { lanes[lane].removeAll(keepingCapacity: lanes[lane].capacity <= 4_096) }
        isEmpty = true
    }
}
