// How receive windows follow the path.
extension YamuxSession {
    /// What is under way on the stream delays others: its window holds no more than the path needs. On a near path that is what arrives in two round
    /// trips and half a millisecond.
    package mutating func keepShort(_ id: UInt32) {
        guard state == .open, let at = streams.find(id) else { return }
        streams[at].keepsShort = true
        // Now, while nothing waits on the path: later measurements contain that wait.
        if pinger.shortest == nil { measureRoundTrip(every: limits.roundTripInterval, now: now) }
    }

    /// Before so many bytes are granted.
    mutating func tuneWindow(_ at: Int, granting credit: UInt32, now: Instant) {
        if streams[at].keepsShort, let span = shortSpan { return fitWindow(at, to: span, granting: credit, now: now) }
        let elapsed = now - streams[at].epoch
        streams[at].epoch = now
        measureRoundTrip(every: limits.roundTripInterval, now: now)
        guard state == .open, let roundTrip = pinger.roundTrip, elapsed < longestEpoch(at, roundTrip) else { return }
        growWindow(at, to: 2 * Int(streams[at].windowSize))
    }

    // MARK: By doubling

    /// Half a window used up within four round trips means that the window, not the path, sets the speed: double it (as go-yamux does). Where the path is
    /// shorter than the pauses of two busy processes, those count. A short window ends between three and six times what the path itself holds, whatever
    /// waits in it already: the round trip that is measured contains that wait, three eighths of which can never be half a window.
    private func longestEpoch(_ at: Int, _ roundTrip: Duration) -> Duration {
        streams[at].keepsShort ? max(roundTrip * 3 / 8, YamuxLimits.shortSlack) : max(roundTrip * 4, YamuxLimits.shortestEpoch)
    }

    // MARK: By measuring, on near paths

    /// How long what is under way may last: twice the path, since grants come by halves, and a moment in which two busy processes come to it. nil where
    /// the path is not near: there a round trip varies by more than what waits.
    private var shortSpan: Duration? {
        guard let path = pinger.shortest, path <= YamuxLimits.nearPath else { return nil }
        return path * 2 + YamuxLimits.shortSlack
    }

    /// What arrives in that time is what the window may hold. While the window sets the speed, that is more than it holds.
    private mutating func fitWindow(_ at: Int, to span: Duration, granting credit: UInt32, now: Instant) {
        measureRoundTrip(every: YamuxLimits.nearRoundTripInterval, now: now)
        let most = YamuxLimits.countedBytes, counted = min(credit, most) + streams[at].epochBytes
        streams[at].epochBytes = min(counted, most)
        let elapsed = now - streams[at].epoch
        guard state == .open, elapsed >= span / 2 else { return }
        let arrives = Self.share(Int(streams[at].epochBytes), span, of: elapsed)
        streams[at].epoch = now
        streams[at].epochBytes = 0
        growWindow(at, to: min(arrives, 2 * Int(streams[at].windowSize)))
    }

    /// A ping took so long, which left with a grant, while half a window was under way: where that is too long, short windows become shorter.
    mutating func shortenWindows(_ sample: Duration) {
        guard let span = shortSpan, let path = pinger.shortest, sample > path + span / 2 else { return }
        let longest = path + span / 2
        var isShort = false, isShortest = true
        for at in 0..<streams.count where streams[at].keepsShort {
            isShort = true
            guard streams[at].windowSize > YamuxLimits.shortestWindow else { continue }
            isShortest = false
            let size = Int(streams[at].windowSize)
            let shorter = max(Self.share(size, longest, of: min(sample, longest * 2)), Int(YamuxLimits.shortestWindow))
            streams[at].windowSize = UInt32(shorter)
            grownBytes -= size - shorter
        }
        // Next to nothing waits on the path, and yet it takes so long: it is not what it seemed, as behind a proxy.
        if isShort, isShortest { pinger.shortest = sample }
    }

    /// So many bytes take `whole`, which is not zero: how many take `part`.
    private static func share(_ bytes: Int, _ part: Duration, of whole: Duration) -> Int {
        Int(min(Double(bytes) * (part / whole), Double(UInt32.max)))
    }

    private mutating func growWindow(_ at: Int, to wanted: Int) {
        let size = Int(streams[at].windowSize)
        let growth = min(wanted - size, limits.maximumWindow - size, limits.windowGrowth - grownBytes)
        guard growth > 0, let larger = UInt32(exactly: size + growth) else { return }
        streams[at].windowSize = larger
        grownBytes += growth
    }

    private mutating func measureRoundTrip(every interval: Duration, now: Instant) {
        guard pinger.isDue(now: now, interval: interval), enqueue(ControlFrame(kind: .ping, stream: 0)) else { return }
        pinger.queued()
    }
}
