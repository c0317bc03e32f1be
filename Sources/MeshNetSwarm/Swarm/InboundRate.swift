import MeshNetProtocol

/// How often one address may connect to us: for each source the instant up to which its rate is used up, so a source costs one entry, and none once
/// it has been quiet.
struct InboundRate {
    /// Sources remembered. Beyond it those that were quiet go, and if none was, all: a flood from everywhere is held by the handshakes under way.
    static let maximumSources = 4_096

    private var usedUntil: [[UInt8]: Instant] = [:]
    var count: Int { usedUntil.count }

    /// Takes one connection of each source, or none. A rate of zero: without limit.
    mutating func admit(_ sources: [(source: [UInt8], perSecond: Double, burst: Int)], now: Instant) -> Bool {
        let limited = sources.filter { $0.perSecond > 0 && $0.perSecond.isFinite }
        for (source, perSecond, burst) in limited {
            guard let until = usedUntil[source] else { continue }
            if until - now > Self.interval(perSecond, times: max(1, burst) - 1) { return false }
        }
        for (source, perSecond, _) in limited {
            if usedUntil[source] == nil { makeRoom(now) }
            usedUntil[source] = max(usedUntil[source] ?? now, now) + Self.interval(perSecond, times: 1)
        }
        return true
    }

    private static func interval(_ perSecond: Double, times: Int) -> Duration {
        let (total, overflow) = Int64(min(1e18, max(1, 1e9 / perSecond))).multipliedReportingOverflow(by: Int64(times))
        return .nanoseconds(overflow ? .max : total)
    }

    private mutating func makeRoom(_ now: Instant) {
        guard usedUntil.count >= Self.maximumSources else { return }
        usedUntil = usedUntil.filter { $0.value > now }
        if usedUntil.count >= Self.maximumSources { usedUntil.removeAll() }
    }
}

/// Why an inbound connection was refused before its first byte.
package enum InboundRefusal: Sendable, Equatable, CaseIterable {
    case connections
    case handshakes
    case connectionsPerAddress
    case ratePerAddress
}
