import MeshNetProtocol

/// Tells our own packets, which the kernel gives back to us because others on this machine shall hear them too, from the equal ones of others.
struct MulticastEchoes {
    /// Sent packets whose echo is awaited. More than these are under way only when nobody reads.
    static let limit = 8
    /// An echo comes in the same moment, or never.
    static let patience: Duration = .seconds(1)

    private var awaited: [(packet: [UInt8], at: Instant)] = []

    mutating func sent(_ packet: [UInt8], now: Instant) {
        awaited.removeAll { now - $0.at > Self.patience }
        if awaited.count == Self.limit { awaited.removeFirst() }
        awaited.append((packet, now))
    }

    /// True once for each packet sent.
    mutating func takes(_ packet: UnsafeRawBufferPointer, now: Instant) -> Bool {
        guard let index = awaited.firstIndex(where: { now - $0.at <= Self.patience && $0.packet.elementsEqual(packet) }) else { return false }
        awaited.remove(at: index)
        return true
    }
}
