public import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSwarm

@c @implementation public func meshnet_connect(_ node: OpaquePointer?, _ address: UnsafePointer<CChar>?, _ timeout: Int32,
                                               _ peerID: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int32 {
    if let peerID, capacity > 0 { peerID.pointee = 0 }
    return answer(node) { node throws(Failure) in
        let target = try multiaddr(address)
        let limit = try waitingTime(timeout)
        if peerID == nil, capacity != 0 { throw .argument("peer_id", "is NULL with a capacity of \(UInt(bitPattern: capacity))") }
        if peerID != nil, capacity < MESHNET_PEER_ID_TEXT_SIZE {
            throw .bufferTooSmall(needed: Int(MESHNET_PEER_ID_TEXT_SIZE), capacity: max(capacity, 0))
        }
        guard case .peer(let connection) = try node.call(.connect(target), timeout: limit) else { return }
        if let peerID { try write(node.names.text(of: connection.peer), to: peerID, capacity, "peer_id") }
    }
}

@c @implementation public func meshnet_disconnect(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?) -> Int32 {
    answer(node) { node throws(Failure) in _ = try node.call(.disconnect(try node.names.peer(peer))) }
}

@c @implementation
public func meshnet_peers(_ node: OpaquePointer?, _ peers: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_peer_list_t>?>?) -> Int32 {
    peers?.pointee = nil
    return answer(node) { node throws(Failure) in try list(.peers, of: node, into: try result(peers, "peers")) }
}

@c @implementation public func meshnet_topic_peers(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?,
                                                   _ peers: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_peer_list_t>?>?) -> Int32 {
    peers?.pointee = nil
    return answer(node) { node throws(Failure) in
        let topic = try text(topic, "topic", MESHNET_ERROR_INVALID_TOPIC)
        try list(.topicPeers(topic), of: node, into: try result(peers, "peers"))
    }
}

@c @implementation public func meshnet_wait_for_peers(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ count: Int, _ timeout: Int32,
                                                      _ peers: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_peer_list_t>?>?) -> Int32 {
    peers?.pointee = nil
    return answer(node) { node throws(Failure) in
        let outcome = try node.call(try waiting(for: count, topic), timeout: try waitingTime(timeout))
        let rows = PeerRow.rows(of: outcome)
        if let peers { peers.pointee = try made(Block.make { $0.peers(rows) }) }
    }
}

private func list(_ command: Command, of node: NodeBox,
                  into place: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_peer_list_t>?>) throws(Failure) {
    let rows = PeerRow.rows(of: try node.call(command))
    place.pointee = try made(Block.make { $0.peers(rows) })
}

@c @implementation public func meshnet_peer_list_free(_ list: UnsafeMutablePointer<meshnet_peer_list_t>?) { free(list) }

@c @implementation public func meshnet_add_bootstrap_peer(_ node: OpaquePointer?, _ address: UnsafePointer<CChar>?) -> Int32 {
    answer(node) { node throws(Failure) in _ = try node.call(.addBootstrap(try bootstrapAddress(address))) }
}

@c @implementation public func meshnet_remove_bootstrap_peer(_ node: OpaquePointer?, _ address: UnsafePointer<CChar>?) -> Int32 {
    answer(node) { node throws(Failure) in _ = try node.call(.removeBootstrap(try bootstrapAddress(address))) }
}

@c @implementation public func meshnet_ping(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ timeout: Int32,
                                            _ roundTrip: UnsafeMutablePointer<Int64>?) -> Int32 {
    roundTrip?.pointee = 0
    return answer(node) { node throws(Failure) in
        let place = try result(roundTrip, "round_trip_ns")
        let outcome = try node.call(.ping(try peerID(peer)), timeout: try waitingTime(timeout))
        if case .roundTrip(let time) = outcome { place.pointee = time.nanoseconds }
    }
}

@c @implementation
public func meshnet_perf(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ upload: UInt64, _ download: UInt64, _ timeout: Int32,
                                            _ uploadTime: UnsafeMutablePointer<Int64>?, _ downloadTime: UnsafeMutablePointer<Int64>?) -> Int32 {
    uploadTime?.pointee = 0
    downloadTime?.pointee = 0
    return answer(node) { node throws(Failure) in
        let command = Command.perf(try peerID(peer), upload: upload, download: download)
        guard case .perf(let up, let down) = try node.call(command, timeout: try waitingTime(timeout)) else { return }
        uploadTime?.pointee = up.nanoseconds
        downloadTime?.pointee = down.nanoseconds
    }
}
