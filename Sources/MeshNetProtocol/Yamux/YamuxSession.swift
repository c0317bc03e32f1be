/// A libp2p yamux session (libp2p specs, yamux) over bytes that are already decrypted and in order.
///
/// Input is parsed lazily: `receive` lends a view, `poll` walks through it and returns views into it; nothing is copied or queued but 12-byte headers.
/// Output is written straight into memory that the owner hands in: by `writeHeader` before application bytes, which the owner adds, and `writeControl`.
package struct YamuxSession {
    let role: YamuxRole
    let limits: YamuxLimits

    var streams = YamuxStreamTable()
    var inboundCount = 0
    var outboundCount = 0
    var unacknowledgedCount = 0
    /// Bytes by which the windows of live streams exceed their first size.
    var grownBytes = 0
    /// The id of the next stream that we open; nil when they are used up.
    var nextID: UInt32?

    // Input: the lent view, the frame that is being read, and what the owner does not know yet.
    var input = UnsafeRawBufferPointer(start: nil, count: 0)
    var now = Instant.zero
    var partialHeader = InlineArray<12, UInt8>(repeating: 0)
    var partialHeaderCount = 0
    var body = Body()
    var notices = Fifo<Notice>()
    var state = State.open

    // Output.
    var control = Fifo<ControlFrame>()
    var queuedPingAnswers = 0
    var pinger = Pinger()

    // Streams that keep short: bytes consumed since the last measurement of the round trip, and what that did to their windows.
    var shortBytes = 0
    var shortBytesSince = Instant.zero
    var shortening: Shortening?
    /// `YamuxLimits.calmSlack`, or `shortSlack` after something urgent.
    var slack: Duration
    var hurriedAt = Instant.zero

    /// - Parameter roundTrip: of the path, where it is known.
    package init(role: YamuxRole, limits: YamuxLimits = YamuxLimits(), roundTrip: Duration? = nil) {
        self.role = role
        pinger = Pinger(path: roundTrip)
        self.limits = limits
        slack = limits.calmSlack
        nextID = role == .client ? 1 : 2
    }

    enum State { case open, over }

    /// The rest of a data frame.
    struct Body {
        var stream: UInt32 = 0
        var remaining: UInt32 = 0
        /// False for streams that are gone: the bytes are passed over.
        var isDelivered = false
        var endsStream = false
    }

    /// Windows became shorter, to a part of what they were, when so many bytes came in a nanosecond; how often in a row fewer came then.
    struct Shortening {
        let speed: Double
        let part: Double
        let drops: Int
    }

    /// Actions without a view, in order; at most a handful for each frame, and drained before the next one is parsed.
    enum Notice {
        case opened(UInt32)
        case ended(UInt32)
        case reset(UInt32, YamuxStreamError)
        case closed(UInt32)
        case writable(UInt32)
        case finished(YamuxEnd)
    }

    /// True after the end: every call does nothing, but a last go-away may wait in `writeControl`.
    package var isOver: Bool { state == .over }
    package var streamCount: Int { streams.count }
    package var inboundStreamCount: Int { inboundCount }
    package var outboundStreamCount: Int { outboundCount }
    /// Smoothed, from pings that are sent only while windows are in heavy use; nil before the first.
    package var roundTrip: Duration? { pinger.roundTrip }

    package func contains(_ id: UInt32) -> Bool { streams.contains(id) }

    /// Opens a stream. Nothing is sent before the first `writeHeader` or `writeControl`.
    package mutating func open(now: Instant) throws(YamuxOpenError) -> UInt32 {
        guard state == .open else { throw .sessionOver }
        guard outboundCount < limits.outboundStreams else { throw .tooManyStreams(limit: limits.outboundStreams) }
        guard unacknowledgedCount < limits.unacknowledgedStreams else { throw .tooManyUnacknowledged(limit: limits.unacknowledgedStreams) }
        guard let id = nextID else { throw .identifiersExhausted }
        let (following, overflow) = id.addingReportingOverflow(2)
        nextID = overflow ? nil : following
        outboundCount += 1
        unacknowledgedCount += 1
        insert(id, greeting: .syn, now: now)
        _ = enqueue(ControlFrame(kind: .greeting, stream: id))
        return id
    }

    /// Ends our half behind what was written.
    package mutating func closeWrite(_ id: UInt32) {
        guard state == .open, let at = streams.find(id), !streams[at].localEnded else { return }
        streams[at].localEnded = true
        let greeting = takeGreeting(at)
        guard enqueue(ControlFrame(kind: .end, stream: id, value: UInt32(greeting.rawValue))) else { return }
        if streams[at].remoteEnded {
            remove(at)
            notices.append(.closed(id))
        }
    }

    /// Tears the stream down. It is gone at once, without an action, and nothing more is said of it.
    package mutating func reset(_ id: UInt32) {
        guard state == .open else { return }
        notices.removeAll { $0.stream == id }
        guard let at = streams.find(id) else { return }
        // The peer never heard of a stream whose SYN is still here.
        let isUnknown = streams[at].greeting.contains(.syn)
        remove(at)
        if !isUnknown { _ = enqueue(ControlFrame(kind: .reset, stream: id)) }
    }

    /// Ends the session: one go-away behind the control frames that wait, then nothing more, not even of an end that was not reported yet.
    package mutating func goAway(_ code: YamuxGoAway) {
        notices.removeAll()
        guard state == .open else { return }
        control.append(ControlFrame(kind: .goAway, stream: 0, value: code.rawValue))
        endSession()
    }

    // MARK: Bookkeeping

    mutating func insert(_ id: UInt32, greeting: YamuxHeader.Flags, now: Instant) {
        let size = UInt32(clamping: min(max(limits.initialWindow, Int(YamuxLimits.protocolWindow)), limits.maximumWindow))
        let stream = YamuxStream(
            id: id, windowSize: max(size, YamuxLimits.protocolWindow), epoch: now, greeting: greeting, awaitsAnswer: greeting == .syn)
        grownBytes += Int(stream.windowSize - YamuxLimits.protocolWindow)
        streams.insert(stream)
    }

    mutating func remove(_ at: Int) {
        let stream = streams[at]
        if stream.awaitsAnswer { unacknowledgedCount -= 1 }
        if isOurs(stream.id) { outboundCount -= 1 } else { inboundCount -= 1 }
        grownBytes -= Int(stream.windowSize) - Int(YamuxLimits.protocolWindow)
        streams.remove(at: at)
    }

    func isOurs(_ id: UInt32) -> Bool { (id % 2 == 1) == (role == .client) }

    mutating func endSession() {
        state = .over
        streams.removeAll()
        inboundCount = 0
        outboundCount = 0
        unacknowledgedCount = 0
        grownBytes = 0
        input = UnsafeRawBufferPointer(start: nil, count: 0)
        body = Body()
    }

    /// The peer broke a rule: whatever waits is pointless now, but it shall learn why.
    mutating func fail(_ error: YamuxError) {
        control.removeAll()
        queuedPingAnswers = 0
        notices.removeAll()
        control.append(ControlFrame(kind: .goAway, stream: 0, value: YamuxGoAway.protocolError.rawValue))
        endSession()
        notices.append(.finished(.violation(error)))
    }
}
