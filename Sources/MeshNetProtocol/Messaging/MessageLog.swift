/// Bytes that wait to be sent, in pooled buffers: a position counts the bytes ever appended, so that nothing moves when the front goes.
///
/// Not an object for each message: thousands of small frames share a buffer, and one read lends them all.
struct MessageLog {
    private struct Segment {
        var buffer: PooledBuffer?
        /// Bytes in it that were appended and not released.
        var live = 0
    }

    static var segmentByteCount: Int { BufferPool.Size.frame.byteCount }

    private var segments = Fifo<Segment>()
    /// The number of the first segment that is kept.
    private var firstSegment = 0
    /// Positions of the oldest byte kept, and behind the newest.
    private(set) var base = 0
    private(set) var end = 0
    /// Buffers in use.
    private(set) var bufferCount = 0

    var byteCount: Int { bufferCount * Self.segmentByteCount }

    mutating func append(_ bytes: UnsafeRawBufferPointer, pool: BufferPool) {
        var rest = bytes
        while !rest.isEmpty {
            let at = end / Self.segmentByteCount - firstSegment, within = end % Self.segmentByteCount
            while segments.count <= at { segments.append(Segment()) }
            let buffer: PooledBuffer
            if let held = segments[at].buffer {
                buffer = held
            } else {
                buffer = pool.take(.frame)
                segments[at].buffer = buffer
                bufferCount += 1
            }
            let count = min(rest.count, Self.segmentByteCount - within)
            UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[within..<within + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            segments[at].live += count
            end += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// MESSAGE frames of bodies of at most `LaneRun.maximumPayload`, each of `LaneRun.frameByteCount`.
    mutating func appendMessages(_ bodies: ArraySlice<UnsafeRawBufferPointer>, pool: BufferPool) {
        var rest = bodies
        while let first = rest.first {
            let at = end / Self.segmentByteCount - firstSegment
            if at < segments.count, let buffer = segments[at].buffer {
                let before = end % Self.segmentByteCount
                var within = before
                while let body = rest.first, within + LaneRun.frameByteCount(body.count) <= Self.segmentByteCount {
                    within = LaneRun.write(body, to: buffer.bytes, at: within)
                    rest = rest.dropFirst()
                }
                segments[at].live += within - before
                end += within - before
                if within > before { continue }
            }
            // It lies in two buffers, or begins one.
            withUnsafeTemporaryAllocation(byteCount: LaneRun.frameByteCount(first.count), alignment: 1) { frame in
                _ = LaneRun.write(first, to: frame, at: 0)
                append(UnsafeRawBufferPointer(frame), pool: pool)
            }
            rest = rest.dropFirst()
        }
    }

    /// The bytes from one position to another, as far as they lie together. Valid until the log changes.
    func view(from: Int, to: Int) -> UnsafeRawBufferPointer {
        let at = from / Self.segmentByteCount - firstSegment, within = from % Self.segmentByteCount
        guard from >= base, to <= end, from < to, at >= 0, at < segments.count, let buffer = segments[at].buffer else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeRawBufferPointer(rebasing: buffer.bytes[within..<min(within + to - from, Self.segmentByteCount)])
    }

    /// Everything before the position is of no use any more.
    mutating func free(below position: Int, pool: BufferPool) {
        base = max(base, position)
        // An empty log holds no buffer, whatever room the last one had.
        let keep = base == end ? Int.max : base / Self.segmentByteCount
        while firstSegment < keep, let segment = segments.popFirst() {
            give(back: segment.buffer, pool)
            firstSegment += 1
        }
        if segments.isEmpty { firstSegment = end / Self.segmentByteCount }
    }

    /// The bytes of one message in the middle are of no use: a buffer in which nothing else lies goes back.
    mutating func release(from: Int, to: Int, pool: BufferPool) {
        var position = from
        while position < to {
            let number = position / Self.segmentByteCount
            let stop = min(to, (number + 1) * Self.segmentByteCount)
            let at = number - firstSegment
            if at >= 0, at < segments.count {
                segments[at].live -= stop - position
                // The last one is still filled.
                if segments[at].live == 0, number < end / Self.segmentByteCount, let buffer = segments[at].buffer {
                    segments[at].buffer = nil
                    give(back: buffer, pool)
                }
            }
            position = stop
        }
    }

    /// Takes the newest bytes back.
    mutating func truncate(to position: Int, pool: BufferPool) {
        release(from: position, to: end, pool: pool)
        end = max(base, position)
        if base == end { free(below: end, pool: pool) }
    }

    private mutating func give(back buffer: PooledBuffer?, _ pool: BufferPool) {
        guard let buffer else { return }
        bufferCount -= 1
        pool.recycle(buffer)
    }
}
