/// A point on the monotonic clock: nanoseconds since an origin that only the driver knows.
///
/// Protocol machines never read a clock; every `Instant` comes in as a parameter. Arithmetic saturates.
public struct Instant: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Instant(nanoseconds: 0)
    public static let distantFuture = Instant(nanoseconds: .max)

    public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    public static func + (a: Instant, b: Duration) -> Instant {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.saturatedNanoseconds)
        return Instant(nanoseconds: overflow ? (b.saturatedNanoseconds < 0 ? .min : .max) : sum)
    }

    /// The time from `b` to `a`; negative when `b` is later.
    public static func - (a: Instant, b: Instant) -> Duration {
        let (difference, overflow) = a.nanoseconds.subtractingReportingOverflow(b.nanoseconds)
        return .nanoseconds(overflow ? (a.nanoseconds < b.nanoseconds ? .min : .max) : difference)
    }
}

extension Duration {
    /// The duration in nanoseconds, held at the limits of `Int64` (about 292 years).
    public var saturatedNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carry) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carry ? (seconds < 0 ? .min : .max) : sum
    }
}

/// The earlier of two deadlines, where nil is "never".
package func earlier(_ a: Instant?, _ b: Instant?) -> Instant? {
    guard let a else { return b }
    guard let b else { return a }
    return min(a, b)
}
