import CSystem
import Glibc
import MeshNetSwarm

/// What a failed system call of multicast means, in words for people.
enum MulticastFailures {
    static func describe(_ error: MulticastError, on interface: String) -> SourceFailure {
        let detail = "\(error.call) on \(interface): \(MeshNetSystem.describe(errno: error.errno))"
        switch error.errno {
        case EADDRINUSE:
            return SourceFailure(.portInUse, detail: detail, hint: "another program holds UDP port 5353 for itself: see `ss -ulpn sport = 5353`")
        case EACCES, EPERM:
            return SourceFailure(.permission, detail: detail, hint: "a firewall or sandbox of this machine forbids it: allow UDP port 5353")
        case EMFILE, ENFILE, ENOBUFS, ENOMEM:
            return SourceFailure(.limitReached, detail: detail, hint: "raise the limit of open files (ulimit -n), or name fewer interfaces")
        case ENODEV, ENXIO, EADDRNOTAVAIL:
            return SourceFailure(.noInterface, detail: detail, hint: "the interface went away, or its address is not ready yet; it is tried again")
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, ENONET:
            return SourceFailure(.unreachable, detail: detail, hint: "the interface has no way out for multicast: check its link")
        default:
            return SourceFailure(.system, detail: detail, hint: "")
        }
    }

    static func noInterface(hasLoopback: Bool) -> SourceFailure {
        let rest = hasLoopback ? ": only nodes on this machine are found" : ""
        return SourceFailure(
            .noInterface, detail: "no interface that is up and allowed can multicast" + rest,
            hint: "connect a network with multicast, or name peers as bootstrap addresses")
    }
}
