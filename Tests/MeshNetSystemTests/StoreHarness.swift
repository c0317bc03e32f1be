import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// A folder of one test, removed at its end.
final class TestFolder {
    let path = NSTemporaryDirectory() + "meshnet-" + UUID().uuidString

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

    func file(_ name: String) -> String { path + "/" + name }

    func mode(_ name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: file(name))[.posixPermissions] as? Int
    }
}

/// A store in a folder, as `Storage` opens it.
struct TestStore {
    static let now: Int64 = 1_700_000_000_000_000_000

    let store: MessageStore
    let state: StoredState
    let problems: [StorageProblem]

    init(_ folder: String, now: Int64 = TestStore.now) throws {
        let directory = try StateDirectory(folder)
        let opened = try MessageStore.open(directory, files: try SpoolFolder(directory: directory.spoolPath).scan(), now: now)
        (store, state, problems) = (opened.store, opened.state, opened.problems)
    }

    func commit(_ changes: [StoreChange], now: Int64 = TestStore.now) throws {
        for change in changes { store.apply(change) }
        try store.commit(now: now)
    }

    /// What is read back by who opens the folder next.
    static func state(_ folder: String) throws -> StoredState { try TestStore(folder).state }
}

/// What the tests store.
enum Sample {
    static let peers = (0..<4).map { _ in KeyPair.generate().peerID }
    static let ours = Incarnation(Array(1...16))!
    static let theirs = Incarnation(Array(101...116))!

    static func outbound(_ sequence: UInt64, _ lane: Lane = .normal, _ bytes: [UInt8] = [1, 2, 3], kind: MessageKind = .message) -> StoredOutbound {
        StoredOutbound(lane: lane, sequence: sequence, kind: kind, body: .bytes(bytes))
    }

    static func inbound(_ sequence: UInt64, from peer: PeerID = peers[0], _ lane: Lane = .normal, _ bytes: [UInt8] = [4, 5]) -> StoredInbound {
        StoredInbound(message: InboundMessage(peer: peer, incarnation: theirs, lane: lane, sequence: sequence), body: .bytes(bytes))
    }
}

extension StoredState {
    func channel(_ peer: PeerID) throws -> Channel { try #require(channels.first { $0.peer == peer }) }
}
