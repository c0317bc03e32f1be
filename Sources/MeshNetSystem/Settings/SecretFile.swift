import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// Files that hold a secret: an API key, a passphrase, or a swarm.key.
enum SecretFile {
    /// Far more than any key or passphrase.
    static let maximumByteCount = 4_096

    enum Content {
        case key(PreSharedKey)
        case passphrase(APIKey)
    }

    /// What the setting's file holds: the text of a swarm.key, or else a passphrase. Blocks for the file.
    static func read(_ file: Settings.Value) throws(CallError) -> Content {
        let bytes = try load(file)
        guard bytes.starts(with: "/key/".utf8) else { return .passphrase(try text(bytes, file)) }
        do throws(PreSharedKeyError) { return .key(try PreSharedKey(keyFile: bytes)) } catch {
            throw .invalidSetting(name: file.name, reason: "\(file.text) begins like a swarm.key file and is none: \(error)")
        }
    }

    /// The one line of the setting's file. Blocks for the file.
    static func key(_ file: Settings.Value) throws(CallError) -> APIKey { try text(try load(file), file) }

    private static func text(_ bytes: [UInt8], _ file: Settings.Value) throws(CallError) -> APIKey {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidSetting(name: file.name, reason: "\(file.text) is no text") }
        let trimmed = text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
        guard !trimmed.isEmpty else { throw .invalidSetting(name: file.name, reason: "\(file.text) is empty") }
        return APIKey(String(trimmed))
    }

    private static func load(_ file: Settings.Value) throws(CallError) -> [UInt8] {
        let number = open(file.text, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { throw failure(file) }
        let descriptor = Descriptor(owning: number)
        var bytes = [UInt8](repeating: 0, count: maximumByteCount + 1), filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor.number, $0.baseAddress! + filled, $0.count - filled) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(file) }
            if count == 0 { break }
            filled += count
        }
        guard filled <= maximumByteCount else {
            throw .invalidSetting(name: file.name, reason: "\(file.text) has more than \(maximumByteCount) bytes: another file was named")
        }
        return Array(bytes[..<filled])
    }

    private static func failure(_ file: Settings.Value) -> CallError {
        .invalidSetting(name: file.name, reason: "\(file.text): \(describe(errno: errno))")
    }
}
