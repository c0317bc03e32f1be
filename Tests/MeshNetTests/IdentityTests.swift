import Foundation
import MeshNet
import Testing

@Suite struct IdentityTests {
    private func path() -> String { FileManager.default.temporaryDirectory.appendingPathComponent("meshnet-\(UUID()).key").path }

    @Test func anIdentityIsMadeOnceAndKept() throws {
        let path = path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let made = try KeyPair.loadOrCreate(at: path)
        #expect(try KeyPair.loadOrCreate(at: path).peerID == made.peerID)
        #expect(try KeyPair.load(from: path).secretBytes == made.secretBytes)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test func aFileThatExistsIsNotReplaced() throws {
        let path = path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: KeyPair.FileError.self) { try KeyPair.generate().save(to: path) }
        #expect(throws: KeyPair.FileError.self) { _ = try KeyPair.loadOrCreate(at: path) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("precious".utf8))
    }

    @Test func theErrorNamesThePathAndTheReason() {
        do throws(KeyPair.FileError) {
            _ = try KeyPair.load(from: "/nonexistent/node.key")
            Issue.record("loaded")
        } catch {
            #expect(error.description.contains("/nonexistent/node.key"))
            #expect(error.description.contains("No such file"))
        }
    }
}
