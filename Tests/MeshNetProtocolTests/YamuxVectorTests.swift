import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout"))
struct YamuxVectorTests {
    @Test func headers() throws {
        let cases = try Vectors.cases("yamux_frames.json", "headers")
        #expect(cases.count == 36)
        for row in cases {
            let bytes = row.bytes("hex")
            let header = try bytes.withUnsafeBytes { try YamuxHeader(decoding: $0) }
            #expect(name(header.type) == row.text("type"))
            #expect(names(header.flags) == row["flags"] as? [String])
            #expect(Int(header.streamID) == row["stream_id"] as? Int)
            #expect(Int(header.length) == row["length"] as? Int)
            #expect(header.bytes == bytes)
        }
    }

    @Test func badHeaders() throws {
        let cases = try Vectors.cases("yamux_frames.json", "bad_headers")
        #expect(cases.count == 10)
        for row in cases {
            var peer = YamuxHarness(role: .server)
            peer.feed(row.bytes("hex"))
            switch row.text("expect") {
            case "close_protocol_error":
                #expect(peer.session.isOver, "\(row.text("why"))")
                #expect(peer.sent() == [YamuxHeader(.goAway, [], stream: 0, length: 1)], "\(row.text("why"))")
            default:
                // Cut headers wait for more; undefined flags mean nothing, as in go-yamux and rust-yamux.
                #expect(!peer.session.isOver, "\(row.text("why"))")
            }
        }
    }

    @Test func scenarios() throws {
        let cases = try Vectors.cases("yamux_frames.json", "scenarios")
        #expect(cases.count == 46)
        for row in cases { try play(row) }
    }

    // MARK: Playing a scenario

    private func play(_ row: [String: Any]) throws {
        let name = row.text("name")
        var peer = YamuxHarness(role: row.text("our_role") == "client" ? .client : .server)
        var frames: [YamuxHeader] = []
        var bodies: [UInt8] = []
        for step in row["steps"] as? [[String: Any]] ?? [] {
            // A header whose body is described in the next step is fed together with it.
            if let body = step["recv_body"] as? [String: Any] {
                bodies = [UInt8](repeating: 0, count: body["length"] as? Int ?? 0)
                peer.feed(bodies)
            }
            for _ in 0..<(step["repeat"] as? Int ?? 1) where step["recv"] != nil { peer.feed(step.bytes("recv"), pieces: step["pieces"] as? Int) }
            if step["recv_each"] != nil {
                for id in stride(from: UInt32(1), through: 599, by: 2) { peer.feed(YamuxHeader(.windowUpdate, .syn, stream: id, length: 0)) }
            }
            if step.text("do") == "reset stream 1" { peer.session.reset(1) }
            frames += peer.sent()
            if step["reply"] != nil { #expect(frames.last?.bytes == step.bytes("reply"), "\(name)") }
        }
        check(row, peer.takeLog(), frames, isOver: peer.session.isOver)
        #expect(peer.session.streamCount <= 256, "\(name)")
    }

    private func check(_ row: [String: Any], _ log: [String], _ frames: [YamuxHeader], isOver: Bool) {
        let name = row.text("name")
        let error = YamuxHeader(.goAway, [], stream: 0, length: 1)
        switch row.text("expect") {
        case "ok", "bounded": #expect(!isOver, "\(name)")
        case "session_ends": #expect(isOver && log.last?.hasPrefix("finished goAway") == true, "\(name)")
        case "close_protocol_error", "close_protocol_error_or_saturate":
            #expect(isOver && frames.last == error && log.last?.hasPrefix("finished violation") == true, "\(name)")
        default: break
        }
        if let expected = Self.logs[name] { #expect(log == expected, "\(name)") }
        if name == "syn-flood" { #expect(frames.count == 300 - 256 && frames.allSatisfy { $0.flags == .rst }) }
        if name == "ping-flood" { #expect(frames.count == 32) }
    }

    /// What must be reported, in order, where the scenario says it.
    private static let logs: [String: [String]] = [
        "open-write-close": ["opened 1", "data 1 68656c6c6f", "ended 1"],
        "open-with-data": ["opened 1", "data 1 68656c6c6f"],
        "open-data-fin": ["opened 1", "data 1 68656c6c6f", "ended 1"],
        "open-with-window-update-fin": ["opened 1", "ended 1"],
        "one-byte-at-a-time": ["opened 1", "data 1 68656c6c6f", "ended 1"],
        "many-frames-in-one-read": ["opened 1", "data 1 61", "opened 3", "data 3 62", "data 1 63"],
        "we-are-client": ["opened 2", "data 2 6869"],
        "ping-while-streams-blocked": ["opened 1", "data 1 262144 bytes"],
        "go-away-normal": ["opened 1", "finished goAway(code: 0)"],
        "go-away-protocol": ["finished goAway(code: 1)"],
        "go-away-internal": ["finished goAway(code: 2)"],
        "go-away-unknown": ["finished goAway(code: 4294967295)"],
        "reset-by-data": ["opened 1", "reset 1 resetByPeer(code: 0)"],
        "reset-by-window-update": ["opened 1", "reset 1 resetByPeer(code: 7)"],
        "window-exact": ["opened 1", "data 1 262144 bytes"],
        "data-syn-262145": ["finished violation(MeshNetProtocol.YamuxError.windowExceeded(stream: 1, announced: 262145, window: 262144))"],
        "data-unknown-stream": [],
        "data-after-our-reset": ["opened 1"],
        "data-after-fin": ["opened 1", "data 1 61", "ended 1", "reset 1 dataAfterEnd"],
        "fin-twice": ["opened 1", "ended 1"],
        "largest-stream-id": ["opened 4294967295"],
        "zero-data-flood": ["opened 1"],
    ]

    private func name(_ type: YamuxHeader.FrameType) -> String {
        switch type {
        case .data: "data"
        case .windowUpdate: "window_update"
        case .ping: "ping"
        case .goAway: "go_away"
        }
    }

    private func names(_ flags: YamuxHeader.Flags) -> [String] {
        [(YamuxHeader.Flags.syn, "SYN"), (.ack, "ACK"), (.fin, "FIN"), (.rst, "RST")].filter { flags.contains($0.0) }.map(\.1)
    }
}
