import CSystem
import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// Lines on the standard error, for people who look at neither events nor return codes.
///
/// `MESHNET_LOG` chooses: `off`, `warning` (the default: what the configuration says and the node cannot do), or `info` (listen addresses,
/// connections and failed dials as well). A line is left out when the standard error would block: the node never waits for it.
struct Log {
    enum Level: Int { case off, warning, info }

    /// A pipe takes so many bytes whole (PIPE_BUF), so that a line that fits does not block once poll says there is room.
    private static let maximumByteCount = 4_096

    let level: Level
    private let name: String

    init(_ peer: PeerID) {
        name = String(peer.description.suffix(6))
        level = switch getenv("MESHNET_LOG").map({ String(cString: $0) }) {
        case "off", "none", "0": .off
        case "info", "debug": .info
        default: .warning
        }
    }

    func event(_ event: Event) {
        switch event {
        case .addressProblem(let problem): line(.warning, "address \(problem.text.quoted): \(problem.reason)")
        case .dialFailed(let failure): line(.info, "dial \(failure.address): \(failure.cause)")
        case .connected(let connection): line(.info, "connected \(connection.peer) at \(connection.address)")
        case .disconnected(let connection, let cause): line(.info, "disconnected \(connection.peer) at \(connection.address): \(cause)")
        case .listening(let address): line(.info, "listening at \(address)")
        case .discovered(let found): line(.info, "found \(found.peer.map { "\($0)" } ?? "somebody") by \(found.source)")
        case .discoverySource(let source, let state): line(Self.level(source, state), "source \(source) is \(state)")
        case .duplicateIdentity(let duplicate):
            line(.warning, "another node is alive with our identity, at \(duplicate.address): give each a key of its own")
        case .channel(let peer, .gaveUp(let attempts, let failures, _)):
            line(.info, "gave up \(peer) after \(attempts) attempts: \(failures.last.map { "\($0)" } ?? "no address")")
        case .storage(let problem): line(.warning, "\(problem)")
        case .woke(let pause): line(.info, "woke after \(pause)")
        case .channel, .members: break
        case .message, .messagesDropped, .subscription, .identified, .streamOpened: break
        }
    }

    /// An inbound connection that a limit refused.
    func refused(_ address: SocketAddress, _ refusal: InboundRefusal, count: Int) {
        let limit = switch refusal {
        case .connections: "connections"
        case .handshakes: "handshakes under way"
        case .connectionsPerAddress: "connections from one address"
        case .ratePerAddress: "rate of connections from one address"
        }
        line(.info, "refused \(address.multiaddr): limit of \(limit); \(count) refused so far")
    }

    /// A source that somebody has chosen and that does not work is worth a line; those of every node are tried everywhere, also where they cannot work.
    private static func level(_ source: DiscoverySource, _ state: SourceState) -> Level {
        guard case .failed = state else { return .info }
        return switch source {
        case .dns, .headscale, .tailscale: .warning
        case .bootstrap, .mdns, .avahi, .gossip: .info
        }
    }

    private func line(_ level: Level, _ text: @autoclosure () -> String) {
        guard level.rawValue <= self.level.rawValue else { return }
        let bytes = Array("meshnet \(name) \(level): \(text())\n".utf8.prefix(Self.maximumByteCount))
        var descriptor = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard poll(&descriptor, 1, 0) == 1, descriptor.revents & Int16(POLLOUT) != 0 else { return }
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
