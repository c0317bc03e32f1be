import CSystem
import Glibc

/// Where tailscaled listens for questions from this machine.
enum TailscaledSocket {
    /// Of Linux, of containers, of Synology.
    private static let places = [
        "/var/run/tailscale/tailscaled.sock", "/tmp/tailscaled.sock", "/var/packages/Tailscale/var/tailscaled.sock",
    ]

    /// The path that was configured, else the first socket at a usual place. Anybody can make one in /tmp: it must belong to root or to us.
    static func find(_ configured: String?) -> String? {
        if let configured { return configured }
        return places.first { path in
            var status = stat()
            return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK && (status.st_uid == 0 || status.st_uid == geteuid())
        }
    }
}
