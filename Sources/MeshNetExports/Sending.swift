public import CMeshNet
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem

// Messages to one peer, from C.

@c @implementation
public func meshnet_send(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int,
                         _ options: UnsafePointer<meshnet_send_options_t>?, _ timeout: Int32) -> Int32 {
    answer(node) { node throws(Failure) in
        let sending = try Sending(try node.names.peer(peer), options)
        _ = try node.send(sending, [try bytes(data, length, "data")], try waitingTime(timeout))
    }
}

@c @implementation
public func meshnet_send_many(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ messages: UnsafePointer<meshnet_bytes_t>?, _ count: Int,
                              _ options: UnsafePointer<meshnet_send_options_t>?, _ timeout: Int32, _ sent: UnsafeMutablePointer<Int>?) -> Int32 {
    sent?.pointee = 0
    return answer(node) { node throws(Failure) in
        let sending = try Sending(try node.names.peer(peer), options)
        try node.send(sending, try views(messages, count), try waitingTime(timeout)) { sent?.pointee = $0 }
    }
}

/// The messages of one call where they lie.
func views(_ messages: UnsafePointer<meshnet_bytes_t>?, _ count: Int) throws(Failure) -> [UnsafeRawBufferPointer] {
    guard let messages else { throw .argument("messages", "is NULL") }
    guard count >= 1, count <= largestBatch else { throw .argument("count", "is \(UInt(bitPattern: count)); it must be from 1 to \(largestBatch)") }
    var bodies: [UnsafeRawBufferPointer] = []
    bodies.reserveCapacity(count)
    for index in 0..<count { bodies.append(try bytes(messages[index].data, messages[index].length, "messages[].data")) }
    return bodies
}

/// Messages in one call: far above any use, far below a count that was never set.
private let largestBatch = 1 << 24

@c @implementation
public func meshnet_send_file(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ path: UnsafePointer<CChar>?,
                              _ options: UnsafePointer<meshnet_send_options_t>?, _ timeout: Int32) -> Int32 {
    answer(node) { node throws(Failure) in
        let sending = try Sending(try node.names.peer(peer), options), limit = try waitingTime(timeout)
        let content = try node.content(of: path)
        let report = node.engine.sendBlocking(sending.message, content, until: sending.point, timeout: limit)
        if let failure = report.failure { throw .call(failure) }
    }
}

@c @implementation
public func meshnet_send_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int,
                               _ options: UnsafePointer<meshnet_send_options_t>?, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    transfer(node, ticket) { node throws(Failure) in
        try node.startSend(try Sending(try node.names.peer(peer), options), [UInt8](try bytes(data, length, "data")))
    }
}

@c @implementation
public func meshnet_send_file_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ path: UnsafePointer<CChar>?,
                                    _ options: UnsafePointer<meshnet_send_options_t>?, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    transfer(node, ticket) { node throws(Failure) in try node.startSend(try Sending(try node.names.peer(peer), options), try node.content(of: path)) }
}

@c @implementation
public func meshnet_request(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int,
                            _ options: UnsafePointer<meshnet_send_options_t>?, _ timeout: Int32,
                            _ reply: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_message_t>?>?) -> Int32 {
    reply?.pointee = nil
    return answer(node) { node throws(Failure) in
        let place = try result(reply, "reply")
        var sending = try Sending(try node.names.peer(peer), options)
        let limit = try waitingTime(timeout)
        sending.message.kind = .request
        sending.message.options.deadline = limit
        sending.waitsForDelivery = true
        let report = try node.send(sending, [try bytes(data, length, "data")], limit)
        place.pointee = try made(MessageBlock.make(replyOf: node.names.text(of: sending.message.peer), report.reply ?? .bytes([])))
    }
}

@c @implementation
public func meshnet_request_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ data: UnsafePointer<UInt8>?, _ length: Int,
                                  _ options: UnsafePointer<meshnet_send_options_t>?, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    transfer(node, ticket) { node throws(Failure) in
        var sending = try Sending(try node.names.peer(peer), options)
        sending.message.kind = .request
        return try node.startSend(sending, [UInt8](try bytes(data, length, "data")))
    }
}

@c @implementation
public func meshnet_reply(_ node: OpaquePointer?, _ message: UnsafePointer<meshnet_message_t>?, _ data: UnsafePointer<UInt8>?, _ length: Int,
                          _ timeout: Int32) -> Int32 {
    answer(node) { node throws(Failure) in
        let limit = try waitingTime(timeout), view = try bytes(data, length, "data")
        let (sending, place) = try answering(message)
        do throws(Failure) { try node.send(sending, [view], limit) } catch {
            MessageBlock.undoAnswer(place)
            throw error
        }
    }
}

@c @implementation
public func meshnet_reply_start(_ node: OpaquePointer?, _ message: UnsafePointer<meshnet_message_t>?, _ data: UnsafePointer<UInt8>?, _ length: Int,
                                _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    transfer(node, ticket) { node throws(Failure) in
        let content = [UInt8](try bytes(data, length, "data"))
        let (sending, place) = try answering(message)
        do throws(Failure) { return try node.startSend(sending, content) } catch {
            MessageBlock.undoAnswer(place)
            throw error
        }
    }
}

/// The reply to a request, which counts as answered from now on.
private func answering(_ message: UnsafePointer<meshnet_message_t>?) throws(Failure) -> (Sending, UnsafeMutablePointer<MessageBlock>) {
    guard let message else { throw .argument("message", "is NULL") }
    guard message.pointee.is_request else { throw .argument("message", "is no request") }
    let place = MessageBlock.at(message)
    guard let delivery = place.pointee.delivery, let request = delivery.request else { throw .argument("message", "is no request") }
    guard MessageBlock.beginAnswer(place) else { throw .argument("message", "was answered already") }
    let reply = OutboundMessage(peer: delivery.source.peer, kind: .reply(request), options: SendOptions(lane: delivery.lane))
    return (Sending(reply), place)
}

/// What a call sends, and how.
struct Sending {
    var message: OutboundMessage
    var waitsForDelivery = false
    var reportsAcceptance = false

    var point: Engine.SendPoint { waitsForDelivery ? .delivered : .accepted }

    init(_ message: OutboundMessage) { self.message = message }

    init(_ peer: PeerID, _ pointer: UnsafePointer<meshnet_send_options_t>?) throws(Failure) {
        message = OutboundMessage(peer: peer)
        guard let pointer else { return }
        let options = try take(pointer, over: meshnet_send_options_t.defaults, "options", smallest: smallestOptions)
        guard let lane = UInt8(exactly: options.lane).flatMap(Lane.init(rawValue:)) else { throw .argument("options.lane", "is \(options.lane)") }
        guard let whenFull = UInt8(exactly: options.when_full).flatMap(WhenFull.init(rawValue:)) else {
            throw .argument("options.when_full", "is \(options.when_full)")
        }
        guard options.deadline_ms >= -1 else { throw .argument("options.deadline_ms", "is \(options.deadline_ms); only -1 is negative") }
        let deadline: Duration? = options.deadline_ms < 0 ? nil : .milliseconds(options.deadline_ms)
        message.options = SendOptions(lane: lane, deadline: deadline, whenFull: whenFull)
        waitsForDelivery = options.waits_for_delivery
        reportsAcceptance = options.reports_acceptance
    }
}

extension NodeBox {
    /// Blocks; `count` gets how many came so far as was asked for, also after a failure.
    @discardableResult
    fileprivate func send(_ sending: Sending, _ bodies: [UnsafeRawBufferPointer], _ timeout: Duration?,
                          count: ((Int) -> Void)? = nil) throws(Failure) -> SendReport {
        if isClosed { throw .call(.closed) }
        let report = engine.sendBlocking(sending.message, bodies, until: sending.point, timeout: timeout)
        count?(report.count)
        if let failure = report.failure { throw .call(failure) }
        return report
    }

    fileprivate func content(of path: UnsafePointer<CChar>?) throws(Failure) -> OutgoingBody {
        if isClosed { throw .call(.closed) }
        let path = try text(path, "path")
        do throws(SendFileError) { return try engine.bodies.content(of: path) } catch {
            switch error {
            case .file(let error): throw .failed(error, path: path)
            case .call(let error): throw .call(error)
            }
        }
    }
}
