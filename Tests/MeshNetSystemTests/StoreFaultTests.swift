import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    /// A store whose disk, file or owner is not as it should be.
    @Suite struct StoreFaultTests {
        let folder: TestFolder
        let peer = Sample.peers[0]

        init() throws { folder = try TestFolder() }

        // MARK: A full disk

        @Test func aFullDiskEndsTheTurnAndRoomEndsTheTrouble() throws {
            let body = [UInt8](repeating: 1, count: 100_000)
            do {
                let test = try TestStore(folder.path)
                try test.commit((1...4).map { .outbound(peer, Sample.outbound($0, .normal, body)) })
                test.store.database.limit(addedPages: 20)
                let changes: [StoreChange] = [
                    .acknowledged(peer, .normal, below: 2), .withdrawn(peer, .normal, sequence: 3), .expected(peer, .bulk, next: 5),
                    .outbound(peer, Sample.outbound(5, .normal, body)), .outbound(peer, Sample.outbound(6, .normal, body)),
                    .outbound(peer, Sample.outbound(7, .normal, body)), .inbound(Sample.inbound(1)), .withdrawn(peer, .normal, sequence: 6),
                ]
                #expect(throws: StorageProblem.full(path: folder.file("messages.db"))) { try test.commit(changes) }
                #expect(test.store.failures == 1)
                // What only takes away was done all the same.
                #expect(!test.store.hasWaiting)
                test.store.database.limit(addedPages: 10_000)
                try test.commit([.outbound(peer, Sample.outbound(5, .normal, [5]))])
            }
            let state = try TestStore.state(folder.path), channel = try state.channel(peer)
            #expect(channel.outbound.map(\.sequence) == [2, 4, 5])
            #expect(channel.outbound.last?.body == .bytes([5]))
            #expect(channel.withdrawn[1] == [3..<4])
            #expect(channel.nextSequence[1] == 6)
            #expect(channel.expected == [1, 1, 1])
            #expect(state.inbound.isEmpty)
        }

        @Test func newNumbersOutliveAFailedCommit() throws {
            do {
                let test = try TestStore(folder.path)
                try test.commit((1...4).map { .outbound(peer, Sample.outbound($0)) })
                test.store.refuse(.failed(path: "here", reason: "why"))
                #expect(throws: StorageProblem.self) {
                    try test.commit([
                        .acknowledged(peer, .normal, below: 2), .renumbered(peer, .normal, by: 100), .withdrawn(peer, .normal, sequence: 103),
                        .outbound(peer, Sample.outbound(105)), .withdrawn(peer, .normal, sequence: 105),
                    ])
                }
                #expect(test.store.hasWaiting)
                test.store.refuse(.failed(path: "here", reason: "why"))
                #expect(throws: StorageProblem.self) { try test.commit([.acknowledged(peer, .normal, below: 103), .renumbered(peer, .normal, by: 1)]) }
                try test.commit([.outbound(peer, Sample.outbound(106))])
            }
            let channel = try TestStore.state(folder.path).channel(peer)
            #expect(channel.outbound.map(\.sequence) == [105, 106])
            #expect(channel.withdrawn[1] == [104..<105])
            #expect(channel.nextSequence[1] == 107)
        }

        @Test func whatCannotBeTakenAwayNowIsTakenAwayLater() throws {
            do {
                let test = try TestStore(folder.path)
                try test.commit((1...3).map { .inbound(Sample.inbound($0)) } + [.outbound(peer, Sample.outbound(1))])
                test.store.refuse(.full(path: "here"))
                // A transaction that is refused from its start has nothing open; the retry succeeds at once.
                #expect(throws: StorageProblem.full(path: folder.file("messages.db"))) {
                    try test.commit([.settled(peer, Sample.theirs, .normal, sequence: 2), .reset(peer), .outbound(peer, Sample.outbound(1))])
                }
                #expect(!test.store.hasWaiting)
            }
            let state = try TestStore.state(folder.path)
            #expect(state.inbound.map(\.message.sequence) == [1, 3])
            #expect(try state.channel(peer).outbound.isEmpty)
        }

        @Test func aFailureThatIsNoFullDiskKeepsThemForTheNextCommit() throws {
            do {
                let test = try TestStore(folder.path)
                try test.commit((1...3).map { .inbound(Sample.inbound($0)) })
                test.store.refuse(.failed(path: "here", reason: "broken"))
                #expect(throws: StorageProblem.self) {
                    try test.commit([.settled(peer, Sample.theirs, .normal, sequence: 2), .peer(Sample.peers[1], StoredPeer())])
                }
                #expect(test.store.hasWaiting)
                #expect(!test.store.hasChanges)
                try test.commit([.settled(peer, Sample.theirs, .normal, sequence: 3)])
                #expect(!test.store.hasWaiting)
            }
            let state = try TestStore.state(folder.path)
            #expect(state.inbound.map(\.message.sequence) == [1])
            #expect(state.channels.count == 2)
        }

        @Test func onlySoManyChangesWaitForBetterTimes() throws {
            let test = try TestStore(folder.path)
            try test.commit([.inbound(Sample.inbound(1)), .inbound(Sample.inbound(2))])
            test.store.refuse(.failed(path: "here", reason: "broken"))
            test.store.apply(.settled(peer, Sample.theirs, .normal, sequence: 1))
            for _ in 1..<MessageStore.maximumWaiting { test.store.apply(.settled(peer, Sample.theirs, .control, sequence: 9)) }
            test.store.apply(.settled(peer, Sample.theirs, .normal, sequence: 2))
            #expect(throws: StorageProblem.self) { try test.store.commit(now: TestStore.now) }
            #expect(test.store.waiting.count == MessageStore.maximumWaiting)
            guard case .settled(_, _, .normal, 2) = test.store.waiting.last else { Issue.record("the newest is not there"); return }
        }

        @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.reason))
        func aFileSystemWithoutRoomIsToldAndWorksAgainWhenThereIsSome() throws {
            let path = folder.path
            try NetworkNamespace.run {
                try NetworkNamespace.separateFiles()
                try NetworkNamespace.shell("mount -t tmpfs -o size=1M none \(path)")
                let state = path + "/state", ballast = path + "/ballast"
                let test = try TestStore(state), peer = Sample.peers[0], body = [UInt8](repeating: 3, count: 30_000)
                try test.commit([.outbound(peer, Sample.outbound(1, .normal, body))])
                try NetworkNamespace.shell("head -c 2M /dev/zero >\(ballast) 2>/dev/null || true")
                var sequence: UInt64 = 2, problem: StorageProblem?
                while problem == nil, sequence < 200 {
                    do throws(StorageProblem) {
                        test.store.apply(.outbound(peer, Sample.outbound(sequence, .normal, body)))
                        try test.store.commit(now: TestStore.now)
                        sequence += 1
                    } catch { problem = error }
                }
                #expect(problem == .full(path: state + "/messages.db"))
                try FileManager.default.removeItem(atPath: ballast)
                try test.commit([.outbound(peer, Sample.outbound(sequence, .normal, body))])
                let copy = path + "/copy"
                try FileManager.default.copyItem(atPath: state, toPath: copy)
                #expect(try TestStore.state(copy).channel(peer).outbound.map(\.sequence) == Array(1...sequence))

                // Too little for a new store.
                try NetworkNamespace.shell("head -c 2M /dev/zero >\(ballast) 2>/dev/null || true")
                #expect(throws: StorageProblem.self) { try TestStore(path + "/none") }
                try FileManager.default.removeItem(atPath: ballast)
                #expect(try TestStore(path + "/none").problems.isEmpty)
            }
        }

        // MARK: Damage

        /// A store of some pages, all of them in the one file.
        private func makeStore() throws -> Data {
            do {
                let test = try TestStore(folder.path)
                for turn in 0..<10 as Range<UInt64> {
                    try test.commit((turn * 20 + 1...turn * 20 + 20).flatMap { sequence -> [StoreChange] in
                        [.outbound(peer, Sample.outbound(sequence, .normal, Array(0...200))), .inbound(Sample.inbound(sequence, from: Sample.peers[1]))]
                    })
                }
            }
            return try Data(contentsOf: URL(fileURLWithPath: folder.file("messages.db")))
        }

        /// Opens a store with this content: whatever it holds, there is one afterwards that works. Returns how it was judged.
        private func judge(_ content: Data, _ name: String) throws -> StorageProblem? {
            let directory = folder.file(name), file = directory + "/messages.db"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            try content.write(to: URL(fileURLWithPath: file))
            var problem: StorageProblem?
            do {
                let test = try TestStore(directory)
                problem = test.problems.first
                try test.commit([.outbound(peer, Sample.outbound(900))])
            } catch let error as StorageProblem {
                // Garbage that looks like a later version is left as it is.
                guard case .failed(_, let reason) = error, reason.contains("version") else { throw error }
                return error
            }
            let again = try TestStore(directory)
            #expect(again.problems.isEmpty)
            #expect(try again.state.channel(peer).outbound.last?.sequence == 900)
            if case .damaged(_, let aside, let reason) = problem {
                #expect(try Data(contentsOf: URL(fileURLWithPath: aside)) == content)
                #expect(!reason.isEmpty)
            }
            return problem
        }

        @Test func aTruncatedFileIsSetAside() throws {
            let whole = try makeStore()
            #expect(try judge(whole, "whole") == nil)
            for count in [0, 1, 15, 16, 99, 100, 511, 512, 1_000, 4_095, 4_096, 4_097, 8_192] + Array(stride(from: 10_000, to: whole.count, by: 4_700)) {
                let problem = try judge(whole.prefix(count), "cut")
                guard case .damaged = problem else { Issue.record("\(count) bytes of \(whole.count): \(String(describing: problem))"); continue }
            }
        }

        @Test func garbageNeverTraps() throws {
            let whole = try makeStore(), seed = UInt64.random(in: .min ... .max)
            var random = RandomSource(seed: Array(repeating: UInt8(truncatingIfNeeded: seed), count: RandomSource.seedByteCount))
            var judged = 0
            for round in 0..<60 {
                var content = whole
                let at = round < 30 ? Int(random.next() % 4_096) : Int(random.next() % UInt64(whole.count))
                let length = [1, 4, 64, 4_096][Int(random.next() % 4)]
                for index in at..<min(at + length, content.count) { content[index] = UInt8(truncatingIfNeeded: random.next()) }
                do {
                    if try judge(content, "garbled") != nil { judged += 1 }
                } catch {
                    Issue.record("seed \(seed), round \(round), at \(at), \(length): \(error)")
                }
            }
            #expect(judged > 0)
            var noise = Data(count: 20_000)
            for index in noise.indices { noise[index] = UInt8(truncatingIfNeeded: random.next()) }
            guard case .damaged = try judge(noise, "noise") else { Issue.record("noise was taken for a store"); return }
        }

        @Test func aLogWithoutItsFileIsNotTakenForThatOfTheNext() throws {
            let live = folder.file("live"), copy = folder.file("copy")
            let test = try TestStore(live)
            try test.commit([.outbound(peer, Sample.outbound(1))])
            try FileManager.default.copyItem(atPath: live, toPath: copy)
            try FileManager.default.removeItem(atPath: copy + "/messages.db")
            let again = try TestStore(copy)
            guard case .damaged(_, let aside, _) = again.problems.first else { Issue.record("\(again.problems)"); return }
            #expect(FileManager.default.fileExists(atPath: aside + "-wal"))
            #expect(again.state.channels.isEmpty)
        }

        @Test func onlySoManyDamagedFilesAreKept() throws {
            for _ in 0..<StateDirectory.maximumSetAside + 3 {
                try Data("no store".utf8).write(to: URL(fileURLWithPath: folder.file("messages.db")))
                let test = try TestStore(folder.path)
                guard case .damaged = test.problems.first else { Issue.record("\(test.problems)"); return }
            }
            #expect(folder.names.filter { $0.contains("damaged") }.count == StateDirectory.maximumSetAside)
        }

        @Test func rowsThatCannotBeAreDroppedAndReportedOnce() throws {
            do {
                let test = try TestStore(folder.path)
                try test.commit((1...4).map { .outbound(peer, Sample.outbound($0)) } + (1...3).map { .inbound(Sample.inbound($0)) })
                for change in [
                    "UPDATE outbound SET kind = 9 WHERE sequence = 2", "UPDATE outbound SET lane = 7 WHERE sequence = 4",
                    "UPDATE inbound SET incarnation = x'01' WHERE sequence = 1", "UPDATE inbound SET size = 99 WHERE sequence = 3",
                ] { try test.store.database.execute(change) }
            }
            let first = try TestStore(folder.path)
            guard case .failed(_, let reason) = first.problems.first else { Issue.record("\(first.problems)"); return }
            #expect(reason.hasPrefix("4 messages"))
            let channel = try first.state.channel(peer)
            #expect(channel.outbound.map(\.sequence) == [1, 3])
            #expect(channel.withdrawn[1] == [2..<3, 4..<5])
            #expect(first.state.inbound.map(\.message.sequence) == [2])
        }

        @Test func droppedRowsAreGoneAtTheNextStart() throws {
            do {
                let test = try TestStore(folder.path)
                try test.commit([.outbound(peer, Sample.outbound(1))])
                try test.store.database.execute("UPDATE outbound SET kind = 9")
            }
            do { #expect(try TestStore(folder.path).problems.count == 1) }
            #expect(try TestStore(folder.path).problems.isEmpty)
        }

        @Test func aLaterVersionIsLeftAlone() throws {
            do { try TestStore(folder.path).store.database.execute("PRAGMA user_version = 99") }
            let before = folder.names
            do {
                _ = try TestStore(folder.path)
                Issue.record("it was opened")
            } catch let error as StorageProblem {
                guard case .failed(let path, let reason) = error else { throw error }
                #expect(path == folder.file("messages.db"))
                #expect(reason.contains("99"))
            }
            #expect(folder.names == before)
        }

        /// The file is overwritten under a running store.
        @Test func damageDuringTheRunFailsTheTurnAndNotTheProcess() throws {
            let test = try TestStore(folder.path)
            for turn in 0..<8 as Range<UInt64> {
                try test.commit((1...100).map { .outbound(peer, Sample.outbound(turn * 100 + $0, .normal, [UInt8](repeating: 1, count: 10_000))) })
            }
            test.store.database.restartLog()
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: folder.file("messages.db")))
            let size = try file.seekToEnd()
            for page in stride(from: 4_096, to: size, by: 4_096) {
                try file.seek(toOffset: page)
                try file.write(contentsOf: Data(repeating: 0xee, count: 4_096))
            }
            try file.close()
            try test.store.database.execute("PRAGMA shrink_memory")
            do {
                try test.commit([.acknowledged(peer, .normal, below: 790)])
                Issue.record("nothing was noticed")
            } catch let error as StorageProblem {
                guard case .failed(_, let reason) = error else { throw error }
                #expect(reason.contains("malformed"))
            }
        }

        // MARK: Owners

        @Test func aSecondStoreInThisProcessIsRefused() throws {
            let link = folder.file("link"), state = folder.file("state")
            do {
                let first = try TestStore(state)
                try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: state)
                for path in [state, state + "/", link] {
                    #expect(throws: StorageProblem.inUse(path: path + "/lock")) { try TestStore(path) }
                }
                try first.commit([.incarnation(Sample.ours)])
            }
            #expect(try TestStore.state(link).incarnation == Sample.ours)
        }

        @Test func aSecondProcessIsRefused() throws {
            do { _ = try TestStore(folder.path) }
            let other = Process(), ready = Pipe(), end = Pipe()
            other.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            let script = "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f,fcntl.LOCK_EX); print('locked',flush=True); sys.stdin.read()"
            other.arguments = ["python3", "-c", script, folder.file("lock")]
            other.standardOutput = ready
            other.standardInput = end
            try other.run()
            #expect(!ready.fileHandleForReading.availableData.isEmpty)
            #expect(throws: StorageProblem.inUse(path: folder.file("lock"))) { try TestStore(folder.path) }
            kill(other.processIdentifier, SIGKILL)
            other.waitUntilExit()
            #expect(try TestStore(folder.path).problems.isEmpty)
        }

        @Test func aDirectoryThatCannotBeIsRefusedWithItsPath() throws {
            try Data().write(to: URL(fileURLWithPath: folder.file("file")))
            for path in ["", "a\0b", folder.file("file"), folder.file("file/below")] {
                do {
                    _ = try TestStore(path)
                    Issue.record("\(path) was taken")
                } catch let error as StorageProblem {
                    guard case .failed = error else { throw error }
                }
            }
        }
    }
}

extension Database {
    /// As a disk that has room for so many pages more.
    func limit(addedPages: Int) {
        let pages = (try? value("PRAGMA page_count")).flatMap { $0 }.flatMap(Int.init) ?? 0
        _ = try? value("PRAGMA max_page_count = \(pages + addedPages)")
    }
}
