/// Bytes that many hold and nobody changes. Small ones lie together in blocks, so that one of them costs no allocation.
package struct SharedBytes: Sendable {
    fileprivate let block: SharedBlock
    fileprivate let offset: Int
    package let count: Int

    fileprivate init(_ block: SharedBlock, _ offset: Int, _ count: Int) {
        self.block = block
        self.offset = offset
        self.count = count
    }

    package init(_ bytes: [UInt8]) {
        self = bytes.withUnsafeBytes { view in SharedBlock(capacity: view.count).write(view.count) { $0.copyMemory(from: view) } }
    }

    /// Joins them, in a block of their own.
    package init(joining parts: some Collection<SharedBytes>) {
        let byteCount = parts.reduce(0) { $0 + $1.count }
        self = SharedBlock(capacity: byteCount).write(byteCount) { output in
            var start = 0
            for part in parts {
                part.withBytes { UnsafeMutableRawBufferPointer(rebasing: output[start...]).copyMemory(from: $0) }
                start += part.count
            }
        }
    }

    /// The view is valid until the closure returns.
    package func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        withExtendedLifetime(block) { body(block.bytes(offset, count)) }
    }

    /// A copy.
    package var array: [UInt8] { withBytes { [UInt8]($0) } }

    /// A part of them. Precondition: it lies within.
    package subscript(part: Range<Int>) -> SharedBytes {
        precondition(part.lowerBound >= 0 && part.upperBound <= count, "a part lies within")
        return SharedBytes(block, offset + part.lowerBound, part.count)
    }
}

extension SharedBytes: Equatable {
    package static func == (a: SharedBytes, b: SharedBytes) -> Bool { a.withBytes { a in b.withBytes { a.elementsEqual($0) } } }
}

/// Some of them in order. Those that lie together hold their block once.
package struct SharedRun: Sendable {
    private struct Place {
        let block: Int
        let offset: Int
        let count: Int
    }

    private var blocks: [SharedBlock] = []
    private var places: [Place] = []

    package init() {}

    package var count: Int { places.count }

    package mutating func append(_ bytes: SharedBytes) {
        if blocks.last !== bytes.block { blocks.append(bytes.block) }
        places.append(Place(block: blocks.count - 1, offset: bytes.offset, count: bytes.count))
    }

    package subscript(index: Int) -> SharedBytes {
        let place = places[index]
        return SharedBytes(blocks[place.block], place.offset, place.count)
    }

    /// The view is valid until the closure returns.
    package func withBytes<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        let place = places[index]
        return withExtendedLifetime(self) { body(blocks[place.block].bytes(place.offset, place.count)) }
    }

    package func byteCount(_ index: Int) -> Int { places[index].count }
    package func byteCount(_ range: Range<Int>) -> Int { places[range].reduce(0) { $0 + $1.count } }
}

/// Writes them, one behind the other. By one thread at a time.
package struct SharedBlocks: Sendable {
    /// Who keeps one small piece keeps so many bytes.
    package static let byteCount = 8_192
    /// Larger pieces have a block of their own.
    static let largestShared = 2_048

    private var block: SharedBlock?

    package init() {}

    /// `fill` gets as many bytes as are asked for, and writes all of them.
    package mutating func write(_ count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> SharedBytes {
        if count > Self.largestShared { return SharedBlock(capacity: count).write(count, fill) }
        if let block, block.room >= count { return block.write(count, fill) }
        let new = SharedBlock(capacity: Self.byteCount)
        block = new
        return new.write(count, fill)
    }

    package mutating func write(_ bytes: UnsafeRawBufferPointer) -> SharedBytes { write(bytes.count) { $0.copyMemory(from: bytes) } }
}

/// Bytes are only added, and not seen by anybody before they are written.
private final class SharedBlock: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer
    private var used = 0

    init(capacity: Int) { memory = .allocate(byteCount: capacity, alignment: 16) }

    deinit { memory.deallocate() }

    var room: Int { memory.count - used }

    func write(_ count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> SharedBytes {
        precondition(count <= room, "a block has no more room")
        fill(UnsafeMutableRawBufferPointer(rebasing: memory[used..<used + count]))
        defer { used += count }
        return SharedBytes(self, used, count)
    }

    func bytes(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[offset..<offset + count]) }
}
