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
        _ message: OutboundMessage, _ body: OutgoingBody, accepted: SendCall.Completion?, ended: SendCall.Completion?
    ) -> SendCall {
        let content: SendCall.Bodies = switch body {
        case .bytes(let bytes): .owned(bytes)
        case .file(let file): .file(file)
        }
        var ended = ended, isAlone = false
        if message.kind == .request {
            isAlone = mailbox.requestBegins()
            ended = { [mailbox, ended] report in
                mailbox.requestEnded()
                ended?(report)
            }
        }
        let call = SendCall(message, content, firstTicket: mailbox.makeTicket(), accepted: accepted, ended: ended)
        // Who asks or answers, and runs the loop while it waits, need wake nobody for it; nor does who asks alone. Others go on meanwhile: the reactor
        // thread takes what they start together.
        let runsLoop = message.kind != .message && content.byteCount <= Self.largestServedHere && (helm.isCallerAtHome || isAlone)
        if let error = mailbox.post(.send(call), wakes: !runsLoop) { call.refuse(error) } else if runsLoop { helm.serve() }
        return call
    }

    /// The bytes, in a file where they are many: then this blocks for the disk. Throws `.messageTooLarge` and `.storage`.
    package func body(_ bytes: [UInt8]) throws(CallError) -> OutgoingBody { try bodies.body(bytes) }

    /// Takes back what the peer has not acknowledged: it ends with `error`, and the reply of a request is not awaited any longer.
    package func cancel(_ call: SendCall, as error: CallError = .cancelled) { _ = mailbox.post(.cancelSend(call, error)) }

    /// Sends in order, and blocks until all came as far as `point`, or the first failed, or the time is up: then those that did not come so far are
    /// taken back, and the failure is `.timedOut`. The memory is free when this returns.
    package func sendBlocking(
        _ message: OutboundMessage, _ views: [UnsafeRawBufferPointer], until point: SendPoint, timeout: Duration?
    ) -> SendReport {
        let deadline = Instant.deadline(after: timeout)
        let tracking = self.tracking(message, until: point, timeout)
        var total = SendReport(), start = 0
        while start < views.count {
            let content: SendCall.Bodies, end: Int
            do throws(CallError) { (content, end) = try piece(views, from: start) } catch {
                total.failure = error
                return total
            }
            let report = block(message, content, end - start, tracking, until: point, deadline)
            total.count += report.count
            total.failure = report.failure
            total.reply = report.reply
            if total.failure != nil { return total }
            start = end
        }
        return total
    }

    private func tracking(_ message: OutboundMessage, until point: SendPoint, _ timeout: Duration?) -> SendCall.Tracking {
        guard message.kind == .message, message.options.deadline == nil else { return .each }
        if point == .accepted, !hasStore { return .run }
        // Where one message cannot end without those behind it, the last speaks for all.
        return timeout == nil && message.options.whenFull == .wait ? .last : .each
    }

    /// The same for a body that is made already.
    package func sendBlocking(_ message: OutboundMessage, _ body: OutgoingBody, until point: SendPoint, timeout: Duration?) -> SendReport {
        switch body {
        case .bytes(let bytes): bytes.withUnsafeBytes { sendBlocking(message, [$0], until: point, timeout: timeout) }
        case .file(let file): block(message, .file(file), 1, .each, until: point, .deadline(after: timeout))
        }
    }

    /// What goes to the reactor at once, and where it ends: a large message goes alone.
    private func piece(_ views: [UnsafeRawBufferPointer], from start: Int) throws(CallError) -> (SendCall.Bodies, end: Int) {
        if let file = try bodies.file(views[start]) { return (.file(file), start + 1) }
        var end = start, bytes = 0
        while end < views.count, end - start < Self.pieceCount, views[end].count <= min(bodies.threshold, bodies.sizeLimit) {
            guard end == start || bytes + views[end].count <= Self.pieceByteCount else { break }
            bytes += views[end].count
            end += 1
        }
        return (.lent(Array(views[start..<end])), end)
    }

    private func block(
        _ message: OutboundMessage, _ content: SendCall.Bodies, _ count: Int, _ tracking: SendCall.Tracking, until point: SendPoint,
        _ deadline: Instant?
    ) -> SendReport {
        guard !mailbox.ownerProcessIsGone else { return SendReport(failure: .closed) }
        precondition(!helm.isSteeredHere, "a completion must not block")
        let runsLoop = content.byteCount <= Self.largestServedHere, waiter = Waiter<SendReport>(helm: runsLoop ? helm : nil)
        let completion: SendCall.Completion = { waiter.fulfil(.success($0)) }
        var tracking = tracking
        if case .file = content { tracking = .each }
        let tickets = mailbox.makeTickets(tracking == .each ? count : 1)
        let call = SendCall(
            message, content, tracking: tracking, firstTicket: tickets, accepted: point == .accepted ? completion : nil,
            ended: point == .delivered ? completion : nil)
        if let error = mailbox.post(.send(call), wakes: !runsLoop) { return SendReport(failure: error) }
        if runsLoop { helm.serve() }
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
}
