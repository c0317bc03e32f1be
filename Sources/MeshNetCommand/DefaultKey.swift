import Glibc
import MeshNet

/// The identity of whoever names none: one file for each user, used by one program at a time.
enum DefaultKey {
    /// Held open, with its lock, as long as the process lives.
    private nonisolated(unsafe) static var lock: Int32 = -1

    /// $XDG_STATE_HOME/meshnet/key, or ~/.local/state/meshnet/key (XDG Base Directory Specification). nil: this user has no home.
    static var path: String? {
        // The specification says that a relative path is to be ignored.
        if let state = variable("XDG_STATE_HOME"), state.hasPrefix("/") { return "\(state)/meshnet/key" }
        return variable("HOME").map { "\($0)/.local/state/meshnet/key" }
    }

    /// The identity in the file, made if it is not there. nil when another program of this user has it, or there is no place for it: said on the
    /// standard error.
    static func take() -> KeyPair? {
        guard let path else { return without("this user has no home") }
        guard makeFolder(of: path) else { return without("\(path): \(String(cString: strerror(errno)))") }
        lock = open("\(path).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { return without("\(path).lock: \(String(cString: strerror(errno)))") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { return without("another meshnet uses \(path)") }
        do throws(KeyPair.FileError) { return try KeyPair.loadOrCreate(at: path) } catch { return without(error.description) }
    }

    /// Makes the folders of a file, for its owner alone; those that are there stay as they are.
    static func makeFolder(of path: String) -> Bool {
        var position = path.startIndex
        while let slash = path[path.index(after: position)...].firstIndex(of: "/") {
            guard mkdir(String(path[..<slash]), 0o700) == 0 || errno == EEXIST else { return false }
            position = slash
        }
        return true
    }

    private static func without(_ reason: String) -> KeyPair? {
        complain("a new identity for this run: \(reason); --key FILE names one to keep, --ephemeral asks for a new one")
        return nil
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } }
}
