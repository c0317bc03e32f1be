/// Why a file is no key file of a private network.
public enum PreSharedKeyError: Error, Equatable, Sendable {
    case tooLong(count: Int, limit: Int)
    /// The first line is not `/key/swarm/psk/1.0.0/`.
    case notAKeyFile
    /// The second line is not `/base16/`, `/base64/` or `/bin/`; empty where it may be the key itself.
    case unknownEncoding(String)
    /// The key is not in the encoding of the second line.
    case malformedKey(encoding: String)
    case wrongLength(count: Int)
}

/// The 32-byte key of a private network (libp2p specs, pnet). Copies share one secret, which is wiped when the last copy goes.
public struct PreSharedKey: Sendable, Equatable {
    public static let byteCount = 32
    /// Bytes of a key file at most; a regular one has 95.
    public static let maximumFileByteCount = 1_024

    private let secret: SecretBytes

    /// nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        secret = SecretBytes(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    /// Precondition: 32 bytes.
    init(derived bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        secret = SecretBytes(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    package init(random: inout RandomSource) {
        var bytes = random.bytes(Self.byteCount)
        secret = SecretBytes(count: bytes.count) { $0.copyBytes(from: bytes) }
        SecretBytes.wipe(&bytes)
    }

    /// Compares in constant time.
    public static func == (a: PreSharedKey, b: PreSharedKey) -> Bool { a.secret.isEqual(to: b.secret) }

    /// A copy of the key. Handle with care.
    package var bytes: [UInt8] { secret.withBytes { [UInt8]($0) } }

    package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R { try secret.withBytes(body) }

    /// Tells networks apart without giving the key away: 32 hex digits, the same as rust's.
    public var fingerprint: String {
        let digest = secret.withBytes { KeyFingerprint.digest(key: $0) }
        return String(decoding: BitGroups.encode(digest, .base16), as: UTF8.self)
    }
}

extension PreSharedKey {
    private static let firstLine = Array("/key/swarm/psk/1.0.0/".utf8)

    /// Reads a key file (`swarm.key`) in any of go's encodings; lines end with LF or CR LF. The bytes given are not wiped here.
    public init(keyFile file: [UInt8]) throws(PreSharedKeyError) {
        guard file.count <= Self.maximumFileByteCount else { throw .tooLong(count: file.count, limit: Self.maximumFileByteCount) }
        var rest = file[...]
        guard let first = Self.takeLine(&rest), first.elementsEqual(Self.firstLine) else { throw .notAKeyFile }
        let encoding = String(decoding: Self.takeLine(&rest) ?? [], as: UTF8.self)
        var key: [UInt8]?
        switch encoding {
        case "/base16/": key = BitGroups.decode(try Self.onlyLine(rest, encoding), .base16)
        case "/base64/": key = PaddedBase64.decode(Array(try Self.onlyLine(rest, encoding)))
        case "/bin/": key = Array(rest)
        // Whoever left the second line out has the key there: only what looks like the name of an encoding is shown.
        default: throw .unknownEncoding(encoding.hasPrefix("/") && encoding.utf8.count <= 16 ? encoding : "")
        }
        guard var key else { throw .malformedKey(encoding: encoding) }
        defer { SecretBytes.wipe(&key) }
        guard let parsed = PreSharedKey(bytes: key) else { throw .wrongLength(count: key.count) }
        self = parsed
    }

    /// The text of a key file in base16, which every implementation reads. Handle with care.
    public var keyFile: [UInt8] {
        secret.withBytes { Self.firstLine + Array("\n/base16/\n".utf8) + BitGroups.encode($0, .base16) + [UInt8(ascii: "\n")] }
    }

    /// The bytes up to the next LF, without it and a CR before it; the rest when there is none; nil at the end.
    private static func takeLine(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        if rest.isEmpty { return nil }
        let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
        let line = rest[..<end]
        rest = rest[min(end + 1, rest.endIndex)...]
        return line.last == UInt8(ascii: "\r") ? line.dropLast() : line
    }

    /// The key line without blanks at its end; behind it nothing but blanks may follow.
    private static func onlyLine(_ rest: ArraySlice<UInt8>, _ encoding: String) throws(PreSharedKeyError) -> ArraySlice<UInt8> {
        let blanks = Array(" \t\r\n".utf8)
        var rest = rest
        var line = takeLine(&rest) ?? []
        while let last = line.last, blanks.contains(last) { line.removeLast() }
        guard rest.allSatisfy(blanks.contains) else { throw .malformedKey(encoding: encoding) }
        return line
    }
}
