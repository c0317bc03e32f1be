/// Which messages are taken, and how own ones are made (libp2p specs, pubsub, "Message Signing").
enum GossipsubSigning {
    static let prefix = Array("libp2p-pubsub:".utf8)
    static let sequenceByteCount = 8
    private static let signatureByteCount = 64

    /// The fields that the policy asks for, before anything costly is done.
    static func checkFields(_ message: GossipsubWireMessage, _ policy: GossipsubSignaturePolicy) -> GossipsubDropReason? {
        switch policy {
        case .strictSign:
            guard has(message.from), has(message.signature), message.sequence?.count == sequenceByteCount else { return .missingField }
            return nil
        case .strictNoSign:
            let unexpected = has(message.from) || has(message.sequence) || has(message.signature) || has(message.key)
            return unexpected ? .unexpectedField : nil
        }
    }

    private static func has(_ field: UnsafeRawBufferPointer?) -> Bool { field?.isEmpty == false }

    /// The author of a signed message whose signature holds; `scratch` is overwritten. `last` is an author before it, whose key is
    /// in its peer id.
    ///
    /// The key is the one in the message, which must be the author's, or else the one inside the author's peer id.
    static func verify(
        _ message: GossipsubWireMessage, last: inout GossipsubAuthor?, scratch: inout [UInt8]
    ) -> Result<PeerID, GossipsubSigningFailure> {
        let author: GossipsubAuthor
        if let last, message.key == nil, let from = message.from, last.peer.multihash.elementsEqual(from) {
            author = last
        } else {
            switch self.author(of: message) {
            case .success(let found): author = found
            case .failure(let failure): return .failure(failure)
            }
            if message.key == nil { last = author }
        }
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: prefix)
        message.appendSigned(to: &scratch)
        guard let signature = message.signature, scratch.withUnsafeBytes({ author.key.verify(signature: signature, of: $0) }) else {
            return .failure(.init(reason: .invalidSignature))
        }
        return .success(author.peer)
    }

    private static func author(of message: GossipsubWireMessage) -> Result<GossipsubAuthor, GossipsubSigningFailure> {
        guard let from = message.from, let peer = try? PeerID(multihash: from) else { return .failure(.init(reason: .malformedOrigin)) }
        guard let bytes = message.key else {
            guard let inlined = peer.publicKey else { return .failure(.init(reason: .malformedKey)) }
            return .success(GossipsubAuthor(peer: peer, key: inlined))
        }
        guard let given = try? PublicKey(protobuf: bytes) else { return .failure(.init(reason: .malformedKey)) }
        guard given.peerID == peer else { return .failure(.init(reason: .keyMismatch)) }
        return .success(GossipsubAuthor(peer: peer, key: given))
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

    /// An own message. The key is left out: an Ed25519 peer id contains it.
    static func message(
        topic: String, data: UnsafeRawBufferPointer, sequence: UInt64, id: UnsafeRawBufferPointer, author: (peer: PeerID, identity: KeyPair)?,
        in blocks: inout SharedBlocks
    ) -> GossipsubKeptMessage {
        var topic = topic
        return topic.withUTF8 { topic in
            var message = GossipsubWireMessage()
            message.data = data
            message.topic = UnsafeRawBufferPointer(topic)
            guard let author else { return message.kept(id: id, in: &blocks).message }
            return signed(&message, sequence: sequence, id: id, author: author, in: &blocks)
        }
    }

    private static func signed(
        _ message: inout GossipsubWireMessage, sequence: UInt64, id: UnsafeRawBufferPointer, author: (peer: PeerID, identity: KeyPair),
        in blocks: inout SharedBlocks
    ) -> GossipsubKeptMessage {
        author.peer.multihash.withUnsafeBytes { from in
            withUnsafeBytes(of: sequence.bigEndian) { sequence in
                message.from = from
                message.sequence = sequence
                var signed = prefix
                message.appendSigned(to: &signed)
                return author.identity.sign(signed).withUnsafeBytes { signature in
                    message.signature = signature
                    return message.kept(id: id, in: &blocks).message
                }
            }
        }
    }
}

/// Who signed a message, and the key that shows it.
struct GossipsubAuthor {
    let peer: PeerID
    let key: PublicKey
}

struct GossipsubSigningFailure: Error {
    let reason: GossipsubDropReason
}
