import MeshNet

/// A node for the length of a command; what it says about its bootstrap peers goes to the standard error.
func startNode(_ options: Options) throws -> Node {
    let configuration = try options.configuration()
    do throws(CallError) {
        return try Node(configuration)
    } catch {
        let remedy = switch error {
        case .listenFailed: "Choose another port, or 0 for any free one: --listen-port."
        case .invalidSetting: "docs/discovery.md tells what each option and variable takes."
        case .privateNetworkRequired: "Name the key of your private network: --psk FILE."
        default: nil as String?
        }
        throw Failure(error.description, remedy: remedy)
    }
}

func runNode(_ options: Options) async throws {
    let node = try startNode(options), report = Report(options)
    Background.closeOnInterrupt(node, after: options.seconds)
    report.line("started", [("peer", .text(node.peerID.description))])
    if let topic = options.topic { try await node.subscribe(topic) }
    for await event in node.events { report.event(event) }
}

func runPing(_ options: Options) async throws {
    let node = try startNode(options), report = Report(options)
    let connection = try await connect(node, options, .ping)
    report.line("connected", [("peer", .text(connection.peer.description)), ("address", .text(connection.address.description))])
    var times: [Double] = []
    for number in 1...max(1, options.count ?? 4) {
        times.append(try await node.ping(connection.peer).milliseconds)
        report.line("ping", [("number", .integer(Int64(number))), ("milliseconds", .number(times[times.count - 1], digits: 3))])
    }
    report.line("summary", [
        ("minimum", .number(times.min() ?? 0, digits: 3)), ("mean", .number(times.reduce(0, +) / Double(times.count), digits: 3)),
        ("maximum", .number(times.max() ?? 0, digits: 3)),
    ])
    node.close()
}

func runPerf(_ options: Options) async throws {
    let node = try startNode(options), report = Report(options)
    let connection = try await connect(node, options, .perf)
    for _ in 0..<max(1, options.count ?? 1) {
        let time = try await node.perf(connection.peer, upload: options.upload, download: options.download)
        report.line("perf", [
            ("upload", .integer(Int64(clamping: options.upload))), ("upload_seconds", .number(time.upload.seconds, digits: 6)),
            ("upload_MBps", .number(Double(options.upload) / 1e6 / max(time.upload.seconds, 1e-9), digits: 1)),
            ("download", .integer(Int64(clamping: options.download))), ("download_seconds", .number(time.download.seconds, digits: 6)),
            ("download_MBps", .number(Double(options.download) / 1e6 / max(time.download.seconds, 1e-9), digits: 1)),
        ])
    }
    node.close()
}

/// Connects to the first operand.
private func connect(_ node: Node, _ options: Options, _ command: Subcommand) async throws -> PeerConnection {
    guard let address = options.operands.first else { throw Failure.usage("an address is missing", command) }
    do throws(CallError) {
        return try await node.connect(address)
    } catch {
        throw Failure("\(address): \(error)")
    }
}
