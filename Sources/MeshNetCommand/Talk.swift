import MeshNet

/// Says hello on a topic once enough others follow it, echoes theirs, and is done when each of them was heard and has answered.
/// The C and the Python program of `make run` do the same.
func runTalk(_ options: Options) async throws {
    let node = try startNode(options)
    var talk = Talk(node: node, report: Report(options, name: options.name), options: options)
    Background.closeOnInterrupt(node, after: options.seconds ?? 30)
    let items = Items(node: node, report: talk.report)
    let input = Task {
        for await line in Background.lines() { items.obey(line) }
        node.close()
    }
    let taking = Task { await items.take() }
    defer {
        input.cancel()
        taking.cancel()
    }
    talk.report.line("started", [("peer", .text(node.peerID.description))])
    try await node.subscribe(talk.topic)
    for await event in node.events { try await talk.handle(event) }
    guard talk.isDone else { throw Failure("not every hello was answered") }
}

private struct Talk {
    struct Other {
        var follows = false
        var hellos = 0
        var echoes = 0
    }

    let node: Node
    let report: Report
    let topic: String
    let count: Int
    let wanted: Int
    var others: [PeerID: Other] = [:]
    /// When each hello was said.
    var said: [Double] = []
    var isDone = false

    init(node: Node, report: Report, options: Options) {
        self.node = node
        self.report = report
        topic = options.topic ?? "meshnet"
        count = options.count ?? 3
        wanted = options.peers
    }

    mutating func handle(_ event: Event) async throws {
        switch event {
        case .message(let message): return try await hear(message)
        case .subscription(let peer, topic, let subscribed): others[peer, default: Other()].follows = subscribed
        default: break
        }
        report.event(event)
        while others.values.count(where: \.follows) >= wanted, said.count < count {
            said.append(report.elapsed)
            try await node.publish(topic, Array("hello \(said.count - 1)".utf8))
        }
    }

    private mutating func hear(_ message: Message) async throws {
        let words = String(decoding: message.data, as: UTF8.self).split(separator: " ")
        guard let origin = message.origin, words.count >= 2, let number = Int(words[1]) else { return }
        if words[0] == "hello" {
            others[origin, default: Other()].hellos += 1
            report.line("message", [("from", .text(origin.description)), ("text", .text("hello \(number)"))])
            try await node.publish(topic, Array("echo \(number) \(origin)".utf8))
        } else if words[0] == "echo", words.count == 3, words[2] == node.peerID.description, said.indices.contains(number) {
            others[origin, default: Other()].echoes += 1
            report.line("round trip", [
                ("from", .text(origin.description)), ("number", .integer(Int64(number))),
                ("milliseconds", .number((report.elapsed - said[number]) * 1e3, digits: 3)),
            ])
        }
        if !isDone, others.values.count(where: { $0.hellos >= count && $0.echoes >= count }) >= wanted {
            isDone = true
            report.line("done")
        }
    }
}

/// Messages to one peer, as the line "send COUNT PEER…" of the standard input asks for them, and those that arrive.
private struct Items: Sendable {
    let node: Node
    let report: Report

    /// Sends, one each 5 ms, whether the peers are connected or not: they get them all, once and in order.
    func obey(_ line: String) {
        let words = line.split(separator: " ")
        guard words.count > 2, words[0] == "send", let count = Int(words[1]), count >= 0 else { return }
        let peers = words[2...].compactMap { try? PeerID(String($0)) }
        Task {
            for number in 0..<count {
                for peer in peers { try await node.send(Array("item \(number)".utf8), to: peer) }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    func take() async {
        for await message in node.messages {
            guard let bytes = try? message.bytes else { continue }
            let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
            guard words.count == 2, words[0] == "item", let number = Int64(words[1]) else { continue }
            report.line("item", [
                ("from", .text(message.peer.description)), ("number", .integer(number)), ("again", .flag(message.isRedelivered)),
            ])
        }
    }
}
