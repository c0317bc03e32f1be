@testable import MeshNetSwarm
import Testing

@Suite struct DiscoveryModesTests {
    @Test func readsWhatUsersWrite() throws {
        #expect(try DiscoveryModes(parsing: "none") == [])
        #expect(try DiscoveryModes(parsing: "mdns") == .mdns)
        #expect(try DiscoveryModes(parsing: "mdns,gossip") == .standard)
        #expect(try DiscoveryModes(parsing: " Headscale, DNS ,tailscale,mdns") == [.headscale, .dns, .tailscale, .mdns])
    }

    @Test(arguments: ["", "mdns,", "none,mdns", "bonjour", "mdns gossip"])
    func namesWhatItCannotRead(_ text: String) {
        do throws(CallError) {
            _ = try DiscoveryModes(parsing: text)
            Issue.record("\(text) was taken")
        } catch {
            guard case .invalidAddress(text, _) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test func writesWhatItReads() throws {
        for bits in UInt32(0)..<32 {
            let modes = DiscoveryModes(rawValue: bits)
            #expect(try DiscoveryModes(parsing: modes.text) == modes)
        }
    }
}
