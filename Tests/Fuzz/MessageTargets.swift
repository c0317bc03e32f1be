import MeshNetProtocol

let messageTargets: [FuzzTarget] = [
    FuzzTarget(name: "message-receiver") { bytes in
        guard let cut = bytes.first.map({ Int($0) + 1 }) else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        let whole = received(rest, cut: max(1, rest.count))
        precondition(received(rest, cut: cut) == whole, "the outcome depends on the cut")
        precondition(received(rest, cut: cut, runsOf: cut) == whole, "the outcome depends on what passes together")
    },
    FuzzTarget(name: "message-replies") { bytes in
        guard let cut = bytes.first.map({ Int($0) + 1 }) else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        precondition(replies(rest, cut: cut) == replies(rest, cut: max(1, rest.count)), "the outcome depends on the cut")
    },
    FuzzTarget(name: "message-hello") { bytes in
        var reader = MessageReplies(), rest = bytes
        guard let hello = try? reader.hello(&rest) else { return }
        var written: [UInt8] = []
        written.append(hello)
        var again = MessageReplies()
        precondition(written.withView { view in
            var rest = view
            return (try? again.hello(&rest)) == hello
        }, "a HELLO that we would not take")
    },
    FuzzTarget(name: "message-lane") { bytes in lane(bytes) },
]

private struct Seen: Equatable {
    var items: [String] = []
    var bytes: [UInt8] = []
    var expected: UInt64 = 0
    var failed = false
}

private func received(_ bytes: UnsafeRawBufferPointer, cut: Int, runsOf room: Int = 0) -> Seen {
    let pool = BufferPool()
    var seen = Seen(), receiver = LaneReceiver(pool: pool), rest = bytes
    receiver.attach(first: 1)
    while !rest.isEmpty, !seen.failed {
        var piece = UnsafeRawBufferPointer(rebasing: rest.prefix(cut))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(cut))
        do throws(MessageError) {
            while true {
                if room > 0, let run = receiver.nextRun(&piece, room: room) {
                    note(run, &seen)
                } else if let item = try receiver.next(&piece) {
                    note(item, &seen)
                } else {
                    break
                }
            }
        } catch {
            seen.failed = true
        }
        for buffer in receiver.retired { pool.recycle(buffer) }
        receiver.retired = []
    }
    seen.expected = receiver.expected
    return seen
}

private func note(_ run: LaneRun, _ seen: inout Seen) {
    var end = 0, byteCount = 0
    for sequence in run.sequence..<run.sequence + UInt64(run.count) {
        let body = LaneRun.body(in: run.frames, at: end)
        note(.message(.message, sequence: sequence, UnsafeRawBufferPointer(rebasing: run.frames[body])), &seen)
        end = body.upperBound
        byteCount += body.count
    }
    precondition(end == run.frames.count && byteCount == run.bodyByteCount, "a run counts what it has")
}

private func note(_ item: LaneItem, _ seen: inout Seen) {
    switch item {
    case .message(let head, let sequence, let body):
        seen.items.append("\(head) \(sequence) \(body.count)")
        seen.bytes += body
    case .begin(let head, let sequence, let byteCount, let held): seen.items.append("begin \(head) \(sequence) \(byteCount) \(held)")
    // Pieces lie as the bytes were cut.
    case .piece(let body): seen.bytes += body
    case .complete(let head, let sequence, let byteCount): seen.items.append("complete \(head) \(sequence) \(byteCount)")
    case .abandoned: seen.items.append("abandoned")
    case .skipped: seen.items.append("skipped")
    case .ask: seen.items.append("ask")
    case .goodbye(let goodbye): seen.items.append("\(goodbye)")
    case .duplicate: seen.items.append("duplicate")
    }
}

private struct Replies: Equatable {
    var found: [MessageReply] = []
    var failed = false
}

private func replies(_ bytes: UnsafeRawBufferPointer, cut: Int) -> Replies {
    var seen = Replies(), reader = MessageReplies(), rest = bytes
    while !rest.isEmpty, !seen.failed {
        var piece = UnsafeRawBufferPointer(rebasing: rest.prefix(cut))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(cut))
        do throws(MessageError) {
            while let reply = try reader.next(&piece) { seen.found.append(reply) }
        } catch {
            seen.failed = true
        }
    }
    return seen
}

/// A sender that is told anything, against a receiver that gets what it wrote: every byte of each step is an operation and its figure.
private func lane(_ bytes: UnsafeRawBufferPointer) {
    let pool = BufferPool()
    var sender = LaneSender(pool: pool, isPaced: bytes.count % 2 == 0), receiver = LaneReceiver(pool: pool), reader = ByteReader(bytes)
    guard let own = Incarnation([UInt8](repeating: 7, count: 16)) else { return }
    var isAttached = false, nextSpool: UInt64 = 0, delivered: UInt64 = 0
    while let step = try? reader.readByte() {
        let figure = Int((try? reader.readByte()) ?? 0)
        switch step % 9 {
        case 0 where step > 200:
            let room = LaneSender.Room(messages: figure, bytes: Int(step) * 1_000, memory: .max)
            [UInt8](repeating: step, count: figure).withView { view in _ = sender.append(Array(repeating: view, count: 9)[...], room: room) }
        case 0: _ = [UInt8](repeating: step, count: figure * 700).withView { sender.append(.message, $0, asks: step > 127) }
        case 1:
            nextSpool += 1
            _ = sender.append(.reply(UInt64(figure)), nextSpool, byteCount: figure * 1_500, asks: false)
        case 2: _ = sender.withdraw(sender.firstSequence + UInt64(figure))
        case 3: try? sender.acknowledge(below: min(sender.firstSequence + UInt64(figure), receiver.expected))
        case 4:
            // The receiver's side of a new stream.
            sender.attach(own: own, receiver: own, lane: .bulk, mustWait: figure > 127)
            sender.wroteControl(sender.control.count)
            receiver.attach(first: sender.flows ? sender.firstSequence : receiver.expected)
            if !sender.flows { precondition((try? sender.resume(at: receiver.expected, held: receiver.held)) != nil, "an honest WELCOME") }
            isAttached = true
        case 5: if let oldest = sender.oldestWaiting() { _ = sender.withdraw(oldest) }
        case 6:
            let spool = UInt64(figure % 4)
            [UInt8](repeating: 3, count: figure * 100).withView { sender.read(spool, offset: Int(step) * 100, $0) }
        case 7: try? sender.acknowledge(below: sender.firstSequence + UInt64(figure) * 1_000 + 1_000_000)
        default: if isAttached { move(&sender, &receiver, figure * 300, &delivered) }
        }
        for buffer in receiver.retired { pool.recycle(buffer) }
        receiver.retired = []
        precondition(sender.byteCount >= 0 && sender.messageCount >= 0 && sender.firstSequence <= sender.nextSequence)
    }
}

/// So many bytes of what the sender has to say; an honest sender is never refused, and nothing comes twice.
private func move(_ sender: inout LaneSender, _ receiver: inout LaneReceiver, _ limit: Int, _ delivered: inout UInt64) {
    var left = limit
    while left > 0 {
        var piece: [UInt8] = []
        switch sender.next() {
        case .nothing: return
        case .gate:
            while sender.admit() != nil {}
            continue
        case .read(let spool, let offset, let count):
            [UInt8](repeating: UInt8(truncatingIfNeeded: spool), count: count).withView { sender.read(spool, offset: offset, $0) }
            continue
        case .control:
            piece = Array(sender.control[sender.controlSent...].prefix(left))
            sender.wroteControl(piece.count)
        case .bytes(let view):
            piece = Array(view.prefix(left))
            sender.wrote(piece.count)
        }
        left -= piece.count
        piece.withView { view in
            var rest = view
            do throws(MessageError) {
                while let item = try receiver.next(&rest) {
                    let sequence: UInt64? = switch item {
                    case .message(_, let sequence, _), .complete(_, let sequence, _): sequence
                    default: nil
                    }
                    guard let sequence else { continue }
                    precondition(sequence > delivered, "a message came twice, or out of order")
                    delivered = sequence
                }
            } catch {
                preconditionFailure("an honest sender was refused: \(error)")
            }
        }
    }
}
