/// Why bytes are no key pair of ours.
public enum KeyPairError: Error, Equatable, Sendable {
    case wire(WireError)
    case tooLong(count: Int, limit: Int)
    case unknownType(UInt64)
    /// Keys of this type are only verified here: a node's own identity is Ed25519.
    case unsupportedType(PublicKey.KeyType)
    /// Not 64 bytes (seed, public key) and not 96 (the old form with the public key twice).
    case wrongLength(count: Int)
    /// The public half does not belong to the seed. Signing with such a pair would give the secret away (RUSTSEC-2022-0093).
    case mismatchedHalves
}

/// An Ed25519 key pair: the identity of a node. Copies share one secret, which is wiped when the last copy goes.
public struct KeyPair: Sendable {
    public static let secretByteCount = 32
    /// Bytes of a private key protobuf at most. The largest in use, RSA-8192, has about 4,700.
    public static let maximumProtobufByteCount = 8_192

    /// The seed, then the public key.
    private let secret: SecretBytes
    public let publicKey: PublicKey

    /// The pair that belongs to a 32-byte Ed25519 seed; nil for any other length.
    public init?(secret seed: [UInt8]) {
        guard seed.count == Self.secretByteCount else { return nil }
        self = seed.withUnsafeBytes { KeyPair(checkedSeed: $0) }
    }

    /// From the private key protobuf of libp2p key files (libp2p specs, peer-ids, "Keys"), Ed25519 only.
    ///
    /// The bytes given are not wiped here.
    public init(protobuf: [UInt8]) throws(KeyPairError) {
        guard protobuf.count <= Self.maximumProtobufByteCount else {
            throw .tooLong(count: protobuf.count, limit: Self.maximumProtobufByteCount)
        }
        self = try protobuf.withView { view throws(KeyPairError) in
            let (type, data) = try Self.fields(of: view)
            guard type == .ed25519 else { throw .unsupportedType(type) }
            return try KeyPair(ed25519: data)
        }
    }

    package init(random: inout RandomSource) {
        var seed = random.bytes(Self.secretByteCount)
        self = seed.withUnsafeBytes { KeyPair(checkedSeed: $0) }
        SecretBytes.wipe(&seed)
    }

    public var peerID: PeerID { publicKey.peerID }

    /// The 32-byte seed. Handle with care: it is the node's identity.
    public var secretBytes: [UInt8] { secret.withBytes { Array($0[..<Self.secretByteCount]) } }

    /// The private key protobuf, as libp2p key files hold it. Handle with care.
    public var protobuf: [UInt8] {
        secret.withBytes { bytes in
            var writer = ProtobufWriter(reservingCapacity: bytes.count + 4)
            writer.integer(1, UInt64(PublicKey.KeyType.ed25519.rawValue))
            writer.bytes(2, bytes)
            return writer.bytes
        }
    }

    /// A 64-byte Ed25519 signature.
    package func sign(_ message: [UInt8]) -> [UInt8] {
        secret.withBytes { Ed25519.sign(message, secretKey: $0) }
    }

    /// Precondition: 32 bytes.
    private init(checkedSeed seed: UnsafeRawBufferPointer) {
        var publicBytes: [UInt8] = []
        secret = SecretBytes(count: Ed25519.secretKeyByteCount) { publicBytes = Ed25519.expand(seed: seed, into: $0) }
        publicKey = PublicKey(type: .ed25519, data: publicBytes)
    }

    private init(ed25519 data: UnsafeRawBufferPointer) throws(KeyPairError) {
        guard data.count == 64 || data.count == 96 else { throw .wrongLength(count: data.count) }
        self.init(checkedSeed: UnsafeRawBufferPointer(rebasing: data[..<Self.secretByteCount]))
        for start in stride(from: Self.secretByteCount, to: data.count, by: Ed25519.publicKeyByteCount) {
            guard data[start..<start + Ed25519.publicKeyByteCount].elementsEqual(publicKey.data) else { throw .mismatchedHalves }
        }
    }

    private static func fields(of protobuf: UnsafeRawBufferPointer) throws(KeyPairError) -> (PublicKey.KeyType, UnsafeRawBufferPointer) {
        var typeNumber: UInt64?, data: UnsafeRawBufferPointer?
        do {
            var reader = ProtobufReader(protobuf)
            while let field = try reader.next() {
                switch field.number {
                case 1: typeNumber = try field.integer()
                case 2: data = try field.bytes()
                default: break
                }
            }
        } catch {
            throw .wire(error)
        }
        guard let typeNumber else { throw .wire(.missingField(1)) }
        guard let data else { throw .wire(.missingField(2)) }
        guard let type = UInt8(exactly: typeNumber).flatMap(PublicKey.KeyType.init(rawValue:)) else { throw .unknownType(typeNumber) }
        return (type, data)
    }
}
