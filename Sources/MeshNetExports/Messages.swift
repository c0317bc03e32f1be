public import CMeshNet
import MeshNetSwarm
import MeshNetSystem

@c @implementation
public func meshnet_subscribe(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ changed: UnsafeMutablePointer<Bool>?) -> Int32 {
    change(node, changed) { () throws(Failure) in .subscribe(try topicName(topic)) }
}

@c @implementation
public func meshnet_unsubscribe(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ changed: UnsafeMutablePointer<Bool>?) -> Int32 {
    change(node, changed) { () throws(Failure) in .unsubscribe(try topicName(topic)) }
}

@c @implementation
public func meshnet_publish(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int) -> Int32 {
    answer(node) { node throws(Failure) in _ = try node.call(try publication(topic, data, length)) }
}

@c @implementation
public func meshnet_publish_many(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ messages: UnsafePointer<meshnet_bytes_t>?, _ count: Int,
                                 _ published: UnsafeMutablePointer<Int>?) -> Int32 {
    published?.pointee = 0
    return answer(node) { node throws(Failure) in
        let topic = try topicName(topic), bodies = try views(messages, count)
        if node.isClosed { throw .call(.closed) }
        let report = node.engine.publish(topic, bodies)
        published?.pointee = report.count
        if let failure = report.failure { throw .call(failure) }
    }
}

@c @implementation
public func meshnet_publish_retained(_ node: OpaquePointer?, _ topic: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int) -> Int32 {
    answer(node) { node throws(Failure) in _ = try node.call(try publication(topic, data, length, isRetained: true)) }
}

@c @implementation
public func meshnet_accept(_ node: OpaquePointer?, _ protocolID: UnsafePointer<CChar>?, _ changed: UnsafeMutablePointer<Bool>?) -> Int32 {
    change(node, changed) { () throws(Failure) in .accept(try protocolName(protocolID)) }
}

@c @implementation public func meshnet_stop_accepting(_ node: OpaquePointer?, _ protocolID: UnsafePointer<CChar>?,
                                                      _ changed: UnsafeMutablePointer<Bool>?) -> Int32 {
    change(node, changed) { () throws(Failure) in .stopAccepting(try protocolName(protocolID)) }
}

/// A command that tells whether it changed something.
func change(_ node: OpaquePointer?, _ changed: UnsafeMutablePointer<Bool>?, _ command: () throws(Failure) -> Command) -> Int32 {
    changed?.pointee = false
    return answer(node) { node throws(Failure) in
        if case .changed(let value) = try node.call(try command()) { changed?.pointee = value }
    }
}

func publication(_ topic: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int, isRetained: Bool = false) throws(Failure) -> Command {
    let topic = try topicName(topic), data = [UInt8](try bytes(data, length, "data"))
    return isRetained ? .publishRetained(topic: topic, data: data) : .publish(topic: topic, data: data)
}

func waiting(for count: Int, _ topic: UnsafePointer<CChar>?) throws(Failure) -> Command {
    guard count >= 0 else { throw .argument("count", "is \(UInt(bitPattern: count))") }
    return .waitForPeers(count, topic: try topicName(topic))
}

func topicName(_ pointer: UnsafePointer<CChar>?) throws(Failure) -> String { try text(pointer, "topic", MESHNET_ERROR_INVALID_TOPIC) }

func protocolName(_ pointer: UnsafePointer<CChar>?) throws(Failure) -> String { try text(pointer, "protocol_id", MESHNET_ERROR_INVALID_PROTOCOL) }
