package import MeshNetProtocol

/// What may pass in a second, in messages and in bytes; a burst of one second's worth passes at once, and one larger message than that still does, and is
/// paid for by those after it. Two instants, whatever passes: up to when the rate is used up (the generic cell rate algorithm, ITU-T I.371).
package struct RateGate: Sendable, Equatable {
    private let limit: RateLimit
    private var messagesUntil = Instant.zero
    private var bytesUntil = Instant.zero

    package init(_ limit: RateLimit) { self.limit = limit }

    package var isUnlimited: Bool { limit.messagesPerSecond <= 0 && limit.bytesPerSecond <= 0 }

    /// Takes what may pass now. False: nothing is taken; see `nextAt`.
    package mutating func admit(messages: Int = 1, bytes: Int, now: Instant) -> Bool {
        guard nextAt(now: now) == nil else { return false }
        Self.take(messages, of: limit.messagesPerSecond, &messagesUntil, now)
        Self.take(bytes, of: limit.bytesPerSecond, &bytesUntil, now)
        return true
    }

    /// When something may pass again; nil: now.
    package func nextAt(now: Instant) -> Instant? {
        var next: Instant?
        if limit.messagesPerSecond > 0, messagesUntil - now >= .seconds(1) { next = messagesUntil + .seconds(-1) }
        if limit.bytesPerSecond > 0, bytesUntil - now >= .seconds(1) { next = max(next ?? .zero, bytesUntil + .seconds(-1)) }
        // A moment later, so that a timer set for it finds the gate open.
        return next.map { $0 + .nanoseconds(1) }
    }

    /// What holds back, in words for `ChannelChange.limited`; nil: nothing.
    package func reason(now: Instant) -> String? {
        if limit.messagesPerSecond > 0, messagesUntil - now >= .seconds(1) { return "\(limit.messagesPerSecond) messages per second" }
        if limit.bytesPerSecond > 0, bytesUntil - now >= .seconds(1) { return "\(limit.bytesPerSecond) bytes per second" }
        return nil
    }

    private static func take(_ amount: Int, of perSecond: Int, _ until: inout Instant, _ now: Instant) {
        guard perSecond > 0, amount > 0 else { return }
        let (product, overflow) = Int64(amount).multipliedReportingOverflow(by: 1_000_000_000)
        until = max(until, now) + .nanoseconds(overflow ? .max : product / Int64(perSecond))
    }
}
