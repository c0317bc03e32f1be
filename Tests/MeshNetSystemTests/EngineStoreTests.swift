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
    }
}
