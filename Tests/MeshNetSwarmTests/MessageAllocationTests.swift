import CAllocationCounter
import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// What a message costs from `send` to `settled`, between two swarms that are connected and warm.
@Suite struct MessageAllocationTests {
    private struct End {
        var swarm: Swarm
        let connection: ConnectionID
        var inbox: [(message: InboundMessage, byteCount: Int)] = []
        var runs: [(peer: PeerID, lane: Lane, count: Int, byteCount: Int)] = []
        var ended = 0
        var accepted = 0
        var heard = 0

        init(_ swarm: Swarm, to peer: PeerID) throws {
            self.swarm = swarm
            connection = try #require(swarm.peers[peer]?.primary)
            inbox.reserveCapacity(10_000)
            runs.reserveCapacity(1_000)
        }

        mutating func turn(now: Instant) {
            if let deadline = swarm.deadline, deadline <= now { swarm.handleTimeout(now: now) }
            for _ in 0..<2 {
                while let action = swarm.poll() {
                    switch action {
                    case .deliver(let message, let view): inbox.append((message, view.count))
                    case .deliverRun(let run): runs.append((run.peer, run.lane, run.run.count, run.run.bodyByteCount))
                    case .acceptedRun(_, let count): accepted += count
                    case .messages(let messages): heard += messages.count
                    case .event(.message): heard += 1
                    default: break
                    }
                    if case .complete = action { ended += 1 }
                }
                for (message, byteCount) in inbox { swarm.settled(message, byteCount: byteCount, now: now) }
                for run in runs { swarm.settled(run.peer, run.lane, count: run.count, byteCount: run.byteCount, now: now) }
                inbox.removeAll(keepingCapacity: true)
                runs.removeAll(keepingCapacity: true)
                swarm.flush(now: now)
            }
        }

        /// Everything there is to send.
        mutating func transmit(to other: inout End, now: Instant) {
            while swarm.hasOutput(connection), let space = other.swarm.receiveSpace(other.connection), !space.isEmpty {
                var count = 0
                swarm.withTransmitBuffers(connection, { list in
                    for buffer in list {
                        let size = min(buffer.count, space.count - count)
                        UnsafeMutableRawBufferPointer(rebasing: space[count..<count + size])
                            .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<size]))
                        count += size
                    }
                    return count
                }, now: now)
                other.swarm.received(other.connection, count: count, now: now)
                other.turn(now: now)
                turn(now: now)
            }
        }
    }

    enum Way { case alone, withTicket, together }

    /// Optimised, a message that passes with others costs none. What is a frame's, a turn's or a timer's is shared by the messages of a turn, some hundreds
    /// in all: half of one each when a thousand share it.
    /// Unoptimised code allocates for its coroutines; the bound there keeps anything from growing with the queue.
    @Test(
        .enabled(if: allocation_count() >= 0, "the heap of a sanitizer is not counted"),
        arguments: [Way.alone, .withTicket, .together]
    ) func messagesCostNoAllocation(_ way: Way) throws {
        let network = messagePair(21)
        let peers = network.nodes.map(\.peer)
        var sender = try End(#require(network.nodes[0].swarm), to: peers[1]), receiver = try End(#require(network.nodes[1].swarm), to: peers[0])
        network.nodes[0].swarm = nil
        network.nodes[1].swarm = nil
        let body = [UInt8](repeating: 7, count: 16), message = OutboundMessage(peer: peers[1], kind: .message, options: SendOptions())
        var now = network.now, sent: UInt64 = 0
        let messagesOfATurn = 1_000, rounds = 10
        func round() {
            now = now + .milliseconds(60)
            if way == .together {
                sent += UInt64(messagesOfATurn)
                body.withUnsafeBytes { view in
                    let bodies = [UnsafeRawBufferPointer](repeating: view, count: messagesOfATurn)
                    sender.swarm.sendRun(message, bodies, ticket: Ticket(rawValue: 1), now: now)
                }
            } else {
                for _ in 0..<messagesOfATurn {
                    sent += 1
                    let ticket = way == .withTicket ? Ticket(rawValue: 1_000_000 + sent) : nil
                    body.withUnsafeBytes { sender.swarm.send(message, .view($0), ticket: ticket, now: now) }
                }
            }
            sender.turn(now: now)
            sender.transmit(to: &receiver, now: now)
            receiver.turn(now: now)
            receiver.transmit(to: &sender, now: now)
        }
        for _ in 0..<rounds { round() }
        sent = 0
        let ended = sender.ended, before = allocation_count()
        for _ in 0..<rounds { round() }
        let allocations = allocation_count() - before
        let place = receiver.swarm.channel(of: peers[0]), at = try #require(place)
        #expect(receiver.swarm.messages.channels[at].received == 2 * UInt64(rounds * messagesOfATurn), "messages did not flow")
        if way == .together { #expect(sender.accepted == 2 * rounds * messagesOfATurn) }
        if way == .withTicket { #expect(sender.ended - ended >= (rounds - 1) * messagesOfATurn) }
        let perMessage = Double(allocations) / Double(sent)
        #if DEBUG
        #expect(perMessage <= 60, "\(perMessage) for each message")
        #else
        // Measured: 1.46, with tickets 1.62.
        #expect(perMessage <= 1.75, "\(perMessage) for each message")
        #endif
    }

    /// Messages of a topic lie in shared blocks from the socket to the application.
    @Test(.enabled(if: allocation_count() >= 0, "the heap of a sanitizer is not counted")) func publishedMessagesCostFewAllocations() throws {
        let network = messagePair(22) { $0.gossipsub.signaturePolicy = .strictNoSign }
        network.perform(.subscribe("t"), at: 1)
        network.run(for: .seconds(3))
        let peers = network.nodes.map(\.peer)
        var publisher = try End(#require(network.nodes[0].swarm), to: peers[1]), follower = try End(#require(network.nodes[1].swarm), to: peers[0])
        network.nodes[0].swarm = nil
        network.nodes[1].swarm = nil
        var body = [UInt8](repeating: 7, count: 256 * 256), now = network.now, number: UInt64 = 0, published = 0
        func round() {
            now = now + .milliseconds(60)
            for start in stride(from: 0, to: body.count, by: 256) {
                number += 1
                withUnsafeBytes(of: number) { body.replaceSubrange(start..<start + 8, with: $0) }
            }
            body.withUnsafeBytes { view in
                let run = stride(from: 0, to: view.count, by: 256).map { UnsafeRawBufferPointer(rebasing: view[$0..<$0 + 256]) }
                published += publisher.swarm.publish("t", run: run, now: now).count
            }
            publisher.turn(now: now)
            publisher.transmit(to: &follower, now: now)
            follower.turn(now: now)
            follower.transmit(to: &publisher, now: now)
        }
        for _ in 0..<20 { round() }
        let before = allocation_count(), publishedBefore = published
        for _ in 0..<20 { round() }
        let perMessage = Double(allocation_count() - before) / Double(published - publishedBefore)
        #expect(follower.heard == published && published == 40 * 256, "messages did not flow")
        #if DEBUG
        #expect(perMessage <= 60, "\(perMessage) for each message")
        #else
        // Measured: 3.37.
        #expect(perMessage <= 3.75, "\(perMessage) for each message")
        #endif
    }
}
