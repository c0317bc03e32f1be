// What goes out next on the stream, and what the stream took of it.
extension LaneSender {
    /// What to write next.
    package mutating func next() -> Output {
        while true {
            // First the frames begun: what is small stands between frames.
            if cursor < runEnd { return .bytes(log.view(from: cursor, to: runEnd)) }
            if controlSent < control.count { return .control }
            guard flows else { return .nothing }
            if reading != nil {
                if let output = nextOfFile() { return output }
                continue
            }
            guard scan < entries.count, entries[scan].sequence < committed else {
                if wantsAcknowledgement, hasSent {
                    wantsAcknowledgement = false
                    control.appendAsk()
                    continue
                }
                return .nothing
            }
            switch entries[scan].state {
            case .waiting:
                if isPaced { return .gate(messages: 1, bytes: endPosition(scan) - entries[scan].start) }
                extendRun()
            case .withdrawn: passWithdrawn()
            case .spooled:
                guard let first = spooledEntry(entries[scan].sequence) else {
                    entries[scan].state = .withdrawn
                    continue
                }
                if isPaced { return .gate(messages: 1, bytes: 0) }
                begin(first, at: 0)
            }
        }
    }

    package mutating func wrote(_ count: Int) { cursor += count }

    package mutating func wroteControl(_ count: Int) {
        controlSent += count
        guard controlSent == control.count else { return }
        // What bodies from files made of it is given back once they are through.
        control.removeAll(keepingCapacity: control.capacity <= 4_096 || reading != nil)
        controlSent = 0
    }

    /// Bytes of a file, from where they were asked for.
    package mutating func read(_ spool: SpoolNumber, offset: Int, _ bytes: UnsafeRawBufferPointer) {
        guard var now = reading, now.spooled.spool == spool, now.isAsked, now.offset == offset else { return }
        now.isAsked = false
        if !now.isAbandoned, !bytes.isEmpty {
            var rest = UnsafeRawBufferPointer(rebasing: bytes.prefix(now.spooled.byteCount - offset))
            now.offset += rest.count
            while !rest.isEmpty {
                let count = min(rest.count, MessageFrame.maximumPayload)
                control.appendChunkHead(count)
                control.append(contentsOf: rest[..<count])
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
        reading = now
    }

    /// What the latest `gate` asked for may go. Gives the bytes of the next message if that may follow within the same run; nil: see `next`.
    package mutating func admit() -> Int? {
        if reading != nil {
            reading?.isAdmitted = true
            return nil
        }
        if scan < entries.count, entries[scan].state == .spooled, let first = spooledEntry(entries[scan].sequence) {
            begin(first, at: 0)
            return nil
        }
        guard mayExtendRun else { return nil }
        extendRunByOne()
        everSent = max(everSent, sentNext)
        return mayExtendRun ? endPosition(scan) - entries[scan].start : nil
    }

    private var mayExtendRun: Bool {
        scan < entries.count && runEnd - cursor < Self.runByteCount && entries[scan].sequence < committed && entries[scan].state == .waiting
    }

    private mutating func extendRunByOne() {
        scan += 1
        runEnd = scan < entries.count ? entries[scan].start : log.end
    }

    private mutating func extendRun() {
        while mayExtendRun { extendRunByOne() }
        everSent = max(everSent, sentNext)
    }

    private mutating func passWithdrawn() {
        let from = entries[scan].sequence
        while scan < entries.count, entries[scan].state == .withdrawn, entries[scan].sequence < committed { scan += 1 }
        let to = sentNext
        everSent = max(everSent, to)
        cursor = scan < entries.count ? entries[scan].start : log.end
        runEnd = cursor
        control.appendSkip(to - from)
        // Nobody else would make the receiver say that it passed them.
        wantsAcknowledgement = true
    }

    mutating func begin(_ body: Spooled, at offset: Int) {
        reading = Reading(spooled: body, offset: offset)
        everSent = max(everSent, body.sequence + 1)
        control.appendBegin(body.head, total: UInt64(body.byteCount), offset: UInt64(offset))
    }

    /// nil: look again.
    private mutating func nextOfFile() -> Output? {
        guard let now = reading else { return nil }
        if now.isAsked { return .nothing }
        let isOver = now.offset == now.spooled.byteCount
        if now.isAbandoned || isOver {
            if !isOver { control.appendSkip(1) }
            reading = nil
            scan += 1
            cursor = scan < entries.count ? entries[scan].start : log.end
            runEnd = cursor
            return nil
        }
        let count = min(Self.readByteCount, now.spooled.byteCount - now.offset)
        if isPaced, !now.isAdmitted { return .gate(messages: 0, bytes: count) }
        reading?.isAdmitted = false
        reading?.isAsked = true
        return .read(now.spooled.spool, offset: now.offset, count: count)
    }
}
