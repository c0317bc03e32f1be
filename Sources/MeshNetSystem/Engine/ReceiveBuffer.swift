/// The bytes of a stream that nobody has read yet: a ring that grows by doubling. Its bound is the stream's receive window, since nothing is
/// credited to the peer before it is read.
struct ReceiveBuffer: ~Copyable {
    static let smallest = 4_096
    /// An empty ring above this size gives its memory back.
    static let keptWhenEmpty = 65_536

    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var head = 0
    private(set) var count = 0

    init() {}

    deinit { memory.deallocate() }

    var isEmpty: Bool { count == 0 }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        reserve(count + bytes.count)
        let tail = (head + count) & (memory.count - 1)
        let first = min(bytes.count, memory.count - tail)
        (memory.baseAddress! + tail).copyMemory(from: bytes.baseAddress!, byteCount: first)
        if first < bytes.count { memory.baseAddress!.copyMemory(from: bytes.baseAddress! + first, byteCount: bytes.count - first) }
        count += bytes.count
    }

    /// Moves bytes out; returns how many.
    mutating func take(into target: UnsafeMutableRawBufferPointer) -> Int {
        let taken = min(count, target.count)
        guard taken > 0 else { return 0 }
        let first = min(taken, memory.count - head)
        target.baseAddress!.copyMemory(from: memory.baseAddress! + head, byteCount: first)
        if first < taken { (target.baseAddress! + first).copyMemory(from: memory.baseAddress!, byteCount: taken - first) }
        drop(taken)
        return taken
    }

    /// Throws everything away; returns how many bytes that were.
    mutating func clear() -> Int {
        defer { drop(count) }
        return count
    }

    private mutating func drop(_ bytes: Int) {
        count -= bytes
        head = count == 0 ? 0 : (head + bytes) & (memory.count - 1)
        if count == 0, memory.count > Self.keptWhenEmpty { replace(capacity: 0) }
    }

    private mutating func reserve(_ needed: Int) {
        guard needed > memory.count else { return }
        var capacity = max(memory.count, Self.smallest)
        while capacity < needed { capacity *= 2 }
        replace(capacity: capacity)
    }

    private mutating func replace(capacity: Int) {
        let old = memory
        let fresh = capacity == 0
            ? UnsafeMutableRawBufferPointer(start: nil, count: 0) : .allocate(byteCount: capacity, alignment: 16)
        let first = min(count, old.count - head)
        if first > 0 { fresh.baseAddress!.copyMemory(from: old.baseAddress! + head, byteCount: first) }
        if first < count { (fresh.baseAddress! + first).copyMemory(from: old.baseAddress!, byteCount: count - first) }
        old.deallocate()
        memory = fresh
        head = 0
    }
}
