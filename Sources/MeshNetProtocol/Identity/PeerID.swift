/// Why a text or bytes are no peer id.
public enum PeerIDError: Error, Equatable, Sendable {
    case empty
    case tooLong(count: Int, limit: Int)
    /// A text that is neither base58btc nor a multibase text that can be read.
    case invalidEncoding
    /// A CID of another version than 1.
    case unsupportedCIDVersion(UInt64)
    /// A CID of something else than a libp2p key (codec 0x72).
    case notALibp2pKey(codec: UInt64)
    case wire(WireError)
    case multihash(MultihashError)
}

/// The name of a peer: the multihash of its public key (libp2p specs, peer-ids).
///
/// Identity multihash for keys whose protobuf has at most 42 bytes (Ed25519, secp256k1), SHA-256 for larger ones.
public struct PeerID: Hashable, Comparable, Sendable {
    /// The multihash: 34 bytes for SHA-256, 38 for an Ed25519 key.
    public let multihash: [UInt8]

    /// Bytes of a text at most. The longest regular one, base16 of a CIDv1 with 42 key bytes, has 93.
    public static let maximumTextByteCount = 128
    /// Keys of more bytes are hashed (libp2p specs, peer-ids, "Peer Ids").
    package static let maximumInlineKeyByteCount = 42
    private static let libp2pKeyCodec: UInt64 = 0x72

    /// For multihashes that were checked or made here.
    init(uncheckedMultihash: [UInt8]) { multihash = uncheckedMultihash }

    /// From the text in any of its forms: base58btc of the multihash (`12D3…`, `Qm…`), or a CIDv1 in any multibase read here.
    public init(_ text: String) throws(PeerIDError) {
        let count = text.utf8.count
        guard count <= Self.maximumTextByteCount else { throw .tooLong(count: count, limit: Self.maximumTextByteCount) }
        try self.init(multihash: try Self.decodeText(Array(text.utf8)))
    }

    /// From the bytes of a multihash: SHA-256 with 32 bytes, or identity with 1 to 42.
    public init(multihash bytes: [UInt8]) throws(PeerIDError) {
        try bytes.withView { view throws(PeerIDError) in try Self.check(view) }
        multihash = bytes
    }

    package init(multihash view: UnsafeRawBufferPointer) throws(PeerIDError) {
        try Self.check(view)
        multihash = [UInt8](view)
    }

    /// The text as a CIDv1 in base32, `bafz…`.
    public var base32: String { Multibase.base32.encode(cid) }

    /// The text as a CIDv1 in base36, `k51…`.
    public var base36: String { Multibase.base36.encode(cid) }

    /// The key, when the id contains it (Ed25519 and secp256k1) and it is valid.
    public var publicKey: PublicKey? {
        guard multihash.first == UInt8(Multihash.identity) else { return nil }
        return multihash.withView { try? PublicKey(protobuf: UnsafeRawBufferPointer(rebasing: $0[2...])) }
    }

    // A connection comes and goes with a hundred look-ups of its peer.
    public func hash(into hasher: inout Hasher) { multihash.withUnsafeBytes { $0.hashWords(into: &hasher) } }
    public static func == (a: PeerID, b: PeerID) -> Bool { a.multihash.hasEqualBytes(b.multihash) }

    /// The order of the bytes: both ends of a connection compute it alike.
    public static func < (a: PeerID, b: PeerID) -> Bool { a.multihash.lexicographicallyPrecedes(b.multihash) }

    private var cid: [UInt8] { [1, UInt8(Self.libp2pKeyCodec)] + multihash }
}

extension PeerID: CustomStringConvertible {
    /// base58btc of the multihash, the form that libp2p programs print.
    public var description: String { String(decoding: Positional.encode(multihash, .base58btc), as: UTF8.self) }
}

extension PeerID {
    private static func check(_ bytes: UnsafeRawBufferPointer) throws(PeerIDError) {
        if bytes.isEmpty { throw .empty }
        let parsed: Multihash
        do { parsed = try Multihash(parsing: bytes) } catch { throw .multihash(error) }
        let lengthFits = switch parsed.function {
        case Multihash.identity: (1...maximumInlineKeyByteCount).contains(parsed.digestLength)
        case Multihash.sha256: parsed.digestLength == 32
        default: throw .multihash(.unsupportedFunction(parsed.function))
        }
        guard lengthFits else { throw .multihash(.wrongLength(function: parsed.function, length: parsed.digestLength)) }
    }

    /// libp2p specs, peer-ids, "Decoding Peer IDs": `1` and `Qm` begin a bare multihash, everything else is a CID.
    private static func decodeText(_ text: [UInt8]) throws(PeerIDError) -> [UInt8] {
        guard let first = text.first else { throw .empty }
        if first == UInt8(ascii: "1") || text.starts(with: "Qm".utf8) {
            guard let bytes = Positional.decode(text, .base58btc) else { throw .invalidEncoding }
            return bytes
        }
        guard let cid = Multibase.decode(text) else { throw .invalidEncoding }
        return try cid.withView { view throws(PeerIDError) in try multihash(inCID: view) }
    }

    private static func multihash(inCID cid: UnsafeRawBufferPointer) throws(PeerIDError) -> [UInt8] {
        var reader = ByteReader(cid)
        let version, codec: UInt64
        do {
            version = try reader.readVarint()
            codec = try reader.readVarint()
        } catch {
            throw .wire(error)
        }
        guard version == 1 else { throw .unsupportedCIDVersion(version) }
        guard codec == libp2pKeyCodec else { throw .notALibp2pKey(codec: codec) }
        return [UInt8](reader.readRest())
    }
}
