import MeshNet

/// Sends one message and waits until the peer has it.
func runSend(_ options: Options) async throws {
    guard let target = options.operands.first else { throw Failure.usage("a peer or an address is missing", .send) }
    let content = try Content(options)
    if options.asksReply, case .file = content { throw Failure.usage("--request sends a text", .send) }
    let node = try startNode(options), report = Report(options)
    Background.closeOnInterrupt(node, after: nil)
    let peer = try await reach(target, node)
    do {
        if options.asksReply, case .text(let text) = content {
            try await request(text, peer, node, options, report)
        } else {
            try await send(content, peer, node, options, report)
        }
    } catch let error as CallError {
        let seconds = Report.format(options.deadline.seconds, digits: 0)
        throw Failure(error.description, remedy: "meshnet doctor \(target) says why it is not reached; --deadline waits longer than \(seconds) s.")
    }
    node.close()
}

private func send(_ content: Content, _ peer: PeerID, _ node: Node, _ options: Options, _ report: Report) async throws {
    let ticket = switch content {
    case .text(let text): try await node.send(text, to: peer, lane: options.lane ?? .normal, deadline: options.deadline)
    case .file(let path): try await node.send(file: path, to: peer, lane: options.lane ?? .bulk, deadline: options.deadline)
    }
    report.line("accepted", [("peer", .text(peer.description)), ("bytes", .integer(Int64(ticket.byteCount)))])
    let watching = Task { await watch(ticket, to: peer, node, Progress(report: report, name: options.file ?? "message", total: ticket.byteCount)) }
    let end = await ticket.end
    watching.cancel()
    await watching.value
    try end.get()
    report.line("delivered", [("peer", .text(peer.description)), ("seconds", .number(report.elapsed, digits: 3))])
}

/// Shows how much of a large message is on its way.
private func watch(_ ticket: MessageTicket, to peer: PeerID, _ node: Node, _ progress: Progress) async {
    guard ticket.byteCount >= Progress.smallest else { return }
    var progress = progress
    while ticket.current == nil, let channel = try? await node.channel(peer) {
        if channel.sendingTotal == ticket.byteCount { progress.show(channel.sendingBytes) }
        guard (try? await Task.sleep(for: .milliseconds(100))) != nil else { break }
    }
    if case .success = ticket.current { progress.show(ticket.byteCount) }
    progress.end()
}

private func request(_ text: [UInt8], _ peer: PeerID, _ node: Node, _ options: Options, _ report: Report) async throws {
    let reply = try await node.request(text, of: peer, lane: options.lane ?? .normal, timeout: options.deadline)
    report.line("reply", [("peer", .text(peer.description)), ("bytes", .integer(Int64(reply.count))), ("data", .text(String(decoding: reply, as: UTF8.self)))])
}

/// The peer behind an address, or a peer id that discovery shall find.
private func reach(_ target: String, _ node: Node) async throws -> PeerID {
    if target.hasPrefix("/") {
        do throws(CallError) { return try await node.connect(target).peer } catch {
            throw Failure("\(target): \(error)", remedy: "meshnet doctor \(target) says more.")
        }
    }
    guard let peer = try? PeerID(target) else { throw Failure.usage("\"\(target)\" is neither a peer id nor an address", .send) }
    try await node.reconnect(peer)
    return peer
}

private enum Content {
    case text([UInt8])
    case file(String)

    /// A file, the words behind the peer, or the standard input for "-".
    init(_ options: Options) throws {
        let words = Array(options.operands.dropFirst())
        if let file = options.file {
            guard words.isEmpty else { throw Failure.usage("a text and a file: give one of them", .send) }
            self = .file(file == "-" ? "/dev/stdin" : file)
        } else if words == ["-"] {
            self = .file("/dev/stdin")
        } else {
            guard !words.isEmpty else { throw Failure.usage("a text, --file FILE or - is missing", .send) }
            self = .text(Array(words.joined(separator: " ").utf8))
        }
    }
}
