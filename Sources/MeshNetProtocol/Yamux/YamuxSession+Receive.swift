extension YamuxSession {
    /// Lends the next bytes of the peer. Precondition: the bytes before were drained by `poll`.
    package mutating func receive(_ plaintext: UnsafeRawBufferPointer, now: Instant) {
        precondition(input.isEmpty, "poll() until nil before the next receive")
        self.now = now
        if state == .open { input = plaintext }
    }

    /// Some of the lent bytes are not parsed yet.
    package var hasInput: Bool { mutating get { !input.isEmpty || !notices.isEmpty } }

    /// The next thing to know, or nil when all bytes are used up. Bytes of partial frames are remembered.
    package mutating func poll() -> YamuxAction? {
        while true {
            if let notice = notices.popFirst() { return notice.action }
            if input.isEmpty { return nil }
            if body.remaining > 0 {
                if let action = readBody() { return action }
            } else if let header = readHeader() {
                handle(header)
            }
        }
    }

    // MARK: Bytes

    /// nil when the header is not complete, or not one.
    private mutating func readHeader() -> YamuxHeader? {
        do throws(YamuxError) {
            if partialHeaderCount == 0, input.count >= YamuxHeader.byteCount {
                return try YamuxHeader(decoding: take(YamuxHeader.byteCount))
            }
            // A header in pieces: its first byte is judged at once, so that a peer speaking something else is not waited for.
            while partialHeaderCount < YamuxHeader.byteCount, !input.isEmpty {
                partialHeader[partialHeaderCount] = take(1)[0]
                partialHeaderCount += 1
            }
            guard partialHeader[0] == 0 else { throw .unsupportedVersion(partialHeader[0]) }
            guard partialHeaderCount == YamuxHeader.byteCount else { return nil }
            partialHeaderCount = 0
            var bytes = partialHeader
            return try withUnsafeBytes(of: &bytes) { view throws(YamuxError) in try YamuxHeader(decoding: view) }
        } catch {
            fail(error)
            return nil
        }
    }

    private mutating func readBody() -> YamuxAction? {
        let piece = take(min(input.count, Int(body.remaining)))
        body.remaining -= UInt32(piece.count)
        // The owner may have reset the stream between two pieces.
        let at = body.isDelivered ? streams.find(body.stream) : nil
        if body.remaining == 0, body.endsStream, let at { endRemote(at) }
        return at == nil ? nil : .data(body.stream, piece)
    }

    private mutating func take(_ count: Int) -> UnsafeRawBufferPointer {
        defer { input = UnsafeRawBufferPointer(rebasing: input[count...]) }
        return UnsafeRawBufferPointer(rebasing: input[..<count])
    }

    // MARK: Frames

    private mutating func handle(_ header: YamuxHeader) {
        do throws(YamuxError) {
            switch header.type {
            case .data: try handleData(header)
            case .windowUpdate: try handleWindowUpdate(header)
            case .ping: try handlePing(header)
            case .goAway:
                endSession()
                notices.append(.finished(.goAway(code: header.length)))
            }
        } catch {
            fail(error)
        }
    }

    private mutating func handleData(_ header: YamuxHeader) throws(YamuxError) {
        let at = try stream(for: header)
        body = Body(stream: header.streamID, remaining: header.length)
        guard let at else { return }
        if header.flags.contains(.rst) { return try resetRemote(at, code: 0) }
        if header.length > 0 {
            guard header.length <= streams[at].receiveWindow else {
                throw .windowExceeded(stream: header.streamID, announced: header.length, window: streams[at].receiveWindow)
            }
            if streams[at].remoteEnded { return try refuseData(at) }
            streams[at].receiveWindow -= header.length
            streams[at].unconsumed += header.length
            body.isDelivered = true
            body.endsStream = header.flags.contains(.fin)
        } else if header.flags.contains(.fin) {
            endRemote(at)
        }
    }

    private mutating func handleWindowUpdate(_ header: YamuxHeader) throws(YamuxError) {
        guard let at = try stream(for: header) else { return }
        if header.flags.contains(.rst) { return try resetRemote(at, code: header.length) }
        let (window, overflow) = streams[at].sendWindow.addingReportingOverflow(header.length)
        guard !overflow else { throw .windowOverflow(stream: header.streamID, window: streams[at].sendWindow, credit: header.length) }
        streams[at].sendWindow = window
        if streams[at].blocked, window > 0 {
            streams[at].blocked = false
            notices.append(.writable(header.streamID))
        }
        if header.flags.contains(.fin) { endRemote(at) }
    }

    /// go-yamux and nim answer whatever the stream id; an answer never asked for is ignored, as a frame with neither flag.
    private mutating func handlePing(_ header: YamuxHeader) throws(YamuxError) {
        if header.flags.contains(.syn) {
            guard queuedPingAnswers < limits.pingAnswers else { return }
            queuedPingAnswers += 1
            try enqueueAnswer(ControlFrame(kind: .pong, stream: 0, value: header.length))
        } else if header.flags.contains(.ack) {
            if let sample = pinger.answered(header.length, now: now) { roundTripMeasured(sample) }
        }
    }

    // MARK: Streams

    /// The stream that a frame speaks of, opened if the frame opens it; nil if it is gone or refused.
    private mutating func stream(for header: YamuxHeader) throws(YamuxError) -> Int? {
        if header.flags.contains(.syn) { return try accept(header) }
        guard let at = streams.find(header.streamID) else { return nil }
        if streams[at].awaitsAnswer {
            streams[at].awaitsAnswer = false
            unacknowledgedCount -= 1
        }
        return at
    }

    private mutating func accept(_ header: YamuxHeader) throws(YamuxError) -> Int? {
        let id = header.streamID
        guard id != 0 else { throw .openedStreamZero }
        guard !isOurs(id) else { throw .wrongParity(stream: id) }
        guard !streams.contains(id) else { throw .openedTwice(stream: id) }
        if header.flags.contains(.rst) { return nil }
        if header.type == .data, header.length > YamuxLimits.protocolWindow {
            throw .windowExceeded(stream: id, announced: header.length, window: YamuxLimits.protocolWindow)
        }
        guard inboundCount < limits.inboundStreams else {
            try enqueueAnswer(ControlFrame(kind: .reset, stream: id))
            return nil
        }
        inboundCount += 1
        insert(id, greeting: .ack, now: now)
        notices.append(.opened(id))
        return streams.find(id)
    }

    private mutating func endRemote(_ at: Int) {
        guard !streams[at].remoteEnded else { return }
        streams[at].remoteEnded = true
        let id = streams[at].id
        notices.append(.ended(id))
        if streams[at].localEnded {
            remove(at)
            notices.append(.closed(id))
        }
    }

    private mutating func resetRemote(_ at: Int, code: UInt32) throws(YamuxError) {
        let id = streams[at].id
        remove(at)
        notices.append(.reset(id, .resetByPeer(code: code)))
    }

    private mutating func refuseData(_ at: Int) throws(YamuxError) {
        let id = streams[at].id
        remove(at)
        try enqueueAnswer(ControlFrame(kind: .reset, stream: id))
        notices.append(.reset(id, .dataAfterEnd))
    }
}

extension YamuxSession.Notice {
    var action: YamuxAction {
        switch self {
        case .opened(let id): .opened(id)
        case .ended(let id): .ended(id)
        case .reset(let id, let error): .reset(id, error)
        case .closed(let id): .closed(id)
        case .writable(let id): .writable(id)
        case .finished(let end): .finished(end)
        }
    }

    var stream: UInt32? {
        switch self {
        case .opened(let id), .ended(let id), .reset(let id, _), .closed(let id), .writable(let id): id
        case .finished: nil
        }
    }
}
