import MeshNetProtocol

/// Whether messages of the control lane come and go. Then turns are short, so that one waits for little of what else its node is doing; while much
/// else flows, who served it looks a little while for more before it sleeps, since waking a processor takes longer; and for longer a busy reactor offers
/// the processor between two turns (decision 016). Within a host that look follows much of anything (decision 009).
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
    /// Bytes in a turn from or to processes of this host, after which more is looked for in any case: they are at work on it, and waking a processor takes
    /// longer.
    static let bulkWithinHost = 131_072
    /// The longest look behind such turns.
    static let longestLook: Duration = .microseconds(100)

    private var passedAt: Instant?
    /// A message came, and was handed over without waiting for the end of the turn.
    var isHandedOver = false

    private var bytesInTurn = 0
    private var bytesWithinHost = 0

    mutating func passed(now: Instant) { passedAt = now }

    mutating func turnBegins() { (bytesInTurn, bytesWithinHost) = (0, 0) }

    mutating func moved(_ count: Int, isWithinHost: Bool) {
        bytesInTurn += count
        if isWithinHost { bytesWithinHost += count }
    }

    /// Whether a look for more is worth it: bulk flows beside control messages, or within this host.
    func isBesideBulk(now: Instant) -> Bool { bytesInTurn >= Self.bulk && isUnderWay(now: now) || bytesWithinHost >= Self.bulkWithinHost }

    func isUnderWay(now: Instant) -> Bool { passed(within: Self.span, of: now) }

    func isCourteous(now: Instant) -> Bool { passed(within: Self.courtesy, of: now) }

    private func passed(within span: Duration, of now: Instant) -> Bool { passedAt.map { now - $0 < span } ?? false }
}
