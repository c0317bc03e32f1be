import Foundation
import MeshNetProtocol
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite struct KeyFileTests {
        /// A folder of this test, removed by the caller.
        func inFolder(_ body: (String) throws -> Void) throws {
            let folder = NSTemporaryDirectory() + "meshnet-" + UUID().uuidString
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try body(folder)
        }

        @Test func savedKeysLoadAgainAndOnlyTheOwnerMayRead() throws {
            try inFolder { folder in
                let pair = KeyPair.generate(), path = folder + "/key"
                try KeyFile.save(pair, path)
                #expect(try KeyFile.load(path).peerID == pair.peerID)
                let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
                #expect(mode == 0o600)
                #expect(!KeyFile.isExposed(path))
                try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
                #expect(KeyFile.isExposed(path))
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["key"])
            }
        }

        @Test func existingFilesAreNeverReplaced() throws {
            try inFolder { folder in
                let first = KeyPair.generate(), path = folder + "/key"
                try KeyFile.save(first, path)
                #expect(throws: KeyFileError.failed(call: "link", errno: EEXIST)) { try KeyFile.save(.generate(), path) }
                #expect(try KeyFile.load(path).peerID == first.peerID)
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["key"])
            }
        }

        @Test func aReplacedKeyIsKeptAside() throws {
            try inFolder { folder in
                let keys = (0..<3).map { _ in KeyPair.generate() }, path = folder + "/key"
                var asides: [String?] = []
                for key in keys { asides.append(try KeyFile.replace(key, path)) }
                #expect(asides == [nil, path + ".old-1", path + ".old-2"])
                let found = [try KeyFile.load(path).peerID, try KeyFile.load(path + ".old-1").peerID, try KeyFile.load(path + ".old-2").peerID]
                #expect(found == [keys[2].peerID, keys[0].peerID, keys[1].peerID])
                let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
                #expect(names == ["key", "key.old-1", "key.old-2"])
                #expect(!KeyFile.isExposed(path))
                #expect(throws: KeyFileError.failed(call: "open", errno: ENOENT)) { _ = try KeyFile.replace(.generate(), folder + "/none/key") }
            }
        }

        @Test func olderKeysBesideAFileAreBounded() throws {
            try inFolder { folder in
                let path = folder + "/key"
                try KeyFile.save(.generate(), path)
                for number in 1...KeyFile.maximumAside { _ = FileManager.default.createFile(atPath: "\(path).old-\(number)", contents: nil) }
                #expect(throws: KeyFileError.failed(call: "link", errno: EEXIST)) { _ = try KeyFile.replace(.generate(), path) }
            }
        }

        @Test func errorsTellTheCause() throws {
            try inFolder { folder in
                #expect(throws: KeyFileError.failed(call: "open", errno: ENOENT)) { try KeyFile.load(folder + "/none") }
                #expect(throws: KeyFileError.failed(call: "open", errno: ENOENT)) { try KeyFile.save(.generate(), folder + "/none/key") }
                #expect(throws: KeyFileError.failed(call: "read", errno: EISDIR)) { try KeyFile.load(folder) }
                let path = folder + "/key"
                _ = FileManager.default.createFile(atPath: path, contents: Data(repeating: 0, count: KeyPair.maximumProtobufByteCount + 1))
                #expect(throws: KeyFileError.tooLarge(limit: KeyPair.maximumProtobufByteCount)) { try KeyFile.load(path) }
                _ = FileManager.default.createFile(atPath: path, contents: Data("not a key".utf8))
                #expect(throws: KeyFileError.self) { try KeyFile.load(path) }
            }
        }
    }
}
