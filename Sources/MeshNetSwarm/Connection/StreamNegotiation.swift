import MeshNetProtocol

/// A stream whose two sides have not agreed on a protocol, or whose lazy agreement is not confirmed.
struct StreamNegotiation {
    let stream: UInt32
    let isInbound: Bool
    let deadline: Instant
    var machine: MultistreamNegotiation
    /// The single protocol of a lazy outbound stream: data may follow before the answer.
    let lazyProtocol: String?
    /// Our half is to be ended as soon as there is an agreement.
    var endsOurHalf = false
    /// A listener's greeting waits to be sent together with its answer.
    var owesGreeting = false
}

/// The streams in negotiation, oldest first. All wait equally long, so the first is always the first to time out.
struct StreamNegotiations {
    private var entries: [StreamNegotiation] = []
    private(set) var inboundCount = 0
    private var owedGreetings = 0

    var isEmpty: Bool { entries.isEmpty }
    var deadline: Instant? { entries.first?.deadline }
    var first: StreamNegotiation? { entries.first }
    var owesGreetings: Bool { owedGreetings > 0 }

    func find(_ stream: UInt32) -> Int? { entries.isEmpty ? nil : entries.firstIndex { $0.stream == stream } }

    subscript(position: Int) -> StreamNegotiation {
        _read { yield entries[position] }
        _modify { yield &entries[position] }
    }

    mutating func append(_ entry: StreamNegotiation) {
        if entry.isInbound { inboundCount += 1 }
        if entry.owesGreeting { owedGreetings += 1 }
        entries.append(entry)
    }

    mutating func remove(at position: Int) {
        let entry = entries.remove(at: position)
        if entry.isInbound { inboundCount -= 1 }
        if entry.owesGreeting { owedGreetings -= 1 }
        if entries.isEmpty { entries = [] }
    }

    mutating func settleGreeting(at position: Int) {
        guard entries[position].owesGreeting else { return }
        entries[position].owesGreeting = false
        owedGreetings -= 1
    }

    /// Streams whose greeting is still owed, in order of their opening.
    func greetingDebtors() -> [UInt32] { entries.filter(\.owesGreeting).map(\.stream) }

    mutating func removeAll() { self = StreamNegotiations() }
}
