public import MeshNetProtocol
import MeshNetSystem

extension KeyPair {
    /// Why a key file cannot be used.
    public struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
        public let path: String
        public let reason: String
        public var description: String { "\(path): \(reason)" }
    }

    /// The identity in a file: libp2p's private key protobuf. Blocks for the file.
    public static func load(from path: String) throws(FileError) -> KeyPair {
        do throws(KeyFileError) {
            return try KeyFile.load(path)
        } catch {
            throw FileError(path: path, reason: error.description)
        }
    }

    /// Writes the identity with mode 0600, whole or not at all. A file that exists is never replaced.
    public func save(to path: String) throws(FileError) {
        do throws(KeyFileError) {
            try KeyFile.save(self, path)
        } catch {
            throw FileError(path: path, reason: error.description)
        }
    }

    /// Writes the identity in place of another one, which is kept under the name that is returned; nil: there was none.
    public func replace(at path: String) throws(FileError) -> String? {
        do throws(KeyFileError) {
            return try KeyFile.replace(self, path)
        } catch {
            throw FileError(path: path, reason: error.description)
        }
    }

    /// The identity in the file, which is made if it is not there.
    public static func loadOrCreate(at path: String) throws(FileError) -> KeyPair {
        do throws(KeyFileError) {
            return try KeyFile.load(path)
        } catch .failed(call: _, errno: KeyFileError.noSuchFile) {
            let made = KeyPair.generate()
            try made.save(to: path)
            return made
        } catch {
            throw FileError(path: path, reason: error.description)
        }
    }
}
