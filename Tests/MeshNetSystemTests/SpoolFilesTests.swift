import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite struct SpoolFilesTests {
        let folder: TestFolder
        let peer = Sample.peers[0]

        init() throws { folder = try TestFolder() }

        func files(named: Bool = true, limit: Int = 1 << 20) -> SpoolFiles {
            SpoolFiles(folder: SpoolFolder(directory: named ? folder.path : nil), byteLimit: limit)
        }

        func id(_ number: UInt64) -> SpoolID { SpoolID(rawValue: number) }

        func append(_ bytes: [UInt8], to spool: SpoolID, of files: SpoolFiles) throws { try bytes.withUnsafeBytes { try files.append(spool, $0) } }

        func read(_ spool: SpoolID, _ offset: Int, _ count: Int, of files: SpoolFiles) throws -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            let filled = try bytes.withUnsafeMutableBytes { try files.read(spool, offset: offset, into: $0) }
            return Array(bytes[..<filled])
        }

        @Test(arguments: [true, false]) func bytesAreReadBackInPieces(isNamed: Bool) throws {
            let files = files(named: isNamed)
            try files.begin(id(1), byteCount: 300)
            try append(Array(0..<100), to: id(1), of: files)
            try append(Array(100..<200), to: id(1), of: files)
            #expect(try read(id(1), 90, 20, of: files) == Array(90..<110))
            #expect(try read(id(1), 190, 50, of: files) == Array(190..<200))
            #expect(try read(id(1), 500, 50, of: files).isEmpty)
            files.discard(id(1))
            #expect(!files.holds(id(1)))
            #expect(throws: StorageProblem.self) { try read(id(1), 0, 1, of: files) }
            #expect(throws: StorageProblem.self) { try append([1], to: id(1), of: files) }
            // Until the store no longer names it.
            #expect(folder.names == (isNamed ? ["1"] : []))
            files.deleteDiscarded()
            #expect(folder.names.isEmpty)
        }

        @Test func filesAreForTheirOwnerOnly() throws {
            let files = files()
            try files.begin(id(255), byteCount: 0)
            #expect(try folder.mode("ff") == 0o600)
            let spool = try files.adopt(try files.folder.makeFile())
            #expect(try folder.mode(String(spool.rawValue, radix: 16)) == 0o600)
        }

        @Test func theBytesOfWhatArrivesAreBounded() throws {
            let files = files(limit: 1_000)
            try files.begin(id(1), byteCount: 600)
            #expect(throws: StorageProblem.full(path: folder.path)) { try files.begin(id(2), byteCount: 401) }
            #expect(throws: StorageProblem.full(path: folder.path)) { try files.begin(id(2), byteCount: .max) }
            #expect(throws: StorageProblem.full(path: folder.path)) { try files.begin(id(2), byteCount: -1) }
            try files.begin(id(3), byteCount: 400)
            files.discard(id(1))
            try files.begin(id(4), byteCount: 600)
            #expect(files.reserved == 1_000)
        }

        @Test func onlySoManyAreOpenAndAllCanBeRead() throws {
            let files = files(), count = UInt64(SpoolFiles.maximumOpen * 3)
            for number in 1...count {
                try files.begin(id(number), byteCount: 8)
                try append(Array(repeating: UInt8(number), count: 8), to: id(number), of: files)
                #expect(files.openCount <= SpoolFiles.maximumOpen)
            }
            for number in 1...count { #expect(try read(id(number), 4, 4, of: files) == Array(repeating: UInt8(number), count: 4)) }
            #expect(files.openCount == SpoolFiles.maximumOpen)
            for number in 1...count { files.discard(id(number)) }
            #expect(files.openCount == 0 && files.count == 0)
        }

        @Test func withoutNamesOnlySoManyAreThere() throws {
            let files = files(named: false)
            for number in 1...UInt64(SpoolFiles.maximumUnnamed) { try files.begin(id(number), byteCount: 0) }
            do {
                try files.begin(id(9_999), byteCount: 0)
                Issue.record("there is no bound")
            } catch { guard case .failed = error else { throw error } }
            files.discard(id(1))
            _ = try files.adopt(try files.folder.makeFile())
            #expect(throws: StorageProblem.self) { try files.adopt(try files.folder.makeFile()) }
        }

        @Test(arguments: [true, false]) func aFileOfTheApplicationBecomesABody(isNamed: Bool) throws {
            let files = files(named: isNamed), bytes = (0..<2_500_000).map { UInt8(truncatingIfNeeded: $0 >> 8) }
            let source = folder.file("source")
            try Data(bytes).write(to: URL(fileURLWithPath: source))
            let other = try FileHandle(forReadingFrom: URL(fileURLWithPath: source))
            let outgoing = try files.folder.makeFile()
            try [9, 9].withUnsafeBytes { try outgoing.append($0) }
            #expect(outgoing.byteCount == 16)
            #expect(try outgoing.append(from: other.fileDescriptor, limit: 2_000_000) == 2_000_000)
            #expect(try outgoing.append(from: other.fileDescriptor, limit: .max) == 500_000)
            let spool = try files.adopt(outgoing)
            #expect(spool.isOfDriver)
            #expect(try read(spool, 16 + 1_999_990, 20, of: files) == Array(bytes[1_999_990..<2_000_010]))
            #expect(try files.adopt(try files.folder.makeFile()) != spool)
            #expect(files.reserved == 0)
        }

        @Test func aFileThatIsNeverHandedOverVanishes() throws {
            do {
                let outgoing = try files().folder.makeFile()
                try [1].withUnsafeBytes { try outgoing.append($0) }
            }
            #expect(folder.names.isEmpty)
        }

        @Test func aDescriptorReadsOnAfterTheFileIsGone() throws {
            let files = files()
            try files.begin(id(1), byteCount: 3)
            try append([1, 2, 3], to: id(1), of: files)
            let descriptor = try files.descriptor(of: id(1))
            files.discard(id(1))
            files.deleteDiscarded()
            var bytes = [UInt8](repeating: 0, count: 3)
            #expect(pread(descriptor.number, &bytes, 3, 0) == 3)
            #expect(bytes == [1, 2, 3])
        }

        @Test(arguments: [true, false]) func aReaderHoldsADescriptorOnlyWhereThereIsNoName(isNamed: Bool) throws {
            let files = files(named: isNamed)
            try files.begin(id(1), byteCount: 3)
            try append([1, 2, 3], to: id(1), of: files)
            let reader = try files.reader(of: id(1), byteCount: 3), released = try files.release(id(1), byteCount: 3)
            #expect(!files.holds(id(1)))
            files.deleteDiscarded()
            var bytes = [UInt8](repeating: 0, count: 2)
            #expect(try bytes.withUnsafeMutableBytes { try released.read(offset: 1, into: $0) } == 2)
            #expect(bytes == [2, 3])
            if isNamed {
                #expect(throws: SystemError.failed(call: "open", errno: ENOENT)) { try bytes.withUnsafeMutableBytes { try reader.read(offset: 1, into: $0) } }
            } else {
                #expect(try bytes.withUnsafeMutableBytes { try reader.read(offset: 1, into: $0) } == 2)
            }
        }

        // MARK: Across a restart

        private func open(_ state: String) throws -> (storage: Storage, state: StoredState) {
            var configuration = MessageConfiguration()
            configuration.stateDirectory = state
            let storage = try Storage(configuration, now: .now(), wallClock: TestStore.now)
            return (storage, try #require(storage.takeRestored()))
        }

        @Test func filesThatMessagesNameStayAndTheOthersGo() throws {
            var adopted = id(0)
            do {
                let (storage, _) = try open(folder.path)
                for number in 5...8 as ClosedRange<UInt64> {
                    try storage.spool.begin(id(number), byteCount: 10)
                    try append(Array(repeating: 1, count: 10), to: id(number), of: storage.spool)
                }
                let outgoing = try storage.spool.folder.makeFile()
                try Array(repeating: UInt8(2), count: 20).withUnsafeBytes { try outgoing.append($0) }
                adopted = try storage.spool.adopt(outgoing)
                storage.apply(.outbound(peer, StoredOutbound(lane: .bulk, sequence: 1, kind: .message, body: .spooled(adopted, byteCount: 20))))
                var inbound = Sample.inbound(1)
                inbound.body = .spooled(id(7), byteCount: 10)
                storage.apply(.inbound(inbound))
                try storage.commit(now: .now(), wallClock: TestStore.now)
            }
            try Data().write(to: URL(fileURLWithPath: folder.file("spool/new-left")))
            let (storage, state) = try open(folder.path)
            #expect(storage.problems.isEmpty)
            #expect(state.lastSpool == 7)
            #expect(try state.channel(peer).outbound.map(\.body) == [.spooled(adopted, byteCount: 20)])
            #expect(state.inbound.map(\.body) == [.spooled(id(7), byteCount: 10)])
            #expect(storage.spool.reserved == 10)
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.file("spool")).sorted()
            #expect(names == ["7", String(adopted.rawValue, radix: 16)])
            #expect(try read(adopted, 15, 10, of: storage.spool) == [2, 2, 2, 2, 2])
            // Numbers of ours go on.
            #expect(try storage.spool.adopt(try storage.spool.folder.makeFile()).rawValue == adopted.rawValue + 1)
        }

        @Test func aMessageWhoseFileIsNotWholeIsDropped() throws {
            do {
                let (storage, _) = try open(folder.path)
                try storage.spool.begin(id(1), byteCount: 10)
                try append(Array(repeating: 1, count: 9), to: id(1), of: storage.spool)
                for (sequence, spool) in [(1, 1), (2, 2)] as [(UInt64, UInt64)] {
                    storage.apply(.outbound(
                        peer, StoredOutbound(lane: .bulk, sequence: sequence, kind: .message, body: .spooled(id(spool), byteCount: 10))))
                }
                try storage.commit(now: .now(), wallClock: TestStore.now)
            }
            let (storage, state) = try open(folder.path)
            #expect(storage.problems.count == 1)
            #expect(try state.channel(peer).outbound.isEmpty)
            #expect(try state.channel(peer).withdrawn[2] == [1..<3])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("spool")).isEmpty)
        }

        @Test func aDiscardedFileStaysUntilTheStoreHasForgottenIt() throws {
            do {
                let (storage, _) = try open(folder.path)
                try storage.spool.begin(id(1), byteCount: 1)
                try append([1], to: id(1), of: storage.spool)
                storage.apply(.outbound(peer, StoredOutbound(lane: .bulk, sequence: 1, kind: .message, body: .spooled(id(1), byteCount: 1))))
                try storage.commit(now: .now(), wallClock: TestStore.now)
                storage.apply(.acknowledged(peer, .bulk, below: 2))
                storage.spool.discard(id(1))
                let copy = folder.file("copy")
                try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
                for name in ["messages.db", "messages.db-wal", "spool"] {
                    try FileManager.default.copyItem(atPath: folder.file(name), toPath: copy + "/" + name)
                }
                #expect(try open(copy).storage.problems.isEmpty)
                try storage.commit(now: .now(), wallClock: TestStore.now)
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("spool")).isEmpty)
            }
            #expect(try open(folder.path).storage.problems.isEmpty)
        }

        // MARK: Storage

        @Test func aFailedCommitWaitsBeforeTheNext() throws {
            let (storage, _) = try open(folder.path), start = Instant.now()
            #expect(!storage.wantsCommit(now: start))
            storage.apply(.incarnation(Sample.ours))
            #expect(storage.wantsCommit(now: start))
            storage.store?.refuse(.full(path: "here"))
            #expect(throws: StorageProblem.self) { try storage.commit(now: start, wallClock: 1) }
            storage.apply(.peer(peer, StoredPeer()))
            #expect(!storage.wantsCommit(now: start))
            let later = start + Storage.retryInterval
            #expect(storage.deadline == later)
            #expect(storage.wantsCommit(now: later))
            try storage.commit(now: later, wallClock: 2)
            #expect(!storage.wantsCommit(now: later))
        }

        @Test func theTimeOfTheLastActivityIsWrittenEveryMinuteAndAtTheEnd() throws {
            let (storage, _) = try open(folder.path)
            let due = try #require(storage.deadline)
            #expect(due <= .now() + Storage.activityInterval)
            #expect(storage.isActivityDue(now: due))
            try storage.commit(now: due, wallClock: 5)
            #expect(try #require(storage.deadline) == due + Storage.activityInterval)
            storage.close(wallClock: 77)
            let (again, state) = try open(folder.path)
            #expect(state.lastActive == 77)
            #expect(again.problems.isEmpty)
        }

        @Test func theSameTroubleIsToldOnceAMinute() throws {
            let (storage, _) = try open(folder.path), start = Instant.now()
            #expect(storage.shouldTell(.full(path: "a"), now: start))
            #expect(!storage.shouldTell(.full(path: "a"), now: start + .seconds(59)))
            #expect(storage.shouldTell(.full(path: "b"), now: start + .seconds(59)))
            #expect(storage.shouldTell(.full(path: "b"), now: start + .seconds(120)))
        }

        @Test func onRequestTheDiskIsWaitedFor() throws {
            var configuration = MessageConfiguration()
            configuration.stateDirectory = folder.path
            configuration.synchronizesDisk = true
            do {
                let storage = try Storage(configuration, now: .now(), wallClock: 1)
                #expect(try storage.store?.database.value("PRAGMA synchronous") == "2")
                // A file that is not there cannot be on the disk: the message is refused.
                storage.apply(.outbound(peer, StoredOutbound(lane: .bulk, sequence: 1, kind: .message, body: .spooled(id(1), byteCount: 1))))
                #expect(throws: StorageProblem.self) { try storage.commit(now: .now(), wallClock: 1) }
            }
            #expect(try open(folder.path).storage.store?.database.value("PRAGMA synchronous") == "1")
        }
    }
}
