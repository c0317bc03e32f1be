import MeshNetProtocol
package import MeshNetSwarm

/// How far the messages of one call came.
package struct SendReport: Sendable {
    /// Accepted, or delivered, whichever was waited for.
    package var count = 0
    /// The first failure; nil when all came so far.
    package var failure: CallError?
    /// What the peer replied to a request.
    package var reply: Delivery.Body?
}

/// The messages of one call, and who waits for them. Made by the caller, then the reactor's.
package final class SendCall: @unchecked Sendable {
    package typealias Completion = @Sendable (SendReport) -> Void

    /// Lent memory stays until the messages are accepted or ended: the swarm copies it when it takes them.
    enum Bodies {
        case owned([UInt8])
        case lent([UnsafeRawBufferPointer])
        case file(OutgoingFile)

        var count: Int { if case .lent(let views) = self { views.count } else { 1 } }

        var byteCount: Int {
            switch self {
            case .owned(let bytes): bytes.count
            case .lent(let views): views.reduce(0) { $0 + $1.count }
            case .file(let file): file.byteCount
            }
        }
    }

    /// Which of the messages have a ticket. One that is followed by a tracked one needs none while nothing can end it alone: a lane is in order.
    /// Of a run, accepted together as far as there is room, the call itself has the one ticket.
    enum Tracking { case each, last, run }

    let message: OutboundMessage
    let bodies: Bodies
    let count: Int
    package let byteCount: Int
    let tracking: Tracking
    /// Of the first tracked message; the others follow.
    let firstTicket: Ticket
    private let accepted: Completion?
    private let ended: Completion?

    // The reactor's.
    private var acceptance = SendReport()
    private var ending = SendReport()
    private var refused = 0
    private var finished = 0
    /// What a message that is taken back ends with.
    var cancellation: CallError?

    init(_ message: OutboundMessage, _ bodies: Bodies, tracking: Tracking = .each, firstTicket: Ticket, accepted: Completion?, ended: Completion?) {
        self.message = message
        self.bodies = bodies
        self.tracking = tracking
        self.firstTicket = firstTicket
        self.accepted = accepted
        self.ended = ended
        count = bodies.count
        byteCount = bodies.byteCount
    }

    /// Of the bytes those that wait in memory.
    var heldByteCount: Int { if case .file = bodies { 0 } else { byteCount } }

    var trackedCount: Int { tracking == .last ? 1 : count }

    /// Whether anybody waits for what becomes of accepted messages.
    var wantsEnds: Bool { ended != nil }

    /// nil: not tracked.
    func ticket(of index: Int) -> Ticket? {
        switch tracking {
        case .each: Ticket(rawValue: firstTicket.rawValue + UInt64(index))
        case .last: index == count - 1 ? firstTicket : nil
        case .run: index == 0 ? firstTicket : nil
        }
    }

    // MARK: What becomes of them

    /// True when this was the last that was waited for: the call no longer waits for room in a queue.
    func oneAccepted() -> Bool { someAccepted(1) }

    /// So many more.
    func someAccepted(_ count: Int) -> Bool {
        acceptance.count += count
        return finishAcceptance()
    }

    /// `wasAccepted`: it was told before. True as in `oneAccepted`.
    func oneEnded(_ result: Result<Delivery.Body?, CallError>, wasAccepted: Bool) -> Bool {
        finished += 1
        switch result {
        case .success(let reply):
            ending.count += 1
            ending.reply = reply
        case .failure(var error):
            if error == .cancelled, let cancellation { error = cancellation }
            ending.failure = ending.failure ?? error
            if !wasAccepted { acceptance.failure = acceptance.failure ?? error }
        }
        var isLast = false
        if !wasAccepted {
            // A peer that is quick enough has the message before its acceptance is told.
            // Of a run it is the rest that ends.
            if case .success = result { acceptance.count += 1 } else { refused += tracking == .run ? count - acceptance.count : 1 }
            isLast = finishAcceptance()
        }
        if finished == trackedCount {
            if tracking == .last, ending.failure == nil { ending.count = count }
            ended?(ending)
        }
        return isLast
    }

    private func finishAcceptance() -> Bool {
        guard acceptance.count + refused == trackedCount else { return false }
        if tracking == .last, acceptance.failure == nil { acceptance.count = count }
        accepted?(acceptance)
        return true
    }

    /// None of them reached the swarm.
    func refuse(_ error: CallError) {
        let report = SendReport(failure: error)
        accepted?(report)
        ended?(report)
    }
}
