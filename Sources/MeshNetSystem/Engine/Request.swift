import MeshNetSwarm

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

    /// Bytes that wait with the request; reads and writes leave theirs with the caller.
    var byteCount: Int {
        if case .command(.publish(_, let data), _, _) = self { data.count } else { 0 }
    }

    /// Whether a completion answers it.
    var isAnswered: Bool {
        switch self {
        case .command, .read, .write: true
        case .cancel, .closeWrite, .closeStream, .resetStream: false
        }
    }
}

/// Memory that a caller lends until the completion.
struct CallerMemory<Buffer>: @unchecked Sendable {
    let buffer: Buffer
}
