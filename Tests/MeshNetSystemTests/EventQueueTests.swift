import CSystem
import Foundation
import MeshNet
import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite(.timeLimit(.minutes(1))) struct EventQueueTests {
        let peer = KeyPair.generate().peerID

        func queue(count: Int = 4, bytes: Int = 1 << 20, accepts: Int = 2) throws -> EventQueue {
            var limits = Limits()
            limits.eventQueueCount = count
            limits.eventQueueBytes = bytes
            limits.pendingAccepts = accepts
            return try EventQueue(limits: limits)
        }

        func message(_ size: Int = 1) -> QueueItem {
            .event(.message(Message(topic: "t", origin: peer, receivedFrom: peer, payload: SharedBytes([UInt8](repeating: 0, count: size)))))
        }

        func connection() throws -> PeerConnection {
            PeerConnection(peer: peer, address: try Multiaddr("/ip4/127.0.0.1/tcp/1"), direction: .inbound)
        }

        func isReadable(_ descriptor: Int32) -> Bool {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) == 1
        }

        /// A name for the next item; nil when nothing waits.
        func next(_ queue: EventQueue) throws -> String? {
            switch try queue.next(timeout: .zero) {
            case .event(.message): "message"
            case .messages(let run): "messages \(run.count)"
            case .event(.messagesDropped(let count)): "dropped \(count)"
            case .event(.connected): "connected"
            case .event(.disconnected): "disconnected"
            case .event(.streamOpened(let stream, _, _)): "stream \(stream.rawValue)"
            case .completion(let ticket, _): "completion \(ticket.rawValue)"
            case .reply(let ticket, _, _): "reply \(ticket.rawValue)"
            case .accepted(let ticket): "accepted \(ticket.rawValue)"
            case .event: "event"
            case nil: nil
            }
        }

        @Test func messagesBeyondTheCountAreDroppedAndReported() throws {
            let queue = try queue(count: 4)
            for _ in 0..<7 { queue.put(message()) }
            #expect(queue.count == 4)
            #expect(try next(queue) == "message")
            for _ in 0..<3 { #expect(try next(queue) == "message") }
            #expect(try next(queue) == "dropped 3")
            #expect(try next(queue) == nil)
        }

        private func run(_ range: Range<UInt8>) -> TopicRun {
            var run = TopicRun(topic: "t", origin: peer, receivedFrom: peer)
            for number in range { run.append(SharedBytes([number])) }
            return run
        }

        /// Payloads of what can be taken at once, and what else.
        private func take(_ queue: EventQueue, upTo count: Int) throws -> [String] {
            try queue.next(upTo: count, timeout: .zero).flatMap { item -> [String] in
                switch item {
                case .messages(let run): (0..<run.count).map { "\(run[$0].array[0])" }
                case .event(.message(let message)): ["\(message.data[0])"]
                case .event(.messagesDropped(let count)): ["dropped \(count)"]
                default: ["other"]
                }
            }
        }

        /// Messages that travel together count and come one by one.
        @Test func aRunIsTakenInPartsAndOneByOne() throws {
            let queue = try queue(count: 100)
            queue.put(run(0..<5))
            queue.put(message())
            queue.put(run(10..<20))
            #expect(queue.count == 16)
            #expect(try take(queue, upTo: 3) == ["0", "1", "2"])
            guard case .event(.message(let third))? = try queue.next(timeout: .zero) else {
                Issue.record("no message")
                return
            }
            #expect(third.data == [3] && third.topic == "t" && third.receivedFrom == peer && queue.count == 12)
            #expect(try take(queue, upTo: 100) == ["4", "0"] + (10..<20).map { "\($0)" })
            #expect(queue.count == 0)
        }

        @Test func ofARunBeyondTheBoundsTheRestIsDroppedAndCounted() throws {
            let queue = try queue(count: 4)
            queue.put(run(0..<3))
            queue.put(run(10..<15))
            #expect(queue.count == 4)
            #expect(try take(queue, upTo: 10) == ["0", "1", "2", "10", "dropped 4"])
            let narrow = try self.queue(count: 100, bytes: 3 * (QueueState.messageOverhead + 2))
            narrow.put(run(0..<2))
            narrow.put(run(2..<5))
            #expect(try take(narrow, upTo: 2) == ["0", "1"])
            narrow.put(run(5..<9))
            #expect(try take(narrow, upTo: 10) == ["2", "dropped 2", "5", "6", "dropped 2"])
        }

        @Test func foundPeersBeyondTheOfferQueueAreTurnedAwayUntilTheApplicationReads() throws {
            let queue = try queue(count: 100)
            let found = QueueItem.event(.discovered(Discovery(peer: peer, addresses: [], source: .mdns, interface: nil)))
            for _ in 0..<10 { #expect(queue.put(found) == .taken) }
            #expect(queue.put(found) == .dropped)
            #expect(try next(queue) == "event")
            #expect(queue.put(found) == .taken)
            #expect(queue.put(found) == .dropped)
            queue.setOfferLimit(12)
            #expect(queue.put(found) == .taken)
            #expect(queue.put(message()) == .taken)
            while try next(queue) == "event" {}
            #expect(try next(queue) == nil, "found peers are not counted as lost messages")
        }

        @Test func messagesBeyondTheBytesAreDropped() throws {
            let queue = try queue(count: 100, bytes: 1_000)
            #expect(queue.put(message(700)) == .taken)
            #expect(queue.put(message(700)) == .dropped)
            #expect(try next(queue) == "message")
            #expect(queue.put(message(700)) == .taken)
            #expect(try next(queue) == "dropped 1")
        }

        @Test func completionsAreNeverDropped() throws {
            let queue = try queue(count: 1)
            for number in 1...10 { #expect(queue.post(Ticket(rawValue: UInt64(number)), .success(.done))) }
            for number in 1...10 { #expect(try next(queue) == "completion \(number)") }
        }

        @Test func comingsAndGoingsInAFullQueueCancelOut() throws {
            let queue = try queue(count: 2)
            queue.put(message())
            queue.put(message())
            for _ in 0..<1_000 {
                queue.put(.event(.connected(try connection())))
                queue.put(.event(.disconnected(try connection(), cause: .closedByPeer)))
            }
            #expect(queue.count == 2)
            queue.put(.event(.connected(try connection())))
            #expect(try next(queue) == "message")
            #expect(try next(queue) == "message")
            #expect(try next(queue) == "connected")
            #expect(try next(queue) == nil)
            // The connected event was read: its disconnected event is kept, full or not.
            queue.put(message())
            queue.put(message())
            #expect(queue.put(.event(.disconnected(try connection(), cause: .closedByPeer))) == .taken)
        }

        @Test func streamsBeyondTheirLimitAreRefused() throws {
            let queue = try queue(count: 100, accepts: 2)
            func open(_ id: UInt64) -> EventQueue.Acceptance {
                queue.put(.event(.streamOpened(stream: StreamID(rawValue: id), peer: peer, protocolID: "/x")))
            }
            #expect(open(1) == .taken)
            #expect(open(2) == .taken)
            #expect(open(3) == .dropped)
            #expect(try next(queue) == "stream 1")
            #expect(open(4) == .taken)
        }

        @Test func descriptorIsReadableExactlyWhileItemsWait() throws {
            let queue = try queue()
            queue.put(message())
            let descriptor = queue.descriptor
            #expect(isReadable(descriptor))
            _ = try next(queue)
            #expect(!isReadable(descriptor))
            queue.put(message())
            #expect(isReadable(descriptor))
            _ = try next(queue)
            queue.close()
            #expect(isReadable(descriptor))
        }

        @Test func whatWaitsCanBeDrainedAfterTheClose() throws {
            let queue = try queue()
            queue.put(message())
            queue.close()
            #expect(queue.put(message()) == .closed)
            #expect(!queue.post(Ticket(rawValue: 1), .success(.done)))
            #expect(try next(queue) == "message")
            #expect(throws: CallError.closed) { try queue.next(timeout: nil) }
            #expect(throws: CallError.closed) { try queue.next(timeout: nil) }
        }

        @Test func timeoutsEnd() throws {
            let queue = try queue()
            let start = Instant.now()
            #expect(try queue.next(timeout: .milliseconds(20)) == nil)
            #expect(Instant.now() - start >= .milliseconds(20))
        }

        @Test func severalBlockedConsumersShareTheItems() throws {
            let queue = try queue(count: 1_000)
            let counts = Guarded([Int](repeating: 0, count: 4))
            let threads = (0..<4).map { index in
                TestThread {
                    while (try? queue.next(timeout: nil)) != nil { counts.with { $0[index] += 1 } }
                }
            }
            for _ in 0..<1_000 { queue.put(message()) }
            queue.close()
            for thread in threads { thread.join() }
            #expect(counts.with { $0.reduce(0, +) } == 1_000)
        }

        @Test func asynchronousConsumersAreServedInOrderAndCancelled() async throws {
            let queue = try queue(count: 1_000)
            let sum = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        var count = 0
                        while (try? await queue.next()) != nil { count += 1 }
                        return count
                    }
                }
                for _ in 0..<500 { queue.put(message()) }
                queue.close()
                return await group.reduce(0, +)
            }
            #expect(sum == 500)

            let other = try self.queue()
            let task = Task { try await other.next() }
            task.cancel()
            await #expect(throws: CallError.cancelled) { try await task.value }
            other.put(message())
            #expect(try next(other) == "message")
        }
    }
}
