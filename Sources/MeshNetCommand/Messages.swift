import MeshNet

func runPublish(_ options: Options) async throws {
    guard let topic = options.operands.first else { throw Failure.usage("a topic is missing", .pub) }
    let node = try startNode(options), report = Report(options)
    try await waitForFollower(of: topic, node, seconds: options.seconds ?? 10)
    func publish(_ text: String) async throws {
        let data = Array(text.utf8)
        if options.retains { try await node.publishRetained(topic, data) } else { try await node.publish(topic, data) }
    }
    if options.operands.count > 1 {
        try await publish(options.operands.dropFirst().joined(separator: " "))
    } else {
        for await line in Background.lines() { try await publish(line) }
    }
    if options.retains { await leave(in: topic, node) }
    report.line("published", [("topic", .text(topic))])
    node.close()
}

/// Those who follow the topic keep the value once its header is there. It goes out after identify and the opening of a stream, a round trip
/// each, and ahead of the third ping.
private func leave(in topic: String, _ node: Node) async {
    for peer in (try? await node.peers(topic: topic)) ?? [] {
        for _ in 0..<3 { _ = try? await node.ping(peer) }
    }
}

/// Reads events until somebody follows the topic.
private func waitForFollower(of topic: String, _ node: Node, seconds: Int) async throws {
    let waiting = Task {
        for await event in node.events {
            switch event {
            case .subscription(_, topic, true): return true
            case .dialFailed(let failure): complain("\(failure.address): \(failure.cause)")
            case .addressProblem(let problem): complain("\(problem.text): \(problem.reason)")
            default: break
            }
        }
        return false
    }
    let timer = Task {
        try await Task.sleep(for: .seconds(seconds))
        waiting.cancel()
    }
    defer { timer.cancel() }
    guard await waiting.value else {
        throw Failure("nobody who follows \"\(topic)\" within \(seconds) s",
            remedy: "meshnet doctor says who was found and why not; or name a node by --bootstrap-peers, or wait longer by --seconds.")
    }
}

func runSubscribe(_ options: Options) async throws {
    guard !options.operands.isEmpty else { throw Failure.usage("a topic is missing", .sub) }
    let node = try startNode(options), report = Report(options)
    Background.closeOnInterrupt(node, after: options.seconds)
    for topic in options.operands { try await node.subscribe(topic) }
    var left = options.count ?? .max
    for await event in node.events {
        if case .message = event {
            report.event(event)
            left -= 1
            if left == 0 { break }
        } else if options.isJSON {
            report.event(event)
        }
    }
    node.close()
}

func runChat(_ options: Options) async throws {
    let topic = options.operands.first ?? "chat"
    let node = try startNode(options), report = Report(options)
    Background.closeOnInterrupt(node, after: options.seconds)
    try await node.subscribe(topic)
    for address in node.listenAddresses() { report.line("listening", [("address", .text("\(address)/p2p/\(node.peerID)"))]) }
    let typing = Task {
        for await line in Background.lines() {
            do throws(CallError) {
                try await node.publish(topic, Array(line.utf8))
            } catch .closed {
                return
            } catch {
                complain(error.description)
            }
        }
        node.close()
    }
    for await event in node.events {
        switch event {
        case .message(let message) where !options.isJSON:
            print("\(message.origin.map { String($0.description.suffix(6)) } ?? "?"): \(String(decoding: message.data, as: UTF8.self))")
        case .connected, .disconnected, .message, .dialFailed, .addressProblem: report.event(event)
        default: break
        }
    }
    typing.cancel()
}
