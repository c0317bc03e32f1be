import CSystem
import Glibc
public import MeshNetProtocol

/// Why a key file cannot be read or written.
package enum KeyFileError: Error, Sendable, Equatable {
    case failed(call: String, errno: Int32)
    /// Larger than any key: another file was named.
    case tooLarge(limit: Int)
    case malformed(KeyPairError)
}

/// Files with a node's identity: libp2p's private key protobuf and nothing else.
package enum KeyFile {
    /// Blocks for the file.
    package static func load(_ path: String) throws(KeyFileError) -> KeyPair {
        let descriptor = try open(path, O_RDONLY | O_CLOEXEC)
        let limit = KeyPair.maximumProtobufByteCount
        var bytes = [UInt8](repeating: 0, count: limit + 1), filled = 0
        defer { wipe(&bytes) }
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { read(descriptor.number, $0.baseAddress! + filled, $0.count - filled) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .failed(call: "read", errno: errno) }
            if count == 0 { break }
            filled += count
        }
        guard filled <= limit else { throw .tooLarge(limit: limit) }
        do { return try KeyPair(protobuf: Array(bytes[..<filled])) } catch { throw .malformed(error) }
    }

    /// Writes a file with mode 0600 that is complete or not there, also after a crash. A file that exists is never replaced: EEXIST.
    /// Blocks until it is on the disk.
    package static func save(_ keyPair: KeyPair, _ path: String) throws(KeyFileError) {
        let suffix = Entropy.bytes(8).map { String($0, radix: 16) }.joined()
        let temporary = "\(path).\(suffix).tmp"
        try write(keyPair, temporary)
        defer { unlink(temporary) }
        // A second name fails when the first is taken, which a rename does not.
        guard link(temporary, path) == 0 else { return try rename(temporary, path, after: errno) }
        try synchronizeFolder(of: path)
    }

    /// Older keys that may lie beside a file.
    package static let maximumAside = 100

    /// As `save`, in place of a key that is there: that one is kept as "path.old-1" and so on. Returns its name; nil: there was none. The file is there at
    /// every moment, with one key or the other.
    package static func replace(_ keyPair: KeyPair, _ path: String) throws(KeyFileError) -> String? {
        for number in 1...maximumAside {
            let aside = "\(path).old-\(number)"
            if link(path, aside) != 0 {
                if errno == EEXIST { continue }
                guard errno == ENOENT else { throw .failed(call: "link", errno: errno) }
                try save(keyPair, path)
                return nil
            }
            let temporary = "\(path).\(Entropy.bytes(8).map { String($0, radix: 16) }.joined()).tmp"
            try write(keyPair, temporary)
            guard Glibc.rename(temporary, path) == 0 else {
                let code = errno
                unlink(temporary)
                throw .failed(call: "rename", errno: code)
            }
            try synchronizeFolder(of: path)
            return aside
        }
        throw .failed(call: "link", errno: EEXIST)
    }

    /// Others than the owner may read the file: worth a warning, and no more, since mounted secrets often look like that.
    package static func isExposed(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & 0o077 != 0
    }

    private static func write(_ keyPair: KeyPair, _ path: String) throws(KeyFileError) {
        let descriptor = try open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC)
        var bytes = keyPair.protobuf, done = 0
        defer { wipe(&bytes) }
        do throws(KeyFileError) {
            while done < bytes.count {
                let count = bytes.withUnsafeBytes { Glibc.write(descriptor.number, $0.baseAddress! + done, $0.count - done) }
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw .failed(call: "write", errno: errno) }
                done += count
            }
            guard fsync(descriptor.number) == 0 else { throw .failed(call: "fsync", errno: errno) }
        } catch {
            unlink(path)
            throw error
        }
    }

    /// For file systems without second names.
    private static func rename(_ temporary: String, _ path: String, after code: Int32) throws(KeyFileError) {
        guard code == EPERM || code == EOPNOTSUPP || code == ENOSYS || code == EMLINK else { throw .failed(call: "link", errno: code) }
        guard access(path, F_OK) != 0 else { throw .failed(call: "link", errno: EEXIST) }
        guard Glibc.rename(temporary, path) == 0 else { throw .failed(call: "rename", errno: errno) }
        try synchronizeFolder(of: path)
    }

    private static func synchronizeFolder(of path: String) throws(KeyFileError) {
        var folder = "."
        if let slash = path.lastIndex(of: "/") { folder = slash == path.startIndex ? "/" : String(path[..<slash]) }
        let descriptor = try open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // Some file systems cannot do this for folders; the file itself is safe.
        guard fsync(descriptor.number) == 0 || errno == EINVAL else { throw .failed(call: "fsync", errno: errno) }
    }

    private static func open(_ path: String, _ flags: Int32) throws(KeyFileError) -> Descriptor {
        // The kernel would take a NUL for the end of the name.
        guard !path.utf8.contains(0) else { throw .failed(call: "open", errno: EINVAL) }
        while true {
            let number = Glibc.open(path, flags, 0o600)
            if number >= 0 { return Descriptor(owning: number) }
            guard errno == EINTR else { throw .failed(call: "open", errno: errno) }
        }
    }

    private static func wipe(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { explicit_bzero($0.baseAddress!, $0.count) }
    }
}

extension KeyPair {
    /// A new key pair from the kernel's entropy.
    public static func generate() -> KeyPair {
        _ = Libraries.areReady
        var random = RandomSource(seed: Entropy.bytes(RandomSource.seedByteCount))
        return KeyPair(random: &random)
    }
}

extension KeyFileError: CustomStringConvertible {
    package static var noSuchFile: Int32 { ENOENT }

    package var description: String {
        switch self {
        case .failed(let call, let code): "\(call): \(describe(errno: code))"
        case .tooLarge(let limit): "has more than \(limit) bytes and is no key file"
        case .malformed(let error): "is no private key of libp2p: \(error)"
        }
    }
}
