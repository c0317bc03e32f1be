public import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem

@c @implementation
public func meshnet_node_new(_ identity: OpaquePointer?, _ bootstrapPeers: UnsafePointer<UnsafePointer<CChar>?>?, _ bootstrapPeerCount: Int,
                                                _ listenPort: UInt16, _ node: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
    node?.pointee = nil
    return answer { () throws(Failure) in
        let place = try result(node, "node")
        let configuration = Configuration(
            identity: try keyPair(identity, "identity"),
            bootstrapPeers: try texts(bootstrapPeers, bootstrapPeerCount, "bootstrap_peers"),
            listenPort: listenPort)
        place.pointee = HandleTable.insert(.node(try NodeBox(configuration)))
    }
}

@c @implementation
public func meshnet_node_open(_ config: UnsafePointer<meshnet_config_t>?, _ node: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
    node?.pointee = nil
    return answer { () throws(Failure) in
        let place = try result(node, "node")
        place.pointee = HandleTable.insert(.node(try NodeBox(try configuration(config))))
    }
}

@c @implementation public func meshnet_node_close(_ node: OpaquePointer?) -> Int32 {
    answer(node) { node throws(Failure) in
        guard node.close() else { throw .call(.closed) }
    }
}

@c @implementation public func meshnet_node_free(_ node: OpaquePointer?) {
    guard let node, let box = HandleTable.removeNode(node) else { return }
    if box.isInherited {
        // Its engine's thread and locks are the parent's: not even its end may touch them.
        _ = Unmanaged.passRetained(box)
    } else {
        _ = box.close()
        // Another thread may be closing it at this moment: this waits for the end of that too.
        box.engine.close()
    }
}

@c @implementation
public func meshnet_node_peer_id(_ node: OpaquePointer?, _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int32 {
    answer(node) { node throws(Failure) in try write(node.engine.localPeer.description, to: text, capacity, "text") }
}

@c @implementation public func meshnet_listen_addresses(_ node: OpaquePointer?,
                                                        _ addresses: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_string_list_t>?>?) -> Int32 {
    addresses?.pointee = nil
    return answer(node) { node throws(Failure) in
        let place = try result(addresses, "addresses")
        if node.isClosed { throw .call(.closed) }
        let texts = node.engine.listenAddresses().map(\.description)
        place.pointee = try made(Block.make { $0.strings(texts) })
    }
}

@c @implementation public func meshnet_address_problems(_ node: OpaquePointer?,
                                                        _ problems: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_address_problem_list_t>?>?) -> Int32 {
    problems?.pointee = nil
    return answer(node) { node throws(Failure) in
        let place = try result(problems, "problems")
        guard case .problems(let found) = try node.call(.addressProblems) else { return }
        let rows = found.map(ProblemRow.init)
        place.pointee = try made(Block.make { $0.problems(rows) })
    }
}

@c @implementation public func meshnet_string_list_free(_ list: UnsafeMutablePointer<meshnet_string_list_t>?) { free(list) }

@c @implementation
public func meshnet_address_problem_list_free(_ list: UnsafeMutablePointer<meshnet_address_problem_list_t>?) { free(list) }

/// What `Block.make` made.
func made<T>(_ block: UnsafeMutablePointer<T>?) throws(Failure) -> UnsafeMutablePointer<T> {
    guard let block else { throw .noMemory }
    return block
}

extension NodeBox {
    /// Blocks until the engine answers or the time is over; nil: without limit.
    func call(_ command: Command, timeout: Duration? = nil) throws(Failure) -> Outcome {
        if isClosed { throw .call(.closed) }
        do { return try engine.call(command, timeout: timeout) } catch { throw .call(error) }
    }
}
