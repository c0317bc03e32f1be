import MeshNetSimulator

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// What was promised about messages, held against what a simulation did. It knows who was asked to send what, sees every ticket end and every message arrive,
/// and keeps the first few broken promises as text.
final class MessageChecker {
    struct Sent {
        let number: Int
        let from: Int
        let to: Int
        /// Of the sender when it was asked: its process, and its memory.
        let life: Int
        let memory: Int
        let kind: MessageKind
        let options: SendOptions
        let bytes: [UInt8]
        let at: Instant
        var ticket: Ticket?
        /// How many had been accepted before it, of all.
        var acceptance: Int?
        var isCancelled = false
        var end: Result<Outcome, CallError>?
        /// First arrivals: in which memory of the receiver.
        var arrivals: [Int] = []

        var lane: Lane { options.lane }
        var isAccepted: Bool { acceptance != nil }
        var isRequest: Bool { kind == .request }
        var isReply: Bool { if case .reply = kind { true } else { false } }
    }

    /// What tells a stream of numbers from another one.
    private struct Numbering: Hashable {
        let receiver: Int
        let memory: Int
        let incarnation: Incarnation
        let lane: Lane
    }

    private struct Name: Hashable {
        let receiver: Int
        let life: Int
        let message: InboundMessage
    }

    private(set) var sent: [Sent] = []
    private(set) var broken: [String] = []
    /// By node: how often it began with an empty memory.
    private(set) var memories: [Int]
    /// By sender and receiver: tickets may end with `storage`, `peerClosed`, `closed`.
    var mayFailToStore: Set<Int> = []
    /// By one side or the other: both orders are in it.
    var mayBeClosed: Set<[Int]> = []
    var areEnding: Set<Int> = []
    /// By sender, life and receiver: memories of the receiver that the sender had met when they went.
    private var met: [[Int]: Set<Int>] = [:]
    private var numberOf: [Int: [Ticket: Int]] = [:]
    private var lastSequence: [Numbering: UInt64] = [:]
    private var lastAcceptance: [Numbering: Int] = [:]
    private var acceptances = 0
    private var seen: Set<Name> = []
    /// Short ones cannot carry a number: counted by sender, receiver, lane and size.
    private var anonymous: [[Int]: (sent: Int, arrived: Int)] = [:]
    private let maximumSize: (Int) -> Int

    init(nodes: Int, maximumSize: @escaping (Int) -> Int) {
        memories = Array(repeating: 1, count: nodes)
        self.maximumSize = maximumSize
    }

    /// Bytes that name the message, as far as they fit.
    static func body(number: Int, count: Int) -> [UInt8] {
        guard count >= 8 else { return [UInt8](repeating: 0xee, count: count) }
        var body: [UInt8] = []
        body.reserveCapacity(count)
        body.appendBigEndian(UInt64(number))
        for index in 8..<count { body.append(UInt8(truncatingIfNeeded: number &* 31 &+ index &* 7)) }
        return body
    }

    /// What a request is answered with.
    static func reply(to request: [UInt8]) -> [UInt8] { [0xaa] + request.prefix(64).reversed() }

    func fail(_ text: @autoclosure () -> String) {
        if broken.count < 20 { broken.append(text()) }
    }

    // MARK: - What is done

    func willSend(from: Int, to: Int, life: Int, kind: MessageKind, options: SendOptions, bytes: [UInt8], at: Instant) -> Int {
        let number = sent.count
        sent.append(Sent(
            number: number, from: from, to: to, life: life, memory: memories[from], kind: kind, options: options, bytes: bytes, at: at))
        if bytes.count < 8, kind == .message { anonymous[[from, to, Int(options.lane.rawValue), bytes.count], default: (0, 0)].sent += 1 }
        return number
    }

    var nextNumber: Int { sent.count }

    /// The ticket is known only after the call, in which it may already have been accepted, and ended.
    func didSend(_ number: Int, ticket: Ticket?) {
        sent[number].ticket = ticket
        guard let ticket else { return }
        numberOf[sent[number].from, default: [:]][ticket] = number
        if let early = earlyAccepted.removeValue(forKey: [sent[number].from, Int(ticket.rawValue)]) { accepted(early, ticket) }
        if let early = earlyEnds.removeValue(forKey: [sent[number].from, Int(ticket.rawValue)]) { ended(early.node, ticket, early.result, at: early.at) }
    }

    func cancels(_ number: Int) { sent[number].isCancelled = true }

    /// The node loses all it knew. `met`: nodes that had met its incarnation by now.
    func forgets(_ node: Int, met senders: [(node: Int, life: Int)]) {
        for sender in senders { met[[sender.node, sender.life, node], default: []].insert(memories[node]) }
        memories[node] += 1
    }

    // MARK: - What happens

    private var earlyAccepted: [[Int]: Int] = [:]
    private var earlyEnds: [[Int]: (node: Int, result: Result<Outcome, CallError>, at: Instant)] = [:]

    func accepted(_ node: Int, _ ticket: Ticket) {
        guard let number = numberOf[node]?[ticket] else { return earlyAccepted[[node, Int(ticket.rawValue)]] = node }
        if sent[number].isAccepted { fail("\(name(number)) accepted twice") }
        if sent[number].end != nil { fail("\(name(number)) accepted after its end") }
        sent[number].acceptance = acceptances
        acceptances += 1
    }

    func ended(_ node: Int, _ ticket: Ticket, _ result: Result<Outcome, CallError>, at now: Instant) {
        guard let number = numberOf[node]?[ticket] else { return earlyEnds[[node, Int(ticket.rawValue)]] = (node, result, now) }
        if let end = sent[number].end { fail("\(name(number)) ended twice: \(end), \(result)") }
        sent[number].end = result
        let message = sent[number]
        switch result {
        case .success(let outcome): succeeded(message, outcome)
        case .failure(let error): if let fault = fault(in: error, of: message, now: now) { fail("\(name(number)) ended with \(error): \(fault)") }
        }
    }

    private func succeeded(_ message: Sent, _ outcome: Outcome) {
        if !message.isAccepted { fail("\(name(message.number)) succeeded without having been accepted") }
        switch (outcome, message.kind) {
        case (.done, .message): if message.arrivals.isEmpty, message.bytes.count >= 8 { fail("\(name(message.number)) is told delivered and was not") }
        case (.done, .reply): break
        case (.reply(let body), .request):
            if message.arrivals.isEmpty { fail("\(name(message.number)) has a reply and never arrived") }
            if case .bytes(let bytes) = body, bytes != Self.reply(to: message.bytes) { fail("\(name(message.number)) has a reply to something else") }
        default: fail("\(name(message.number)) ended with \(outcome)")
        }
    }

    /// nil: the message may end so.
    private func fault(in error: CallError, of message: Sent, now: Instant) -> String? {
        switch error {
        case .expired:
            guard let deadline = message.options.deadline else { return "it has no deadline" }
            return now >= message.at + deadline ? nil : "its deadline is \(message.at + deadline), now \(now)"
        case .timedOut: return message.isRequest ? nil : "it is no request"
        // Those who wait for room are bounded too, and what is on its way cannot be displaced.
        case .queueFull(_, let bound): return message.options.whenFull != .wait || bound.contains("wait for room") ? nil : "it may wait"
        case .displaced: return displacers(of: message) ? nil : "nothing displaces"
        case .messageTooLarge(let size, let limit): return size == message.bytes.count && size > limit ? nil : "\(size) of \(limit)"
        case .peerRestarted: return memories[message.to] > 1 ? nil : "the peer kept its memory"
        case .storage: return mayFailToStore.contains(message.from) ? nil : "its disk has room"
        case .cancelled: return message.isCancelled ? nil : "nobody cancelled it"
        case .peerClosed: return mayBeClosed.contains([message.from, message.to]) ? nil : "nobody closed the channel"
        case .closed: return areEnding.contains(message.from) ? nil : "the node goes on"
        default: return "unexpected"
        }
    }

    private func displacers(of message: Sent) -> Bool {
        sent[message.number...].contains { $0.from == message.from && $0.to == message.to && $0.lane == message.lane && $0.options.whenFull == .dropOldest }
    }

    func arrived(_ node: Int, life: Int, _ message: InboundMessage, _ body: [UInt8], sender: Int?) {
        guard let sender else { return fail("node \(node) got a message of a stranger") }
        let text = "\(sender)→\(node) \(message.lane) \(message.sequence)\(message.isRedelivered ? " again" : "")"
        if !seen.insert(Name(receiver: node, life: life, message: Self.plain(message))).inserted { fail("\(text) handed out twice in one life") }
        let numbering = Numbering(receiver: node, memory: memories[node], incarnation: message.incarnation, lane: message.lane)
        if !message.isRedelivered {
            let last = lastSequence.updateValue(message.sequence, forKey: numbering) ?? 0
            if message.sequence <= last { fail("\(text) after \(last)") }
        }
        guard body.count >= 8 else { return countAnonymous(message, body, from: sender, at: node, text) }
        let value = body.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let number = Int(exactly: value), sent.indices.contains(number) else { return fail("\(text) was never sent") }
        check(number, message, body, from: sender, at: node, numbering, text)
    }

    private func check(
        _ number: Int, _ message: InboundMessage, _ body: [UInt8], from sender: Int, at node: Int, _ numbering: Numbering, _ text: String
    ) {
        guard sent[number].from == sender, sent[number].to == node, sent[number].lane == message.lane else { return fail("\(text) is \(name(number))") }
        if sent[number].bytes != body { fail("\(text), \(name(number)), has other bytes") }
        if (message.request != nil) != sent[number].isRequest { fail("\(text), \(name(number)), is no request, or is one") }
        if sent[number].isReply { fail("\(text), \(name(number)), is a reply and reached the inbox") }
        let memory = memories[node]
        if sent[number].arrivals.contains(memory) {
            if !message.isRedelivered { fail("\(text), \(name(number)), arrived twice") }
            return
        }
        if let earlier = sent[number].arrivals.last, !mayFailToStore.contains(sender), met[[sender, sent[number].life, node]]?.contains(earlier) == true {
            fail("\(text), \(name(number)), arrived at two incarnations that its sender knew")
        }
        sent[number].arrivals.append(memory)
        // None where the process died between keeping the message and saying so.
        guard let acceptance = sent[number].acceptance else { return }
        let last = lastAcceptance.updateValue(acceptance, forKey: numbering) ?? -1
        if acceptance < last { fail("\(text), \(name(number)), accepted as number \(acceptance), after number \(last)") }
    }

    private func countAnonymous(_ message: InboundMessage, _ body: [UInt8], from sender: Int, at node: Int, _ text: String) {
        if !body.allSatisfy({ $0 == 0xee }) { fail("\(text) has bytes that nobody sent") }
        guard !message.isRedelivered else { return }
        let key = [sender, node, Int(message.lane.rawValue), body.count]
        anonymous[key, default: (0, 0)].arrived += 1
        let count = anonymous[key, default: (0, 0)]
        if count.arrived > count.sent * memories[node] { fail("\(text): \(count.arrived) of \(body.count) bytes arrived, \(count.sent) were sent") }
    }

    private static func plain(_ message: InboundMessage) -> InboundMessage {
        var message = message
        message.isRedelivered = false
        return message
    }

    // MARK: - The end

    /// Tickets without end, of these lives (by node; nil: dead).
    func unfinished(lives: [Int?]) -> [Sent] { sent.filter { $0.end == nil && $0.ticket != nil && lives[$0.from] == $0.life } }

    /// After everything healed and went quiet: what was accepted and is not known to have failed has arrived, in the receiver's last memory or before.
    func checkNothingLost(isDurable: (Int) -> Bool) {
        for message in sent where message.kind == .message && message.bytes.count >= 8 {
            let isKept = isDurable(message.from) && message.memory == memories[message.from] && message.isAccepted
            guard message.end == nil, isKept, message.options.deadline == nil, memories[message.to] == 1 else { continue }
            guard !message.isCancelled, !displacers(of: message), !mayBeClosed.contains([message.from, message.to]) else { continue }
            if message.arrivals.isEmpty { fail("\(name(message.number)) was accepted, its sender has a disk, and it is lost") }
        }
    }

    func name(_ number: Int) -> String {
        let message = sent[number], milliseconds = message.at.nanoseconds / 1_000_000
        let way = "\(message.from)→\(message.to) \(message.lane), \(message.bytes.count) bytes"
        return "#\(number) (\(message.isRequest ? "request " : message.isReply ? "reply " : "")\(way), life \(message.life), at \(milliseconds) ms)"
    }

    private static func word(_ error: CallError) -> String {
        switch error {
        case .expired: "expired"
        case .displaced: "displaced"
        case .queueFull: "queueFull"
        case .timedOut: "timedOut"
        case .peerRestarted: "peerRestarted"
        case .peerClosed: "peerClosed"
        case .storage: "storage"
        case .cancelled: "cancelled"
        case .messageTooLarge: "messageTooLarge"
        default: "\(error)"
        }
    }

    /// How the tickets ended, for a glance at what a scenario covers.
    var tally: [String: Int] {
        var tally: [String: Int] = [:]
        for message in sent {
            let end: String = switch message.end {
            case nil: "none"
            case .success: "success"
            case .failure(let error): Self.word(error)
            }
            tally[end, default: 0] += 1
        }
        return tally
    }
}
