import CSystem
import Glibc
import MeshNetProtocol

/// Lets the kernel hold more unsent bytes of a connection that has been fast for a while and always has more to send, so that the thread that seals
/// does not stand still when the socket does for a moment. At that speed what the kernel may hold is sent in 2 ms.
struct BulkWriting {
    /// Bytes within `patience` that make a connection fast: half a gibibyte in a second.
    static let threshold = 8_388_608
    static let patience: Duration = .milliseconds(16)
    /// A send that offers fewer bytes is not of a bulk transfer, or of one that leaves room for what is urgent (`SendTurns.patientCeiling`).
    static let smallestOffer = 262_144
    /// Unsent bytes in the kernel meanwhile: sixteen full Noise frames.
    static let unsentLimit: Int32 = 1_048_576

    private(set) var isOn = false
    private var count = 0
    private var since = Instant.zero

    /// The socket took so many of the bytes that were offered. Returns whether the limit changes.
    mutating func sent(_ taken: Int, of offered: Int, now: Instant) -> Bool {
        let was = isOn
        if now - since > Self.patience {
            isOn = false
            restart(now)
        }
        if offered >= Self.smallestOffer { count += taken }
        if count >= Self.threshold {
            isOn = true
            restart(now)
        }
        return isOn != was
    }

    func apply(to descriptor: Int32) {
        Socket.set(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, isOn ? Self.unsentLimit : Socket.unsentLimit)
    }

    private mutating func restart(_ now: Instant) {
        count = 0
        since = now
    }
}
