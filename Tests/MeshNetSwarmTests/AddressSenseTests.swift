import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Which address of a peer is tried first.
@Suite struct AddressSenseTests {
    private func prefix(_ text: String) throws -> NetworkPrefix { try #require(NetworkPrefix(parsing: text)) }

    private func sense() throws -> AddressSense {
        var sense = AddressSense()
        sense.setInterfaces([
            NetworkInterface(name: "docker0", addresses: [try prefix("172.17.0.1/16")]),
            NetworkInterface(name: "eth0", addresses: [try prefix("192.168.1.7/24"), try prefix("2001:db8::7/64")]),
            NetworkInterface(name: "tailscale0", addresses: [try prefix("100.100.1.7/32")]),
        ])
        return sense
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.1.2.3", "10.1.2.3", true), ("10.1.2.3", "10.1.2.4", false),
        ("0.0.0.0/0", "1.2.3.4", true), ("172.16.0.0/12", "172.31.255.255", true), ("172.16.0.0/12", "172.32.0.0", false),
        ("fd00::/8", "fdff::1", true), ("fd00::/8", "fe00::1", false), ("fe80::/10", "febf::1", true), ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("::/0", "10.0.0.1", false), ("0.0.0.0/0", "::1", false), ("2001:db8::/33", "2001:db8:7fff::", true), ("2001:db8::/33", "2001:db8:8000::", false),
    ]) func aPrefixHoldsItsAddresses(text: String, address: String, isInside: Bool) throws {
        let ip = try #require(IPText.ipv4(address.utf8) ?? IPText.ipv6(address.utf8))
        #expect(try prefix(text).contains(ip) == isInside)
    }

    @Test(arguments: [
        "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0/8", "::/129", "10.0.0.0/8/8", "eth0", "10.0.0.0/ 8", "1.2.3.4/0008",
    ]) func whatIsNoPrefixIsNotRead(text: String) { #expect(NetworkPrefix(parsing: text) == nil) }

    @Test(arguments: [
        ("/ip4/127.0.0.1/tcp/1", 6), ("/ip6/::1/tcp/1", 6), ("/ip4/192.168.1.9/tcp/1", 1), ("/ip6/2001:db8::9/tcp/1", 1), ("/ip4/172.17.0.5/tcp/1", 2),
        ("/ip4/172.17.0.1/tcp/1", 5), ("/ip4/8.8.8.8/tcp/1", 3), ("/ip4/100.64.0.9/tcp/1", 4), ("/ip6/fd7a:115c:a1e0::9/tcp/1", 4),
        ("/ip6zone/eth0/ip6/fe80::1/tcp/1", 1), ("/ip6zone/docker0/ip6/fe80::1/tcp/1", 2), ("/ip4/192.168.1.7/tcp/1", 1),
    ]) func tiers(text: String, tier: Int) throws {
        guard case .socket(let socket) = DialTarget(try Multiaddr(text)) else {
            Issue.record("no socket address: \(text)")
            return
        }
        #expect(try sense().tier(socket).rawValue == tier)
    }

    @Test func nearBeforeFarPhysicalBeforeVirtualAndFamiliesInTurn() throws {
        let texts = [
            "/ip4/100.64.0.9/tcp/1", "/ip4/8.8.8.8/tcp/1", "/ip4/172.17.0.5/tcp/1", "/ip4/8.8.4.4/tcp/1", "/ip4/172.17.0.1/tcp/1",
            "/ip6/2001:db8:1::1/tcp/1", "/ip4/192.168.1.9/tcp/1", "/ip6/2001:db8::9/tcp/1", "/ip6/2001:db8:1::2/tcp/1", "/ip4/192.168.1.10/tcp/1",
        ]
        #expect(try sense().ordered(texts.map { try Multiaddr($0) }).map(\.description) == [
            "/ip6/2001:db8::9/tcp/1", "/ip4/192.168.1.9/tcp/1", "/ip4/192.168.1.10/tcp/1", "/ip4/172.17.0.5/tcp/1", "/ip6/2001:db8:1::1/tcp/1",
            "/ip4/8.8.8.8/tcp/1", "/ip6/2001:db8:1::2/tcp/1", "/ip4/8.8.4.4/tcp/1", "/ip4/100.64.0.9/tcp/1", "/ip4/172.17.0.1/tcp/1",
        ])
    }

    @Test func whatGoesThroughARelayComesLast() throws {
        let relay = KeyPair(secret: [UInt8](repeating: 9, count: 32))!.peerID
        let relayed = try Multiaddr("/ip4/192.168.1.9/tcp/1/p2p/\(relay)/p2p-circuit"), direct = try Multiaddr("/ip4/100.64.0.1/tcp/1")
        #expect(try sense().ordered([relayed, direct]) == [direct, relayed])
    }

    @Test func loopbackIsForThisHostOnly() throws {
        let loopback = try Multiaddr("/ip4/127.0.0.1/tcp/1"), far = try Multiaddr("/ip4/192.168.1.9/tcp/1"), own = try Multiaddr("/ip4/192.168.1.7/tcp/1")
        let docker = try Multiaddr("/ip4/172.17.0.1/tcp/1")
        let sense = try sense()
        #expect(sense.useful([loopback, far]) == [far])
        #expect(sense.useful([loopback]) == [loopback])
        #expect(sense.useful([loopback, own]) == [loopback, own])
        #expect(sense.useful([loopback, docker]) == [docker], "every host with containers has this address")
    }

    @Test(arguments: [
        ("docker0", true), ("veth12ab", true), ("br-0123", true), ("eth0", false), ("br0", false), ("wlan0", false), ("tailscale0", true), ("en0", false),
    ]) func namesOfVirtualInterfaces(name: String, isVirtual: Bool) { #expect(NetworkInterface(name: name, addresses: []).isVirtual == isVirtual) }

    @Test func interfacePatterns() throws {
        let exact = try #require(InterfacePattern("eth0")), all = try #require(InterfacePattern("docker*")), any = try #require(InterfacePattern("*"))
        #expect(exact.matches("eth0") && !exact.matches("eth01"))
        #expect(all.matches("docker0") && all.matches("docker") && !all.matches("xdocker0"))
        #expect(any.matches("anything"))
        #expect(InterfacePattern("") == nil)
        #expect(InterfacePattern("a*b") == nil)
        #expect(InterfacePattern("**") == nil)
    }

    @Test func theNearAddressIsTheFirstThatIsDialled() throws {
        let siege = Siege { $0.discovery.modes = .dns }
        siege.swarm.setInterfaces([NetworkInterface(name: "eth0", addresses: [try prefix("192.168.1.7/24")])], now: siege.now)
        let peer = KeyPair(random: &siege.random).peerID
        let texts = ["/ip4/127.0.0.1/tcp/1", "/ip4/100.64.0.9/tcp/1", "/ip4/8.8.8.8/tcp/1", "/ip6/2001:db8::1/tcp/1", "/ip4/192.168.1.9/tcp/1"]
        let candidate = Candidate(key: "k", peer: peer, addresses: try texts.map { try Multiaddr($0) })
        siege.swarm.receive(.found(candidate), from: .dns, now: siege.now)
        siege.settle()
        siege.pass(.seconds(2))
        #expect(siege.connects.map { $0.to.multiaddr.description } == [
            "/ip4/192.168.1.9/tcp/1", "/ip6/2001:db8::1/tcp/1", "/ip4/8.8.8.8/tcp/1", "/ip4/100.64.0.9/tcp/1",
        ])
    }
}
