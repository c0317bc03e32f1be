/// One direction of one lane, at the side that sends: the queue of messages from the oldest that is not acknowledged, and where the stream stands in it.
///
/// Messages lie in the queue as the frames that go out, so that sending, and sending again, copies runs of them. A value with one owner.
/// Writing: `next()` until `.nothing`; what it lends is taken with `wrote`, as far as the stream took it.
package struct LaneSender {
    /// What a message counts beside its bytes, towards the bounds of its queue.
    package static let messageOverhead = 64
    /// Bytes asked for at once of a body that lies in a file.
    package static let readByteCount = 131_072
    /// Bytes of messages looked at for one write: a full Noise frame.
    static let runByteCount = 65_536
    /// Numbers of a receiver are taken over up to here: what is counted from there on stays below `LaneReceiver.maximumSequence` for ever.
    package static let maximumTaken = LaneReceiver.maximumSequence / 2
    /// Withdrawn messages beyond those that wait until their places are merged.
    private static let mergeCount = 1_024

    enum State { case waiting, withdrawn, spooled }

    /// A message, or a run of withdrawn ones: up to the next entry's number and position.
    struct Entry {
        var sequence: UInt64
        var start: Int
        var state: State
    }

    struct Spooled {
        let sequence: UInt64
        let spool: SpoolNumber
        let byteCount: Int
        let head: MessageHead
    }

    /// A body that is read from a file while it is sent.
    struct Reading {
        let spooled: Spooled
        var offset: Int
        var isAsked = false
        var isAbandoned = false
        /// The next piece was admitted.
        var isAdmitted = false
    }

    let pool: BufferPool
    /// Each message, and each piece of a body in a file, is asked for with `gate`.
    let isPaced: Bool
    var log = MessageLog()
    var entries = Fifo<Entry>()
    private var spooled = Fifo<Spooled>()
    /// The number that the next message gets.
    package private(set) var nextSequence: UInt64 = 1
    /// The oldest not acknowledged; `nextSequence` when there is none.
    package private(set) var firstSequence: UInt64 = 1
    /// Below it the store has all; nothing beyond goes out.
    var committed: UInt64 = 1
    /// Below it all was sent once, on this stream or an earlier one.
    package internal(set) var everSent: UInt64 = 1

    /// Waiting ones, the unacknowledged included, without those withdrawn.
    package private(set) var messageCount = 0
    package private(set) var byteCount = 0
    /// Of the large message whose turn it is: what was handed to the connection, and all of it.
    package var sending: (done: Int, total: Int)? { reading.map { ($0.offset, $0.spooled.byteCount) } }

    /// Small frames that go out before anything else, and how many bytes of them are gone.
    package internal(set) var control: [UInt8] = []
    package internal(set) var controlSent = 0
    /// Bytes of the log up to here are on the stream, and up to `runEnd` they may follow without a look.
    var cursor = 0
    var runEnd = 0
    /// The first entry behind the run.
    var scan = 0
    var reading: Reading?
    var wantsAcknowledgement = false
    /// Messages may follow on this stream.
    package private(set) var flows = false
    /// The receiver said where to go on, and `release` is awaited.
    private var isHeld = false

    /// Files of bodies that the receiver has; taken out by the owner.
    package var finishedSpools: [SpoolNumber] = []

    package init(pool: BufferPool, isPaced: Bool = false) {
        self.pool = pool
        self.isPaced = isPaced
    }

    package var isEmpty: Bool { firstSequence == nextSequence }

    /// Messages that were sent before, and that the receiver may or may not have.
    package var hasSent: Bool { everSent > firstSequence }

    /// Places of messages, the withdrawn ones that are not passed included.
    package var placeCount: Int { entries.count }

    /// Bytes of memory that the queue holds.
    package var memory: Int { mutating get { log.byteCount } }

    // MARK: - The queue

    /// Queues a message whose body is at most what memory shall hold; gives its number.
    package mutating func append(_ head: MessageHead, _ body: UnsafeRawBufferPointer, asks: Bool, isCommitted: Bool = true) -> UInt64 {
        let start = log.end
        if body.count <= MessageFrame.maximumPayload {
            appendFrame(head, body)
        } else {
            var begin: [UInt8] = []
            begin.appendBegin(head, total: UInt64(body.count), offset: 0)
            begin.withView { log.append($0, pool: pool) }
            var offset = 0
            while offset < body.count {
                let count = min(MessageFrame.maximumPayload, body.count - offset)
                appendChunk(UnsafeRawBufferPointer(rebasing: body[offset..<offset + count]))
                offset += count
            }
        }
        return enter(start, .waiting, asks: asks, isCommitted: isCommitted)
    }

    /// Queues messages from the first of `bodies`, as far as there is room and up to one that is not small; gives how many.
    package mutating func append(_ bodies: ArraySlice<UnsafeRawBufferPointer>, room: Room) -> Int {
        let (count, cost) = room.fitting(bodies, held: log.byteCount)
        guard count > 0 else { return 0 }
        var position = log.end
        for body in bodies.prefix(count) {
            entries.append(Entry(sequence: nextSequence, start: position, state: .waiting))
            position += LaneRun.frameByteCount(body.count)
            nextSequence += 1
        }
        log.appendMessages(bodies.prefix(count), pool: pool)
        messageCount += count
        byteCount += cost
        committed = nextSequence
        return count
    }

    /// Somebody waits for room: the receiver is asked what it has.
    package mutating func ask() { wantsAcknowledgement = true }

    /// Queues a message whose body lies in a file.
    package mutating func append(_ head: MessageHead, _ spool: SpoolNumber, byteCount: Int, asks: Bool, isCommitted: Bool = true) -> UInt64 {
        let start = log.end
        // A place of its own; the byte is never sent.
        [UInt8(0)].withView { log.append($0, pool: pool) }
        spooled.append(Spooled(sequence: nextSequence, spool: spool, byteCount: byteCount, head: head))
        return enter(start, .spooled, asks: asks, isCommitted: isCommitted)
    }

    private mutating func enter(_ start: Int, _ state: State, asks: Bool, isCommitted: Bool) -> UInt64 {
        let sequence = nextSequence
        entries.append(Entry(sequence: sequence, start: start, state: state))
        nextSequence += 1
        messageCount += 1
        byteCount += log.end - start + Self.messageOverhead
        if asks { wantsAcknowledgement = true }
        if isCommitted { committed = nextSequence }
        return sequence
    }

    private mutating func appendFrame(_ head: MessageHead, _ body: UnsafeRawBufferPointer) {
        withUnsafeTemporaryAllocation(byteCount: 40, alignment: 1) { space in
            var numbers = 0
            // Behind room for the length, so that both are written together.
            switch head {
            case .message: break
            case .request(let id, let milliseconds):
                numbers += Varint.write(id, to: space, at: 10)
                numbers += Varint.write(milliseconds, to: space, at: 10 + numbers)
            case .reply(let id): numbers += Varint.write(id, to: space, at: 10)
            }
            let length = UInt64(1 + numbers + body.count)
            let start = 10 - 1 - Varint.byteCount(length)
            _ = Varint.write(length, to: space, at: start)
            space[9] = head.frameType.rawValue
            log.append(UnsafeRawBufferPointer(rebasing: space[start..<10 + numbers]), pool: pool)
        }
        log.append(body, pool: pool)
    }

    private mutating func appendChunk(_ body: UnsafeRawBufferPointer) {
        var head: [UInt8] = []
        head.appendChunkHead(body.count)
        head.withView { log.append($0, pool: pool) }
        log.append(body, pool: pool)
    }

    /// The store has all below this number.
    package mutating func commit(below sequence: UInt64) { committed = max(committed, min(sequence, nextSequence)) }

    /// Takes back what the store could not take: the numbers from this one on were never sent, and are given again.
    package mutating func revoke(from sequence: UInt64, _ forget: (SpoolNumber) -> Void) {
        guard sequence >= committed, sequence < nextSequence else { return }
        while let last = entries.last, last.sequence >= sequence {
            let next = nextSequence
            if last.state != .withdrawn { count(out: last, end: log.end) }
            log.truncate(to: last.start, pool: pool)
            nextSequence = last.sequence
            _ = entries.popLast()
            precondition(next > nextSequence, "each entry has a number")
        }
        spooled.removeAll {
            if $0.sequence >= sequence { forget($0.spool) }
            return $0.sequence >= sequence
        }
        firstSequence = min(firstSequence, nextSequence)
        scan = min(scan, entries.count)
        runEnd = min(runEnd, log.end)
        cursor = min(cursor, log.end)
    }

    /// The message is not sent, or not again: its number is passed. False when it is not there any more.
    package mutating func withdraw(_ sequence: UInt64) -> Bool {
        guard let at = index(of: sequence), entries[at].state != .withdrawn, entries[at].sequence == sequence else { return false }
        let entry = entries[at], end = endPosition(at)
        count(out: entry, end: end)
        entries[at].state = .withdrawn
        if reading?.spooled.sequence == sequence {
            reading?.isAbandoned = true
            // Its file goes away: nobody answers.
            reading?.isAsked = false
        }
        // What is being written stays until it is acknowledged.
        if entry.start >= runEnd, reading?.spooled.sequence != sequence { log.release(from: entry.start, to: end, pool: pool) }
        merge()
        return true
    }

    /// The oldest that can be taken back for good: on a stream that stands, none that went out on it.
    package func oldestWaiting() -> UInt64? {
        var at = flows ? scan : 0
        if flows, reading != nil { at += 1 }
        while at < entries.count {
            if entries[at].state != .withdrawn { return entries[at].sequence }
            at += 1
        }
        return nil
    }

    /// Neither acknowledged nor withdrawn.
    package func isWaiting(_ sequence: UInt64) -> Bool {
        index(of: sequence).map { entries[$0].sequence == sequence && entries[$0].state != .withdrawn } ?? false
    }

    /// Bytes of a waiting message's body; those in memory with their frames.
    package func bodyByteCount(of sequence: UInt64) -> Int {
        guard let at = index(of: sequence) else { return 0 }
        return spooledEntry(sequence)?.byteCount ?? endPosition(at) - entries[at].start
    }

    /// The message whose body lies in this file.
    package func sequence(of spool: SpoolNumber) -> UInt64? {
        for at in 0..<spooled.count where spooled[at].spool == spool { return spooled[at].sequence }
        return nil
    }

    /// The body's file of a message, if it lies in one, until it is acknowledged.
    package mutating func forgetSpool(of sequence: UInt64) -> SpoolNumber? {
        for at in 0..<spooled.count where spooled[at].sequence == sequence {
            let spool = spooled[at].spool
            spooled.removeAll { $0.sequence == sequence }
            return spool
        }
        return nil
    }

    /// Everything is void; numbers start again.
    package mutating func reset(_ forget: (SpoolNumber) -> Void) {
        log.free(below: log.end, pool: pool)
        while let each = spooled.popFirst() { forget(each.spool) }
        let position = log.end
        entries.removeAll()
        nextSequence = 1
        firstSequence = 1
        committed = 1
        everSent = 1
        messageCount = 0
        byteCount = 0
        wantsAcknowledgement = false
        detach()
        cursor = position
        runEnd = position
    }

    /// Takes up the numbers of an earlier process, before anything is appended: which ones wait comes with `append` and `skip`.
    package mutating func restore(first: UInt64) {
        nextSequence = first
        firstSequence = first
        committed = first
        everSent = first
    }

    /// A number that was withdrawn by an earlier process.
    package mutating func skip(to sequence: UInt64) {
        guard sequence > nextSequence else { return }
        entries.append(Entry(sequence: nextSequence, start: log.end, state: .withdrawn))
        nextSequence = sequence
        committed = nextSequence
    }

    /// Of what waits now the earlier process may have sent all, or only what is below a number.
    package mutating func restored(sentBelow limit: UInt64?) { everSent = min(max(limit ?? nextSequence, firstSequence), nextSequence) }

    // MARK: - The stream

    /// Begins a stream. Messages flow at once where the receiver surely expects the first: none of them was ever sent.
    package mutating func attach(own: Incarnation, receiver: Incarnation?, lane: Lane, mustWait: Bool = false) {
        detach()
        rewind(to: firstSequence)
        flows = !hasSent && !mustWait
        control.append(MessageHello(incarnation: own, receiver: receiver, lane: lane, first: firstSequence, flowsAtOnce: flows))
    }

    /// The stream is gone.
    package mutating func detach() {
        flows = false
        isHeld = false
        control = []
        controlSent = 0
        reading = nil
        runEnd = cursor
    }

    /// The receiver took nothing of what flowed at once.
    package mutating func nothingTaken() { everSent = firstSequence }

    /// Numbers of the messages that wait, the oldest first.
    package var waiting: [UInt64] {
        (0..<entries.count).compactMap { entries[$0].state == .withdrawn ? nil : entries[$0].sequence }
    }

    package mutating func say(_ goodbye: MessageGoodbye) { control.append(goodbye) }

    /// The receiver's answer to HELLO, on a stream on which messages did not flow: they go on from there. Gives how many are sent again.
    /// Numbers that the receiver expects and we do not have any more are passed; those beyond ours are taken over: the messages never sent get new numbers.
    /// - Parameter holds: messages that were never sent wait for `release`.
    package mutating func resume(at next: UInt64, held: Int, holds: Bool = false) throws(MessageError) -> Int {
        guard next < Self.maximumTaken else { throw .numbersExhausted }
        let hasBegun = next < everSent
        if next > everSent {
            settle(below: everSent)
            shift(by: next - everSent)
        } else {
            settle(below: next)
        }
        rewind(to: firstSequence)
        flows = !holds
        isHeld = holds
        wantsAcknowledgement = true
        if next < firstSequence { control.appendSkip(firstSequence - next) }
        // Where the number is another message's by now, so are the bytes.
        if hasBegun, next == firstSequence, held > 0, entries.first?.state == .spooled,
            let first = spooled.first, first.sequence == next, held <= first.byteCount {
            begin(first, at: held)
        }
        return index(of: everSent).map { at in (0..<at).count { entries[$0].state != .withdrawn } } ?? messageCount
    }

    /// What `resume` held back may go.
    package mutating func release() {
        if isHeld { flows = true }
        isHeld = false
    }

    /// The receiver has all below this number. Gives nothing for what is known.
    package mutating func acknowledge(below next: UInt64) throws(MessageError) {
        guard next > firstSequence else { return }
        guard let position = position(of: next), position <= cursor, position <= runEnd else {
            throw .acknowledgedUnsent(next: next, sent: sentNext)
        }
        settle(below: next)
    }

    /// Nothing below this number goes on being sent on the stream.
    var sentNext: UInt64 { scan < entries.count ? entries[scan].sequence : nextSequence }

    private mutating func settle(below next: UInt64) {
        let next = min(next, nextSequence)
        guard next > firstSequence else { return }
        while let first = entries.first {
            if endSequence(0) <= next {
                if first.state != .withdrawn { count(out: first, end: endPosition(0)) }
                _ = entries.popFirst()
                scan = max(0, scan - 1)
            } else {
                // Within a run of withdrawn ones.
                if first.sequence < next { entries[0].sequence = next }
                break
            }
        }
        while let first = spooled.first, first.sequence < next {
            finishedSpools.append(first.spool)
            _ = spooled.popFirst()
        }
        firstSequence = next
        let position = entries.first?.start ?? log.end
        cursor = max(cursor, position)
        runEnd = max(runEnd, position)
        log.free(below: position, pool: pool)
    }

    private mutating func rewind(to sequence: UInt64) {
        scan = index(of: sequence) ?? entries.count
        cursor = scan < entries.count ? entries[scan].start : log.end
        runEnd = cursor
        reading = nil
    }

    private mutating func shift(by delta: UInt64) {
        for at in 0..<entries.count { entries[at].sequence += delta }
        for at in 0..<spooled.count {
            let old = spooled[at]
            spooled[at] = Spooled(sequence: old.sequence + delta, spool: old.spool, byteCount: old.byteCount, head: old.head)
        }
        shifted += delta
        nextSequence += delta
        firstSequence += delta
        committed += delta
        everSent += delta
    }

    /// By so much the numbers of waiting messages grew since the last look, which takes it.
    private var shifted: UInt64 = 0
    package mutating func takeShift() -> UInt64 {
        defer { shifted = 0 }
        return shifted
    }

    // MARK: - Places

    private func endSequence(_ at: Int) -> UInt64 { at + 1 < entries.count ? entries[at + 1].sequence : nextSequence }
    func endPosition(_ at: Int) -> Int { at + 1 < entries.count ? entries[at + 1].start : log.end }

    private mutating func count(out entry: Entry, end: Int) {
        messageCount -= 1
        byteCount -= end - entry.start + Self.messageOverhead
    }

    func spooledEntry(_ sequence: UInt64) -> Spooled? {
        for at in 0..<spooled.count where spooled[at].sequence == sequence { return spooled[at] }
        return nil
    }

    /// The entry that holds the number; nil if it is acknowledged, or not given yet.
    private func index(of sequence: UInt64) -> Int? {
        guard let first = entries.first, sequence >= first.sequence, sequence < nextSequence else { return nil }
        var low = 0, high = entries.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if entries[middle].sequence <= sequence { low = middle } else { high = middle }
        }
        return low
    }

    /// Where the bytes before this number end; nil for one that was not given.
    private func position(of sequence: UInt64) -> Int? {
        if sequence == nextSequence { return log.end }
        guard let at = index(of: sequence) else { return nil }
        // Within a run of withdrawn ones: they are passed together.
        return entries[at].sequence == sequence ? entries[at].start : endPosition(at)
    }

    /// Neighbouring withdrawn messages become one entry once most entries are of no use.
    private mutating func merge() {
        guard entries.count > 2 * messageCount + Self.mergeCount else { return }
        var merged = Fifo<Entry>(), place = 0
        for at in 0..<entries.count {
            if at == scan { place = merged.count }
            if entries[at].state == .withdrawn, at != scan, !merged.isEmpty, merged[merged.count - 1].state == .withdrawn { continue }
            merged.append(entries[at])
        }
        if scan >= entries.count { place = merged.count }
        entries = merged
        scan = place
    }
}

/// A file that holds a body, in the numbers of who keeps it.
package typealias SpoolNumber = UInt64
