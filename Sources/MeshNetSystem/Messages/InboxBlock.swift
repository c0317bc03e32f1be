/// Memory in which messages wait for the application, many small ones in one block: no allocation for each of them. Bytes are only added, by the
/// reactor thread; those of a message that left through the inbox's lock never change.
package final class InboxBlock: @unchecked Sendable {
    /// Small messages share blocks of this size. A lane is taken in order, so at most one block of it is held by a part of its messages.
    static let sharedByteCount = 65_536
    /// A larger message has a block of its own, which the faces hand on without copying.
    package static let largestShared = 16_384

    private let memory: UnsafeMutableRawBufferPointer
    private let pool: InboxBlockPool?
    private(set) var count = 0

    /// One zero byte follows, for those who read texts. With a pool, its memory goes there in the end.
    init(capacity: Int, pool: InboxBlockPool? = nil) {
        self.pool = capacity == Self.sharedByteCount ? pool : nil
        memory = self.pool?.take() ?? .allocate(byteCount: capacity + 1, alignment: 16)
        memory[capacity] = 0
    }

    deinit { if let pool { pool.give(memory) } else { memory.deallocate() } }

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

/// Memory of shared blocks that will be used again: new memory costs a page fault for every 4 KiB, and is in no cache of the processor. Any thread.
final class InboxBlockPool: Sendable {
    /// Blocks kept.
    static let largest = 16

    private let kept = Guarded<[UnsafeMutableRawBufferPointer]>([])

    deinit {
        guard !kept.ownerProcessIsGone else { return }
        kept.with { for memory in $0 { memory.deallocate() } }
    }

    func take() -> UnsafeMutableRawBufferPointer? { kept.with { $0.popLast() } }

    func give(_ memory: UnsafeMutableRawBufferPointer) {
        let isKept = !kept.ownerProcessIsGone && kept.with { kept in
            guard kept.count < Self.largest else { return false }
            kept.append(memory)
            return true
        }
        if !isKept { memory.deallocate() }
    }

    /// For tests.
    var count: Int { kept.with { $0.count } }
}
