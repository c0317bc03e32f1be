import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    /// Every bound of the engine is reached here or in the suite of its part.
    @Suite(.timeLimit(.minutes(3))) struct BoundsTests {
        @Test func callsUnderWayAreLimitedAndAllAnswered() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (near, _) = try pair.stream()
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
            defer { memory.deallocate() }
            let ends = Guarded((refused: 0, closed: 0))
            for _ in 0..<Mailbox.maximumOutstanding + 10 {
                pair.a.engine.read(near, into: memory) { result in
                    if case .failure(.limitReached) = result { ends.with { $0.refused += 1 } }
                    if case .failure(.closed) = result { ends.with { $0.closed += 1 } }
                }
            }
            #expect(ends.with { $0 } == (10, 0))
            pair.a.engine.close()
            #expect(ends.with { $0 } == (10, Mailbox.maximumOutstanding))
        }

        @Test func bytesWaitingToBePublishedAreLimited() throws {
            let node = try TestNode()
            defer { node.engine.close() }
            let data = [UInt8](repeating: 0, count: 1 << 20), reached = Waiter<Int>(), goOn = Waiter<Int>()
            // The reactor is held so that nothing leaves the mailbox.
            node.engine.submit(.peers) { _ in
                reached.fulfil(.success(0))
                _ = goOn.wait(until: nil)
            }
            #expect(reached.wait(until: Instant.now() + TestNode.patience) == .success(0))
            for _ in 0..<Mailbox.maximumWaitingBytes >> 20 { node.engine.submit(.publish(topic: "t", data: data)) { _ in } }
            #expect(throws: CallError.limitReached("bytes waiting to be published: \(Mailbox.maximumWaitingBytes)")) {
                _ = try node.engine.submit(.publish(topic: "t", data: data))
            }
            goOn.fulfil(.success(0))
            guard case .peers = try node.engine.call(.peers, timeout: TestNode.patience) else { return #expect(Bool(false)) }
        }

        @Test func streamsNobodyAcceptsAreReset() throws {
            let a = try TestNode(), b = try TestNode { $0.limits.pendingAccepts = 2 }
            defer { a.engine.close(); b.engine.close() }
            _ = try b.engine.call(.accept("/echo/1"), timeout: TestNode.patience)
            try a.connect(to: b)
            let streams = try (0..<3).map { _ in try a.openStream(to: b) }
            // A lazily negotiated stream is announced with its first bytes.
            for stream in streams { try? a.write(stream, [1]) }
            #expect(throws: CallError.streamReset) { try a.read(streams[2], 1) }
            #expect(throws: CallError.timedOut) { try a.read(streams[0], 1, timeout: .milliseconds(20)) }
            let accepted = [try b.acceptStream(), try b.acceptStream()]
            #expect(try b.read(accepted[1], 1) == [1])
        }

        @Test func streamsThatEndedAreForgottenInTheEnd() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (first, far) = try pair.stream()
            try pair.a.write(first, [1])
            #expect(try pair.b.read(far, 1) == [1])
            pair.b.engine.resetStream(far)
            #expect(throws: CallError.streamReset) { try pair.a.read(first, 1) }
            for _ in 0..<Loop.endedStreamsKept {
                let (near, far) = try pair.stream()
                pair.b.engine.resetStream(far)
                #expect(throws: CallError.streamReset) { try pair.a.read(near, 1) }
            }
            #expect(throws: CallError.noSuchStream) { try pair.a.read(first, 1) }
        }

        @Test func oneSocketGetsItsShareOfATurnAndNoMore() throws {
            let kernel = SystemCalls.kernel, turns = Guarded(Turns())
            var system = kernel
            system.wait = { epoll, events, timeout in
                turns.with { $0.begin() }
                return kernel.wait(epoll, events, timeout)
            }
            system.receive = { socket, memory in
                let result = kernel.receive(socket, memory)
                turns.with { $0.received[socket, default: 0] += max(result, 0) }
                return result
            }
            system.send = { socket, pieces in
                let result = kernel.send(socket, pieces)
                turns.with { $0.sent[socket, default: 0] += max(result, 0) }
                return result
            }
            let a = try TestNode(), b = try TestNode(system: system)
            defer { a.engine.close(); b.engine.close() }
            try a.connect(to: b)
            _ = try a.engine.call(.perf(b.engine.localPeer, upload: 30 << 20, download: 30 << 20), timeout: .seconds(60))
            let most = turns.with { $0.begin(); return ($0.mostReceived, $0.mostSent) }
            // The shares are looked at before each call, which may take one more buffer, or one more batch of them.
            #expect(most.0 > 0 && most.0 <= Loop.receivedPerTurn + BufferPool.Size.bulk.byteCount)
            #expect(most.1 > 0 && most.1 <= 2 * Loop.sentPerTurn)
        }

        struct Turns {
            var received: [Int32: Int] = [:]
            var sent: [Int32: Int] = [:]
            var mostReceived = 0
            var mostSent = 0

            mutating func begin() {
                mostReceived = max(mostReceived, received.values.max() ?? 0)
                mostSent = max(mostSent, sent.values.max() ?? 0)
                received.removeAll()
                sent.removeAll()
            }
        }
    }
}
