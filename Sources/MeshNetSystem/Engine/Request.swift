package import MeshNetSwarm

/// What a caller asks of the reactor thread.
enum Request: Sendable {
    /// Without a closure the answer goes to the queue.
    case command(Command, Ticket, Engine.Completion<Outcome>?)
    case read(StreamID, CallerMemory<UnsafeMutableRawBufferPointer>, Ticket, Engine.Completion<Int>)
    case write(StreamID, CallerMemory<UnsafeRawBufferPointer>, Ticket, Engine.Completion<Int>)
    case cancel(Ticket, CallError)
    case closeWrite(StreamID)
    case closeStream(StreamID)
    case resetStream(StreamID)
    case send(SendCall)
    case cancelSend(SendCall, CallError)
    /// The memory is lent until the completion.
    indirect case publish(topic: String, CallerMemory<[UnsafeRawBufferPointer]>, Ticket, Engine.Completion<PublishReport>)

    /// Bytes that wait with the request; reads and writes leave theirs with the caller.
    var byteCount: Int {
        switch self {
        case .command(.publish(_, let data), _, _), .command(.publishRetained(_, let data), _, _): data.count
        default: 0
        }
    }

    /// Bytes of messages to peers, until they are accepted.
    var sendByteCount: Int {
        if case .send(let call) = self { call.heldByteCount } else { 0 }
    }

    /// Whether a completion answers it.
    var isAnswered: Bool {
        switch self {
        case .command, .read, .write, .send, .publish: true
        case .cancel, .closeWrite, .closeStream, .resetStream, .cancelSend: false
        }
    }
}

/// How many messages of one call were published, and why the next one was not.
package struct PublishReport: Sendable {
    package var count: Int
    package var failure: CallError?
}

/// Memory that a caller lends until the completion.
struct CallerMemory<Buffer>: @unchecked Sendable {
    let buffer: Buffer
}
