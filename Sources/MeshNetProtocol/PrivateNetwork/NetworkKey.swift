import CSodium

/// Why a name and a secret make no private network. No case holds anything of a secret.
public enum NetworkKeyError: Error, Equatable, Sendable {
    /// A name has 1 to `PreSharedKey.maximumNameByteCount` bytes.
    case nameLength(Int)
    /// A secret has 1 to `PreSharedKey.maximumFileByteCount` bytes; blank lines at its end do not count.
    case secretLength(Int)
    /// The secret begins like a key file and is none.
    case keyFile(PreSharedKeyError)
    /// A key names its network by itself: other implementations could not follow a name beside it.
    case nameBesideKey
    /// Both a secret and a key were given.
    case secretBesideKey
    /// `PreSharedKey.derivationMemory` could not be had.
    case noMemory
}

// Private networks by name and passphrase: every node derives the same key, and nothing but the key goes over the wire, so that other implementations
// join with the same key in a file.
extension PreSharedKey {
    /// Bytes of UTF-8. A name is something that people type.
    public static let maximumNameByteCount = 256

    /// Argon2id (RFC 9106) with three passes over 64 MiB, the second recommended option there, in one lane. A fixed choice: another one is another
    /// key. About 0.1 to 0.3 s of one core, and as much for each guess of an attacker.
    static let derivationPasses: UInt64 = 3
    public static let derivationMemory = 64 << 20

    private static let secretDomain = "meshnet private network 1"
    private static let nameDomain = "meshnet network name 1"

    /// The key of a network that has a name and no secret: isolation from other networks, no security, since who knows the name has the key.
    /// SHA-256 of a domain string, a zero byte and the name.
    public init(network: String) throws(NetworkKeyError) {
        try Self.check(name: network)
        var key = SHA256.digest(Self.labelled(Self.nameDomain, network))
        defer { SecretBytes.wipe(&key) }
        self.init(derived: key)
    }

    /// The key of a passphrase, or the key that the text of a `swarm.key` file holds.
    ///
    /// Line ends behind the secret are dropped, because files have them and keyboards do not. A passphrase goes through Argon2id, salted with the
    /// first 16 bytes of SHA-256 of a domain string, a zero byte and the network's name (empty where it has none). Takes `derivationMemory` and
    /// about 0.2 s: not for a thread that must not wait.
    public init(secret: String, network: String?) throws(NetworkKeyError) {
        if let network { try Self.check(name: network) }
        var bytes = Array(secret.utf8)
        defer { SecretBytes.wipe(&bytes) }
        if bytes.starts(with: "/key/swarm/psk/".utf8) {
            if network != nil { throw .nameBesideKey }
            do throws(PreSharedKeyError) { try self.init(keyFile: bytes) } catch { throw .keyFile(error) }
            return
        }
        while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard (1...Self.maximumFileByteCount).contains(bytes.count) else { throw .secretLength(bytes.count) }
        let salt = SHA256.digest(Self.labelled(Self.secretDomain, network ?? ""))
        var key = [UInt8](repeating: 0, count: Self.byteCount)
        defer { SecretBytes.wipe(&key) }
        let done = bytes.withUnsafeBytes { password in
            crypto_pwhash(
                &key, UInt64(key.count), password.bindMemory(to: CChar.self).baseAddress!, UInt64(password.count), salt, Self.derivationPasses,
                Self.derivationMemory, crypto_pwhash_ALG_ARGON2ID13) == 0
        }
        guard done else { throw .noMemory }
        self.init(derived: key)
    }

    private static func check(name: String) throws(NetworkKeyError) {
        guard (1...maximumNameByteCount).contains(name.utf8.count) else { throw .nameLength(name.utf8.count) }
    }

    private static func labelled(_ domain: String, _ name: String) -> [UInt8] { Array(domain.utf8) + [0] + Array(name.utf8) }
}
