import Testing
@testable import MeshNetProtocol

@Suite struct BootstrapAddressTests {
    static let peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

    @Test(arguments: [
        "/ip4/192.168.1.7/tcp/4001", "/ip6/::1/tcp/4001/p2p/\(peer)", "/ip6zone/eth0/ip6/fe80::1/tcp/1", "/dns4/host/tcp/52415",
        "/dns/a.b/tcp/1",
        "/dnsaddr/bootstrap.example.com", "/dnsaddr/bootstrap.example.com/p2p/\(peer)",
    ])
    func usable(text: String) throws {
        #expect(BootstrapAddress(parsing: text) == .address(try Multiaddr(text)))
        #expect(BootstrapAddress(parsing: " \(text)\n") == .address(try Multiaddr(text)))
    }

    @Test(arguments: [
        ("/ip4/exo-node1/tcp/52415", "/dns4/exo-node1/tcp/52415"),
        ("/ip4/node_2.example.com/tcp/1/p2p/\(peer)", "/dns4/node_2.example.com/tcp/1/p2p/\(peer)"),
        ("/ip6/host6/tcp/1", "/dns6/host6/tcp/1"),
    ])
    func namesBehindIP(text: String, meant: String) throws {
        guard case .reinterpreted(let address, let reason) = BootstrapAddress(parsing: text) else {
            Issue.record("\(text) was not reinterpreted")
            return
        }
        #expect(address.description == meant)
        #expect(reason.contains(text) && reason.contains(meant))
    }

    @Test(arguments: [
        ("", "empty entry"), ("  ", "empty entry"), ("/ip4/256.0.0.1/tcp/1", "no IPv4 address"), ("/ip4/1.2.3/tcp/1", "no IPv4 address"),
        ("/ip4/a..b/tcp/1", "no IPv4 address"), ("/ip4/host", "no IPv4 address"), ("192.168.1.7:4001", "/ip4/192.168.1.7/tcp/4001"),
        ("host.example:4001", "/dns4/host.example/tcp/4001"), ("host:0", "/ip4/192.168.1.7/tcp/4001"), ("nonsense", "no multiaddr"),
        ("/ip4/1.2.3.4", "no port"), ("/ip4/1.2.3.4/tcp/0", "port 0"), ("/ip4/1.2.3.4/udp/4001/quic-v1", "only TCP"),
        ("/ip4/1.2.3.4/tcp/80/ws", "plain TCP"), ("/tcp/80", "begin with a host"), ("/p2p/\(peer)", "begin with a host"),
        ("/ip4/1.2.3.4/tcp/99999", "99999"), ("/ip4/1.2.3.4/tcp/1/p2p/bad", "no peer id"), ("/ip5/1.2.3.4/tcp/1", "ip5"),
    ])
    func unusable(text: String, clue: String) {
        guard case .unusable(let reason) = BootstrapAddress(parsing: text) else {
            Issue.record("\(text) was taken")
            return
        }
        #expect(reason.contains(clue), "\(reason)")
        #expect(reason.contains(text.filter { $0 != " " }) && reason.hasSuffix("."), "\(reason)")
    }

    @Test func longValuesAreShortened() {
        guard case .unusable(let reason) = BootstrapAddress(parsing: String(repeating: "x", count: 100_000)) else {
            Issue.record("taken")
            return
        }
        #expect(reason.utf8.count < 1_000)
        guard case .unusable(let other) = BootstrapAddress(parsing: "/ip4/" + String(repeating: "x", count: 3_000) + "/tcp/1") else {
            Issue.record("taken")
            return
        }
        #expect(other.utf8.count < 1_000)
        guard case .unusable(let unknown) = BootstrapAddress(parsing: "/" + String(repeating: "x", count: 3_000) + "/tcp/1") else {
            Issue.record("taken")
            return
        }
        #expect(unknown.utf8.count < 1_000, "\(unknown.utf8.count)")
    }
}
