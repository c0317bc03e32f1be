import CSystem
import Glibc
package import MeshNetSwarm

/// What the kernel is told about silent connections (tcp(7)), and when one with bytes under way is dead. Decides without I/O.
///
/// The kernel asks an idle peer by itself, so that no process wakes for it, and a peer whose program stands still answers: its kernel does. It does not
/// ask while bytes are under way, and TCP_USER_TIMEOUT, which would end such a connection, also ends one whose peer answers with a closed
/// window: a stalled program would look dead (tcp_probe_timer). So those are looked at here.
package struct Keepalive: Sendable, Equatable {
    /// Silence until the first question, between two of them, and how many may stay unanswered. Whole seconds, as the kernel takes them.
    package let idle: Int32
    package let interval: Int32
    package let count: Int32
    /// Silence with bytes under way until the connection is dead.
    package let timeout: Duration

    /// nil: switched off by a timeout of zero.
    package init?(_ configuration: KeepaliveConfiguration, isLocal: Bool) {
        timeout = isLocal ? configuration.localTimeout : configuration.remoteTimeout
        guard timeout > .zero else { return nil }
        idle = Self.seconds(isLocal ? configuration.localIdle : configuration.remoteIdle)
        let left = max(1, Self.seconds(timeout) - idle)
        interval = max(1, left / 3)
        count = max(1, (left + interval - 1) / interval)
    }

    /// Rounded up, from 1 to the kernel's longest.
    private static func seconds(_ duration: Duration) -> Int32 {
        let (whole, part) = duration.components
        return Int32(clamping: min(max(1, part > 0 && whole < 32_767 ? whole + 1 : whole), 32_767))
    }

    /// No router in between: on a subnet of ours, on this host, or link-local.
    package static func isLocal(_ remote: SocketAddress, _ interfaces: [NetworkInterface]) -> Bool {
        let ip = plain(remote.ip)
        if ip.count == 4 && ip[0] == 127 || ip.count == 4 && ip[0] == 169 && ip[1] == 254 { return true }
        if ip.count == 16 && (ip[0] == 0xfe && ip[1] & 0xc0 == 0x80 || ip.dropLast().allSatisfy { $0 == 0 } && ip.last == 1) { return true }
        return interfaces.contains { $0.addresses.contains { $0.contains(ip) } }
    }

    /// IPv4 where it comes mapped into IPv6.
    private static func plain(_ ip: [UInt8]) -> [UInt8] {
        let isMapped = ip.count == 16 && ip.prefix(10).allSatisfy { $0 == 0 } && ip[10] == 0xff && ip[11] == 0xff
        return isMapped ? Array(ip.suffix(4)) : ip
    }

    /// Failures do not matter: then pings find out, later.
    func set(on descriptor: Int32) {
        Socket.set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
        Socket.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, idle)
        Socket.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, interval)
        Socket.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, count)
    }

    // MARK: - Bytes under way

    /// Between two looks at connections with bytes under way.
    static let lookInterval: Duration = .milliseconds(250)
    /// Sent again, or asked for room, so often without answer: one lost packet is none.
    private static let leastTries = 2

    /// What the kernel tells of a connection.
    package struct Progress: Sendable, Equatable {
        /// Sent and not acknowledged by the peer's kernel, or not sent yet.
        package var bytesUnderWay: Int
        /// Packets under way; none while the peer's window is closed.
        package var packets: Int
        /// Timeouts of retransmission without progress since, and questions for a closed window without answer.
        package var retransmissions: Int
        package var probes: Int
        /// Since anything of the peer came.
        package var silence: Duration

        package init(bytesUnderWay: Int, packets: Int, retransmissions: Int, probes: Int, silence: Duration) {
            self.bytesUnderWay = bytesUnderWay
            self.packets = packets
            self.retransmissions = retransmissions
            self.probes = probes
            self.silence = silence
        }

        /// nil when the kernel does not tell.
        init?(of descriptor: Int32) {
            var info = tcp_info(), length = socklen_t(MemoryLayout<tcp_info>.size), queued: Int32 = 0
            guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0, ioctl(descriptor, UInt(TIOCOUTQ), &queued) == 0
            else { return nil }
            let silence = min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv)
            self.init(
                bytesUnderWay: Int(queued), packets: Int(info.tcpi_unacked), retransmissions: Int(info.tcpi_retransmits),
                probes: Int(info.tcpi_probes), silence: .milliseconds(Int64(silence)))
        }
    }

    package func isDead(_ progress: Progress) -> Bool {
        guard progress.bytesUnderWay > 0, progress.silence >= timeout else { return false }
        return (progress.packets > 0 ? progress.retransmissions : progress.probes) >= Self.leastTries
    }
}
