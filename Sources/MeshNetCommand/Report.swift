import Glibc
import MeshNet

/// Lines on the standard output: for people, or one JSON object each with the same names.
struct Report: Sendable {
    enum Value {
        case text(String)
        case number(Double, digits: Int)
        case integer(Int64)
        case flag(Bool)
        case list([String])
    }

    let isJSON: Bool
    var name: String?
    private let start = Report.now()

    init(_ options: Options, name: String? = nil) {
        isJSON = options.isJSON
        self.name = name
    }

    var elapsed: Double { Self.now() - start }

    func line(_ event: String, _ fields: [(String, Value)] = []) {
        if isJSON {
            var parts = ["\"time\":\(Self.format(elapsed, digits: 6))"]
            if let name { parts.append("\"node\":\(Self.quoted(name))") }
            parts.append("\"event\":\(Self.quoted(event))")
            parts += fields.map { "\(Self.quoted($0.0)):\(Self.json($0.1))" }
            print("{\(parts.joined(separator: ","))}")
        } else {
            print(([Self.format(elapsed, digits: 3).leftPadded(9), event] + fields.map { "\($0.0)=\(Self.plain($0.1))" }).joined(separator: "  "))
        }
    }

    /// An event of a node.
    func event(_ event: Event) {
        switch event {
        case .listening(let address): line("listening", [("address", .text(address.description))])
        case .connected(let connection): line("connected", Self.fields(connection))
        case .disconnected(let connection, let cause): line("disconnected", Self.fields(connection) + [("cause", .text(cause.description))])
        case .message(let message):
            line("message", [("topic", .text(message.topic)), ("from", .text(message.origin?.description ?? "")),
                             ("data", .text(String(decoding: message.data, as: UTF8.self)))] + (message.isRetained ? [("retained", .flag(true))] : []))
        case .subscription(let peer, let topic, let subscribed):
            line("subscription", [("peer", .text(peer.description)), ("topic", .text(topic)), ("subscribed", .flag(subscribed))])
        case .identified(let identity):
            line("identified", [("peer", .text(identity.peer.description)), ("agent", .text(identity.agentVersion)),
                                ("protocols", .list(identity.protocols)), ("addresses", .list(identity.listenAddresses.map(\.description)))])
        case .streamOpened(_, let peer, let protocolID): line("stream opened", [("peer", .text(peer.description)), ("protocol", .text(protocolID))])
        case .dialFailed(let failure):
            var fields: [(String, Value)] = [("address", .text(failure.address.description)), ("cause", .text(failure.cause.description))]
            if let again = failure.retryAfter { fields.append(("retry", .number(again.seconds, digits: 1))) }
            line("dial failed", fields)
        case .addressProblem(let problem): line("address problem", [("text", .text(problem.text)), ("reason", .text(problem.reason))])
        case .discovered(let discovery): line("discovered", Self.fields(discovery))
        case .discoverySource(let source, let state): line("discovery source", Self.fields(source, state))
        case .duplicateIdentity(let duplicate):
            line("duplicate identity", [("address", .text(duplicate.address.description)), ("hint", .text(DuplicateIdentity.hint))])
        case .channel(let peer, let change): line("channel", [("peer", .text(peer.description)), ("change", .text("\(change)"))])
        case .members(let topic, let peers): line("members", [("topic", .text(topic)), ("peers", .list(peers.map(\.description)))])
        case .woke(let pause): line("woke", [("after", .number(pause.seconds, digits: 1))])
        case .storage(let problem): line("storage", [("problem", .text(problem.description))])
        case .messagesDropped(let count): line("messages dropped", [("count", .integer(Int64(count)))])
        }
    }

    private static func fields(_ connection: PeerConnection) -> [(String, Value)] {
        [("peer", .text(connection.peer.description)), ("address", .text(connection.address.description)),
         ("direction", .text(connection.direction == .inbound ? "inbound" : "outbound"))]
    }

    private static func fields(_ discovery: Discovery) -> [(String, Value)] {
        var fields: [(String, Value)] = [("source", .text(discovery.source.description))]
        if let peer = discovery.peer { fields.append(("peer", .text(peer.description))) }
        if let interface = discovery.interface { fields.append(("interface", .text(interface))) }
        return fields + [("addresses", .list(discovery.addresses.map(\.description)))]
    }

    static func fields(_ source: DiscoverySource, _ state: SourceState) -> [(String, Value)] {
        var fields: [(String, Value)] = [("source", .text(source.description))]
        switch state {
        case .off: fields.append(("state", .text("off")))
        case .starting: fields.append(("state", .text("starting")))
        case .running: fields.append(("state", .text("running")))
        case .failed(let failure, let delay):
            fields += [("state", .text("failed")), ("cause", .text(failure.kind.description)), ("detail", .text(failure.detail)), ("hint", .text(failure.hint))]
            if let delay { fields.append(("retry", .number(delay.seconds, digits: 1))) }
        }
        return fields
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func plain(_ value: Value) -> String {
        switch value {
        case .text(let text): text.contains(" ") || text.isEmpty ? quoted(text) : text
        case .list(let items): items.joined(separator: ",")
        default: json(value)
        }
    }

    private static func json(_ value: Value) -> String {
        switch value {
        case .text(let text): quoted(text)
        case .number(let number, let digits): format(number, digits: digits)
        case .integer(let integer): String(integer)
        case .flag(let flag): flag ? "true" : "false"
        case .list(let items): "[\(items.map(quoted).joined(separator: ","))]"
        }
    }

    static func format(_ number: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int64((number * scale).rounded())
        if digits == 0 { return String(scaled) }
        let whole = scaled / Int64(scale), part = String(abs(scaled % Int64(scale)))
        return "\(whole).\(String(repeating: "0", count: digits - part.count))\(part)"
    }

    private static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output + "\""
    }
}

extension String {
    fileprivate func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
    var milliseconds: Double { seconds * 1e3 }
}
