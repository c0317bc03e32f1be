public struct Multiaddr: Hashable, Sendable {
    /// The binary form (multiaddr specification).
    public let bytes: [UInt8]
}
