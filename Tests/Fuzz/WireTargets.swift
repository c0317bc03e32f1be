import MeshNetProtocol

/// Frames above this are refused in the `frames` target.
private let frameLimit = 4_096

let wireTargets: [FuzzTarget] = [
    FuzzTarget(name: "varint") { bytes in
        var reader = ByteReader(bytes)
        guard let value = try? reader.readVarint() else { return }
        // Only the shortest form is taken, so what was read is what would be written.
        precondition(Varint.encoded(value).elementsEqual(bytes.prefix(reader.offset)))
        precondition(Varint.byteCount(value) == reader.offset)
    },
    FuzzTarget(name: "protobuf") { bytes in
        walkProtobuf(bytes, depth: 0)
    },
    FuzzTarget(name: "frames") { bytes in
        // The first byte says how the rest is cut; the frames must not depend on it.
        guard let cut = bytes.first.map({ Int($0) + 1 }) else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        precondition(frames(in: rest, cut: cut) == frames(in: rest, cut: rest.count + 1))
        precondition(frames(in: rest, cut: cut) == frames(in: rest, cut: cut, inPlace: true))
    },
]

private func walkProtobuf(_ bytes: UnsafeRawBufferPointer, depth: Int) {
    var reader = ProtobufReader(bytes)
    while let field = try? reader.next() {
        _ = try? field.text()
        _ = try? field.integer()
        if depth < 8, let inner = try? field.bytes() { walkProtobuf(inner, depth: depth + 1) }
    }
}

private struct FramesSeen: Equatable {
    var frames: [[UInt8]] = []
    var refused = false
}

private func frames(in bytes: UnsafeRawBufferPointer, cut: Int, inPlace: Bool = false) -> FramesSeen {
    var parser = LengthPrefixedFrames(limit: frameLimit)
    var seen = FramesSeen()
    var start = 0
    while start < bytes.count {
        var piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + cut, bytes.count)])
        start += piece.count
        do {
            while let frame = try inPlace ? parser.nextInPlace(&piece).map({ [UInt8]($0) }) ?? parser.next(&piece) : parser.next(&piece) {
                precondition(frame.count <= frameLimit)
                seen.frames.append(frame)
            }
        } catch {
            seen.refused = true
            return seen
        }
        precondition(parser.capacity <= 4 * frameLimit, "memory grew beyond what came")
    }
    return seen
}
