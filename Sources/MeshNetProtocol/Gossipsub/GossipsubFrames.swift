/// Frames of messages, one behind the other with their length prefixes, that go to a peer as they are. Peers that get the same share the bytes.
package struct GossipsubFrames: Sendable, Equatable {
    /// Bytes that small frames are joined to at most: a full Noise frame, nearly.
    package static let joinedBytes = 65_000

    package let bytes: SharedBytes
    /// Messages.
    package let count: Int

    package init(_ frame: SharedBytes) {
        bytes = frame
        count = 1
    }

    private init(joining frames: ArraySlice<SharedBytes>) {
        bytes = SharedBytes(joining: frames)
        count = frames.count
    }

    /// In order, with small ones joined.
    static func pieces(_ frames: [SharedBytes]) -> [GossipsubFrames] {
        var pieces: [GossipsubFrames] = [], start = 0
        while start < frames.count {
            var end = start + 1, byteCount = frames[start].count
            while end < frames.count, byteCount + frames[end].count <= joinedBytes {
                byteCount += frames[end].count
                end += 1
            }
            pieces.append(end == start + 1 ? GossipsubFrames(frames[start]) : GossipsubFrames(joining: frames[start..<end]))
            start = end
        }
        return pieces
    }

    /// One by one.
    package var each: [SharedBytes] {
        guard count > 1 else { return [bytes] }
        return bytes.withBytes { view in
            let frames = LengthPrefixedFrames(limit: .max)
            var result: [SharedBytes] = [], rest = view, start = 0
            while frames.nextInPlace(&rest) != nil {
                let end = view.count - rest.count
                result.append(bytes[start..<end])
                start = end
            }
            return result
        }
    }
}
