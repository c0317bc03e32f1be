/// Noise keys that identities have proven to be theirs: the signature of a peer that comes back with the key of before is not verified again.
///
/// What is kept is one hash of identity, signature and Noise key, so that nothing is spared but the same proof; who brings it shows in its handshake, as
/// always, that it has the secret of that Noise key. Bound: `maximum`, the oldest makes room. Shared by the handshakes of one node, in one thread.
package final class ProvenKeys: @unchecked Sendable {
    package static let maximum = 1_024

    private var proofs: Set<[UInt8]> = []
    private var order = Fifo<[UInt8]>()
    private let hash = SHA256Context()

    package init() {}

    var count: Int { proofs.count }

    /// Whether `verify` says so, now or for the same proof before.
    func check(_ payload: NoisePayload, of noiseKey: [UInt8], _ verify: () -> Bool) -> Bool {
        let proof = proof(payload, noiseKey)
        if proofs.contains(proof) { return true }
        guard verify() else { return false }
        if proofs.count >= Self.maximum, let oldest = order.popFirst() { proofs.remove(oldest) }
        proofs.insert(proof)
        order.append(proof)
        return true
    }

    /// Lengths go in front, so that no part can pass for another.
    private func proof(_ payload: NoisePayload, _ noiseKey: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for part in [payload.identityKey, payload.identitySignature, noiseKey] {
            bytes.appendBigEndian(UInt32(clamping: part.count))
            bytes += part
        }
        return bytes.withUnsafeBytes { hash.digest($0) }
    }
}
