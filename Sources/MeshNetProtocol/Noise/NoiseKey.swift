/// A Noise key of a node, with the signature of its identity.
///
/// It may serve many handshakes (libp2p specs, noise, "Static Key Authentication"): their secrets come from the ephemeral keys too, of which each
/// handshake has its own, and nobody but the peer sees this key.
package struct NoiseKey: Sendable {
    let publicKey: [UInt8]
    let signature: [UInt8]
    private let bytes: SecretBytes

    /// Draws 32 bytes from `random`.
    package init(identity: KeyPair, random: inout RandomSource) {
        var secret = random.bytes(NoiseSuite.keyByteCount)
        publicKey = NoiseSuite.publicKey(of: secret)
        signature = identity.sign(NoisePayload.signedBytes(of: publicKey))
        bytes = SecretBytes(count: secret.count) { $0.copyBytes(from: secret) }
        secret.wipe()
    }

    /// A copy, to be wiped.
    var secret: [UInt8] { bytes.withBytes { Array($0) } }
}
