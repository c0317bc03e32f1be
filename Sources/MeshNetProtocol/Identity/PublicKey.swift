/// Why bytes are no public key that libp2p peers may have.
public enum PublicKeyError: Error, Equatable, Sendable {
    case wire(WireError)
    case tooLong(count: Int, limit: Int)
    case unknownType(UInt64)
    /// Not the one encoding that the rules allow: fields in order, once each, shortest varints, nothing else.
    case notCanonical
    case wrongLength(type: PublicKey.KeyType, count: Int)
    /// The DER is not that of a key of this type, or the curve is not P-256.
    case malformedDER(type: PublicKey.KeyType)
    /// The point is not on the curve.
    case invalidPoint(type: PublicKey.KeyType)
    case rsaModulus(bits: Int, minimum: Int, maximum: Int)
    /// Even, below 3, or above 2^31 - 1.
    case rsaExponent
}

/// A peer's public key of any type that libp2p peers may have (libp2p specs, peer-ids, "Keys").
///
/// Every value of this type was checked: lengths, curve membership and, for RSA, size.
public struct PublicKey: Hashable, Sendable {
    public enum KeyType: UInt8, Sendable, CaseIterable {
        case rsa = 0, ed25519 = 1, secp256k1 = 2, ecdsa = 3
    }

    public let type: KeyType
    /// 32 raw bytes for Ed25519, the compressed point (33) for secp256k1, DER (SubjectPublicKeyInfo) for RSA and ECDSA.
    public let data: [UInt8]

    /// Bytes of a key's protobuf at most. An RSA key of 8,192 bits has 1,066.
    public static let maximumByteCount = 1_200

    /// For keys that were checked or made here.
    init(type: KeyType, data: [UInt8]) {
        self.type = type
        self.data = data
    }

    /// Reads the protobuf `{type = 1, data = 2}` in its one canonical encoding and checks the key.
    ///
    /// RSA keys outside 2,048 to 8,192 bits are refused before any arithmetic (CVE-2023-39533).
    package init(protobuf: UnsafeRawBufferPointer) throws(PublicKeyError) {
        guard protobuf.count <= Self.maximumByteCount else { throw .tooLong(count: protobuf.count, limit: Self.maximumByteCount) }
        var typeNumber: UInt64?, data: [UInt8]?
        do {
            var reader = ProtobufReader(protobuf)
            while let field = try reader.next() {
                switch field.number {
                case 1: typeNumber = try field.integer()
                case 2: data = [UInt8](try field.bytes())
                default: break  // not canonical, as the comparison below finds
                }
            }
        } catch {
            throw .wire(error)
        }
        guard let typeNumber else { throw .wire(.missingField(1)) }
        guard let data else { throw .wire(.missingField(2)) }
        guard let type = UInt8(exactly: typeNumber).flatMap(KeyType.init(rawValue:)) else { throw .unknownType(typeNumber) }

        self.init(type: type, data: data)
        guard self.protobuf.elementsEqual(protobuf) else { throw .notCanonical }
        try check()
    }

    public init(protobuf: [UInt8]) throws(PublicKeyError) {
        self = try protobuf.withView { view throws(PublicKeyError) in try PublicKey(protobuf: view) }
    }

    /// The canonical protobuf: `{type = 1, data = 2}`.
    public var protobuf: [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: data.count + 8)
        writer.integer(1, UInt64(type.rawValue))
        writer.bytes(2, data)
        return writer.bytes
    }

    public var peerID: PeerID {
        let encoded = protobuf
        if encoded.count <= PeerID.maximumInlineKeyByteCount {
            return PeerID(uncheckedMultihash: [UInt8(Multihash.identity), UInt8(encoded.count)] + encoded)
        }
        return PeerID(uncheckedMultihash: [UInt8(Multihash.sha256), 32] + SHA256.digest(encoded))
    }

    /// Whether the signature is one of this key over the message.
    ///
    /// ECDSA, secp256k1 and RSA (PKCS#1 v1.5) sign the SHA-256 of the message. A high S of secp256k1 is refused, as in rust.
    public func verify(signature: [UInt8], of message: [UInt8]) -> Bool {
        signature.withUnsafeBytes { signature in
            message.withUnsafeBytes { message in verify(signature: signature, of: message) }
        }
    }

    package func verify(signature: UnsafeRawBufferPointer, of message: UnsafeRawBufferPointer) -> Bool {
        switch type {
        case .ed25519: Ed25519.verify(signature: signature, of: message, publicKey: data)
        case .secp256k1: Secp256k1.hasLowS(signature) && verifySHA256(signature: signature, of: message)
        case .rsa, .ecdsa: verifySHA256(signature: signature, of: message)
        }
    }

    private func check() throws(PublicKeyError) {
        switch type {
        case .ed25519:
            guard data.count == Ed25519.publicKeyByteCount else { throw .wrongLength(type: type, count: data.count) }
        case .secp256k1:
            guard data.count == Secp256k1.publicKeyByteCount else { throw .wrongLength(type: type, count: data.count) }
            guard SubjectPublicKey(der: subjectPublicKeyInfo) != nil else { throw .invalidPoint(type: type) }
        case .ecdsa:
            guard P256.isSubjectPublicKeyInfo(data) else { throw .malformedDER(type: type) }
            guard SubjectPublicKey(der: data) != nil else { throw .invalidPoint(type: type) }
        case .rsa:
            try RSA.check(subjectPublicKeyInfo: data)
            guard SubjectPublicKey(der: data) != nil else { throw .malformedDER(type: type) }
        }
    }

    private func verifySHA256(signature: UnsafeRawBufferPointer, of message: UnsafeRawBufferPointer) -> Bool {
        SubjectPublicKey(der: subjectPublicKeyInfo)?.verifySHA256(signature: signature, of: message) ?? false
    }

    /// The DER form that libcrypto reads; meaningless for Ed25519, which never goes there.
    private var subjectPublicKeyInfo: [UInt8] {
        type == .secp256k1 ? Secp256k1.subjectPublicKeyInfoPrefix + data : data
    }
}
