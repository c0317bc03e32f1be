import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    /// Nodes with a state directory.
    @Suite struct EngineStoreTests {
        let folder: TestFolder

        init() throws { folder = try TestFolder() }

        func node() throws -> TestNode { try TestNode { $0.messages.stateDirectory = folder.path } }

        @Test func theDirectoryIsOfOneNodeAndFreeAfterItsClose() throws {
            let first = try node()
            #expect(throws: CallError.storage(.inUse(path: folder.file("lock")))) { try node() }
            first.engine.close()
            for _ in 0..<3 { try node().engine.close() }
            // What a store needs while it is open is gone.
            #expect(folder.names == ["lock", "messages.db", "spool"])
        }

        @Test func theLastActivityIsThatOfTheClose() throws {
            let before = WallClock.sinceEpoch()
            try node().engine.close()
            let lastActive = try #require(try TestStore.state(folder.path).lastActive)
            #expect((before...WallClock.sinceEpoch()).contains(lastActive))
        }

        @Test func aDamagedStoreIsAnEventAndTheNodeStarts() throws {
            try Data("garbage".utf8).write(to: URL(fileURLWithPath: folder.file("messages.db")))
            let node = try node()
            let problem = try node.event { if case .storage(let problem) = $0 { problem } else { nil } }
            guard case .damaged(let path, let aside, _) = problem else { Issue.record("\(problem)"); return }
            #expect(path == folder.file("messages.db"))
            #expect(aside == folder.file("messages.db.damaged-1"))
            node.engine.close()
        }

        @Test func aDirectoryThatCannotBeUsedIsAnErrorOfTheCaller() throws {
            do {
                _ = try TestNode { $0.messages.stateDirectory = "/proc/none" }
                Issue.record("it started")
            } catch let error as CallError {
                guard case .storage(.failed(let path, _)) = error else { throw error }
                #expect(path == "/proc/none")
            }
        }

        // MARK: Messages

        /// A node that keeps its identity and its state in a folder of this name.
        func node(_ name: String, _ identity: KeyPair) throws -> TestNode {
            try TestNode {
                $0.identity = identity
                $0.messages.stateDirectory = folder.file(name)
            }
        }

        func send(_ bytes: [UInt8], from node: TestNode, to peer: PeerID, lane: Lane = .normal, until point: Engine.SendPoint) throws {
            let message = OutboundMessage(peer: peer, options: SendOptions(lane: lane))
            let report = bytes.withUnsafeBytes { node.engine.sendBlocking(message, [$0], until: point, timeout: TestNode.patience) }
            if let failure = report.failure { throw failure }
        }

        func receive(_ node: TestNode) throws -> Delivery { try #require(try node.engine.inbox.next(timeout: TestNode.patience)) }

        @Test func acceptedMessagesOutliveTheirSenderAndUnsettledOnesTheirReceiver() throws {
            let identities = [KeyPair.generate(), .generate()], peer = identities[1].peerID
            let before = try node("a", identities[0])
            for number in 1...20 as ClosedRange<UInt8> { try send([number], from: before, to: peer, until: .accepted) }
            before.engine.close()

            let sender = try node("a", identities[0]), receiver = try node("b", identities[1])
            try sender.connect(to: receiver)
            for number in 1...20 as ClosedRange<UInt8> {
                let delivery = try receive(receiver)
                #expect(delivery.sequence == UInt64(number) && !delivery.isRedelivered)
                #expect(bytes(delivery) == [number])
                if number <= 12 { receiver.engine.inbox.settlements.settle(delivery) }
            }
            receiver.engine.close()

            let again = try node("b", identities[1])
            for number in 13...20 as ClosedRange<UInt8> {
                let delivery = try receive(again)
                #expect(delivery.sequence == UInt64(number) && delivery.isRedelivered)
                #expect(bytes(delivery) == [number])
                again.engine.inbox.settlements.settle(delivery)
            }
            try sender.connect(to: again)
            try send([21], from: sender, to: peer, until: .delivered)
            #expect(try receive(again).sequence == 21)
            sender.engine.close()
            again.engine.close()
            #expect(try TestStore.state(folder.file("a")).channel(peer).outbound.isEmpty)
            #expect(try TestStore.state(folder.file("b")).inbound.map(\.message.sequence) == [21])
        }

        @Test func aLargeMessageLiesInFilesThatGoWithIt() throws {
            let identities = [KeyPair.generate(), .generate()], peer = identities[1].peerID
            let content = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 >> 10) }
            let before = try node("a", identities[0])
            try send(content, from: before, to: peer, lane: .bulk, until: .accepted)
            before.engine.close()
            #expect(spooled("a").count == 1)

            let sender = try node("a", identities[0]), receiver = try node("b", identities[1])
            try sender.connect(to: receiver)
            _ = try receive(receiver)
            receiver.engine.close()
            #expect(spooled("b").count == 1)

            let again = try node("b", identities[1]), delivery = try receive(again)
            #expect(delivery.isRedelivered)
            guard case .file = delivery.body else { Issue.record("it lies in memory"); return }
            #expect(bytes(delivery) == content)
            again.engine.inbox.settlements.settle(delivery)
            again.engine.close()
            sender.engine.close()
            #expect(spooled("b").isEmpty)
            #expect(try TestStore.state(folder.file("a")).channel(peer).outbound.isEmpty)
            #expect(spooled("a").isEmpty)
        }

        @Test func withoutStateDirectoryALargeMessageArrivesToo() throws {
            let sender = try TestNode(), receiver = try TestNode(), content = [UInt8](repeating: 7, count: 3_000_000)
            try sender.connect(to: receiver)
            try send(content, from: sender, to: receiver.engine.localPeer, until: .delivered)
            let delivery = try receive(receiver)
            guard case .file = delivery.body else { Issue.record("it lies in memory"); return }
            #expect(bytes(delivery) == content)
            receiver.engine.inbox.settlements.settle(delivery)
            receiver.engine.close()
            sender.engine.close()
        }

        @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.reason))
        func aFullDiskIsAnErrorOfTheSenderUntilThereIsRoom() throws {
            let path = folder.path
            try NetworkNamespace.run {
                try NetworkNamespace.separateFiles()
                try NetworkNamespace.shell("ip link set lo up && mount -t tmpfs -o size=2M none \(path) && head -c 1M /dev/zero >\(path)/ballast")
                let node = try TestNode { $0.messages.stateDirectory = path + "/state" }, peer = Sample.peers[0]
                let body = [UInt8](repeating: 1, count: 30_000)
                func send() -> CallError? {
                    body.withUnsafeBytes {
                        node.engine.sendBlocking(OutboundMessage(peer: peer), [$0], until: .accepted, timeout: TestNode.patience).failure
                    }
                }
                var accepted = 0, failure: CallError?
                while failure == nil, accepted < 200 {
                    failure = send()
                    if failure == nil { accepted += 1 }
                }
                let problem = StorageProblem.full(path: path + "/state/messages.db")
                #expect(failure == .storage(problem))
                #expect(try node.event { if case .storage(let told) = $0 { told } else { nil } } == problem)
                try FileManager.default.removeItem(atPath: path + "/ballast")
                for _ in 0..<3 { #expect(send() == nil) }
                node.engine.close()
                #expect(try TestStore.state(path + "/state").channel(peer).outbound.map(\.sequence) == Array(1...UInt64(accepted + 3)))
            }
        }

        func spooled(_ name: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.file(name + "/spool"))) ?? [] }

        func bytes(_ delivery: Delivery) -> [UInt8]? {
            switch delivery.body {
            case .block(let block, let offset, let count): return Array(block.bytes(offset, count))
            case .bytes(let bytes): return bytes
            case .file(let reader):
                var bytes = [UInt8](repeating: 0, count: reader.byteCount)
                guard (try? bytes.withUnsafeMutableBytes({ try reader.read(offset: 0, into: $0) })) == reader.byteCount else { return nil }
                return bytes
            }
        }
    }
}
