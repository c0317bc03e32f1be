public import CMeshNet
import Glibc
import MeshNetSwarm
import MeshNetSystem

// Messages of peers, from the inbox into the hands of C.

@c @implementation public func meshnet_receive(_ node: OpaquePointer?, _ timeout: Int32,
                                               _ message: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_message_t>?>?) -> Int32 {
    message?.pointee = nil
    var count = 0
    return receive(node, timeout, message, "message", 1, &count)
}

@c @implementation public func meshnet_receive_many(_ node: OpaquePointer?, _ timeout: Int32,
                                                    _ messages: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_message_t>?>?,
                                                    _ capacity: Int, _ count: UnsafeMutablePointer<Int>?) -> Int32 {
    count?.pointee = 0
    guard let count else { return refuse(.argument("count", "is NULL")) }
    guard capacity >= 1 else { return refuse(.argument("capacity", "is \(UInt(bitPattern: capacity)); at least 1 is needed")) }
    return receive(node, timeout, messages, "messages", capacity, &count.pointee)
}

/// Messages taken under one lock, whatever the caller's array holds.
private let receivedAtOnce = 4_096

private func receive(_ handle: OpaquePointer?, _ timeout: Int32, _ messages: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_message_t>?>?,
                     _ name: StaticString, _ capacity: Int, _ count: inout Int) -> Int32 {
    do {
        let node = try liveNode(handle)
        let messages = try result(messages, name)
        let inbox = node.engine.inbox
        let limit = try waitingTime(timeout)
        let items: [InboxItem]
        do throws(CallError) { items = try inbox.next(upTo: min(capacity, receivedAtOnce), timeout: limit) } catch { throw Failure.call(error) }
        for item in items {
            switch item {
            case .one(let delivery):
                guard let message = MessageBlock.make(delivery, inbox.settlements) else { throw Failure.noMemory }
                messages[count] = message
                count += 1
            case .run(var run):
                while run.count > 0 {
                    guard let made = MessageSlab.fill(messages + count, &run, inbox.settlements) else { throw Failure.noMemory }
                    count += made
                }
            }
        }
        return count > 0 ? MESHNET_OK.rawValue : MESHNET_ERROR_TIMED_OUT.rawValue
    } catch let failure as Failure {
        return count > 0 ? MESHNET_OK.rawValue : refuse(failure)
    } catch {
        return refuse(.noMemory)
    }
}

@c @implementation public func meshnet_message_fd(_ node: OpaquePointer?) -> Int32 {
    do { return try liveNode(node).engine.inbox.descriptor } catch { return refuse(error) }
}

@c @implementation public func meshnet_message_free(_ message: UnsafeMutablePointer<meshnet_message_t>?) {
    if let message { MessageBlock.free(message) }
}

@c @implementation public func meshnet_messages_free(_ messages: UnsafePointer<UnsafeMutablePointer<meshnet_message_t>?>?, _ count: Int) {
    guard let messages, count > 0 else { return }
    MessageBlock.free(UnsafeBufferPointer(start: messages, count: count))
}

@c @implementation
public func meshnet_message_read(_ message: UnsafePointer<meshnet_message_t>?, _ offset: UInt64, _ buffer: UnsafeMutablePointer<UInt8>?,
                                 _ capacity: Int, _ count: UnsafeMutablePointer<Int>?) -> Int32 {
    count?.pointee = 0
    return answer { () throws(Failure) in
        let place = try result(count, "count")
        guard let message else { throw .argument("message", "is NULL") }
        let memory = try readBuffer(buffer, capacity)
        let body = MessageHead.body(of: message)
        guard let start = Int(exactly: offset), start <= body.byteCount else {
            throw .argument("offset", "is \(offset); the message has \(body.byteCount) bytes")
        }
        do throws(SystemError) { place.pointee = try body.read(offset: start, into: memory) } catch { throw .failed(error, path: nil) }
    }
}

@c @implementation public func meshnet_message_save(_ message: UnsafePointer<meshnet_message_t>?, _ path: UnsafePointer<CChar>?) -> Int32 {
    answer { () throws(Failure) in
        guard let message else { throw .argument("message", "is NULL") }
        let path = try text(path, "path")
        do throws(SystemError) { try MessageFiles.save(MessageHead.body(of: message), path) } catch { throw .failed(error, path: path) }
    }
}
