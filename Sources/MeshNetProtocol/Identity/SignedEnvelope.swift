/// Why an envelope is not accepted.
public enum EnvelopeError: Error, Equatable, Sendable {
    case tooLong(count: Int, limit: Int)
    case wire(WireError)
    case publicKey(PublicKeyError)
    case wrongPayloadType(expected: [UInt8], actual: [UInt8])
    /// The signature is not one of the key inside over domain, type and payload.
    case invalidSignature
}

/// A payload with its type, signed for one domain (libp2p specs, RFC 0002). Every value of this type holds a good signature.
package struct SignedEnvelope: Sendable, Equatable {
    package let publicKey: PublicKey
    package let payloadType: [UInt8]
    package let payload: [UInt8]
    package let signature: [UInt8]

    /// Bytes of an encoded envelope at most: what go reads of an identify message that carries one.
    package static let maximumByteCount = 8_192

    /// Reads an envelope and verifies it under a domain; of another payload type it is refused before the signature is looked at.
    ///
    /// - Parameter proven: what this node verified before; nil: it is verified in any case.
    package init(
        decoding bytes: UnsafeRawBufferPointer, domain: String, payloadType expected: [UInt8], proven: ProvenSignatures? = nil
    ) throws(EnvelopeError) {
        guard bytes.count <= Self.maximumByteCount else { throw .tooLong(count: bytes.count, limit: Self.maximumByteCount) }
        let fields: Fields
        do { fields = try Fields(reading: bytes) } catch { throw .wire(error) }
        guard fields.payloadType.elementsEqual(expected) else {
            throw .wrongPayloadType(expected: expected, actual: [UInt8](fields.payloadType))
        }
        do { publicKey = try PublicKey(protobuf: fields.publicKey) } catch { throw .publicKey(error) }
        payloadType = expected
        payload = [UInt8](fields.payload)
        signature = [UInt8](fields.signature)
        let signed = Self.signedBytes(domain: domain, payloadType: payloadType, payload: payload)
        let isGood = proven?.verify(signature, of: signed, by: publicKey) ?? publicKey.verify(signature: signature, of: signed)
        guard isGood else { throw .invalidSignature }
    }

    package init(decoding bytes: [UInt8], domain: String, payloadType: [UInt8], proven: ProvenSignatures? = nil) throws(EnvelopeError) {
        self = try bytes.withView { view throws(EnvelopeError) in
            try SignedEnvelope(decoding: view, domain: domain, payloadType: payloadType, proven: proven)
        }
    }

    private init(publicKey: PublicKey, payloadType: [UInt8], payload: [UInt8], signature: [UInt8]) {
        self.publicKey = publicKey
        self.payloadType = payloadType
        self.payload = payload
        self.signature = signature
    }

    /// Signs a payload.
    package static func seal(_ payload: [UInt8], domain: String, payloadType: [UInt8], with identity: KeyPair) -> SignedEnvelope {
        let signature = identity.sign(signedBytes(domain: domain, payloadType: payloadType, payload: payload))
        return SignedEnvelope(publicKey: identity.publicKey, payloadType: payloadType, payload: payload, signature: signature)
    }

    package var encoded: [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: payload.count + 160)
        writer.bytes(1, publicKey.protobuf)
        writer.bytes(2, payloadType)
        writer.bytes(3, payload)
        writer.bytes(5, signature)
        return writer.bytes
    }

    /// Each part with its length in front, so that no byte can move from one to the next.
    private static func signedBytes(domain: String, payloadType: [UInt8], payload: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        for part in [Array(domain.utf8), payloadType, payload] {
            Varint.append(UInt64(part.count), to: &output)
            output += part
        }
        return output
    }
}

extension SignedEnvelope {
    /// The fields as views; all of them must be there.
    private struct Fields {
        let publicKey, payloadType, payload, signature: UnsafeRawBufferPointer

        init(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
            var found: [UnsafeRawBufferPointer?] = [nil, nil, nil, nil, nil, nil]
            var reader = ProtobufReader(bytes)
            while let field = try reader.next() {
                if [1, 2, 3, 5].contains(field.number) { found[Int(field.number)] = try field.bytes() }
            }
            func required(_ number: Int) throws(WireError) -> UnsafeRawBufferPointer {
                guard let view = found[number] else { throw .missingField(UInt64(number)) }
                return view
            }
            publicKey = try required(1)
            payloadType = try required(2)
            payload = try required(3)
            signature = try required(5)
        }
    }
}
