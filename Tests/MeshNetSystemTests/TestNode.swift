import CSystem
import Foundation
import Glibc
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// An engine on the loopback, with what tests need around it.
struct TestNode {
    static let patience: Duration = .seconds(20)

    let engine: Engine

    init(system: SystemCalls = .kernel, nameServers: String? = nil, _ change: (inout Configuration) -> Void = { _ in }) throws {
        var configuration = Configuration(identity: .generate(), bootstrapPeers: [], listenPort: 0)
        configuration.listenAddresses = ["/ip4/127.0.0.1/tcp/0"]
        // No strangers, and nothing that somebody's shell has set: tests of discovery say what they want.
        configuration.readsEnvironment = false
        configuration.discovery.modes = []
        change(&configuration)
        engine = try Engine(configuration, system: system, nameServers: nameServers)
    }

    var address: Multiaddr { engine.listenAddresses()[0] }

    /// Of the first address.
    var port: UInt16 { address.components.lazy.compactMap { if case .tcp(let port) = $0 { port } else { nil } }.first ?? 0 }

    func connect(to other: TestNode) throws {
        _ = try engine.call(.connect(other.address.appending(other.engine.localPeer)), timeout: Self.patience)
    }

    /// Reads the queue until an event gives a value.
    func event<T>(_ pick: (Event) -> T?) throws -> T {
        let limit = Instant.now() + Self.patience
        while let item = try engine.queue.next(timeout: limit - Instant.now()) {
            if case .event(let event) = item, let value = pick(event) { return value }
        }
        throw CallError.timedOut
    }

    func awaitConnected() throws {
        try event { if case .connected = $0 { () } else { nil } }
    }

    func acceptStream() throws -> StreamID {
        try event { if case .streamOpened(let stream, _, _) = $0 { stream } else { nil } }
    }

    func openStream(to other: TestNode, _ protocolID: String = "/echo/1") throws -> StreamID {
        let outcome = try engine.call(.openStream(other.engine.localPeer, protocols: [protocolID]), timeout: Self.patience)
        guard case .stream(let stream, _) = outcome else { throw CallError.noSuchStream }
        return stream
    }

    func write(_ stream: StreamID, _ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try engine.writeBlocking(stream, $0, timeout: Self.patience) }
    }

    /// One read of at most `count` bytes.
    func read(_ stream: StreamID, _ count: Int, timeout: Duration = Self.patience) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try bytes.withUnsafeMutableBytes { try engine.readBlocking(stream, into: $0, timeout: timeout) }
        return Array(bytes[..<got])
    }

    func readExactly(_ stream: StreamID, _ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let piece = try read(stream, count - bytes.count)
            guard !piece.isEmpty else { break }
            bytes += piece
        }
        return bytes
    }
}

/// Two connected nodes, and a stream that the first opened and the second accepted.
struct TestPair {
    let a: TestNode
    let b: TestNode

    init(system: SystemCalls = .kernel) throws {
        a = try TestNode(system: system)
        b = try TestNode(system: system)
        _ = try b.engine.call(.accept("/echo/1"), timeout: TestNode.patience)
        try a.connect(to: b)
    }

    func stream() throws -> (StreamID, StreamID) {
        let stream = try a.openStream(to: b)
        return (stream, try b.acceptStream())
    }

    func close() {
        a.engine.close()
        b.engine.close()
    }
}

/// Within `TestNode.patience`.
func comesTrue(_ condition: () throws -> Bool) rethrows -> Bool {
    let limit = Instant.now() + TestNode.patience
    while try !condition() {
        if Instant.now() >= limit { return false }
        sched_yield()
    }
    return true
}

/// A socket on the loopback that accepts, by its kernel, and says nothing. To be closed.
func silentListener() throws -> (socket: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in(), length = socklen_t(MemoryLayout<sockaddr_in>.size)
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let isListening = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            bind(descriptor, address, length) == 0 && listen(descriptor, 8) == 0 && getsockname(descriptor, address, &length) == 0
        }
    }
    try #require(isListening)
    return (descriptor, UInt16(bigEndian: address.sin_port))
}
