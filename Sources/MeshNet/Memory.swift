/// Memory that stays where it is while the reactor thread works on it.
final class Memory: Sendable {
    nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
        bytes = .allocate(byteCount: byteCount, alignment: 16)
    }

    init(_ content: [UInt8]) {
        bytes = .allocate(byteCount: content.count, alignment: 16)
        bytes.copyBytes(from: content)
    }

    deinit { bytes.deallocate() }
}

/// Copies of messages, side by side, that stay where they are.
final class LentMessages: Sendable {
    private let memory: Memory
    nonisolated(unsafe) let bodies: [UnsafeRawBufferPointer]

    init(_ messages: some Collection<[UInt8]>) {
        memory = Memory(byteCount: messages.reduce(0) { $0 + $1.count })
        var bodies: [UnsafeRawBufferPointer] = [], end = 0
        for message in messages {
            let place = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[end..<end + message.count])
            place.copyBytes(from: message)
            bodies.append(UnsafeRawBufferPointer(place))
            end += message.count
        }
        self.bodies = bodies
    }
}
