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

        /// Messages that came together, from number `first` on.
        func putRun(_ first: UInt64, _ bodies: [[UInt8]], _ lane: Lane = .normal) {
            var batch = DeliveryBatch(), frames: [UInt8] = []
            for body in bodies {
                Varint.append(UInt64(body.count + 1), to: &frames)
                frames += [MessageFrame.FrameType.message.rawValue] + body
            }
            frames.withUnsafeBytes { view in
                let run = LaneRun(sequence: first, count: bodies.count, bodyByteCount: bodies.reduce(0) { $0 + $1.count }, frames: view)
                batch.append(InboundRun(peer: peer, incarnation: incarnation, lane: lane, run: run))
            }
            inbox.put(&batch)
        }

        func isReadable(_ descriptor: Int32) -> Bool {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) == 1
        }

        @Test func controlComesFirstAndEachLaneKeepsItsOrder() throws {
            put([(message(1, .bulk), [1]), (message(1), [2]), (message(2), [3])])
            put([(message(2, .bulk), [4]), (message(1, .control), [5]), (message(1, from: other), [6])])
            #expect(inbox.count == 6)
            var taken = try inbox.take(4)
            taken += try inbox.take(4)
            #expect(try taken.map { try $0.body.bytes() } == [[5], [2], [3], [6], [1], [4]])
            #expect(taken[3].source.peer == other && taken[3].source !== taken[2].source && taken[1].source === taken[2].source)
            #expect(String(cString: taken[0].source.peerText) == peer.description)
            #expect(String(cString: taken[0].source.incarnationText) == incarnation.description)
            #expect(try inbox.take(4).isEmpty && taken.count == 6 && inbox.count == 0)
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
            let taken = try inbox.take(1_000)
            var blocks: Set<ObjectIdentifier> = []
            for delivery in taken {
                guard case .block(let block, _, _) = delivery.body else { continue }
                blocks.insert(ObjectIdentifier(block))
            }
            #expect(taken.count == 1_000 && blocks.count == 1)
        }

        /// Taken in parts, alone and together with others, they are what they would be had each come alone.
        @Test func aRunIsTakenInAnyParts() throws {
            let bodies = (0..<100).map { number in [UInt8](repeating: UInt8(number), count: number % 7 == 0 ? 300 + number : number % 5) }
            for part in [1, 2, 3, 7, 99, 100, 1_000] {
                put([(message(1, .control), [9])])
                putRun(1, Array(bodies[..<60]))
                put([(message(61), bodies[60])])
                putRun(62, Array(bodies[61...]))
                #expect(inbox.count == 101)
                var taken: [Delivery] = []
                while inbox.count > 0 {
                    if part % 2 == 1, let one = try inbox.next(timeout: .zero) { taken.append(one) }
                    taken += try inbox.take(part)
                }
                #expect(try taken.map { try $0.body.bytes() } == [[9]] + bodies)
                #expect(taken.dropFirst().map(\.sequence) == Array(1...100))
                #expect(taken.allSatisfy { $0.request == nil && !$0.isRedelivered && $0.source.peer == peer })
                #expect(!isReadable(inbox.descriptor))
            }
        }

        @Test func settlementsOfRunsAreCountedTogether() throws {
            putRun(1, [[1], [2, 2], [3]])
            let source = try inbox.take(3)[0].source
            var settled: [Settlements.Item] = []
            inbox.settlements.settle(source, .normal, count: 1, byteCount: 1)
            inbox.settlements.settle(source, .normal, count: 2, byteCount: 3)
            inbox.settlements.settle(source, .bulk, count: 1, byteCount: 7)
            inbox.settlements.settle(MessageSource(peer: peer, incarnation: incarnation), .bulk, count: 1, byteCount: 5)
            inbox.settlements.take(into: &settled)
            let sums = settled.map { item -> [Int] in
                if case .several(_, let lane, let count, let bytes) = item { [Int(lane.rawValue), count, bytes] } else { [] }
            }
            #expect(sums == [[1, 3, 4], [2, 1, 7], [2, 1, 5]])
            #expect(!isReadable(wakeup.descriptor), "nobody waits for room")
        }

        /// Whoever waits learns of what came before, and is woken for what comes then.
        @Test func settlementsOfRunsWakeWhereRoomIsAwaited() throws {
            putRun(1, [[1], [2, 2], [3]])
            let source = try inbox.take(3)[0].source
            var settled: [Settlements.Item] = []
            #expect(!inbox.settlements.setAwaited(0))
            inbox.settlements.settle(source, .normal, count: 1, byteCount: 1)
            inbox.settlements.settle(source, .normal, count: 1, byteCount: 2)
            var count: eventfd_t = 0
            #expect(eventfd_read(wakeup.descriptor, &count) == 0 && count == 1)
            inbox.settlements.take(into: &settled)
            #expect(!inbox.settlements.setAwaited(nil))
            inbox.settlements.settle(source, .normal, count: 1, byteCount: 1)
            #expect(!isReadable(wakeup.descriptor) && inbox.settlements.setAwaited(0))
        }

        /// A consumer that is slower than its peer does not wake the reactor for each message, but one that has nothing more to take does.
        @Test func settlementsWakeForTheRoomThatIsAwaitedOrWhenNothingWaits() throws {
            func serve() {
                var settled: [Settlements.Item] = []
                wakeup.clear()
                inbox.settlements.take(into: &settled)
                #expect(!settled.isEmpty)
            }
            putRun(1, [[1], [2], [3]])
            let source = try inbox.take(2)[0].source, each = 1 + LaneSender.messageOverhead
            #expect(!inbox.settlements.setAwaited(3 * each))
            inbox.settlements.settle(source, .normal, count: 2, byteCount: 2)
            #expect(!isReadable(wakeup.descriptor), "one message waits, and less than is awaited was settled")
            inbox.settlements.settle(source, .normal, count: 1, byteCount: 1)
            #expect(isReadable(wakeup.descriptor))
            serve()

            inbox.settlements.settle(source, .normal, count: 1, byteCount: 1)
            #expect(!isReadable(wakeup.descriptor) && !inbox.settlements.setAwaited(3 * each))
            _ = try inbox.take(1)
            #expect(isReadable(wakeup.descriptor), "nothing waits any more")
            serve()

            inbox.settlements.settle(source, .normal, count: 1, byteCount: 1)
            #expect(isReadable(wakeup.descriptor))
            serve()

            putRun(4, [[1]])
            inbox.settlements.settle(source, .normal, count: 1, byteCount: 1)
            #expect(!isReadable(wakeup.descriptor), "something waits again")
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
            let taken = try inbox.take(100)
            var settled: [Settlements.Item] = []
            #expect(!inbox.settlements.setAwaited(0) && !isReadable(wakeup.descriptor))
            for delivery in taken { inbox.settlements.settle(delivery) }
            var count: eventfd_t = 0
            #expect(eventfd_read(wakeup.descriptor, &count) == 0 && count == 1)
            inbox.settlements.take(into: &settled)
            let deliveries = settled.compactMap { if case .one(let delivery) = $0 { delivery } else { nil } }
            #expect(deliveries.map(\.message) == (1...100).map { message($0, request: $0) })
            #expect(deliveries.allSatisfy { $0.byteCount == 3 })
            inbox.settlements.close()
            inbox.settlements.settle(taken[0])
            inbox.settlements.take(into: &settled)
            #expect(settled.isEmpty)
        }

        @Test func settlementsOnWhichNothingDependsWaitForATurn() throws {
            put((1...2_000).map { (message($0), []) })
            let taken = try inbox.take(2_000)
            var settled: [Settlements.Item] = []
            inbox.settlements.settle(taken[0])
            #expect(!isReadable(wakeup.descriptor))
            // A peer is held back now.
            #expect(inbox.settlements.setAwaited(0))
            inbox.settlements.take(into: &settled)
            #expect(settled.count == 1)
            // However quiet, they do not pile up.
            #expect(!inbox.settlements.setAwaited(nil))
            var count: eventfd_t = 0
            for delivery in taken[1...] { inbox.settlements.settle(delivery) }
            #expect(eventfd_read(wakeup.descriptor, &count) == 0 && count == 1)
        }

        @Test func memoryOfBlocksIsUsedAgainWithinItsBound() throws {
            let bytes = [UInt8](repeating: 7, count: InboxBlock.largestShared), each = InboxBlock.sharedByteCount / bytes.count
            var batch = DeliveryBatch()
            let pool = batch.pool, blocks = InboxBlockPool.largest + 4
            for number in 1...UInt64(blocks * each) { bytes.withUnsafeBytes { batch.append(message(number), $0) } }
            inbox.put(&batch)
            var taken = try inbox.take(each)
            withExtendedLifetime(taken) { #expect(pool.count == 0) }
            taken = []
            #expect(pool.count == 1)
            taken = try inbox.take(blocks * each)
            for number in 1...UInt64(each) { bytes.withUnsafeBytes { batch.append(message(number), $0) } }
            #expect(pool.count == 0, "the new block has the memory of the old one")
            #expect(try taken.allSatisfy { try $0.body.bytes() == bytes })
            taken = []
            #expect(pool.count == InboxBlockPool.largest)
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

extension InboxItem {
    var deliveries: [Delivery] {
        switch self {
        case .one(let delivery): return [delivery]
        case .run(var run): return (0..<run.count).map { _ in run.popFirst() }
        }
    }
}

extension Inbox {
    /// Up to `count` messages, each for itself.
    func take(_ count: Int, timeout: Duration? = .zero) throws(CallError) -> [Delivery] {
        try next(upTo: count, timeout: timeout).flatMap(\.deliveries)
    }
}
