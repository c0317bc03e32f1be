/// Memory in which messages wait for the application, many small ones in one block: no allocation for each of them. Bytes are only added, by the
/// reactor thread; those of a message that left through the inbox's lock never change.
package final class InboxBlock: @unchecked Sendable {
    /// Small messages share blocks of this size. A lane is taken in order, so at most one block of it is held by a part of its messages.
    static let sharedByteCount = 65_536
    /// A larger message has a block of its own, which the faces hand on without copying.
    package static let largestShared = 16_384

    private let memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    /// One zero byte follows, for those who read texts.
    init(capacity: Int) {
        memory = .allocate(byteCount: capacity + 1, alignment: 16)
        memory[capacity] = 0
    }

    deinit { memory.deallocate() }

    var room: Int { memory.count - 1 - count }

    /// Precondition: there is room. Returns the offset.
    func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        let offset = count
        UnsafeMutableRawBufferPointer(rebasing: memory[offset...]).copyMemory(from: bytes)
        count += bytes.count
        return offset
    }

    /// As long as the block lives.
    package func bytes(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[offset..<offset + count])
    }
}
