import Glibc
import MeshNet

/// Sends one message and waits until the peer has it.
func runSend(_ options: Options) async throws {
    guard let target = options.operands.first else { throw Failure.usage("a peer or an address is missing", .send) }
    let content = try content(of: options)
    let node = try startNode(options), report = Report(options)
    Background.closeOnInterrupt(node, after: nil)
    let peer = try await reach(target, node)
    do throws(CallError) {
        try await options.asksReply ? request(content, peer, node, options, report) : send(content, peer, node, options, report)
    } catch {
        let seconds = Report.format(options.deadline.seconds, digits: 0)
        throw Failure(error.description, remedy: "meshnet doctor \(target) says why it is not reached; --deadline waits longer than \(seconds) s.")
    }
    node.close()
}

private func send(_ content: [UInt8], _ peer: PeerID, _ node: Node, _ options: Options, _ report: Report) async throws(CallError) {
    let ticket = try await node.send(content, to: peer, lane: options.lane ?? .normal, deadline: options.deadline)
    report.line("accepted", [("peer", .text(peer.description)), ("bytes", .integer(Int64(content.count)))])
    var progress = Progress(report: report, name: options.file ?? "message", total: content.count)
    let watching = Task {
        while ticket.current == nil, let channel = try? await node.channel(peer) {
            progress.show(channel.sentBytes(of: content.count))
            try? await Task.sleep(for: .milliseconds(100))
        }
        progress.end()
    }
    let end = await ticket.end
    await watching.value
    try end.get()
    report.line("delivered", [("peer", .text(peer.description)), ("seconds", .number(report.elapsed, digits: 3))])
}

private func request(_ content: [UInt8], _ peer: PeerID, _ node: Node, _ options: Options, _ report: Report) async throws(CallError) {
    let reply = try await node.request(content, of: peer, lane: options.lane ?? .normal, timeout: options.deadline)
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

/// What is sent: a file, the words behind the peer, or the standard input for "-".
private func content(of options: Options) throws -> [UInt8] {
    let words = Array(options.operands.dropFirst())
    if let file = options.file {
        guard words.isEmpty else { throw Failure.usage("a text and a file: give one of them", .send) }
        return try read(file == "-" ? "/dev/stdin" : file)
    }
    if words == ["-"] { return try read("/dev/stdin") }
    guard !words.isEmpty else { throw Failure.usage("a text, --file FILE or - is missing", .send) }
    return Array(words.joined(separator: " ").utf8)
}

/// A whole file; the node's own bound of a message decides what is too much.
private func read(_ path: String) throws -> [UInt8] {
    do throws(MessageFileError) {
        return try MessageFileError.content(of: path, limit: MessageConfiguration().maximumMessageSize)
    } catch {
        throw Failure(error.description)
    }
}
