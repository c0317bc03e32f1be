// How receive windows follow the path.
extension YamuxSession {
    /// What is under way on the stream delays others: its window holds no more than the path needs.
    package mutating func keepShort(_ id: UInt32) {
        guard state == .open, let at = streams.find(id) else { return }
        streams[at].keepsShort = true
        // Now, while nothing waits on the path: later measurements contain that wait.
        if pinger.shortest == nil { measureRoundTrip(every: limits.roundTripInterval, now: now) }
    }

    /// Something urgent passes, in either direction: streams that keep short keep shorter now, and for `YamuxLimits.hurryTime`.
    package mutating func hurry(now: Instant) {
        hurriedAt = now
        guard slack > limits.shortSlack else { return }
        let before = pinger.shortest.map(shortSpan)
        slack = limits.shortSlack
        guard let before, let span = pinger.shortest.map(shortSpan) else { return }
        shortening = nil
        _ = shortenWindows(to: span / before)
    }

    /// Before so many bytes are granted.
    mutating func tuneWindow(_ at: Int, granting credit: UInt32, now: Instant) {
        guard !streams[at].keepsShort else { return fitWindow(at, granting: credit, now: now) }
        let elapsed = now - streams[at].epoch
        streams[at].epoch = now
        measureRoundTrip(every: limits.roundTripInterval, now: now)
        // Half a window used up within four round trips means that the window, not the path, sets the speed: double it (as go-yamux does). Where the
        // path is shorter than the pauses of two busy processes, those count.
        guard state == .open, let roundTrip = pinger.roundTrip, elapsed < max(roundTrip * 4, YamuxLimits.shortestEpoch) else { return }
        growWindow(at, to: 2 * Int(streams[at].windowSize))
    }

    // MARK: Short windows

    /// How long what is under way may last: twice a near path, since grants come by halves, and a moment in which two busy processes come to it. A farther
    /// path, which takes now longer and now shorter, three times.
    private func shortSpan(_ path: Duration) -> Duration { path * (path <= YamuxLimits.nearPath ? 2 : 3) + slack }

    /// What arrives in that time is what the window may hold. While the window sets the speed, that is more than it holds.
    private mutating func fitWindow(_ at: Int, granting credit: UInt32, now: Instant) {
        measureRoundTrip(every: pinger.isNear ? YamuxLimits.nearRoundTripInterval : limits.roundTripInterval, now: now)
        let most = UInt32(YamuxLimits.countedBytes), counted = min(credit, most) + streams[at].epochBytes
        streams[at].epochBytes = min(counted, most)
        if slack < limits.calmSlack, now - hurriedAt >= YamuxLimits.hurryTime { slack = limits.calmSlack }
        guard state == .open, let span = pinger.shortest.map(shortSpan) else { return }
        let elapsed = now - streams[at].epoch
        guard elapsed >= span / 2 else { return }
        let arrives = Self.share(Int(streams[at].epochBytes), span, of: elapsed)
        streams[at].epoch = now
        streams[at].epochBytes = 0
        growWindow(at, to: min(arrives, 2 * Int(streams[at].windowSize)))
    }

    /// A ping took so long, which left with a grant, while half a window was under way. Where that is too long on a near path, windows become shorter.
    mutating func roundTripMeasured(_ sample: Duration) {
        let speed = Double(shortBytes) / max((now - shortBytesSince) / .nanoseconds(1), 1), before = shortening
        (shortBytes, shortBytesSince, shortening) = (0, now, nil)
        let drops = judge(sample, speed, before)
        guard let path = pinger.shortest, path <= YamuxLimits.nearPath, sample > shortSpan(path) / 2 else { return }
        let part = max(shortSpan(path) / 2 / sample, 0.5)
        if shortenWindows(to: part) { shortening = Shortening(speed: speed, part: part, drops: drops) }
    }

    /// Where less comes for a window that is much shorter, in proportion and twice in a row, the window was what set the speed, and the path is longer than
    /// it seemed, as one through a proxy. Returns how often in a row it was so.
    private mutating func judge(_ sample: Duration, _ speed: Double, _ before: Shortening?) -> Int {
        guard let before, before.part < 0.75, speed < before.speed * (before.part + (1 - before.part) / 5) else { return 0 }
        guard before.drops == 1 else { return 1 }
        pinger.doubt(sample, now: now)
        return 0
    }

    /// False when all are as short as they may be.
    private mutating func shortenWindows(to part: Double) -> Bool {
        var isShorter = false
        for at in 0..<streams.count where streams[at].keepsShort && streams[at].windowSize > YamuxLimits.shortestWindow {
            let size = streams[at].windowSize, shorter = max(UInt32(Double(size) * part), YamuxLimits.shortestWindow)
            streams[at].windowSize = shorter
            grownBytes -= Int(size - shorter)
            isShorter = true
        }
        return isShorter
    }

    // MARK: Both

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
