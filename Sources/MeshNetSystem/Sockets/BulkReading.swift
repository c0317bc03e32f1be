import Glibc
import MeshNetProtocol

/// Spares a bulk transfer most of its wakeups: once bytes came without a pause for a while, the kernel reports the socket only when many wait
/// (SO_RCVLOWAT). What comes behind the last of them is looked for after `patience`, once; then every byte is reported again. So a transfer below
/// `threshold` is never delayed, and a longer one by a millisecond at its end.
struct BulkReading {
    /// Bytes without a pause before it begins: several milliseconds of the fastest transfer.
    static let threshold = 8_388_608
    /// Bytes that are worth a wakeup: eight full Noise frames.
    static let lowWaterMark: Int32 = 524_288
    /// The longest pause.
    static let patience: Duration = .milliseconds(1)

    private(set) var isOn = false
    private var streak = 0
    private var last = Instant.zero

    /// When the socket is to be read although it was not reported.
    var deadline: Instant? { isOn ? last + Self.patience : nil }

    /// The socket was read until it was empty, or had its share of a turn. Returns whether the low-water mark changes.
    mutating func read(_ count: Int, now: Instant) -> Bool {
        let isSteady = isOn ? count >= Self.lowWaterMark : now - last <= Self.patience
        last = now
        streak = isSteady ? streak + count : 0
        guard isOn != (streak >= Self.threshold) else { return false }
        isOn.toggle()
        return true
    }

    func apply(to descriptor: Int32) {
        Socket.set(descriptor, SOL_SOCKET, SO_RCVLOWAT, isOn ? Self.lowWaterMark : 1)
    }
}
