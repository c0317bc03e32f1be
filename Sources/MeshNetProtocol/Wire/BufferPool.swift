/// The pooled memory of a node's data path: whole pages, handed out and taken back without a heap allocation once warm.
///
/// One pool per node, used on the node's thread only. Buffers come in two sizes, because most connections move little at a time
/// and only bulk transfers profit from large system calls. A connection holds buffers only while bytes are under way in it.
package final class BufferPool {
    package enum Size: Sendable {
        /// 68 KiB: one full Noise frame (65,537 bytes) and some small ones.
        case frame
        /// 1,044 KiB: sixteen full frames, and the beginning of another one. Decision 009.
        case bulk

        package var byteCount: Int {
            switch self {
            case .frame: 69_632
            case .bulk: 1_069_056
            }
        }
    }

    /// Alignment of every buffer, and what the byte counts are multiples of.
    package static let pageByteCount = 4_096

    /// Buffers kept for reuse, of each size. Above it returned memory goes back to the system:
    /// 32 frames (2 MiB) and 8 bulk buffers (8.2 MiB) serve eight busy connections of one thread.
    package let maximumCachedFrames: Int
    package let maximumCachedBulk: Int

    /// Buffers handed out and not given back: zero when every connection is idle or gone.
    package fileprivate(set) var outstanding = 0

    private var frames: [PooledBuffer] = []
    private var bulk: [PooledBuffer] = []

    package init(maximumCachedFrames: Int = 32, maximumCachedBulk: Int = 8) {
        self.maximumCachedFrames = maximumCachedFrames
        self.maximumCachedBulk = maximumCachedBulk
        frames.reserveCapacity(maximumCachedFrames)
        bulk.reserveCapacity(maximumCachedBulk)
    }

    /// Buffers in the cache, of both sizes.
    package var cached: Int { frames.count + bulk.count }

    /// A buffer whose content is undefined. Give it back with `recycle`; one that is merely dropped is freed and no longer counted.
    package func take(_ size: Size) -> PooledBuffer {
        let buffer = (size == .frame ? frames.popLast() : bulk.popLast()) ?? PooledBuffer(size)
        buffer.lender = self
        outstanding += 1
        return buffer
    }

    /// Takes a buffer back; nobody may use its memory afterwards. Precondition: it came from this pool and is given back once.
    package func recycle(_ buffer: PooledBuffer) {
        precondition(buffer.lender === self, "a buffer goes back once, to its own pool")
        buffer.lender = nil
        outstanding -= 1
        switch buffer.size {
        case .frame: if frames.count < maximumCachedFrames { frames.append(buffer) }
        case .bulk: if bulk.count < maximumCachedBulk { bulk.append(buffer) }
        }
    }
}

/// One buffer of a pool. The reference is the right to use the memory.
package final class PooledBuffer {
    package let size: BufferPool.Size
    package let bytes: UnsafeMutableRawBufferPointer
    fileprivate var lender: BufferPool?

    fileprivate init(_ size: BufferPool.Size) {
        self.size = size
        bytes = .allocate(byteCount: size.byteCount, alignment: BufferPool.pageByteCount)
    }

    package var count: Int { bytes.count }

    deinit {
        lender?.outstanding -= 1
        bytes.deallocate()
    }
}
