import CAllocationCounter
import Glibc
import MeshNetProtocol
import MeshNetSwarm

enum CountsError: Error { case notConnected, stoodStill, usage }

/// Counts of the engine that no clock has a part in: two ends in one thread, without sockets. Each prints one line of JSON. Half of the work is done before
/// the count of allocations begins, so that what is kept for reuse is there; callgrind counts the instructions of runs of two lengths, and takes the
/// difference.
@main struct Counts {
    static let usage =
        "usage: meshnet-counts frames N [pnet] | trips N | messages N | requests N | topics N | flights [pnet] | link MILLISECONDS MEGABITS SECONDS"

    /// Data of a stream that fill a Noise frame behind their yamux header, in bytes.
    private static let dataOfFrame = 65_519 - 12

    static func main() throws {
        let words = Array(CommandLine.arguments.dropFirst())
        func number(_ index: Int) throws -> Int {
            guard words.indices.contains(index), let value = Int(words[index]), value > 0 else { throw CountsError.usage }
            return value
        }
        do {
            switch words.first {
            case "frames": try frames(number(1), isPrivate: words.last == "pnet")
            case "trips": try trips(number(1))
            case "messages": try messages(number(1))
            case "requests": try requests(number(1))
            case "topics": try topics(number(1))
            case "flights": try flights(isPrivate: words.last == "pnet")
            case "link": try link(delay: .milliseconds(number(1)) / 2, megabits: number(2), seconds: number(3))
            default: throw CountsError.usage
            }
        } catch CountsError.usage {
            print(usage)
            exit(2)
        }
    }

    private static func say(_ values: KeyValuePairs<String, any CustomStringConvertible>) {
        print("{" + values.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}")
    }

    /// Bulk on one stream: 4 Noise frames a turn.
    private static func frames(_ count: Int, isPrivate: Bool) throws {
        var pair = PipelinePair(isPrivate: isPrivate)
        let stream = try pair.connect()
        let data = [UInt8](repeating: 1, count: 4 * dataOfFrame)
        func half() {
            for _ in 0..<max(1, count / 8) {
                data.withUnsafeBytes { _ = pair.client.pipeline.write(stream, $0) }
                pair.turn()
            }
        }
        half()
        let bytes = pair.server.dataBytes, before = allocation_count()
        half()
        let allocations = allocation_count() - before, frames = (pair.server.dataBytes - bytes) / dataOfFrame
        guard frames > 0 else { throw CountsError.stoodStill }
        say(["frames": frames, "allocations": allocations])
    }

    /// 64 bytes there and back on one stream.
    private static func trips(_ count: Int) throws {
        var pair = PipelinePair(isPrivate: false)
        let stream = try pair.connect()
        pair.server.echoes = true
        let data = [UInt8](repeating: 1, count: 64)
        func half() {
            for _ in 0..<max(1, count / 2) {
                data.withUnsafeBytes { _ = pair.client.pipeline.write(stream, $0) }
                for _ in 0..<2 { pair.turn() }
            }
        }
        half()
        let bytes = pair.client.dataBytes, before = allocation_count()
        half()
        let allocations = allocation_count() - before, trips = (pair.client.dataBytes - bytes) / data.count
        guard trips == max(1, count / 2) else { throw CountsError.stoodStill }
        say(["trips": trips, "allocations": allocations])
    }

    /// 16 bytes each from one node to another, 1,000 a turn and call, without tickets.
    private static func messages(_ count: Int) throws {
        var pair = SwarmPair()
        try pair.connect()
        let body = [UInt8](repeating: 7, count: 16), message = OutboundMessage(peer: pair.receiver.peer), ofTurn = 1_000
        func half() {
            for _ in 0..<max(1, count / 2 / ofTurn) {
                body.withUnsafeBytes { view in
                    let bodies = [UnsafeRawBufferPointer](repeating: view, count: ofTurn)
                    pair.sender.swarm.sendRun(message, bodies, ticket: Ticket(rawValue: 1), now: pair.now)
                }
                pair.turn()
            }
        }
        half()
        let received = pair.receiver.received, before = allocation_count()
        half()
        let allocations = allocation_count() - before, messages = pair.receiver.received - received
        guard messages == max(1, count / 2 / ofTurn) * ofTurn else { throw CountsError.stoodStill }
        say(["messages": messages, "allocations": allocations])
    }

    /// A request of 64 bytes and its reply, one after another.
    private static func requests(_ count: Int) throws {
        var pair = SwarmPair()
        try pair.connect()
        let body = [UInt8](repeating: 7, count: 64), request = OutboundMessage(peer: pair.receiver.peer, kind: .request)
        func half() {
            for _ in 0..<max(1, count / 2) {
                body.withUnsafeBytes { pair.sender.swarm.send(request, .view($0), ticket: Ticket(rawValue: 2), now: pair.now) }
                pair.turn(.milliseconds(1))
            }
        }
        half()
        let completed = pair.sender.completed, before = allocation_count()
        half()
        let allocations = allocation_count() - before, requests = pair.sender.completed - completed
        guard requests == max(1, count / 2) else { throw CountsError.stoodStill }
        say(["requests": requests, "allocations": allocations])
    }

    /// 256 bytes each from one node to the subscribers of a topic, of whom there is one, without signatures; 200 a turn and call.
    private static func topics(_ count: Int) throws {
        var pair = SwarmPair()
        try pair.connect()
        pair.follow("bench")
        let ofTurn = 200, size = 256, words = size / 8
        var block = [UInt64](repeating: 7, count: ofTurn * words), number: UInt64 = 0
        func half() {
            for _ in 0..<max(1, count / 2 / ofTurn) {
                for index in 0..<ofTurn {
                    number += 1
                    block[index * words] = number
                }
                block.withUnsafeBytes { view in
                    let bodies = (0..<ofTurn).map { UnsafeRawBufferPointer(rebasing: view[$0 * size..<($0 + 1) * size]) }
                    _ = pair.sender.swarm.publish("bench", run: bodies, now: pair.now)
                }
                pair.turn(.milliseconds(1))
            }
        }
        half()
        let heard = pair.receiver.heard, before = allocation_count()
        half()
        let allocations = allocation_count() - before, topics = pair.receiver.heard - heard
        guard topics == max(1, count / 2 / ofTurn) * ofTurn else { throw CountsError.stoodStill }
        say(["topics": topics, "allocations": allocations])
    }

    /// From the first byte to the first answered one of a stream: each flight delivers at once all that either side has to say. TCP's own round trip is added.
    private static func flights(isPrivate: Bool) throws {
        var pair = PipelinePair(isPrivate: isPrivate), flights = 0, stream: PipelineStream?
        pair.server.echoes = true
        while pair.client.dataBytes == 0 {
            for _ in 0..<3 {
                pair.client.finishTurn(now: pair.now)
                if stream == nil, pair.client.isEstablished {
                    stream = try pair.client.pipeline.openStream([PipelinePair.protocolID], now: pair.now)
                    [42].withUnsafeBytes { _ = pair.client.pipeline.write(stream!, $0) }
                }
                pair.server.finishTurn(now: pair.now)
            }
            let up = pair.client.take(limit: .max, now: pair.now), down = pair.server.take(limit: .max, now: pair.now)
            flights += 1
            guard flights < 20 else { throw CountsError.stoodStill }
            pair.server.give(up, now: pair.now)
            pair.client.give(down, now: pair.now)
        }
        say(["flights": flights, "round_trips": 1 + (flights + 1) / 2])
    }

    /// One stream over a link with this one-way delay: the share of its bandwidth that data gets, from the handshake to the end.
    private static func link(delay: Duration, megabits: Int, seconds: Int) throws {
        var pair = PipelinePair(isPrivate: false)
        let stream = try pair.connect(), tick = Duration.milliseconds(1), bytesOfTick = megabits * 1_000_000 / 8 / 1_000
        let data = [UInt8](repeating: 1, count: 1 << 20), end = pair.now + .seconds(seconds)
        var inFlight: [(at: Instant, up: [UInt8], down: [UInt8])] = []
        while pair.now < end {
            pair.now = pair.now + tick
            while let first = inFlight.first, first.at <= pair.now {
                pair.server.give(first.up, now: pair.now)
                pair.client.give(first.down, now: pair.now)
                inFlight.removeFirst()
            }
            data.withUnsafeBytes { _ = pair.client.pipeline.write(stream, $0) }
            pair.client.finishTurn(now: pair.now)
            pair.server.finishTurn(now: pair.now)
            let up = pair.client.take(limit: bytesOfTick, now: pair.now), down = pair.server.take(limit: bytesOfTick, now: pair.now)
            inFlight.append((pair.now + delay, up, down))
        }
        say(["bytes": pair.server.dataBytes, "share": Double(pair.server.dataBytes) / Double(bytesOfTick * 1_000 * seconds)])
    }
}
