import MeshNet

/// Tells what happens as it happens, each change of the table included, and the sources' counters at the end.
func runDiscover(_ options: Options) async throws {
    let node = try startNode(options), report = Report(options)
    Background.closeOnInterrupt(node, after: options.seconds)
    report.line("started", [("peer", .text(node.peerID.description))])
    let watching = Task {
        var watch = TableWatch(report: report), last = DiscoveryTable?.none
        while let table = try? await node.discoveryTable() {
            watch.show(table)
            last = table
            try? await Task.sleep(for: TableWatch.interval)
        }
        return last
    }
    for await event in node.events {
        switch event {
        case .message, .subscription, .streamOpened, .messagesDropped: break
        default: report.event(event)
        }
    }
    if let table = await watching.value { report.sources(table) }
}

/// Prints a row of the table when it is new or has changed.
private struct TableWatch {
    /// Between two looks at the table: quick for a reader, and nothing for the node.
    static let interval: Duration = .milliseconds(500)
    /// Rows remembered; a table has no more.
    static let maximumRows = 4_096

    private struct Row: Hashable {
        let address: String
        let source: DiscoverySource
        let interface: String?
    }

    private struct State: Equatable {
        let state: DiscoveryEntryState
        let filter: DiscoveryFilter?
        let failure: DialError?
    }

    let report: Report
    private var shown: [Row: State] = [:]

    init(report: Report) { self.report = report }

    mutating func show(_ table: DiscoveryTable) {
        var present: [Row: State] = [:]
        for entry in table.entries.prefix(Self.maximumRows) {
            let row = Row(address: entry.address.description, source: entry.source, interface: entry.interface)
            let state = State(state: entry.state, filter: entry.filter, failure: entry.lastFailure)
            present[row] = state
            if shown[row] != state { report.line("entry", Report.fields(entry)) }
        }
        for row in shown.keys where present[row] == nil {
            report.line("entry", [("source", .text(row.source.description)), ("address", .text(row.address)), ("state", .text("gone"))])
        }
        shown = present
    }
}

extension Report {
    static func fields(_ entry: DiscoveryEntry) -> [(String, Value)] {
        var fields: [(String, Value)] = [("source", .text(entry.source.description))]
        if let peer = entry.peer { fields.append(("peer", .text(peer.description))) }
        fields.append(("address", .text(entry.address.description)))
        if let interface = entry.interface { fields.append(("interface", .text(interface))) }
        fields.append(("state", .text(entry.state.description)))
        if let filter = entry.filter { fields.append(("filter", .text(filter.description))) }
        if entry.attempts > 0 { fields.append(("attempts", .integer(Int64(entry.attempts)))) }
        if let failure = entry.lastFailure { fields.append(("cause", .text(failure.description))) }
        if let next = entry.nextTry { fields.append(("retry", .number(next.seconds, digits: 1))) }
        return fields
    }

    /// Every source that is on, with its counters.
    func sources(_ table: DiscoveryTable) {
        for status in table.sources where status.state != .off {
            var fields = Self.fields(status.source, status.state)
            fields += [("heard", .integer(Int64(status.heard))), ("dialled", .integer(Int64(status.dialled))),
                       ("succeeded", .integer(Int64(status.succeeded)))]
            for (filter, count) in status.filtered.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where count > 0 {
                fields.append(("filtered_\(filter.description.replacing(" ", with: "_"))", .integer(Int64(count))))
            }
            for (kind, count) in status.failed.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where count > 0 {
                fields.append(("failed_\(kind.description.replacing(" ", with: "_"))", .integer(Int64(count))))
            }
            if let last = status.lastSuccess { fields.append(("last_success_seconds", .number(last.seconds, digits: 1))) }
            line("source", fields)
            for interface in status.interfaces {
                var fields: [(String, Value)] = [
                    ("source", .text(status.source.description)), ("interface", .text(interface.name)), ("sent", .integer(Int64(interface.sent))),
                    ("heard", .integer(Int64(interface.heard))),
                ]
                if let failure = interface.failure { fields += [("cause", .text(failure.kind.description)), ("detail", .text(failure.detail))] }
                line("interface", fields)
            }
        }
    }
}
