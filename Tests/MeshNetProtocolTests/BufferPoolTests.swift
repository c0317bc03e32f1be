import Testing
@testable import MeshNetProtocol

@Suite struct BufferPoolTests {
    @Test func buffersAreReusedAndCounted() {
        let pool = BufferPool()
        let first = pool.take(.frame)
        #expect(pool.outstanding == 1)
        pool.recycle(first)
        #expect(pool.outstanding == 0 && pool.cached == 1)
        #expect(pool.take(.frame) === first)
        #expect(pool.take(.bulk).count == BufferPool.Size.bulk.byteCount)
    }

    @Test func theCacheIsBounded() {
        let pool = BufferPool(maximumCachedFrames: 2, maximumCachedBulk: 1)
        let frames = (0..<5).map { _ in pool.take(.frame) }, bulk = (0..<5).map { _ in pool.take(.bulk) }
        for buffer in frames + bulk { pool.recycle(buffer) }
        #expect(pool.cached == 3 && pool.outstanding == 0)
    }

    @Test func aDroppedBufferIsNoLongerOutstanding() {
        let pool = BufferPool()
        do { _ = pool.take(.bulk) }
        #expect(pool.outstanding == 0 && pool.cached == 0)
    }

    @Test(arguments: [BufferPool.Size.frame, .bulk]) func buffersAreWholePages(size: BufferPool.Size) {
        let buffer = BufferPool().take(size)
        #expect(buffer.count % BufferPool.pageByteCount == 0)
        #expect(UInt(bitPattern: buffer.bytes.baseAddress) % UInt(BufferPool.pageByteCount) == 0)
    }
}

@Suite struct FifoTests {
    @Test(arguments: 0..<20) func behavesLikeAnArray(seed: UInt64) {
        var random = RandomSource(testSeed: seed)
        var fifo = Fifo<Int>(), model: [Int] = []
        for step in 0..<2_000 {
            switch random.next() % 8 {
            case 0..<4: fifo.append(step); model.append(step)
            case 4..<7: #expect(fifo.popFirst() == (model.isEmpty ? nil : model.removeFirst()), "seed \(seed)")
            default:
                fifo.removeAll { $0 % 7 == 3 }
                model.removeAll { $0 % 7 == 3 }
            }
            #expect(fifo.count == model.count && fifo.isEmpty == model.isEmpty, "seed \(seed)")
        }
        for offset in model.indices { #expect(fifo[offset] == model[offset]) }
    }
}
