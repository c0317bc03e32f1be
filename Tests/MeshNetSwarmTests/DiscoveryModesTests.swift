@testable import MeshNetSwarm
import Testing

@Suite struct DiscoveryModesTests {
    @Test func readsWhatUsersWrite() {
        #expect(DiscoveryModes(parsing: "none") == [])
        #expect(DiscoveryModes(parsing: "mdns") == .mdns)
        #expect(DiscoveryModes(parsing: "mdns,gossip") == .standard)
        #expect(DiscoveryModes(parsing: " Headscale, DNS ,tailscale,mdns") == [.headscale, .dns, .tailscale, .mdns])
    }

    @Test(arguments: ["", "mdns,", "none,mdns", "bonjour", "mdns gossip"])
    func refusesWhatItCannotRead(_ text: String) {
        #expect(DiscoveryModes(parsing: text) == nil)
    }

    @Test func writesWhatItReads() {
        for bits in UInt32(0)..<32 {
            let modes = DiscoveryModes(rawValue: bits)
            #expect(DiscoveryModes(parsing: modes.description) == modes)
        }
    }
}
