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

/// The messages that the reactor has for the inbox and not yet put there: one lock for all of a turn. Reactor thread only.
struct DeliveryBatch {
    private(set) var lanes: [[Delivery]] = Array(repeating: [], count: Lane.allCases.count)
    private(set) var isEmpty = true
    private var open = [InboxBlock?](repeating: nil, count: Lane.allCases.count)
    private var sources: [PeerID: MessageSource] = [:]
    private var lastSource: MessageSource?
    /// Texts of peers that are kept; beyond it all are made anew.
    static let maximumSources = 4_096

    mutating func append(_ message: InboundMessage, _ bytes: UnsafeRawBufferPointer) {
        let lane = Int(message.lane.rawValue), block: InboxBlock
        if bytes.count > InboxBlock.largestShared {
            block = InboxBlock(capacity: bytes.count)
        } else if let current = open[lane], current.room >= bytes.count {
            block = current
        } else {
            block = InboxBlock(capacity: InboxBlock.sharedByteCount)
            open[lane] = block
        }
        let offset = block.append(bytes)
        append(message, .block(block, offset: offset, count: bytes.count))
    }

    mutating func append(_ message: InboundMessage, _ body: Delivery.Body) {
        lanes[Int(message.lane.rawValue)].append(Delivery(
            source: source(message.peer, message.incarnation), lane: message.lane, isRedelivered: message.isRedelivered, sequence: message.sequence,
            request: message.request, body: body))
        isEmpty = false
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
