import Glibc
import MeshNet

/// Prints the messages that arrive, saves them and answers requests, until it is interrupted or has its count.
func runListen(_ options: Options) async throws {
    if let folder = options.saveFolder, mkdir(folder, 0o700) != 0, errno != EEXIST {
        throw Failure("\(folder): \(String(cString: strerror(errno)))", remedy: "Name a folder that can be made or written by --save.")
    }
    let node = try startNode(options), report = Report(options)
    Background.closeOnInterrupt(node, after: options.seconds)
    report.line("started", [("peer", .text(node.peerID.description))])
    for address in node.listenAddresses() { report.line("listening", [("address", .text("\(address)/p2p/\(node.peerID)"))]) }
    let watching = Task {
        for await event in node.events {
            switch event {
            case .message, .subscription, .streamOpened, .listening, .identified: break
            default: if options.isJSON { report.event(event) }
            }
        }
    }
    var left = options.count ?? .max
    for await message in node.messages {
        try await take(message, options, report)
        message.done()
        left -= 1
        if left == 0 { break }
    }
    node.close()
    await watching.value
}

private func take(_ message: ReceivedMessage, _ options: Options, _ report: Report) async throws {
    var fields: [(String, Report.Value)] = [
        ("peer", .text(message.peer.description)), ("lane", .text(message.lane.description)), ("sequence", .integer(Int64(clamping: message.sequence))),
        ("bytes", .integer(Int64(message.byteCount))),
    ]
    if message.isRedelivered { fields.append(("redelivered", .flag(true))) }
    if let folder = options.saveFolder {
        fields.append(("file", .text(try save(message, folder, report))))
    } else if message.byteCount <= shownByteCount {
        fields.append(("data", .text(String(decoding: try message.bytes, as: UTF8.self))))
    }
    report.line(message.isRequest ? "request" : "message", fields)
    guard message.isRequest, let reply = options.reply else { return }
    do throws(CallError) {
        try await message.reply(Array(reply.utf8))
    } catch {
        complain("the reply to \(message.peer): \(error)")
    }
}

/// Larger ones are counted and not shown.
private let shownByteCount = 65_536

/// The name says whose it is and which: no message takes the place of another one.
private func save(_ message: ReceivedMessage, _ folder: String, _ report: Report) throws -> String {
    let name = "\(message.peer.description.suffix(8))-\(message.incarnation.description.prefix(8))-\(message.lane)-\(message.sequence)"
    var progress = Progress(report: report, name: name, total: message.byteCount)
    try message.save(to: "\(folder)/\(name)") { progress.show($0) }
    progress.end()
    return "\(folder)/\(name)"
}
