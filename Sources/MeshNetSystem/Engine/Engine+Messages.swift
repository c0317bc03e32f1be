import MeshNetProtocol
package import MeshNetSwarm

// Messages to one peer: what callers do.
extension Engine {
    /// What a blocking send waits for.
    package enum SendPoint: Sendable { case accepted, delivered }

    /// Messages and bytes of a long list that are handed to the reactor at once, so that it goes on serving others in between.
    private static var pieceCount: Int { 4_096 }
    private static var pieceByteCount: Int { 4 << 20 }

    /// `accepted` runs once the message is in its queue, or ended before; `ended` when the peer has it or replied, or it failed. Both run on the
    /// reactor thread and must not block. A refusal of the call itself comes the same way, on the caller's thread.
    @discardableResult
    package func send(
        _ message: OutboundMessage, _ bytes: [UInt8], accepted: SendCall.Completion?, ended: SendCall.Completion?
    ) -> SendCall {
        var bodies = SendCall.Bodies.owned(bytes), refusal = check(bytes.count)
        if refusal == nil, bytes.count > spoolThreshold {
            do throws(CallError) { bodies = .file(try bytes.withView { view throws(CallError) in try spooled(view) }) } catch { refusal = error }
        }
        return post(SendCall(message, bodies, firstTicket: mailbox.makeTicket(), accepted: accepted, ended: ended), refusal)
    }

    /// As `send`, with the content of a file that `spoolFolder` made and the caller filled.
    @discardableResult
    package func send(
        _ message: OutboundMessage, _ file: OutgoingFile, accepted: SendCall.Completion?, ended: SendCall.Completion?
    ) -> SendCall {
        post(SendCall(message, .file(file), firstTicket: mailbox.makeTicket(), accepted: accepted, ended: ended), check(file.byteCount))
    }

    private func post(_ call: SendCall, _ refusal: CallError?) -> SendCall {
        if let error = refusal ?? mailbox.post(.send(call)) { call.refuse(error) }
        return call
    }

    /// Blocks for the disk.
    private func spooled(_ bytes: UnsafeRawBufferPointer) throws(CallError) -> OutgoingFile {
        do throws(StorageProblem) {
            let file = try spoolFolder.makeFile()
            try file.append(bytes)
            return file
        } catch {
            throw .storage(error)
        }
    }

    /// Takes back what the peer has not acknowledged: it ends with `error`, and the reply of a request is not awaited any longer.
    package func cancel(_ call: SendCall, as error: CallError = .cancelled) { _ = mailbox.post(.cancelSend(call, error)) }

    /// Sends in order, and blocks until all came as far as `point`, or the first failed, or the time is up: then those that did not come so far are
    /// taken back, and the failure is `.timedOut`. The memory is free when this returns.
    package func sendBlocking(
        _ message: OutboundMessage, _ bodies: [UnsafeRawBufferPointer], until point: SendPoint, timeout: Duration?
    ) -> SendReport {
        let deadline = Instant.deadline(after: timeout)
        // Where one message cannot end without those behind it, the last speaks for all.
        let isWhole = timeout == nil && message.options.whenFull == .wait && message.options.deadline == nil && message.kind == .message
        var total = SendReport(), start = 0
        while start < bodies.count {
            var end = start, bytes = 0
            while end < bodies.count, end == start || isFit(bodies[end], behind: bodies[start], count: end - start, bytes) {
                if let error = check(bodies[end].count) {
                    guard end == start else { break }
                    total.failure = error
                    return total
                }
                bytes += bodies[end].count
                end += 1
            }
            let report = block(message, Array(bodies[start..<end]), isWhole ? .last : .each, until: point, deadline)
            total.count += report.count
            total.failure = report.failure
            total.reply = report.reply
            if total.failure != nil { return total }
            start = end
        }
        return total
    }

    /// Whether it goes with those before it. A large one goes alone, in its file.
    private func isFit(_ body: UnsafeRawBufferPointer, behind first: UnsafeRawBufferPointer, count: Int, _ byteCount: Int) -> Bool {
        count < Self.pieceCount && byteCount + body.count <= Self.pieceByteCount && max(first.count, body.count) <= spoolThreshold
    }

    private func block(
        _ message: OutboundMessage, _ bodies: [UnsafeRawBufferPointer], _ tracking: SendCall.Tracking, until point: SendPoint, _ deadline: Instant?
    ) -> SendReport {
        guard !mailbox.ownerProcessIsGone else { return SendReport(failure: .closed) }
        precondition(!thread.isCurrent, "a completion must not block the reactor thread")
        let waiter = Waiter<SendReport>()
        let completion: SendCall.Completion = { waiter.fulfil(.success($0)) }
        let tickets = mailbox.makeTickets(tracking == .each ? bodies.count : 1)
        var content = SendCall.Bodies.lent(bodies)
        if let large = bodies.first, large.count > spoolThreshold {
            do throws(CallError) { content = .file(try spooled(large)) } catch { return SendReport(failure: error) }
        }
        let call = SendCall(
            message, content, tracking: tracking, firstTicket: tickets, accepted: point == .accepted ? completion : nil,
            ended: point == .delivered ? completion : nil)
        if let error = mailbox.post(.send(call)) { return SendReport(failure: error) }
        var result = waiter.wait(until: deadline)
        if result == nil {
            cancel(call, as: .timedOut)
            result = waiter.wait(until: nil)
        }
        switch result {
        case .success(let report): return report
        case .failure(let error): return SendReport(failure: error)
        case nil: return SendReport(failure: .timedOut)
        }
    }

    private func check(_ byteCount: Int) -> CallError? {
        byteCount > messageSizeLimit ? .messageTooLarge(size: byteCount, limit: messageSizeLimit) : nil
    }
}
