import MeshNetProtocol
import MeshNetSwarm
import Synchronization

/// What the callers of an engine and its reactor thread share.
final class Mailbox: Sendable {
    /// Calls that may wait for their completion at once. Far above what one application does, and some tens of MiB at most.
    static let maximumOutstanding = 65_536
    /// Bytes of messages to publish that may wait for the reactor's next turn.
    static let maximumWaitingBytes = 64 << 20
    /// Bytes of messages to peers that may wait to be accepted, be it for the reactor or for room in a queue. A single larger message passes.
    static let maximumUnacceptedBytes = 256 << 20

    private struct State {
        var requests: [Request] = []
        var bytes = 0
        var isClosing = false
        var addresses: [Multiaddr] = []
    }

    private let state = Guarded(State())
    private let outstanding = Atomic(0)
    private let unacceptedBytes = Atomic(0)
    private let lastTicket = Atomic<UInt64>(0)
    /// Asynchronous requests that have no reply yet.
    private let openRequests = Atomic(0)
    let wakeup: Wakeup

    private let unacceptedLimit: Int

    init(unacceptedLimit: Int = maximumUnacceptedBytes) throws(SystemError) {
        wakeup = try Wakeup()
        self.unacceptedLimit = unacceptedLimit
    }

    /// True in a child after `fork`: nothing here may be locked then.
    var ownerProcessIsGone: Bool { state.ownerProcessIsGone }

    // MARK: Callers

    func makeTicket() -> Ticket { Ticket(rawValue: lastTicket.wrappingAdd(1, ordering: .relaxed).newValue) }

    /// The first of so many that follow each other.
    func makeTickets(_ count: Int) -> Ticket {
        Ticket(rawValue: lastTicket.wrappingAdd(UInt64(count), ordering: .relaxed).oldValue + 1)
    }

    /// True when there was no other.
    func requestBegins() -> Bool { openRequests.wrappingAdd(1, ordering: .relaxed).oldValue == 0 }
    func requestEnded() { openRequests.wrappingSubtract(1, ordering: .relaxed) }

    /// The error with which the request was refused. `wakes`: false where the caller sees to it that it is served.
    func post(_ request: Request, wakes: Bool = true) -> CallError? {
        guard !ownerProcessIsGone else { return .closed }
        let refusal = state.with { (state: inout State) -> CallError? in
            if state.isClosing { return .closed }
            if request.isAnswered {
                if outstanding.load(ordering: .relaxed) >= Self.maximumOutstanding {
                    return .limitReached("calls under way: \(Self.maximumOutstanding)")
                }
                if state.bytes > 0, state.bytes + request.byteCount > Self.maximumWaitingBytes {
                    return .limitReached("bytes waiting to be published: \(Self.maximumWaitingBytes)")
                }
                let sendBytes = request.sendByteCount, unaccepted = unacceptedBytes.load(ordering: .relaxed)
                if unaccepted > 0, unaccepted + sendBytes > unacceptedLimit {
                    return .limitReached("bytes of messages waiting to be accepted: \(unacceptedLimit)")
                }
                outstanding.wrappingAdd(1, ordering: .relaxed)
                unacceptedBytes.wrappingAdd(sendBytes, ordering: .relaxed)
                state.bytes += request.byteCount
            }
            state.requests.append(request)
            return nil
        }
        if refusal == nil, wakes { wakeup.signal() }
        return refusal
    }

    func requestClose() {
        state.with { $0.isClosing = true }
        wakeup.signal()
    }

    var addresses: [Multiaddr] {
        ownerProcessIsGone ? [] : state.with { $0.isClosing ? [] : $0.addresses }
    }

    // MARK: The reactor

    /// Swaps the waiting requests for an empty array.
    func take(into requests: inout [Request]) {
        requests.removeAll(keepingCapacity: requests.capacity <= 4_096)
        state.with { state in
            swap(&state.requests, &requests)
            state.bytes = 0
        }
    }

    var isClosing: Bool { state.with { $0.isClosing } }

    func answered() { outstanding.wrappingSubtract(1, ordering: .relaxed) }

    /// The messages of a send are in their queue, or ended before.
    func sendAccepted(_ byteCount: Int) {
        answered()
        unacceptedBytes.wrappingSubtract(byteCount, ordering: .relaxed)
    }

    func publish(addresses: [Multiaddr]) { state.with { $0.addresses = addresses } }
}
