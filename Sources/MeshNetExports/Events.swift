public import CMeshNet
import Glibc
import MeshNetSwarm
import MeshNetSystem

@c @implementation public func meshnet_next_event(_ node: OpaquePointer?, _ timeout: Int32,
                                                  _ event: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_event_t>?>?) -> Int32 {
    event?.pointee = nil
    var count = 0
    return fetch(node, timeout, event, "event", 1, &count)
}

@c @implementation public func meshnet_next_events(_ node: OpaquePointer?, _ timeout: Int32,
                                                   _ events: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_event_t>?>?,
                                                   _ capacity: Int, _ count: UnsafeMutablePointer<Int>?) -> Int32 {
    count?.pointee = 0
    guard let count else { return refuse(.argument("count", "is NULL")) }
    guard capacity >= 1 else { return refuse(.argument("capacity", "is \(UInt(bitPattern: capacity)); at least 1 is needed")) }
    return fetch(node, timeout, events, "events", capacity, &count.pointee)
}

/// Events taken under one lock, whatever the caller's array holds.
private let fetchedAtOnce = 1_024

private func fetch(_ handle: OpaquePointer?, _ timeout: Int32, _ events: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_event_t>?>?,
                   _ name: StaticString, _ capacity: Int, _ count: inout Int) -> Int32 {
    do {
        let node = try liveNode(handle)
        let events = try result(events, name)
        try node.nextEvents(try waitingTime(timeout), upTo: min(capacity, fetchedAtOnce)) { event in
            events[count] = event
            count += 1
        }
        // No account: an empty queue is the normal end of a loop that drains it.
        return count > 0 ? MESHNET_OK.rawValue : MESHNET_ERROR_TIMED_OUT.rawValue
    } catch {
        return count > 0 ? MESHNET_OK.rawValue : refuse(error)
    }
}

extension NodeBox {
    /// None when the time is over.
    fileprivate func nextEvents(_ timeout: Duration?, upTo limit: Int, _ give: (UnsafeMutablePointer<meshnet_event_t>) -> Void) throws(Failure) {
        let items: [QueueItem]
        do throws(CallError) { items = try engine.queue.next(upTo: limit, timeout: timeout) } catch {
            guard error == .closed, takeClosedEvent() else { throw .call(error) }
            return give(try made(makeClosedEvent()))
        }
        for item in items {
            note(item)
            guard makeEvents(item, names, give) else { throw .noMemory }
        }
    }

    /// What reaches the application changes what it has.
    private func note(_ item: QueueItem) {
        switch item {
        case .event(.streamOpened(let stream, _, _)): handOut(stream)
        case .event, .messages: break
        case .completion(_, .success(.stream(let stream, _))):
            handOut(stream)
            completionFetched()
        case .completion, .reply: completionFetched()
        case .accepted: break
        }
    }
}

@c @implementation public func meshnet_event_fd(_ node: OpaquePointer?) -> Int32 {
    do { return try liveNode(node).engine.queue.descriptor } catch { return refuse(error) }
}

@c @implementation public func meshnet_look(_ node: OpaquePointer?) -> Int32 {
    do throws(Failure) {
        let engine = try liveNode(node).engine, isThere: Bool
        do throws(CallError) { isThere = try engine.look() } catch { throw .call(error) }
        return isThere ? MESHNET_OK.rawValue : MESHNET_ERROR_TIMED_OUT.rawValue
    } catch { return refuse(error) }
}

@c @implementation public func meshnet_event_free(_ event: UnsafeMutablePointer<meshnet_event_t>?) {
    guard let event else { return }
    if event.pointee.type == Int32(MESHNET_EVENT_MESSAGE.rawValue) { return MessageEvent.free(event) }
    // The one thing in an event that is not in its block.
    if let reply = event.pointee.reply { MessageBlock.free(reply) }
    free(event)
}
