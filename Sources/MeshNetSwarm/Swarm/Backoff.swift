import MeshNetProtocol

/// Exponential delays with jitter: the n-th lies between half of first × 2ⁿ and all of it, the whole never above the cap.
///
/// Half is fixed so that a refused dial never loops hot; half is random so that many nodes do not come back in step.
struct Backoff {
    let first: Duration
    let cap: Duration
    private(set) var attempts = 0

    init(first: Duration, cap: Duration) {
        self.first = first
        self.cap = cap
    }

    mutating func next(_ random: inout RandomSource) -> Duration {
        let shift = min(attempts, 32)
        attempts += 1
        let base = max(1, first.saturatedNanoseconds)
        let limit = max(base, cap.saturatedNanoseconds)
        let raw = base > limit >> Int64(shift) ? limit : base << Int64(shift)
        let half = raw / 2
        return .nanoseconds(half + Int64.random(in: 0...(raw - half), using: &random))
    }

    mutating func reset() { attempts = 0 }
}

/// Exponential delays with full jitter: the n-th is random between zero and first × factorⁿ, at most the cap ("Exponential Backoff And Jitter", AWS).
///
/// Half of the time of `Backoff`, and nobody in step at all. What keeps it from looping hot is that delays of nearly nothing are rare.
struct FullJitter {
    private let first: Double
    private let factor: Double
    private let cap: Double
    private(set) var attempts = 0
    /// Nanoseconds of the longest that the next one can be.
    private var raw: Double

    init(_ configuration: ReconnectConfiguration) {
        // 2^62 ns, 146 years: a power of two, so that the number is the same as a whole one.
        cap = Double(min(max(1, configuration.cap.saturatedNanoseconds), 1 << 62))
        first = min(cap, Double(max(1, configuration.first.saturatedNanoseconds)))
        // Also where it is no number.
        factor = configuration.factor > 1 ? configuration.factor : 1
        raw = first
    }

    /// The longest that the next one can be.
    var bound: Duration { .nanoseconds(Int64(raw)) }

    mutating func next(_ random: inout RandomSource) -> Duration {
        let limit = Int64(raw)
        attempts += 1
        raw = min(cap, raw * factor)
        return .nanoseconds(Int64.random(in: 0..<max(1, limit), using: &random))
    }

    mutating func reset() {
        attempts = 0
        raw = first
    }
}
