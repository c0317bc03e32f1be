/// Small messages of a lane that follow each other whole, as the frames that came: so many pass together at the cost of one.
package struct LaneRun {
    /// A larger body goes alone. The length of a smaller frame takes at most two bytes.
    package static let maximumPayload = (1 << 14) - 2

    /// Of the first; the others follow without a gap.
    package let sequence: UInt64
    package let count: Int
    package let bodyByteCount: Int
    /// Valid as long as the bytes from which it was taken.
    package let frames: UnsafeRawBufferPointer

    package init(sequence: UInt64, count: Int, bodyByteCount: Int, frames: UnsafeRawBufferPointer) {
        self.sequence = sequence
        self.count = count
        self.bodyByteCount = bodyByteCount
        self.frames = frames
    }

    /// The body of the frame at `offset` of a run's frames. Precondition: there is one.
    @inlinable package static func body(in frames: UnsafeRawBufferPointer, at offset: Int) -> Range<Int> {
        let low = Int(frames[offset])
        if low < 0x80 { return offset + 2..<offset + 1 + low }
        let length = low & 0x7f | Int(frames[offset + 1]) << 7
        return offset + 3..<offset + 2 + length
    }

    /// Of a MESSAGE with a small body.
    static func frameByteCount(_ bodyByteCount: Int) -> Int { bodyByteCount + (bodyByteCount + 1 < 0x80 ? 2 : 3) }

    /// Gives where the frame ends. Precondition: the body is small, and there is room.
    static func write(_ body: UnsafeRawBufferPointer, to memory: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        let length = body.count + 1, end = offset + frameByteCount(body.count), start = end - body.count
        if length < 0x80 {
            memory[offset] = UInt8(length)
        } else {
            memory[offset] = UInt8(length & 0x7f | 0x80)
            memory[offset + 1] = UInt8(length >> 7)
        }
        memory[start - 1] = MessageFrame.FrameType.message.rawValue
        UnsafeMutableRawBufferPointer(rebasing: memory[start..<end]).copyMemory(from: body)
        return end
    }

    /// Where the frame at `offset` ends, if it is a whole MESSAGE of a small body; nil: to be looked at more closely.
    fileprivate static func end(in frames: UnsafeRawBufferPointer, at offset: Int) -> Int? {
        let left = frames.count - offset
        guard left >= 2 else { return nil }
        let low = Int(frames[offset]), high = Int(frames[offset + 1]), isShort = low < 0x80
        // The last byte of a length is never 0, but for a frame without a type.
        guard isShort ? low > 0 : high > 0 && high < 0x80 && left >= 3 else { return nil }
        let start = offset + (isShort ? 1 : 2), length = isShort ? low : low & 0x7f | high << 7
        return frames[start] == MessageFrame.FrameType.message.rawValue && length <= frames.count - start ? start + length : nil
    }
}

extension LaneReceiver {
    /// Takes the messages that lie whole at the front of `bytes`, until their bodies with `messageOverhead` for each reach `room`, which must be positive.
    /// nil: none of them is new, small and whole: see `next`.
    package mutating func nextRun(_ bytes: inout UnsafeRawBufferPointer, room: Int) -> LaneRun? {
        guard isBetweenMessages else { return nil }
        var count = 0, end = 0, bodyByteCount = 0
        while bodyByteCount + count * LaneSender.messageOverhead < room, let next = LaneRun.end(in: bytes, at: end) {
            bodyByteCount += LaneRun.body(in: bytes, at: end).count
            count += 1
            end = next
        }
        guard count > 0, let sequence = passRun(UInt64(count)) else { return nil }
        defer { bytes = UnsafeRawBufferPointer(rebasing: bytes[end...]) }
        return LaneRun(sequence: sequence, count: count, bodyByteCount: bodyByteCount, frames: UnsafeRawBufferPointer(rebasing: bytes[..<end]))
    }
}

extension LaneSender {
    package enum Output {
        /// `control` has bytes to write.
        case control
        case bytes(UnsafeRawBufferPointer)
        /// Answer with `read`.
        case read(SpoolNumber, offset: Int, count: Int)
        /// A rate decides whether so much may follow: answer with `admit`, or wait.
        case gate(messages: Int, bytes: Int)
        case nothing
    }

    /// What a queue still takes.
    package struct Room {
        package var messages: Int
        /// As `byteCount` counts them.
        package var bytes: Int
        /// Bytes of memory after which nothing more is taken.
        package var memory: Int

        package init(messages: Int, bytes: Int, memory: Int) {
            self.messages = messages
            self.bytes = bytes
            self.memory = memory
        }

        /// How many small bodies from the first on, and what they count; `held`: bytes of memory in use.
        func fitting(_ bodies: ArraySlice<UnsafeRawBufferPointer>, held: Int) -> (count: Int, cost: Int) {
            // A buffer more than what they fill may be begun.
            let limit = min(bytes, memory - held - MessageLog.segmentByteCount)
            var count = 0, cost = 0
            for body in bodies.prefix(max(0, messages)) {
                guard body.count <= LaneRun.maximumPayload, cost + body.count + LaneSender.messageOverhead <= limit else { break }
                cost += LaneRun.frameByteCount(body.count) + LaneSender.messageOverhead
                count += 1
            }
            return (count, cost)
        }
    }
}
