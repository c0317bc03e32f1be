import MeshNetProtocol

// Values as people read them; the errno numbers are those of Linux, since this module asks no system.
enum DiagnosisWords {
    /// "350 ms", "4.2 s", "3 min".
    static func time(_ duration: Duration) -> String {
        let milliseconds = duration.saturatedNanoseconds / 1_000_000
        if milliseconds < 1_000 { return "\(milliseconds) ms" }
        if milliseconds < 120_000 { return "\(milliseconds / 1_000).\(milliseconds % 1_000 / 100) s" }
        if milliseconds < 7_200_000 { return "\(milliseconds / 60_000) min" }
        return "\(milliseconds / 3_600_000) h"
    }

    static func errno(_ code: Int32) -> String {
        switch code {
        case 1: "EPERM"
        case 13: "EACCES"
        case 22: "EINVAL"
        case 99: "EADDRNOTAVAIL"
        case 101: "ENETUNREACH"
        case 104: "ECONNRESET"
        case 112: "EHOSTDOWN"
        case 113: "EHOSTUNREACH"
        default: "errno \(code)"
        }
    }

    static func prefix(_ prefix: NetworkPrefix) -> String {
        guard let address = Multiaddr(ip: prefix.ip, tcpPort: 1, zone: nil) else { return "/\(prefix.length)" }
        return "\(host(of: address))/\(prefix.length)"
    }

    /// "192.168.1.7", "fe80::1" or "host.example": what stands before the port.
    static func host(of address: Multiaddr) -> String {
        let parts = address.description.split(separator: "/")
        guard let index = parts.firstIndex(where: { ["ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr"].contains($0) }), index + 1 < parts.count else {
            return address.description
        }
        return String(parts[index + 1])
    }

    static func port(of address: Multiaddr) -> String {
        for component in address.components { if case .tcp(let port) = component { return String(port) } }
        return "?"
    }

    static func name(_ source: DiscoverySource) -> String {
        switch source {
        case .bootstrap: "bootstrap"
        case .mdns: "mDNS"
        case .avahi: "Avahi"
        case .dns: "DNS"
        case .gossip: "gossip"
        case .headscale: "Headscale"
        case .tailscale: "Tailscale"
        }
    }
}
