/// Signatures that were found good: what a peer that comes back signed before, its Noise key or its record, is not verified again.
///
/// What is kept is one hash of key, message and signature, so that nothing is spared but the very same. That the peer has the secret of a Noise key
/// shows in its handshake, as always. Bound: `maximum`, the oldest makes room. Of one node, in one thread.
package final class ProvenSignatures: @unchecked Sendable {
    package static let maximum = 1_024

    private var proofs: Set<[UInt8]> = []
    private var order = Fifo<[UInt8]>()
    private let hash = SHA256Context()

    package init() {}

    var count: Int { proofs.count }

    /// Whether this is the key's signature of the message.
    func verify(_ signature: [UInt8], of message: [UInt8], by key: PublicKey) -> Bool {
        check(signature, of: message, by: key.protobuf) { key.verify(signature: signature, of: message) }
    }

    /// Whether `verify` says so, now or for the same bytes before.
    func check(_ signature: [UInt8], of message: [UInt8], by key: [UInt8], _ verify: () -> Bool) -> Bool {
        let proof = proof([key, message, signature])
        if proofs.contains(proof) { return true }
        guard verify() else { return false }
        if proofs.count >= Self.maximum, let oldest = order.popFirst() { proofs.remove(oldest) }
        proofs.insert(proof)
        order.append(proof)
        return true
    }

    /// Lengths go in front, so that no part can pass for another.
    private func proof(_ parts: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        for part in parts {
            bytes.appendBigEndian(UInt32(clamping: part.count))
            bytes += part
        }
        return bytes.withUnsafeBytes { hash.digest($0) }
    }
}
