import MeshNetProtocol

/// Whether messages of the control lane come and go. Then turns are short, so that one waits for little of what else its node is doing; while much
/// else flows, who served it looks a little while for more before it sleeps, since waking a processor takes longer; and for longer a busy reactor offers
/// the processor between two turns (decision 016).
struct Express {
    /// From the last of them on.
    static let span: Duration = .milliseconds(100)
    /// From the last of them on, a reactor that finds its next work without having slept yields first (`Courtesy`).
    static let courtesy: Duration = .seconds(10)
    /// Bytes after which a socket is read no further in one turn, and bytes given to it.
    static let bytesPerTurn = 131_072
    static let bytesPerRead = 65_536
    /// Bytes in a turn that are more than control messages.
    static let bulk = 16_384
    /// The longest look behind such a turn.
    static let longestLook: Duration = .microseconds(100)

    private var passedAt: Instant?
    /// A message came, and was handed over without waiting for the end of the turn.
    var isHandedOver = false

    private var bytesInTurn = 0

    mutating func passed(now: Instant) { passedAt = now }

    mutating func turnBegins() { bytesInTurn = 0 }
    mutating func moved(_ count: Int) { bytesInTurn += count }

    /// Whether bulk flows beside control messages, and a look for more is worth it.
    func isBesideBulk(now: Instant) -> Bool { bytesInTurn >= Self.bulk && isUnderWay(now: now) }

    func isUnderWay(now: Instant) -> Bool { passed(within: Self.span, of: now) }

    func isCourteous(now: Instant) -> Bool { passed(within: Self.courtesy, of: now) }

    private func passed(within span: Duration, of now: Instant) -> Bool { passedAt.map { now - $0 < span } ?? false }
}
