public import CMeshNet
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem

@c @implementation
public func meshnet_stream_open(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ protocols: UnsafePointer<UnsafePointer<CChar>?>?,
                                                   _ protocolCount: Int, _ timeout: Int32, _ stream: UnsafeMutablePointer<meshnet_stream_t>?,
                                                   _ protocolIndex: UnsafeMutablePointer<Int>?) -> Int32 {
    stream?.pointee = meshnet_stream_t(id: 0)
    protocolIndex?.pointee = 0
    return answer(node) { node throws(Failure) in
        let place = try result(stream, "stream")
        let peer = try peerID(peer)
        let offered = try protocolNames(protocols, protocolCount)
        let outcome = try node.call(.openStream(peer, protocols: offered), timeout: try waitingTime(timeout))
        guard case .stream(let opened, let agreed) = outcome else { return }
        node.handOut(opened)
        place.pointee = meshnet_stream_t(id: opened.rawValue)
        protocolIndex?.pointee = offered.firstIndex(of: agreed) ?? 0
    }
}

func protocolNames(_ protocols: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int) throws(Failure) -> [String] {
    let names = try texts(protocols, count, "protocol_ids", MESHNET_ERROR_INVALID_PROTOCOL)
    if names.isEmpty { throw .text(MESHNET_ERROR_INVALID_PROTOCOL, "protocol_ids", "none is given") }
    return names
}

@c @implementation
public func meshnet_stream_read(_ node: OpaquePointer?, _ stream: meshnet_stream_t, _ buffer: UnsafeMutablePointer<UInt8>?, _ capacity: Int,
                                                   _ timeout: Int32, _ count: UnsafeMutablePointer<Int>?) -> Int32 {
    count?.pointee = 0
    return answer(node) { node throws(Failure) in
        let place = try result(count, "count")
        let memory = try readBuffer(buffer, capacity)
        let limit = try waitingTime(timeout)
        let id = StreamID(rawValue: stream.id)
        try node.begin(.read, on: id)
        defer { node.end(.read, on: id) }
        do throws(CallError) { place.pointee = try node.engine.readBlocking(id, into: memory, timeout: limit) } catch { throw .call(error) }
    }
}

func readBuffer(_ buffer: UnsafeMutablePointer<UInt8>?, _ capacity: Int) throws(Failure) -> UnsafeMutableRawBufferPointer {
    guard let buffer else { throw .argument("buffer", "is NULL") }
    guard capacity >= 1 else { throw .argument("capacity", "is \(UInt(bitPattern: capacity)); at least 1 is needed") }
    return UnsafeMutableRawBufferPointer(start: buffer, count: capacity)
}

@c @implementation
public func meshnet_stream_write(_ node: OpaquePointer?, _ stream: meshnet_stream_t, _ data: UnsafePointer<UInt8>?, _ length: Int,
                                                    _ timeout: Int32) -> Int32 {
    answer(node) { node throws(Failure) in
        let memory = try bytes(data, length, "data")
        let limit = try waitingTime(timeout)
        let id = StreamID(rawValue: stream.id)
        try node.begin(.write, on: id)
        defer { node.end(.write, on: id) }
        do throws(CallError) { try node.engine.writeBlocking(id, memory, timeout: limit) } catch { throw .call(error) }
    }
}

@c @implementation public func meshnet_stream_close_write(_ node: OpaquePointer?, _ stream: meshnet_stream_t) -> Int32 {
    answer(node) { node throws(Failure) in
        let id = StreamID(rawValue: stream.id)
        try node.check(id)
        node.engine.closeWrite(id)
    }
}

@c @implementation public func meshnet_stream_close(_ node: OpaquePointer?, _ stream: meshnet_stream_t) -> Int32 {
    answer(node) { node throws(Failure) in
        let id = StreamID(rawValue: stream.id)
        try node.takeBack(id)
        node.engine.closeStream(id)
    }
}

@c @implementation public func meshnet_stream_reset(_ node: OpaquePointer?, _ stream: meshnet_stream_t) -> Int32 {
    answer(node) { node throws(Failure) in
        let id = StreamID(rawValue: stream.id)
        try node.takeBack(id)
        node.engine.resetStream(id)
    }
}
