import MeshNetSwarm

/// The engine's end of one application stream: who reads, who writes, and what waits in between. Reactor thread only.
final class StreamPort {
    struct Read {
        let ticket: Ticket
        let memory: UnsafeMutableRawBufferPointer
        var filled = 0
        let completion: Engine.Completion<Int>
    }

    struct Write {
        let ticket: Ticket
        let bytes: UnsafeRawBufferPointer
        var taken = 0
        let completion: Engine.Completion<Int>
    }

    /// What the application asked for, carried out behind the writes that wait.
    enum Closing { case no, writing, both }

    /// What the swarm said of the stream.
    enum Ending { case open, gone(CallError?) }

    var received = ReceiveBuffer()
    /// The peer sends nothing more.
    var isEnded = false
    var ending = Ending.open
    var closing = Closing.no
    /// `Swarm.write` took fewer bytes than given: wait for `.streamWritable`.
    var isFull = false
    /// The first read has bytes and is completed at the end of the socket's turn, when more frames may have filled it further.
    var isFilling = false

    var reads = StableFifo<Read>()
    var writes = StableFifo<Write>()

    /// Bytes arrived: into the waiting reads first, the rest is kept. Returns whether a read was touched.
    func deliver(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard received.isEmpty, var read = reads.first, read.filled < read.memory.count else {
            received.append(bytes)
            return false
        }
        let count = min(bytes.count, read.memory.count - read.filled)
        if count > 0 {
            (read.memory.baseAddress! + read.filled).copyMemory(from: bytes.baseAddress!, byteCount: count)
            read.filled += count
            reads.first = read
        }
        if count < bytes.count { received.append(UnsafeRawBufferPointer(rebasing: bytes[count...])) }
        return true
    }

    /// What a read gets when nothing is there and nothing will come; nil while something may come.
    var endOfReading: Result<Int, CallError>? {
        if case .both = closing { return .failure(.streamClosed) }
        if isEnded { return .success(0) }
        switch ending {
        case .open: return nil
        case .gone(let error): return error.map { .failure($0) } ?? .success(0)
        }
    }

    /// Why nothing can be written; nil while it can.
    var endOfWriting: CallError? {
        if case .gone(let error) = ending { return error ?? .streamClosed }
        if case .no = closing { return nil }
        return .streamClosed
    }
}
