import CSystem
import Foundation
import MeshNet
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite(.timeLimit(.minutes(1))) struct InboxTests {
        let peer = KeyPair.generate().peerID
        let other = KeyPair.generate().peerID
        let incarnation: Incarnation
        let wakeup: Wakeup
        let inbox: Inbox

        init() throws {
            var random = RandomSource(seed: Entropy.bytes(RandomSource.seedByteCount))
            incarnation = Incarnation(random: &random)
            wakeup = try Wakeup()
            inbox = try Inbox(settlements: Settlements(wakeup: wakeup))
        }

        func message(_ sequence: UInt64, _ lane: Lane = .normal, from peer: PeerID? = nil, request: UInt64? = nil) -> InboundMessage {
            InboundMessage(peer: peer ?? self.peer, incarnation: incarnation, lane: lane, sequence: sequence, request: request)
        }

        func put(_ messages: [(InboundMessage, [UInt8])]) {
            var batch = DeliveryBatch()
            for (message, bytes) in messages { bytes.withUnsafeBytes { batch.append(message, $0) } }
            inbox.put(&batch)
            #expect(batch.isEmpty)
        }

        func isReadable(_ descriptor: Int32) -> Bool {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) == 1
        }

        @Test func controlComesFirstAndEachLaneKeepsItsOrder() throws {
            put([(message(1, .bulk), [1]), (message(1), [2]), (message(2), [3])])
            put([(message(2, .bulk), [4]), (message(1, .control), [5]), (message(1, from: other), [6])])
            #expect(inbox.count == 6)
            var taken: [Delivery] = []
            try inbox.next(upTo: 4, timeout: .zero, into: &taken)
            try inbox.next(upTo: 4, timeout: .zero, into: &taken)
            #expect(try taken.map { try $0.body.bytes() } == [[5], [2], [3], [6], [1], [4]])
            #expect(taken[3].source.peer == other && taken[3].source !== taken[2].source && taken[1].source === taken[2].source)
            #expect(String(cString: taken[0].source.peerText) == peer.description)
            #expect(String(cString: taken[0].source.incarnationText) == incarnation.description)
            try inbox.next(upTo: 4, timeout: .zero, into: &taken)
            #expect(taken.count == 6 && inbox.count == 0)
        }

        /// Nothing is dropped here, and bodies of every size stay as they came while blocks are shared, left and given back.
        @Test func bytesOfAnySizeStayAsTheyCame() throws {
            let sizes = [0, 1, 15, 16, 255, 4_096, InboxBlock.largestShared, InboxBlock.largestShared + 1, 65_536, 1 << 20]
            var sequence: UInt64 = 0, expected: [[UInt8]] = []
            for round in 0..<40 {
                put(sizes.map { size in
                    sequence += 1
                    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ round) }
                    expected.append(bytes)
                    return (message(sequence), bytes)
                })
            }
            for bytes in expected {
                let delivery = try #require(try inbox.next(timeout: .zero))
                #expect(delivery.byteCount == bytes.count)
                #expect(try delivery.body.bytes() == bytes)
                let half = bytes.count / 2
                #expect(try delivery.body.bytes(from: half, upTo: 7) == Array(bytes[half...].prefix(7)))
            }
        }

        @Test func manySmallMessagesShareABlock() throws {
            put((1...1_000).map { (message($0), [UInt8](repeating: 7, count: 16)) })
            var taken: [Delivery] = [], blocks: Set<ObjectIdentifier> = []
            try inbox.next(upTo: 1_000, timeout: .zero, into: &taken)
            for delivery in taken {
                guard case .block(let block, _, _) = delivery.body else { continue }
                blocks.insert(ObjectIdentifier(block))
            }
            #expect(taken.count == 1_000 && blocks.count == 1)
        }

        @Test func theDescriptorFollowsTheState() throws {
            let descriptor = inbox.descriptor
            #expect(!isReadable(descriptor))
            put([(message(1), [1]), (message(2), [2])])
            #expect(isReadable(descriptor))
            #expect(try inbox.next(timeout: .zero)?.sequence == 1)
            #expect(isReadable(descriptor))
            #expect(try inbox.next(timeout: .zero)?.sequence == 2)
            #expect(!isReadable(descriptor))
            #expect(try inbox.next(timeout: .zero) == nil)
            inbox.close(keeping: true)
            #expect(isReadable(descriptor))
        }

        @Test(arguments: [true, false]) func afterTheCloseWhatWaitsIsKeptOrNot(keeping: Bool) throws {
            put([(message(1), [1])])
            inbox.close(keeping: keeping)
            if keeping { #expect(try inbox.next(timeout: nil)?.sequence == 1) }
            #expect(throws: CallError.closed) { try inbox.next(timeout: nil) }
            put([(message(2), [2])])
            #expect(throws: CallError.closed) { try inbox.next(timeout: .zero) }
        }

        @Test func blockedConsumersShareWhatComes() throws {
            let threads = 4, taken = Guarded(Set<UInt64>())
            let consumers = (0..<threads).map { _ in
                TestThread {
                    while let delivery = try? inbox.next(timeout: nil) { taken.with { _ = $0.insert(delivery.sequence) } }
                }
            }
            for first in stride(from: UInt64(1), through: 901, by: 100) { put((first..<first + 100).map { (message($0), [1]) }) }
            inbox.close(keeping: true)
            for consumer in consumers { consumer.join() }
            #expect(taken.with { $0.count } == 1_000)
        }

        @Test func asynchronousConsumersAreServedInTurnAndCanGiveUp() async throws {
            let inbox = inbox
            let waiting = Task { try await inbox.next().sequence }, cancelled = Task { try await inbox.next().sequence }
            cancelled.cancel()
            await #expect(throws: CallError.cancelled) { try await cancelled.value }
            put([(message(1), [1]), (message(2), [2])])
            #expect(try await waiting.value == 1)
            #expect(try await inbox.next().sequence == 2)
            let last = Task { try await inbox.next() }
            inbox.close(keeping: false)
            await #expect(throws: CallError.closed) { try await last.value }
        }

        @Test func manySettlementsWakeTheReactorOnce() throws {
            put((1...100).map { (message($0, request: $0), [1, 2, 3]) })
            var taken: [Delivery] = [], settled: [Delivery] = []
            try inbox.next(upTo: 100, timeout: .zero, into: &taken)
            #expect(!isReadable(wakeup.descriptor))
            for delivery in taken { inbox.settlements.settle(delivery) }
            var count: eventfd_t = 0
            #expect(eventfd_read(wakeup.descriptor, &count) == 0 && count == 1)
            inbox.settlements.take(into: &settled)
            #expect(settled.map(\.message) == (1...100).map { message($0, request: $0) })
            #expect(settled.allSatisfy { $0.byteCount == 3 })
            inbox.settlements.close()
            inbox.settlements.settle(taken[0])
            inbox.settlements.take(into: &settled)
            #expect(settled.isEmpty)
        }

        @Test func settlementsOnWhichNothingDependsWaitForATurn() throws {
            put((1...2_000).map { (message($0), []) })
            var taken: [Delivery] = [], settled: [Delivery] = []
            try inbox.next(upTo: 2_000, timeout: .zero, into: &taken)
            inbox.settlements.setUrgent(false)
            inbox.settlements.settle(taken[0])
            #expect(!isReadable(wakeup.descriptor))
            // A peer is held back now.
            inbox.settlements.setUrgent(true)
            var count: eventfd_t = 0
            #expect(eventfd_read(wakeup.descriptor, &count) == 0 && count == 1)
            inbox.settlements.take(into: &settled)
            #expect(settled.count == 1)
            // However quiet, they do not pile up.
            inbox.settlements.setUrgent(false)
            for delivery in taken[1...] { inbox.settlements.settle(delivery) }
            #expect(eventfd_read(wakeup.descriptor, &count) == 0 && count == 1)
        }

        @Test func textsOfPeersAreKeptWithinTheirBound() throws {
            var batch = DeliveryBatch()
            for number in 0..<DeliveryBatch.maximumSources + 10 {
                let peer = try PeerID(multihash: [0, 8] + withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) })
                withUnsafeBytes(of: UInt8(1)) { batch.append(message(1, from: peer), $0) }
                #expect(batch.sourceCount <= DeliveryBatch.maximumSources)
            }
        }
    }
}
