/// The 32-byte key of a private network (libp2p specs, pnet).
public struct PreSharedKey: Sendable, Hashable {
    public static let byteCount = 32
    let bytes: [UInt8]

    /// nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }
}
