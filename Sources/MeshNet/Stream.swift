public import MeshNetProtocol
public import MeshNetSwarm
import MeshNetSystem

/// A two-way stream of bytes to a peer, for one protocol id. Reads and writes may go on at the same time.
///
/// Bytes arrive in order and unchanged, or the stream fails. Flow control is the peer's: a write waits while the peer does not read.
public struct Stream: Sendable {
    let engine: Engine
    public let id: StreamID
    public let peer: PeerID
    public let protocolID: String

    /// The next bytes, at most `count` (1 ... 16 MiB); empty at the peer's end of the stream.
    /// Throws `.streamReset` when the stream or its connection was lost, `.noSuchStream` after `close()`.
    public func read(upTo count: Int = 65_536) async throws(CallError) -> [UInt8] {
        let memory = Memory(byteCount: min(max(count, 1), 16 << 20))
        let result: Result<Int, CallError> = await withCheckedContinuation { continuation in
            engine.read(id, into: memory.bytes) { result in
                continuation.resume(returning: result)
            }
        }
        let read = try result.get()
        return [UInt8](memory.bytes[..<read])
    }

    /// Exactly `count` bytes; throws `.streamClosed` when the peer ends the stream before.
    public func read(exactly count: Int) async throws(CallError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let piece = try await read(upTo: count - bytes.count)
            guard !piece.isEmpty else { throw .streamClosed }
            bytes.append(contentsOf: piece)
        }
        return bytes
    }

    /// Returns when every byte is in the connection's send buffer.
    public func write(_ bytes: [UInt8]) async throws(CallError) {
        let memory = Memory(bytes)
        let result: Result<Int, CallError> = await withCheckedContinuation { continuation in
            engine.write(id, UnsafeRawBufferPointer(memory.bytes)) { result in
                withExtendedLifetime(memory) { continuation.resume(returning: result) }
            }
        }
        _ = try result.get()
    }

    /// Tells the peer that nothing more follows; reading goes on.
    public func closeWrite() { engine.closeWrite(id) }

    /// Ends both directions in order: what was written is still sent, what arrives is discarded.
    public func close() { engine.closeStream(id) }

    /// Ends both directions at once: unsent bytes are lost, the peer sees a reset.
    public func reset() { engine.resetStream(id) }
}
