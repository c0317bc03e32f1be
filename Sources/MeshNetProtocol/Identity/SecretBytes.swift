import CSodium

/// Secret bytes in one place, shared by all copies of their owner and wiped when the last one goes.
final class SecretBytes: Sendable {
    /// Written only during `init`, read-only afterwards: safe to share between threads.
    private nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer

    init(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        memory = .allocate(byteCount: count, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        fill(memory)
    }

    var count: Int { memory.count }

    func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(UnsafeRawBufferPointer(memory))
    }

    /// Compares in constant time.
    func isEqual(to other: SecretBytes) -> Bool {
        count == other.count && sodium_memcmp(memory.baseAddress!, other.memory.baseAddress!, count) == 0
    }

    /// Overwrites bytes in a way that the compiler does not leave out.
    static func wipe(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { sodium_memzero(start, $0.count) } }
    }

    deinit {
        sodium_memzero(memory.baseAddress!, memory.count)
        memory.deallocate()
    }
}
