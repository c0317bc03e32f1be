import Foundation
import MeshNet
import Testing

/// Messages to one peer as users of the Swift interface have them.
@Suite(.timeLimit(.minutes(1))) struct NodeMessageTests {
    private func node(_ change: (inout Configuration) -> Void = { _ in }) throws -> Node {
        var configuration = Configuration(identity: .generate(), bootstrapPeers: [], listenPort: 0)
        configuration.listenAddresses = ["/ip4/127.0.0.1/tcp/0"]
        configuration.readsEnvironment = false
        configuration.discovery.modes = []
        change(&configuration)
        return try Node(configuration)
    }

    private func pair(_ change: (inout Configuration) -> Void = { _ in }) async throws -> (Node, Node) {
        let a = try node(change), b = try node(change)
        try await a.connect(try #require(b.listenAddresses().first))
        return (a, b)
    }

    @Test func messagesArriveAndTheirTicketsEnd() async throws {
        let (a, b) = try await pair()
        let ticket = try await a.send([1, 2, 3], to: b.peerID, lane: .control)
        var messages = b.messages.makeAsyncIterator()
        let message = try #require(await messages.next())
        let bytes = try message.bytes
        #expect(bytes == [1, 2, 3])
        #expect(message.peer == a.peerID && message.lane == .control && message.sequence == 1 && !message.isRequest && !message.isRedelivered)
        let rest = try message.read(from: 1, upTo: 10)
        #expect(rest == [2, 3] && message.byteCount == 3 && !message.isLarge)
        try await ticket.delivered()
        #expect(try await a.channel(b.peerID)?.delivered == 1)
        #expect(try await b.channels().map(\.peer) == [a.peerID])
        let isAnswered = try await message.reply([1])
        #expect(!isAnswered)
        b.close()
        #expect(await messages.next() == nil)
    }

    @Test func requestsAreAnsweredInAnyOrder() async throws {
        let (a, b) = try await pair()
        let server = Task {
            var held: [ReceivedMessage] = []
            for await request in b.messages {
                held.append(request)
                if held.count == 20 { break }
            }
            for request in held.reversed() {
                let bytes = try request.bytes
                let first = try await request.reply(bytes.map { $0 + 100 }), second = try await request.reply([])
                #expect(first && !second)
                request.done()
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 as Range<UInt8> {
                group.addTask {
                    let reply = try await a.request([number], of: b.peerID)
                    #expect(reply == [number + 100])
                }
            }
            try await group.waitForAll()
        }
        try await server.value
    }

    @Test func aRequestThatNobodyAnswersTimesOutOrIsCancelled() async throws {
        let (a, b) = try await pair()
        await #expect(throws: CallError.timedOut) { try await a.request([1], of: b.peerID, timeout: .milliseconds(50)) }
        let cancelled = Task { try await a.request([2], of: b.peerID) }
        cancelled.cancel()
        await #expect(throws: CallError.cancelled) { try await cancelled.value }
    }

    @Test func aFullQueueWaitsFailsOrDropsTheOldest() async throws {
        let a = try node { $0.messages.queueMessages = 2 }, nobody = KeyPair.generate().peerID
        let first = try await a.send([1], to: nobody), second = try await a.send([2], to: nobody)
        await #expect(throws: CallError.self) { try await a.send([3], to: nobody, whenFull: .fail) }
        let waiting = Task { try await a.send([3], to: nobody) }
        let third = try await a.send([4], to: nobody, whenFull: .dropOldest)
        #expect(await first.end.failure == .displaced)
        second.cancel()
        #expect(await second.end.failure == .cancelled)
        _ = try await waiting.value
        #expect(third.current == nil)
        let expiring = try await a.send([5], to: KeyPair.generate().peerID, deadline: .milliseconds(20))
        #expect(await expiring.end.failure == .expired)
        a.close()
        #expect(await third.end.failure == .closed)
    }

    @Test func aLargeFileArrivesAndIsSaved() async throws {
        let (a, b) = try await pair { $0.messages.spoolThreshold = 10_000 }
        let folder = NSTemporaryDirectory() + "meshnet-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let content = Data((0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 257) })
        try content.write(to: URL(fileURLWithPath: folder + "/in"))
        let ticket = try await a.send(file: folder + "/in", to: b.peerID)
        #expect(ticket.byteCount == content.count)
        for await message in b.messages {
            #expect(message.isLarge && message.byteCount == content.count && message.lane == .bulk)
            try message.save(to: folder + "/out")
            break
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/out")) == content)
        try await ticket.delivered()
        await #expect(throws: MessageFileError.self) { try await a.send(file: folder + "/none", to: b.peerID) }
    }

    @Test func aClosedChannelStaysClosedUntilReconnect() async throws {
        let (a, b) = try await pair()
        try await a.send([1], to: b.peerID)
        try await a.closePeer(b.peerID, reason: "enough")
        await #expect(throws: CallError.self) { try await a.send([2], to: b.peerID) }
        guard case .closed(let closing)? = try await a.channel(b.peerID)?.state else {
            Issue.record("not closed")
            return
        }
        #expect(closing.byUs && closing.reason == "enough")
        try await b.reconnect(a.peerID)
        try await a.reconnect(b.peerID, at: b.listenAddresses())
        try await a.send([3], to: b.peerID).delivered()
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
