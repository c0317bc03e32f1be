import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Synchronization
import Testing

extension SystemTests {
    /// Messages through two engines on the loopback: calls, tickets, the inbox and its settlements.
    @Suite(.timeLimit(.minutes(2))) struct EngineMessageTests {
        let patience = TestNode.patience

        private final class Count: Sendable { let value = Atomic(0) }

        func send(
            _ node: TestNode, _ message: OutboundMessage, _ bodies: [[UInt8]], until point: Engine.SendPoint = .accepted, timeout: Duration? = nil
        ) -> SendReport {
            // One block of memory for all, as a face lends it.
            let bytes = bodies.flatMap { $0 }
            return bytes.withUnsafeBytes { view in
                var views: [UnsafeRawBufferPointer] = [], start = 0
                for body in bodies {
                    views.append(UnsafeRawBufferPointer(rebasing: view[start..<start + body.count]))
                    start += body.count
                }
                return node.engine.sendBlocking(message, views, until: point, timeout: timeout)
            }
        }

        func status(_ node: TestNode, of peer: PeerID) throws -> ChannelStatus? {
            guard case .channels(let channels) = try node.engine.call(.channels(peer), timeout: patience) else { return nil }
            return channels.first
        }

        @Test func manyMessagesArriveOnceAndInOrderAndAreSettled() throws {
            let pair = try TestPair(), count = 10_000
            defer { pair.close() }
            let message = OutboundMessage(peer: pair.b.engine.localPeer)
            let consumer = TestThread {
                let inbox = pair.b.engine.inbox
                var seen = 0
                while seen < count {
                    guard let taken = try? inbox.take(1_000, timeout: TestNode.patience), !taken.isEmpty else { break }
                    for delivery in taken {
                        let number = (try? delivery.body.bytes())?.reduce(0) { $0 << 8 | Int($1) }
                        #expect(number == seen && delivery.sequence == UInt64(seen + 1))
                        seen += 1
                        inbox.settlements.settle(delivery)
                    }
                }
                #expect(seen == count)
            }
            let bodies = (0..<count).map { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }
            let report = send(pair.a, message, bodies, until: .delivered, timeout: nil)
            #expect(report.count == count && report.failure == nil)
            consumer.join()
            let deadline = Instant.now() + patience
            while try status(pair.b, of: pair.a.engine.localPeer)?.unsettledMessages != 0, Instant.now() < deadline {}
            let settled = try status(pair.b, of: pair.a.engine.localPeer)
            #expect(settled?.unsettledMessages == 0 && settled?.unsettledBytes == 0 && settled?.received == UInt64(count))
        }

        /// The inbox drops nothing: what is not taken fills the budget of its sender, and moves on when it is settled.
        @Test func whatIsNotTakenHoldsTheSenderBack() throws {
            let a = try TestNode { $0.messages.queueBytes = 300_000 }, b = try TestNode { $0.messages.receiveBytes = 100_000 }
            defer { a.engine.close(); b.engine.close() }
            try a.connect(to: b)
            var options = SendOptions()
            options.whenFull = .fail
            let message = OutboundMessage(peer: b.engine.localPeer, options: options), body = [UInt8](repeating: 7, count: 10_000)
            var accepted = 0
            // The budget, the window of a stream, buffers and the queue: far below this.
            let most = 10_000
            while accepted < most, send(a, message, [body], timeout: patience).failure == nil { accepted += 1 }
            #expect(accepted < most)
            #expect(b.engine.inbox.count <= 100_000 / 10_000 + 1)
            for _ in 0..<accepted {
                let delivery = try #require(try b.engine.inbox.next(timeout: patience))
                b.engine.inbox.settlements.settle(delivery)
            }
            #expect(try b.engine.inbox.next(timeout: .zero) == nil)
        }

        @Test func whatHasNotEndedInTimeIsTakenBack() throws {
            let node = try TestNode(), nobody = KeyPair.generate().peerID
            defer { node.engine.close() }
            let report = send(node, OutboundMessage(peer: nobody), [[1], [2]], until: .delivered, timeout: .milliseconds(20))
            #expect(report.failure == .timedOut && report.count == 0)
            #expect(try status(node, of: nobody)?.queuedMessages == [0, 0, 0])
        }

        @Test func largeMessagesAndRepliesGoThroughFiles() throws {
            let a = try TestNode { $0.messages.spoolThreshold = 50_000 }, b = try TestNode { $0.messages.spoolThreshold = 50_000 }
            defer { a.engine.close(); b.engine.close() }
            try a.connect(to: b)
            let large = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 / 251) }
            let server = TestThread {
                guard let request = try? b.engine.inbox.next(timeout: TestNode.patience), let number = request.request else { return }
                guard case .file = request.body, let bytes = try? request.body.bytes() else { return }
                var reply = OutboundMessage(peer: request.source.peer, kind: .reply(number))
                reply.options.lane = request.lane
                _ = send(b, reply, [bytes.reversed()], until: .accepted, timeout: TestNode.patience)
                b.engine.inbox.settlements.settle(request)
            }
            let report = send(a, OutboundMessage(peer: b.engine.localPeer, kind: .request), [large], until: .delivered, timeout: patience)
            #expect(report.failure == nil)
            guard let reply = report.reply, case .file = reply else {
                Issue.record("the reply came as \(String(describing: report.reply))")
                return
            }
            let bytes = try reply.bytes()
            #expect(bytes == large.reversed())
            server.join()
        }

        /// The acknowledgement of a reply travels with the next request, that of a request with its reply.
        @Test func aRequestAndItsReplyAreOneSystemCallEach() throws {
            let sends = [Count(), Count()], rounds = 200
            func counting(_ index: Int) -> SystemCalls {
                var system = SystemCalls.kernel
                system.send = { [count = sends[index]] socket, pieces in
                    count.value.wrappingAdd(1, ordering: .relaxed)
                    return SystemCalls.kernel.send(socket, pieces)
                }
                return system
            }
            let a = try TestNode(system: counting(0)), b = try TestNode(system: counting(1))
            defer { a.engine.close(); b.engine.close() }
            try a.connect(to: b)
            let server = TestThread {
                for _ in 0...rounds {
                    guard let request = try? b.engine.inbox.next(timeout: TestNode.patience), let number = request.request else { return }
                    _ = send(b, OutboundMessage(peer: request.source.peer, kind: .reply(number)), [[2]], until: .accepted, timeout: TestNode.patience)
                    b.engine.inbox.settlements.settle(request)
                }
            }
            let question = OutboundMessage(peer: b.engine.localPeer, kind: .request)
            #expect(send(a, question, [[1]], until: .delivered, timeout: patience).failure == nil)
            let before = sends.map { $0.value.load(ordering: .relaxed) }
            for _ in 0..<rounds { #expect(send(a, question, [[1]], until: .delivered, timeout: patience).failure == nil) }
            server.join()
            let counts = zip(sends, before).map { $0.value.load(ordering: .relaxed) - $1 }
            // Acknowledgements that became due while a thread had no processor go alone.
            #expect(counts.allSatisfy { $0 <= rounds + rounds / 2 }, "\(counts) for \(rounds) round trips")
        }

        @Test func aFileOfTheApplicationIsSentAsItIs() throws {
            let a = try TestNode { $0.messages.spoolThreshold = 1_000; $0.messages.maximumMessageSize = 100_000 }, b = try TestNode()
            defer { a.engine.close(); b.engine.close() }
            try a.connect(to: b)
            let path = NSTemporaryDirectory() + "meshnet-send-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: path) }
            for size in [0, 1, 1_000, 1_001, 99_999, 100_000] {
                let content = Data((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 13) })
                try content.write(to: URL(fileURLWithPath: path))
                let body = try a.engine.bodies.content(of: path)
                let report = a.engine.sendBlocking(OutboundMessage(peer: b.engine.localPeer), body, until: .delivered, timeout: patience)
                #expect(report.failure == nil)
                let delivery = try #require(try b.engine.inbox.next(timeout: patience))
                #expect(try Data(delivery.body.bytes()) == content)
                b.engine.inbox.settlements.settle(delivery)
            }
            try Data(count: 100_001).write(to: URL(fileURLWithPath: path))
            do {
                _ = try a.engine.bodies.content(of: path)
                Issue.record("a file above the limit was taken")
            } catch {
                guard case .call(.messageTooLarge(_, 100_000)) = error else {
                    Issue.record("\(error)")
                    return
                }
            }
        }

        @Test func theCloseEndsWhatWaits() throws {
            let node = try TestNode(), nobody = KeyPair.generate().peerID
            let ended = Guarded<[CallError?]>([])
            for _ in 0..<100 {
                node.engine.send(OutboundMessage(peer: nobody), .bytes([1]), accepted: nil) { report in ended.with { $0.append(report.failure) } }
            }
            node.engine.close()
            #expect(ended.with { $0 } == [CallError?](repeating: .closed, count: 100))
            let late = send(node, OutboundMessage(peer: nobody), [[1]])
            #expect(late.failure == .closed)
        }

        /// A lookup that hangs, a dial into a black hole, a full queue and callers that wait for room in it.
        @Test func theCloseTakesUnderTwoSecondsWhateverHangs() throws {
            let names = try #require(NameServer())
            let node = try TestNode(nameServers: names.text) { $0.messages.queueMessages = 1_000 }
            let peer = KeyPair.generate().peerID, addresses = ["/dns4/silent.test/tcp/9", "/ip4/192.0.2.1/tcp/9"]
            _ = try node.engine.call(.reconnect(peer, addresses.map { try Multiaddr($0) }), timeout: patience)
            let ended = Guarded<[CallError?]>([]), count = 1_500
            for _ in 0..<count {
                node.engine.send(OutboundMessage(peer: peer), .bytes([1]), accepted: nil) { report in ended.with { $0.append(report.failure) } }
            }
            #expect(try status(node, of: peer)?.queuedMessages == [0, 1_000, 0])
            let start = Instant.now()
            node.engine.close()
            #expect(Instant.now() - start < .seconds(2))
            #expect(ended.with { $0 } == [CallError?](repeating: .closed, count: count))
        }

        @Test func bytesThatWaitToBeAcceptedAreBounded() throws {
            let mailbox = try Mailbox(unacceptedLimit: 1_000)
            func call(_ count: Int) -> SendCall {
                SendCall(
                    OutboundMessage(peer: KeyPair.generate().peerID), .owned([UInt8](repeating: 0, count: count)), firstTicket: mailbox.makeTicket(),
                    accepted: nil, ended: nil)
            }
            #expect(mailbox.post(.send(call(2_000))) == nil, "a single larger one passes")
            #expect(mailbox.post(.send(call(1))) == .limitReached("bytes of messages waiting to be accepted: 1000"))
            mailbox.sendAccepted(2_000)
            #expect(mailbox.post(.send(call(400))) == nil && mailbox.post(.send(call(600))) == nil)
            #expect(mailbox.post(.send(call(1))) != nil)
        }
    }
}
