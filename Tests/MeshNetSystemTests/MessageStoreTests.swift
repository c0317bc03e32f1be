import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite struct MessageStoreTests {
        let folder: TestFolder
        let peer = Sample.peers[0]

        init() throws { folder = try TestFolder() }

        @Test func aNewStoreIsEmptyAndForItsOwnerOnly() throws {
            let state = folder.file("a/b")
            let store = try TestStore(state)
            #expect(store.state.incarnation == nil)
            #expect(store.state.lastActive == nil)
            #expect(store.state.channels.isEmpty && store.state.inbound.isEmpty && store.problems.isEmpty)
            #expect(try folder.mode("a") == 0o700)
            #expect(try folder.mode("a/b") == 0o700)
            #expect(try folder.mode("a/b/spool") == 0o700)
            try store.commit([.incarnation(Sample.ours)])
            for name in ["messages.db", "messages.db-wal", "lock"] { #expect(try folder.mode("a/b/" + name) == 0o600, "\(name)") }
        }

        @Test func whatIsKnownOfTheNodeAndItsPeersComesBack() throws {
            var known = StoredPeer()
            known.incarnation = Sample.theirs
            known.addresses = try [Multiaddr("/ip4/10.0.0.1/tcp/4001"), Multiaddr("/dns4/example.org/tcp/4001")]
            known.closed = Closing(byUs: true, reason: "päuse")
            known.lastHeard = 17
            do { try TestStore(folder.path).commit([.incarnation(Sample.ours), .peer(peer, known), .peer(Sample.peers[1], StoredPeer())], now: 5) }
            let state = try TestStore(folder.path, now: 9).state
            #expect(state.incarnation == Sample.ours)
            #expect(state.now == 9)
            #expect(state.lastActive == 5)
            #expect(state.channels.map(\.peer) == [peer, Sample.peers[1]])
            #expect(try state.channel(peer).known == known)
            #expect(try state.channel(Sample.peers[1]).known == StoredPeer())
            known.closed = Closing(byUs: false, reason: "")
            known.incarnation = nil
            do { try TestStore(folder.path).commit([.peer(peer, known)]) }
            #expect(try TestStore.state(folder.path).channel(peer).known == known)
        }

        @Test func onlySoManyAddressesOfAPeerComeBack() throws {
            var known = StoredPeer()
            known.addresses = try (1...StoreReader.maximumAddresses + 6).map { try Multiaddr("/ip4/10.0.0.1/tcp/\($0)") }
            do { try TestStore(folder.path).commit([.peer(peer, known)]) }
            #expect(try TestStore.state(folder.path).channel(peer).known.addresses == Array(known.addresses[..<StoreReader.maximumAddresses]))
        }

        @Test func outboundMessagesComeBackInOrderWithTheirNumbers() throws {
            let request = StoredOutbound(lane: .control, sequence: 1, kind: .request, request: 77, deadline: 12_345, body: .bytes([]))
            let reply = Sample.outbound(1, .bulk, [UInt8](repeating: 7, count: 100_000), kind: .reply(.max))
            do {
                try TestStore(folder.path).commit([
                    .outbound(peer, Sample.outbound(1)), .outbound(peer, reply), .outbound(peer, Sample.outbound(2)), .outbound(peer, request),
                    .outbound(peer, Sample.outbound(3)),
                ])
            }
            let state = try TestStore.state(folder.path), channel = try state.channel(peer)
            #expect(channel.outbound == [request, Sample.outbound(1), Sample.outbound(2), Sample.outbound(3), reply])
            #expect(channel.nextSequence == [2, 4, 2])
            #expect(channel.withdrawn == [[], [], []])
            #expect(state.lastRequest == 77)
        }

        @Test func numbersOutliveTheirMessages() throws {
            do {
                let store = try TestStore(folder.path)
                try store.commit((1...6).map { .outbound(peer, Sample.outbound($0)) } + [.acknowledged(peer, .normal, below: 3)])
                try store.commit([.acknowledged(peer, .normal, below: 7)])
            }
            let channel = try TestStore.state(folder.path).channel(peer)
            #expect(channel.outbound.isEmpty)
            #expect(channel.nextSequence == [1, 7, 1])
            #expect(channel.withdrawn == [[], [], []])
        }

        @Test func withdrawnNumbersAreTheGapsBehindWhatThePeerHas() throws {
            do {
                let store = try TestStore(folder.path)
                try store.commit((1...10).map { .outbound(peer, Sample.outbound($0)) })
                try store.commit([2, 5, 6, 9, 10].map { .withdrawn(peer, .normal, sequence: $0) } + [.acknowledged(peer, .normal, below: 5)])
            }
            let channel = try TestStore.state(folder.path).channel(peer)
            #expect(channel.outbound.map(\.sequence) == [7, 8])
            #expect(channel.withdrawn[1] == [5..<7, 9..<11])
            #expect(channel.nextSequence[1] == 11)
        }

        @Test(arguments: [1, 3, 1_000_000, LaneSender.maximumTaken - 1]) func messagesThatGotOtherNumbersComeBackWithThem(delta: UInt64) throws {
            do {
                let store = try TestStore(folder.path)
                try store.commit((1...9).map { .outbound(peer, Sample.outbound($0)) } + [.outbound(peer, Sample.outbound(1, .bulk))])
                try store.commit([
                    .withdrawn(peer, .normal, sequence: 6), .acknowledged(peer, .normal, below: 4), .renumbered(peer, .normal, by: delta),
                    .outbound(peer, Sample.outbound(10 + delta)), .withdrawn(peer, .normal, sequence: 8 + delta),
                ])
            }
            do {
                let channel = try TestStore.state(folder.path).channel(peer)
                #expect(channel.outbound.map(\.sequence) == [4, 5, 7, 9, 10].map { $0 + delta } + [1])
                #expect(channel.withdrawn[1] == [6 + delta..<7 + delta, 8 + delta..<9 + delta])
                #expect(channel.nextSequence == [1, 11 + delta, 2])
            }
            do { try TestStore(folder.path).commit([.acknowledged(peer, .normal, below: 11 + delta)]) }
            #expect(try TestStore.state(folder.path).channel(peer).nextSequence == [1, 11 + delta, 2])
        }

        @Test func marksOfWhatWasSentComeBackAndGrowWithTheNumbers() throws {
            do {
                let store = try TestStore(folder.path)
                try store.commit([.sent(peer, .normal, below: 3), .outbound(peer, Sample.outbound(3)), .sent(peer, .bulk, below: 1)])
                #expect(store.store.synchronizations == 0)
                try store.commit([.renumbered(peer, .normal, by: 10), .sent(peer, .bulk, below: nil)])
                #expect(store.store.synchronizations == 1)
            }
            #expect(try TestStore.state(folder.path).channel(peer).sentBelow == [nil, 13, nil])
            do { try TestStore(folder.path).commit([.reset(peer)]) }
            #expect(try TestStore.state(folder.path).channel(peer).sentBelow == [nil, nil, nil])
        }

        @Test func aStoreOfVersion1IsRenewed() throws {
            do {
                let store = try TestStore(folder.path)
                try store.commit([.sent(peer, .normal, below: 1), .outbound(peer, Sample.outbound(1)), .outbound(peer, Sample.outbound(2))])
                for lane in 0..<3 { try store.store.database.execute("ALTER TABLE peers DROP COLUMN sent_\(lane)") }
                try store.store.database.execute("PRAGMA user_version = 1")
            }
            let renewed = try TestStore(folder.path)
            #expect(renewed.problems.isEmpty)
            let channel = try renewed.state.channel(peer)
            #expect(channel.outbound.map(\.sequence) == [1, 2] && channel.sentBelow == [nil, nil, nil])
            #expect(try renewed.store.database.value("PRAGMA user_version") == "2")
            try renewed.commit([.sent(peer, .normal, below: 3)])
        }

        @Test func inboundMessagesComeBackInOrderOfArrivalUntilTheyAreSettled() throws {
            let other = Sample.peers[1]
            do {
                let store = try TestStore(folder.path)
                try store.commit([
                    .inbound(Sample.inbound(1)), .inbound(Sample.inbound(1, from: other, .bulk)), .inbound(Sample.inbound(1, .control)),
                    .inbound(Sample.inbound(2)), .settled(peer, Sample.theirs, .normal, sequence: 1),
                ])
                try store.commit([.inbound(Sample.inbound(3)), .expected(peer, .bulk, next: 9)])
            }
            let state = try TestStore.state(folder.path)
            #expect(state.inbound.map(\.message.sequence) == [1, 1, 2, 3])
            #expect(state.inbound.map(\.message.lane) == [.bulk, .control, .normal, .normal])
            #expect(state.inbound.map(\.message.peer) == [other, peer, peer, peer])
            #expect(state.inbound.allSatisfy { $0.message.isRedelivered && $0.message.incarnation == Sample.theirs && $0.body == .bytes([4, 5]) })
            #expect(try state.channel(peer).expected == [2, 4, 9])
            // What comes later is later, also after the restart.
            do { try TestStore(folder.path).commit([.inbound(Sample.inbound(2, from: other, .bulk))]) }
            #expect(try TestStore.state(folder.path).inbound.map(\.message.sequence) == [1, 1, 2, 3, 2])
        }

        @Test func anotherIncarnationVoidsTheQueuesAndKeepsWhatIsNotSettled() throws {
            do {
                let store = try TestStore(folder.path)
                try store.commit([.outbound(peer, Sample.outbound(1)), .outbound(peer, Sample.outbound(2)), .inbound(Sample.inbound(1))])
                try store.commit([.reset(peer), .outbound(peer, Sample.outbound(1, .normal, [9]))])
            }
            let state = try TestStore.state(folder.path)
            #expect(try state.channel(peer).outbound == [Sample.outbound(1, .normal, [9])])
            #expect(try state.channel(peer).nextSequence == [1, 2, 1])
            #expect(try state.channel(peer).expected == [1, 1, 1])
            #expect(state.inbound.count == 1)
        }

        @Test func aForgottenPeerLeavesNothing() throws {
            do {
                let store = try TestStore(folder.path)
                try store.commit([.outbound(peer, Sample.outbound(1)), .inbound(Sample.inbound(1)), .peer(Sample.peers[1], StoredPeer())])
                try store.commit([.forget(peer), .forget(Sample.peers[2])])
                try store.commit([.settled(peer, Sample.theirs, .normal, sequence: 1), .acknowledged(peer, .normal, below: 2)])
            }
            let state = try TestStore.state(folder.path)
            #expect(state.channels.map(\.peer) == [Sample.peers[1]])
            #expect(state.inbound.isEmpty)
        }

        @Test func theChangesOfATurnAreOneTransaction() throws {
            let test = try TestStore(folder.path)
            for sequence in 1...1_000 as ClosedRange<UInt64> { test.store.apply(.outbound(peer, Sample.outbound(sequence))) }
            #expect(test.store.commits == 0)
            try test.store.commit(now: TestStore.now)
            #expect(test.store.commits == 1)
            #expect(!test.store.hasChanges)
            try test.store.commit(now: TestStore.now)
            #expect(test.store.commits == 1)
        }

        /// The files of a process that dies are as they are at that moment: a copy is what the next process finds.
        @Test func whatWasCommittedOutlivesTheProcessAndNothingElseDoes() throws {
            let live = folder.file("live"), test = try TestStore(live)
            for turn in 0..<40 as Range<UInt64> {
                let first = turn * 25 + 1
                for sequence in first..<first + 25 {
                    // Large enough that pages leave the cache before the commit.
                    test.store.apply(.outbound(peer, Sample.outbound(sequence, .normal, [UInt8](repeating: UInt8(turn), count: 20_000))))
                }
                if turn % 8 == 5 {
                    let copy = folder.file("copy\(turn)")
                    try FileManager.default.copyItem(atPath: live, toPath: copy)
                    let channels = try TestStore.state(copy).channels
                    #expect(channels.first?.outbound.count ?? 0 == Int(turn) * 25, "turn \(turn)")
                    #expect(channels.first?.nextSequence[1] ?? 1 == first, "turn \(turn)")
                }
                try test.store.commit(now: TestStore.now)
            }
        }

        @Test func aHundredThousandMessagesComeBack() throws {
            let count: UInt64 = 100_000
            do {
                let test = try TestStore(folder.path)
                for first in stride(from: 1, through: count, by: 5_000) {
                    for sequence in first..<first + 5_000 {
                        test.store.apply(.outbound(Sample.peers[Int(sequence % 4)], Sample.outbound(sequence, .bulk, [UInt8(truncatingIfNeeded: sequence)])))
                    }
                    try test.store.commit(now: TestStore.now)
                }
                #expect(test.store.commits == 20)
            }
            let state = try TestStore.state(folder.path)
            #expect(state.channels.map(\.outbound.count) == [25_000, 25_000, 25_000, 25_000])
            for channel in state.channels {
                #expect(channel.outbound.allSatisfy { $0.body == .bytes([UInt8(truncatingIfNeeded: $0.sequence)]) })
            }
        }
    }
}
