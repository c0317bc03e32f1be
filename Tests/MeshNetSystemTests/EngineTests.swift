import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite(.timeLimit(.minutes(3))) struct EngineTests {
        @Test func twoNodesConnect() throws {
            let pair = try TestPair()
            defer { pair.close() }
            try pair.a.awaitConnected()
            try pair.b.awaitConnected()
            guard case .peers(let peers) = try pair.b.engine.call(.peers, timeout: TestNode.patience) else { return #expect(Bool(false)) }
            #expect(peers.map(\.peer) == [pair.a.engine.localPeer])
        }

        @Test func publishedMessagesArrive() throws {
            let pair = try TestPair()
            defer { pair.close() }
            for node in [pair.a, pair.b] { _ = try node.engine.call(.subscribe("news"), timeout: TestNode.patience) }
            try pair.a.event { if case .subscription(_, "news", true) = $0 { () } else { nil } }
            _ = try pair.a.engine.call(.publish(topic: "news", data: [1, 2, 3]), timeout: TestNode.patience)
            let message = try pair.b.event { if case .message(let message) = $0 { message } else { nil } }
            #expect(message.data == [1, 2, 3])
            #expect(message.origin == pair.a.engine.localPeer)
        }

        @Test func answersOfSubmittedCommandsComeThroughTheQueue() throws {
            let node = try TestNode()
            defer { node.engine.close() }
            let ticket = try node.engine.submit(.subscribe("x"))
            while let item = try node.engine.queue.next(timeout: TestNode.patience) {
                guard case .completion(let answered, let result) = item else { continue }
                #expect(answered == ticket)
                guard case .success(.changed(true)) = result else { return #expect(Bool(false), "\(result)") }
                return
            }
            #expect(Bool(false), "no completion")
        }

        @Test func streamsEchoLargeDataUnchanged() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (near, far) = try pair.stream()
            let b = pair.b
            let echo = TestThread {
                while let bytes = try? b.read(far, 300_000), !bytes.isEmpty { try? b.write(far, bytes) }
                b.engine.closeWrite(far)
            }
            // Four blocks of an odd length in turn: a lost, doubled or moved byte shows.
            var random = RandomSource(testSeed: 1)
            let blocks = (0..<4).map { _ in random.bytes(1 << 20 | 1) }, rounds = 100, a = pair.a
            let writer = TestThread {
                for round in 0..<rounds { try? a.write(near, blocks[round % 4]) }
                a.engine.closeWrite(near)
            }
            for round in 0..<rounds {
                let matches = try a.readExactly(near, 1 << 20 | 1) == blocks[round % 4]
                #expect(matches, "round \(round)")
            }
            #expect(try a.read(near, 10) == [])
            writer.join()
            echo.join()
        }

        @Test func readsAndWritesOfOneStreamKeepTheirOrder() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (near, far) = try pair.stream()
            let results = Guarded<[Result<Int, CallError>]>([])
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 30, alignment: 1)
            defer { memory.deallocate() }
            for index in 0..<3 {
                pair.b.engine.read(far, into: UnsafeMutableRawBufferPointer(rebasing: memory[index * 10..<index * 10 + 10])) { result in
                    results.with { $0.append(result) }
                    results.wakeAll()
                }
            }
            try pair.a.write(near, [UInt8](0..<10))
            try pair.a.write(near, [UInt8](10..<20))
            try pair.a.write(near, [UInt8](20..<25))
            pair.a.engine.closeWrite(near)
            let done = results.wait(until: Instant.now() + TestNode.patience) { (results: inout [Result<Int, CallError>]) in
                results.count == 3 ? results : nil
            }
            let counts = try #require(done).map { try $0.get() }
            var got: [UInt8] = []
            for (index, count) in counts.enumerated() { got += memory[index * 10..<index * 10 + count] }
            #expect(got == Array([UInt8](0..<25).prefix(got.count)))
            #expect(try got + pair.b.readExactly(far, 25 - got.count) == [UInt8](0..<25))
        }

        @Test func unreadBytesHoldTheWriterBack() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (near, far) = try pair.stream()
            let bytes = [UInt8](repeating: 7, count: 40 << 20)
            // Nobody reads: windows and send buffers fill, and the write does not complete.
            #expect(throws: CallError.timedOut) {
                try bytes.withUnsafeBytes { try pair.a.engine.writeBlocking(near, $0, timeout: .milliseconds(500)) }
            }
            #expect(try pair.b.read(far, 100).allSatisfy { $0 == 7 })
        }

        @Test func readsTimeOutAndAreCancelledWithoutLoss() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (near, far) = try pair.stream()
            #expect(throws: CallError.timedOut) { try pair.b.read(far, 10, timeout: .milliseconds(30)) }
            let waiter = Waiter<Int>()
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 10, alignment: 1)
            defer { memory.deallocate() }
            let ticket = pair.b.engine.read(far, into: memory) { waiter.fulfil($0) }
            pair.b.engine.cancel(ticket)
            #expect(waiter.wait(until: Instant.now() + TestNode.patience) == .failure(.cancelled))
            try pair.a.write(near, [1, 2, 3])
            #expect(try pair.b.readExactly(far, 3) == [1, 2, 3])
        }

        @Test func closedStreamsGiveTheRestThenTheEnd() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (near, far) = try pair.stream()
            try pair.a.write(near, [1, 2, 3])
            pair.a.engine.closeStream(near)
            #expect(throws: CallError.self) { try pair.a.read(near, 1) }
            #expect(try pair.b.readExactly(far, 4) == [1, 2, 3])
            #expect(try pair.b.read(far, 1) == [])
            pair.b.engine.closeStream(far)
            #expect(throws: CallError.noSuchStream) { try pair.b.read(StreamID(rawValue: 999_999), 1) }
        }

        @Test func resetsReachTheOtherSide() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (near, far) = try pair.stream()
            pair.a.engine.resetStream(near)
            #expect(throws: CallError.streamReset) { try pair.b.read(far, 1) }
            #expect(throws: CallError.streamReset) { try pair.b.write(far, [1]) }
        }

        @Test func lostPeersAreReported() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (_, far) = try pair.stream()
            pair.a.engine.close()
            try pair.b.event { if case .disconnected = $0 { () } else { nil } }
            #expect(throws: CallError.streamReset) { try pair.b.write(far, [1]) }
        }

        @Test func refusedDialsFailWithTheCause() throws {
            let node = try TestNode(), gone = try TestNode()
            defer { node.engine.close() }
            let address = gone.address
            gone.engine.close()
            #expect(throws: CallError.dial(.refused, address: address)) { try node.engine.call(.connect(address), timeout: TestNode.patience) }
        }

        @Test func namesAreResolved() throws {
            let node = try TestNode(), other = try TestNode()
            defer { node.engine.close(); other.engine.close() }
            guard case .tcp(let port) = other.address.components.last else { return #expect(Bool(false)) }
            let outcome = try node.engine.call(.connect(Multiaddr("/dns4/localhost/tcp/\(port)")), timeout: TestNode.patience)
            guard case .peer(let connection) = outcome else { return #expect(Bool(false)) }
            #expect(connection.peer == other.engine.localPeer)
        }

        @Test func aPortInUseIsItsOwnError() throws {
            let node = try TestNode()
            defer { node.engine.close() }
            let text = node.address.description
            #expect(throws: CallError.listenFailed(address: text, errno: EADDRINUSE)) { try TestNode { $0.listenAddresses = [text] } }
            #expect(throws: CallError.self) { try TestNode { $0.listenAddresses = ["/ip4/127.0.0.1/udp/1"] } }
            #expect(throws: CallError.self) { try TestNode { $0.listenAddresses = ["nonsense"] } }
        }
    }
}
