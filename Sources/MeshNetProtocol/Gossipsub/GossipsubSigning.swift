/// Which messages are taken, and how own ones are made (libp2p specs, pubsub, "Message Signing").
enum GossipsubSigning {
    static let prefix = Array("libp2p-pubsub:".utf8)
    static let sequenceByteCount = 8
    private static let signatureByteCount = 64

    /// The fields that the policy asks for, before anything costly is done.
    static func checkFields(_ message: GossipsubWireMessage, _ policy: GossipsubSignaturePolicy) -> GossipsubDropReason? {
        switch policy {
        case .strictSign:
            guard let from = message.from, !from.isEmpty, let signature = message.signature, !signature.isEmpty,
                let sequence = message.sequence, sequence.count == sequenceByteCount
            else { return .missingField }
            return nil
        case .strictNoSign:
            let unexpected = [message.from, message.sequence, message.signature, message.key].contains { $0?.isEmpty == false }
            return unexpected ? .unexpectedField : nil
        }
    }

    /// The author of a signed message whose signature holds; `scratch` is overwritten.
    ///
    /// The key is the one in the message, which must be the author's, or else the one inside the author's peer id.
    static func verify(_ message: GossipsubWireMessage, scratch: inout [UInt8]) -> Result<PeerID, GossipsubSigningFailure> {
        guard let from = message.from, let origin = try? PeerID(multihash: from) else { return .failure(.init(reason: .malformedOrigin)) }
        let key: PublicKey
        if let bytes = message.key {
            guard let given = try? PublicKey(protobuf: bytes) else { return .failure(.init(reason: .malformedKey)) }
            guard given.peerID == origin else { return .failure(.init(reason: .keyMismatch)) }
            key = given
        } else {
            guard let inlined = origin.publicKey else { return .failure(.init(reason: .malformedKey)) }
            key = inlined
        }
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: prefix)
        message.appendSigned(to: &scratch)
        guard let signature = message.signature, scratch.withUnsafeBytes({ key.verify(signature: signature, of: $0) }) else {
            return .failure(.init(reason: .invalidSignature))
        }
        return .success(origin)
    }

    /// The largest payload that fits into an RPC of `limit` bytes.
    static func largestPayload(topic: String, limit: Int, policy: GossipsubSignaturePolicy, peer: PeerID) -> Int {
        var overhead = 2 * (1 + Varint.byteCount(UInt64(limit))) + GossipsubEncoding.fieldSize(topic.utf8.count)
        if policy == .strictSign {
            overhead += GossipsubEncoding.fieldSize(peer.multihash.count) + GossipsubEncoding.fieldSize(sequenceByteCount)
            overhead += GossipsubEncoding.fieldSize(signatureByteCount)
        }
        return max(0, limit - overhead)
    }

    /// A frame with length prefix. The key is left out: an Ed25519 peer id contains it.
    static func frame(
        topic: String, data: UnsafeRawBufferPointer, sequence: [UInt8], identity: KeyPair?, in blocks: inout SharedBlocks
    ) -> SharedBytes {
        var topic = topic
        return topic.withUTF8 { topic in
            var message = GossipsubWireMessage()
            message.data = data
            message.topic = UnsafeRawBufferPointer(topic)
            guard let identity else { return message.frame(in: &blocks).frame }
            return signed(&message, sequence: sequence, identity: identity, in: &blocks)
        }
    }

    private static func signed(
        _ message: inout GossipsubWireMessage, sequence: [UInt8], identity: KeyPair, in blocks: inout SharedBlocks
    ) -> SharedBytes {
        identity.peerID.multihash.withUnsafeBytes { from in
            sequence.withUnsafeBytes { sequence in
                message.from = from
                message.sequence = sequence
                var signed = prefix
                message.appendSigned(to: &signed)
                return identity.sign(signed).withUnsafeBytes { signature in
                    message.signature = signature
                    return message.frame(in: &blocks).frame
                }
            }
        }
    }
}

struct GossipsubSigningFailure: Error {
    let reason: GossipsubDropReason
}
