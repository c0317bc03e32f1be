@testable import MeshNetProtocol

/// A session under test: feeds it bytes and writes down what it reports, each fact as a short text.
struct YamuxHarness {
    var session: YamuxSession
    var now = Instant.zero
    /// `opened 1`, `data 1 68656c6c6f`, `ended 1`, `reset 1 …`, `closed 1`, `writable 1`, `finished …`. Pieces of data that follow each other are joined.
    private(set) var log: [String] = []
    private(set) var received: [UInt32: [UInt8]] = [:]
    private(set) var dataActions = 0
    private var open: (stream: UInt32, bytes: [UInt8])?

    init(role: YamuxRole, limits: YamuxLimits = YamuxLimits(), roundTrip: Duration? = nil) {
        session = YamuxSession(role: role, limits: limits, roundTrip: roundTrip)
    }

    mutating func feed(_ bytes: [UInt8], pieces: Int? = nil) {
        var rest = bytes[...]
        repeat {
            let piece = Array(rest.prefix(pieces ?? rest.count))
            rest = rest.dropFirst(piece.count)
            piece.withUnsafeBytes { view in
                session.receive(view, now: now)
                drain()
            }
        } while !rest.isEmpty
    }

    mutating func feed(_ header: YamuxHeader, body: [UInt8] = []) { feed(header.bytes + body) }

    mutating func drain() {
        while let action = session.poll() { note(action) }
    }

    private mutating func note(_ action: YamuxAction) {
        if case .data(let id, let view) = action {
            dataActions += 1
            received[id, default: []].append(contentsOf: view)
            if open?.stream == id { open?.bytes.append(contentsOf: view) } else { closeEntry(); open = (id, Array(view)) }
            return
        }
        closeEntry()
        switch action {
        case .opened(let id): log.append("opened \(id)")
        case .ended(let id): log.append("ended \(id)")
        case .reset(let id, let error): log.append("reset \(id) \(error)")
        case .closed(let id): log.append("closed \(id)")
        case .writable(let id): log.append("writable \(id)")
        case .finished(let end): log.append("finished \(end)")
        case .data: break
        }
    }

    private mutating func closeEntry() {
        guard let open else { return }
        let text = open.bytes.count > 64 ? "\(open.bytes.count) bytes" : open.bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        log.append("data \(open.stream) \(text)")
        self.open = nil
    }

    /// What was reported since the last call.
    mutating func takeLog() -> [String] {
        closeEntry()
        defer { log = [] }
        return log
    }

    /// The control frames that wait.
    mutating func sent() -> [YamuxHeader] {
        var headers: [YamuxHeader] = []
        while session.hasControl {
            let bytes = takeControl(120)
            for at in stride(from: 0, to: bytes.count, by: 12) {
                headers.append(bytes[at..<at + 12].withUnsafeBytes { try! YamuxHeader(decoding: $0) })
            }
        }
        return headers
    }

    mutating func takeControl(_ room: Int) -> [UInt8] {
        var region = [UInt8](repeating: 0xee, count: room)
        let used = region.withUnsafeMutableBytes { session.writeControl(into: $0, now: now) }
        return Array(region[..<used])
    }

    /// Writes and returns the frame that came of it.
    mutating func write(_ id: UInt32, _ bytes: [UInt8], room: Int = 70_000) -> (taken: Int, frame: [UInt8]) {
        var region = [UInt8](repeating: 0xee, count: room)
        let taken = region.withUnsafeMutableBytes { session.writeHeader(id, count: bytes.count, into: $0) }
        return (taken, taken == 0 ? [] : Array(region[..<YamuxHeader.byteCount]) + bytes[..<taken])
    }
}

extension YamuxHeader {
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withUnsafeMutableBytes { encode(into: $0) }
        return bytes
    }
}
