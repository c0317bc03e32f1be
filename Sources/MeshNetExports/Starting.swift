public import CMeshNet
import MeshNetProtocol
import MeshNetSwarm

// Each `_start` twin makes the command of its blocking call and leaves the answer to the event queue.

@c @implementation public func meshnet_connect_start(_ node: OpaquePointer?, _ address: UnsafePointer<CChar>?,
                                                     _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .connect(try multiaddr(address)) }
}

@c @implementation public func meshnet_disconnect_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?,
                                                        _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .disconnect(try peerID(peer)) }
}

@c @implementation public func meshnet_peers_start(_ node: OpaquePointer?, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { .peers }
}

@c @implementation public func meshnet_address_problems_start(_ node: OpaquePointer?,
                                                              _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { .addressProblems }
}

@c @implementation public func meshnet_add_bootstrap_peer_start(_ node: OpaquePointer?, _ address: UnsafePointer<CChar>?,
                                                                _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .addBootstrap(try bootstrapAddress(address)) }
}

@c @implementation public func meshnet_remove_bootstrap_peer_start(_ node: OpaquePointer?, _ address: UnsafePointer<CChar>?,
                                                                   _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .removeBootstrap(try bootstrapAddress(address)) }
}

@c @implementation public func meshnet_subscribe_start(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?,
                                                       _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .subscribe(try topicName(topic)) }
}

@c @implementation public func meshnet_unsubscribe_start(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?,
                                                         _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .unsubscribe(try topicName(topic)) }
}

@c @implementation public func meshnet_publish_start(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int,
                                                     _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in try publication(topic, data, length) }
}

@c @implementation public func meshnet_topic_peers_start(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?,
                                                         _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .topicPeers(try topicName(topic)) }
}

@c @implementation
public func meshnet_publish_retained_start(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int,
                                           _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in try publication(topic, data, length, isRetained: true) }
}

@c @implementation public func meshnet_wait_for_peers_start(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ count: Int,
                                                            _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in try waiting(for: count, topic) }
}

@c @implementation public func meshnet_stream_open_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?,
                                                         _ protocols: UnsafePointer<UnsafePointer<CChar>?>?,
                                                         _ protocolCount: Int, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .openStream(try peerID(peer), protocols: try protocolNames(protocols, protocolCount)) }
}

@c @implementation public func meshnet_accept_start(_ node: OpaquePointer?, _ protocolID: UnsafePointer<CChar>?,
                                                    _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .accept(try protocolName(protocolID)) }
}

@c @implementation public func meshnet_stop_accepting_start(_ node: OpaquePointer?, _ protocolID: UnsafePointer<CChar>?,
                                                            _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .stopAccepting(try protocolName(protocolID)) }
}

@c @implementation public func meshnet_ping_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?,
                                                  _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .ping(try peerID(peer)) }
}

@c @implementation public func meshnet_perf_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ upload: UInt64, _ download: UInt64,
                                                  _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .perf(try peerID(peer), upload: upload, download: download) }
}

@c @implementation public func meshnet_stream_read_start(_ node: OpaquePointer?, _ stream: meshnet_stream_t, _ buffer: UnsafeMutablePointer<UInt8>?,
                                                         _ capacity: Int, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    transfer(node, ticket) { node throws(Failure) in try node.startRead(StreamID(rawValue: stream.id), into: try readBuffer(buffer, capacity)) }
}

@c @implementation public func meshnet_stream_write_start(_ node: OpaquePointer?, _ stream: meshnet_stream_t, _ data: UnsafePointer<UInt8>?,
                                                          _ length: Int, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    transfer(node, ticket) { node throws(Failure) in try node.startWrite(StreamID(rawValue: stream.id), try bytes(data, length, "data")) }
}

@c @implementation public func meshnet_cancel(_ node: OpaquePointer?, _ ticket: meshnet_ticket_t) -> Int32 {
    answer(node) { node throws(Failure) in
        if node.isClosed { throw .call(.closed) }
        node.cancel(ticket.id)
    }
}

func start(_ node: OpaquePointer?, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?, _ command: () throws(Failure) -> Command) -> Int32 {
    transfer(node, ticket) { node throws(Failure) in try node.start(try command()) }
}

func transfer(_ node: OpaquePointer?, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?, _ begin: (NodeBox) throws(Failure) -> UInt64) -> Int32 {
    ticket?.pointee = meshnet_ticket_t(id: 0)
    return answer(node) { node throws(Failure) in
        let place = try result(ticket, "ticket")
        place.pointee = meshnet_ticket_t(id: try begin(node))
    }
}
