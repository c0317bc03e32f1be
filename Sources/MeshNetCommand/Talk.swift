import MeshNet

/// Says hello on a topic once enough others follow it, echoes theirs, and is done when each of them was heard and has answered.
/// The C and the Python program of `make run` do the same.
func runTalk(_ options: Options) async throws {
    let node = try startNode(options)
    var talk = Talk(node: node, report: Report(options, name: options.name), options: options)
    Background.closeOnInterrupt(node, after: options.seconds ?? 30)
    let input = Task {
        for await _ in Background.lines() {}
        node.close()
    }
    defer { input.cancel() }
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
