/// A frame without body that waits to be sent. What it says of a window or a flag is decided when it is written, so that one entry does for several causes.
struct ControlFrame {
    enum Kind: UInt8 { case greeting, windowUpdate, end, reset, ping, pong, goAway }
    var kind: Kind
    var stream: UInt32
    /// End: the SYN or ACK that rides on it. Pong and go-away: the length field.
    var value: UInt32 = 0
}

extension YamuxSession {
    /// Writes the header of a data frame for as many of `count` bytes as the peer's window and the region behind the header allow, and says how many:
    /// they must follow. Nothing is written for none. When the window held bytes back, `writable` follows.
    package mutating func writeHeader(_ id: UInt32, count: Int, into region: UnsafeMutableRawBufferPointer) -> Int {
        guard state == .open, count > 0, let at = streams.find(id), !streams[at].localEnded else { return 0 }
        let window = Int(streams[at].sendWindow)
        let taken = min(count, window, max(0, region.count - YamuxHeader.byteCount))
        if taken == window, taken < count { streams[at].blocked = true }
        guard taken > 0 else { return 0 }
        streams[at].sendWindow -= UInt32(taken)
        YamuxHeader(.data, takeGreeting(at), stream: id, length: UInt32(taken)).encode(into: region)
        return taken
    }

    /// Bytes that the peer's window takes on a stream; nil when it is gone or our half is ended.
    package mutating func sendWindow(_ id: UInt32) -> Int? {
        guard state == .open, let at = streams.find(id), !streams[at].localEnded else { return nil }
        return Int(streams[at].sendWindow)
    }

    /// Asks for `writable` when the peer's window opens, for an owner that did not come to `writeHeader` because it was shut.
    package mutating func awaitWindow(_ id: UInt32) {
        guard state == .open, let at = streams.find(id) else { return }
        streams[at].blocked = true
    }

    /// The owner is done with so many bytes of `data`. Grants them to the peer once half the window is used up.
    package mutating func consumed(_ id: UInt32, _ count: Int, now: Instant) {
        guard state == .open, let at = streams.find(id) else { return }
        streams[at].unconsumed = streams[at].unconsumed.subtractingClamped(UInt32(clamping: count))
        let stream = streams[at]
        if stream.keepsShort { shortBytes = min(shortBytes, YamuxLimits.countedBytes) + count }
        guard !stream.remoteEnded, !stream.updateQueued, stream.credit >= stream.windowSize / 2 else { return }
        tuneWindow(at, granting: stream.credit, now: now)
        guard state == .open else { return }
        streams[at].updateQueued = true
        _ = enqueue(ControlFrame(kind: .windowUpdate, stream: id))
    }

    package var hasControl: Bool { mutating get { !control.isEmpty } }

    /// Fills the region with waiting control frames and returns the bytes used; a multiple of 12.
    package mutating func writeControl(into region: UnsafeMutableRawBufferPointer, now: Instant) -> Int {
        var used = 0
        while region.count - used >= YamuxHeader.byteCount, let frame = control.popFirst() {
            guard let header = header(of: frame, now: now) else { continue }
            header.encode(into: UnsafeMutableRawBufferPointer(rebasing: region[used...]))
            used += YamuxHeader.byteCount
        }
        return used
    }

    // MARK: Control frames

    /// False when the queue is full, which ends the session: the peer does not read.
    mutating func enqueue(_ frame: ControlFrame) -> Bool {
        guard control.count < limits.controlFrames else {
            fail(.answersNotRead(limit: limits.controlFrames))
            return false
        }
        control.append(frame)
        return true
    }

    /// As `enqueue`, for frames that the peer's own frames cause.
    mutating func enqueueAnswer(_ frame: ControlFrame) throws(YamuxError) {
        guard control.count < limits.controlFrames else { throw .answersNotRead(limit: limits.controlFrames) }
        control.append(frame)
    }

    /// SYN or ACK for the frame that is about to be written.
    mutating func takeGreeting(_ at: Int) -> YamuxHeader.Flags {
        let greeting = streams[at].greeting
        streams[at].greeting = []
        return greeting
    }

    /// Ends and resets are data frames, as rust-yamux writes them: every implementation reads their flags there.
    private mutating func header(of frame: ControlFrame, now: Instant) -> YamuxHeader? {
        switch frame.kind {
        case .greeting:
            guard let at = streams.find(frame.stream), !streams[at].greeting.isEmpty else { return nil }
            return windowUpdate(at)
        case .windowUpdate:
            guard let at = streams.find(frame.stream) else { return nil }
            streams[at].updateQueued = false
            return windowUpdate(at)
        case .end:
            let greeting = YamuxHeader.Flags(rawValue: UInt16(truncatingIfNeeded: frame.value))
            return YamuxHeader(.data, greeting.union(.fin), stream: frame.stream, length: 0)
        case .reset: return YamuxHeader(.data, .rst, stream: frame.stream, length: 0)
        case .ping: return YamuxHeader(.ping, .syn, stream: 0, length: pinger.send(now: now))
        case .pong:
            queuedPingAnswers -= 1
            return YamuxHeader(.ping, .ack, stream: 0, length: frame.value)
        case .goAway: return YamuxHeader(.goAway, [], stream: 0, length: frame.value)
        }
    }

    private mutating func windowUpdate(_ at: Int) -> YamuxHeader {
        let credit = streams[at].credit
        streams[at].receiveWindow += credit
        return YamuxHeader(.windowUpdate, takeGreeting(at), stream: streams[at].id, length: credit)
    }
}
