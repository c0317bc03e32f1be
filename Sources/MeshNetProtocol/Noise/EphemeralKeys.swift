/// A key of one handshake, with its secret.
struct EphemeralKey {
    var secret: [UInt8]
    let publicKey: [UInt8]
}

/// Ephemeral keys that were made while a node had nothing else to do, so that its next handshakes need not wait for them.
///
/// A handshake takes one out for good, as if it had made it. Nothing is made before a handshake asked in vain; from then on as many as are made at once
/// are kept ready, and `maximum` once another one did. Shared by the handshakes of one node, in one thread; wiped with it.
package final class EphemeralKeys: @unchecked Sendable {
    package static let maximum = 8
    /// How many are made at once, which takes seven tenths of the time.
    static let batch = 4

    private var keys: [EphemeralKey] = []
    private var wanted = 0

    package init() {}

    deinit { for index in keys.indices { keys[index].secret.wipe() } }

    var count: Int { keys.count }

    /// Whether `prepare` has something to do.
    package var isShort: Bool { keys.count + Self.batch <= wanted }

    /// Makes some keys, which takes as long as three key agreements. Draws 128 bytes from `random`.
    package func prepare(random: inout RandomSource) {
        guard isShort else { return }
        let secrets = (0..<Self.batch).map { _ in random.bytes(NoiseSuite.keyByteCount) }
        for (secret, publicKey) in zip(secrets, X25519Keys.publicKeys(of: secrets)) { keys.append(EphemeralKey(secret: secret, publicKey: publicKey)) }
    }

    /// The only copy; nil when none is ready.
    func take() -> EphemeralKey? {
        let key = keys.popLast()
        if key == nil { wanted = min(wanted + Self.batch, Self.maximum) }
        return key
    }
}
