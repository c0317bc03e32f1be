/// A key of one handshake, with its secret.
struct EphemeralKey {
    var secret: [UInt8]
    let publicKey: [UInt8]

    /// Precondition: the secret has 32 bytes.
    init(secret: [UInt8]) {
        self.secret = secret
        publicKey = NoiseSuite.publicKey(of: secret)
    }
}

/// Ephemeral keys that were made while a node had nothing else to do, so that its next handshakes need not wait for them.
///
/// A handshake takes one out for good, as if it had made it. Nothing is made before a handshake asked in vain; each that does doubles how many are kept
/// ready, up to `maximum`. Shared by the handshakes of one node, in one thread; wiped with it.
package final class EphemeralKeys: @unchecked Sendable {
    package static let maximum = 8

    private var keys: [EphemeralKey] = []
    private var wanted = 0

    package init() {}

    deinit { for index in keys.indices { keys[index].secret.wipe() } }

    var count: Int { keys.count }

    /// Whether `prepare` has something to do.
    package var isShort: Bool { keys.count < wanted }

    /// Makes one key, which takes as long as a key agreement. Draws 32 bytes from `random`.
    package func prepare(random: inout RandomSource) {
        guard isShort else { return }
        keys.append(EphemeralKey(secret: random.bytes(NoiseSuite.keyByteCount)))
    }

    /// The only copy; nil when none is ready.
    func take() -> EphemeralKey? {
        let key = keys.popLast()
        if key == nil { wanted = min(max(1, wanted * 2), Self.maximum) }
        return key
    }
}
