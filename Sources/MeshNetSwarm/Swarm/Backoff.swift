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
