import CSystem
import Glibc
package import MeshNetProtocol
package import MeshNetSwarm

/// The listening sockets of a node.
package enum Listeners {
    /// With port 0 the IPv6 socket asks for the port that the kernel gave to the IPv4 one. Another process may hold it there: then both start over.
    private static let samePortAttempts = 8

    /// Opens what the configuration asks for. Throws `.listenFailed` or `.invalidAddress`, and leaves no socket behind.
    package static func open(_ configuration: Configuration, system: SystemCalls) throws(CallError) -> [Listener] {
        guard configuration.listens else { return [] }
        if configuration.listenAddresses.isEmpty { return try openWildcards(port: configuration.listenPort, system: system) }
        var listeners: [Listener] = []
        for text in configuration.listenAddresses {
            let address = try parse(text)
            switch Listener.open(address, system: system) {
            case .success(let listener): listeners.append(listener)
            case .failure(let failure): throw .listenFailed(address: text, errno: failure.errno)
            }
        }
        return listeners
    }

    private static func parse(_ text: String) throws(CallError) -> SocketAddress {
        let address: Multiaddr
        do { address = try Multiaddr(text) } catch { throw .invalidAddress(text: text, reason: "\(error)") }
        var parts = address.components[...], zone: String?
        if case .ip6zone(let name) = parts.first {
            zone = name
            parts = parts.dropFirst()
        }
        guard parts.count == 2, let host = parts.first, case .tcp(let port) = parts.last else { throw unusable(text) }
        switch host {
        case .ip4(let ip): return SocketAddress(ip: ip, port: port)
        case .ip6(let ip): return SocketAddress(ip: ip, port: port, zone: zone)
        default: throw unusable(text)
        }
    }

    private static func unusable(_ text: String) -> CallError {
        .invalidAddress(text: text, reason: "a node listens on /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT")
    }

    private static func openWildcards(port: UInt16, system: SystemCalls) throws(CallError) -> [Listener] {
        var last: [Listener] = []
        for _ in 0..<(port == 0 ? samePortAttempts : 1) {
            last = []
            var chosen = port
            switch Listener.open(wildcard(4, port), system: system) {
            case .success(let listener):
                last.append(listener)
                chosen = listener.address.port
            case .failure(let failure):
                guard isAbsentFamily(failure.errno) else { throw .listenFailed(address: "/ip4/0.0.0.0/tcp/\(port)", errno: failure.errno) }
            }
            switch Listener.open(wildcard(16, chosen), system: system) {
            case .success(let listener):
                return last + [listener]
            case .failure(let failure) where isAbsentFamily(failure.errno):
                guard last.isEmpty else { return last }
                throw .listenFailed(address: "/ip6/::/tcp/\(port)", errno: failure.errno)
            case .failure(let failure):
                if port == 0, failure.errno == EADDRINUSE { continue }
                throw .listenFailed(address: "/ip6/::/tcp/\(port)", errno: failure.errno)
            }
        }
        // Never the same port twice over: the families get a port each.
        if case .success(let listener) = Listener.open(wildcard(16, 0), system: system) { last.append(listener) }
        return last
    }

    private static func wildcard(_ count: Int, _ port: UInt16) -> SocketAddress {
        SocketAddress(ip: [UInt8](repeating: 0, count: count), port: port)
    }

    /// A kernel without IPv6 (or IPv4), or one where it is switched off.
    private static func isAbsentFamily(_ code: Int32) -> Bool { code == EAFNOSUPPORT || code == EADDRNOTAVAIL || code == EPROTONOSUPPORT }

    /// What the outside can dial, wildcards expanded, loopback last.
    package static func reachable(_ listeners: [Listener], over interfaces: [SocketAddress]) -> [Multiaddr] {
        let all = listeners.flatMap { Interfaces.expand($0.address, over: interfaces) }
        let (outward, loopback) = (all.filter { !isLoopback($0.ip) }, all.filter { isLoopback($0.ip) })
        return (outward + loopback).compactMap { Multiaddr(ip: $0.ip, tcpPort: $0.port, zone: $0.zone) }
    }

    private static func isLoopback(_ ip: [UInt8]) -> Bool {
        ip.count == 4 ? ip[0] == 127 : ip.dropLast().allSatisfy { $0 == 0 } && ip.last == 1
    }
}
