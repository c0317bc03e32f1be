import MeshNet
import Testing

/// The Swift interface as its users have it: real nodes on loopback.
@Suite struct NodeTests {
    private func node(_ bootstrap: [String] = [], _ change: (inout Configuration) -> Void = { _ in }) throws -> Node {
        var configuration = Configuration(identity: .generate(), bootstrapPeers: bootstrap, listenPort: 0)
        configuration.listenAddresses = ["/ip4/127.0.0.1/tcp/0"]
        configuration.readsEnvironment = false
        configuration.discovery.modes = []
        change(&configuration)
        return try Node(configuration)
    }

    private func address(_ node: Node) throws -> String { "\(try #require(node.listenAddresses().first))/p2p/\(node.peerID)" }

    /// The first event that the test looks for; nil if the node ends before.
    private func first<T: Sendable>(_ node: Node, _ pick: @Sendable (Event) -> T?) async -> T? {
        for await event in node.events { if let found = pick(event) { return found } }
        return nil
    }

    @Test(.timeLimit(.minutes(1))) func twoNodesMeetThroughABootstrapAddress() async throws {
        let a = try node(), b = try node([try address(a)])
        let seen = await first(b) { if case .connected(let connection) = $0 { connection } else { nil } }
        #expect(seen?.peer == a.peerID)
        #expect(seen?.direction == .outbound)
        #expect(try await b.peers().map(\.peer) == [a.peerID])
    }

    @Test(.timeLimit(.minutes(1))) func messagesArrive() async throws {
        let a = try node(), b = try node([try address(a)])
        #expect(try await a.subscribe("news"))
        #expect(try await !a.subscribe("news"))
        _ = await first(b) { if case .subscription(_, "news", true) = $0 { true } else { nil } }
        try await b.publish("news", [1, 2, 3])
        let message = await first(a) { if case .message(let message) = $0 { message } else { nil } }
        #expect(message?.data == [1, 2, 3])
        #expect(message?.origin == b.peerID)
        #expect(try await b.peers(topic: "news") == [a.peerID])
        #expect(try await a.unsubscribe("news"))
    }

    @Test(.timeLimit(.minutes(1))) func manyMessagesArriveInOrder() async throws {
        let a = try node(), b = try node([try address(a)])
        try await a.subscribe("news")
        try await b.waitForPeers(1, topic: "news")
        // More than one turn publishes.
        let messages = (0..<600).map { number in [UInt8](repeating: UInt8(number % 256), count: number % 7) + [UInt8(number / 256)] }
        #expect(try await b.publish("news", many: messages) == messages.count)
        #expect(try await b.publish("news", many: []) == 0)
        var arrived: [[UInt8]] = []
        for await event in a.events {
            if case .message(let message) = event { arrived.append(message.data) }
            if arrived.count == messages.count { break }
        }
        #expect(arrived == messages)
        #expect(try await b.publish("news", many: [[1], [UInt8](repeating: 0, count: 8 << 20 + 1), [2]]) == 1, "the second is too large")
        await #expect(throws: CallError.noPeersSubscribed(topic: "t")) { try await b.publish("t", many: [[1]]) }
        b.close()
        await #expect(throws: CallError.closed) { try await b.publish("news", many: [[1]]) }
    }

    @Test(.timeLimit(.minutes(1))) func theLastValueWaitsForWhoComesLate() async throws {
        let a = try node(), b = try node()
        try await b.connect(try address(a))
        try await b.publishRetained("news", [1])
        let cancelled = Task { try await b.waitForPeers(2, topic: "news") }
        async let waiting = b.waitForPeers(1, topic: "news")
        #expect(try await a.subscribe("news"))
        let members = await first(a) { if case .members(let topic, let peers) = $0 { (topic, peers) } else { nil } }
        #expect(members?.0 == "news" && members?.1 == [])
        let message = await first(a) { if case .message(let message) = $0 { message } else { nil } }
        #expect(message?.data == [1] && message?.isRetained == true && message?.origin == b.peerID)
        #expect(try await waiting == [a.peerID])
        cancelled.cancel()
        await #expect(throws: CallError.cancelled) { try await cancelled.value }
    }

    @Test(.timeLimit(.minutes(1))) func streamsCarryBytesBothWays() async throws {
        let a = try node(), b = try node()
        try await a.accept("/reverse/1.0.0")
        let server = Task {
            for await event in a.events {
                guard case .streamOpened(let id, let peer, let protocolID) = event else { continue }
                let stream = a.stream(id, peer: peer, protocolID: protocolID)
                var bytes: [UInt8] = []
                while case let piece = try await stream.read(), !piece.isEmpty { bytes += piece }
                try await stream.write(bytes.reversed())
                stream.close()
            }
        }
        try await b.connect(try address(a))
        let stream = try await b.openStream(to: a.peerID, protocols: ["/nothing/1.0.0", "/reverse/1.0.0"])
        #expect(stream.protocolID == "/reverse/1.0.0")
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await stream.write(bytes)
        stream.closeWrite()
        #expect(try await stream.read(exactly: bytes.count) == bytes.reversed())
        #expect(try await stream.read().isEmpty)
        stream.close()
        a.close()
        try await server.value
    }

    @Test(.timeLimit(.minutes(1))) func pingAndPerfMeasure() async throws {
        let a = try node(), b = try node()
        try await b.connect(try address(a))
        #expect(try await b.ping(a.peerID) > .zero)
        let time = try await b.perf(a.peerID, upload: 1_000_000, download: 1_000_000)
        #expect(time.upload > .zero && time.download > .zero)
    }

    @Test(.timeLimit(.minutes(1))) func badInputIsToldApart() async throws {
        let a = try node(["nonsense", "/ip4/somewhere/tcp/1"])
        #expect(try await a.addressProblems().map(\.text) == ["nonsense", "/ip4/somewhere/tcp/1"])
        await #expect(throws: CallError.noPeersSubscribed(topic: "t")) { try await a.publish("t", []) }
        await #expect(throws: CallError.self) { try await a.publish("", [1]) }
        await #expect(throws: CallError.self) { try await a.connect("no address") }
        await #expect(throws: CallError.dial(.refused, address: try Multiaddr("/ip4/127.0.0.1/tcp/1"))) { try await a.connect("/ip4/127.0.0.1/tcp/1") }
        await #expect(throws: CallError.notConnected(a.peerID)) { try await a.ping(a.peerID) }
        await #expect(throws: CallError.dial(.selfDial, address: try Multiaddr(address(a)))) { try await a.connect(try address(a)) }
        let port = try #require(a.listenAddresses().first?.components.compactMap { if case .tcp(let port) = $0 { port } else { nil } }.first)
        do {
            _ = try node([]) { $0.listenAddresses = ["/ip4/127.0.0.1/tcp/\(port)"] }
            Issue.record("two nodes on one port")
        } catch let error as CallError {
            guard case .listenFailed = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func closeEndsEveryWait() async throws {
        let a = try node()
        let events = Task { for await _ in a.events {} }
        let calls = (0..<20).map { _ in Task { try? await a.connect("/ip4/192.0.2.77/tcp/9") } }
        a.close()
        a.close()
        await events.value
        for call in calls { #expect(await call.value == nil) }
        await #expect(throws: CallError.closed) { try await a.peers() }
    }

    @Test(.timeLimit(.minutes(1))) func aNodeThatIsLetGoOfIsClosed() async throws {
        let a = try node()
        var b: Node? = try node([try address(a)])
        _ = await first(a) { if case .connected = $0 { true } else { nil } }
        _ = b
        b = nil
        #expect(await first(a) { if case .disconnected = $0 { true } else { nil } } == true)
    }

    @Test(.timeLimit(.minutes(1))) func manyTasksUseOneNode() async throws {
        let a = try node(), b = try node([try address(a)])
        _ = try await a.subscribe("t")
        _ = await first(b) { if case .subscription = $0 { true } else { nil } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask {
                    try await b.publish("t", [UInt8(number)])
                    _ = try await b.ping(a.peerID)
                    _ = try await b.subscribe("t\(number)")
                }
            }
            try await group.waitForAll()
        }
        var heard: Set<UInt8> = []
        for await event in a.events {
            if case .message(let message) = event { heard.insert(message.data[0]) }
            if heard.count == 100 { break }
        }
        #expect(heard.count == 100)
    }
}
