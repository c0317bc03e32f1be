import Foundation
import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// Explicit before variable before default, and every mistake with the name of the variable or option.
@Suite struct SettingsTests {
    private func applied(_ variables: [String: String], _ start: DiscoveryConfiguration = DiscoveryConfiguration()) throws -> DiscoveryConfiguration {
        var configuration = start
        try configuration.apply(Settings { variables[$0] })
        return configuration
    }

    private func problem(_ variables: [String: String]) -> String {
        do {
            _ = try applied(variables)
            return ""
        } catch { return "\(error)" }
    }

    private func file(_ text: String) throws -> String {
        let path = NSTemporaryDirectory() + "meshnet-settings-\(UUID().uuidString)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test func modesAsText() {
        #expect(DiscoveryModes(parsing: "none") == [])
        #expect(DiscoveryModes(parsing: "mDNS, gossip") == .standard)
        for text in ["", ",", "mdns,", "none,mdns", "multicast"] { #expect(DiscoveryModes(parsing: text) == nil, "\(text)") }
        for bits in 0..<32 as Range<UInt32> {
            let modes = DiscoveryModes(rawValue: bits)
            #expect(DiscoveryModes(parsing: modes.description) == modes)
        }
    }

    @Test func variablesFillInWhatWasLeft() throws {
        let found = try applied([
            "MESHNET_DISCOVERY_MODE": "dns,gossip", "MESHNET_DISCOVERY_SERVICE": "mesh.local:4001, _p2p._tcp.mesh", "MESHNET_DISCOVERY_INTERVAL": "2.5",
            "MESHNET_MDNS": "embedded", "MESHNET_SERVICE_TAG": "_x._udp", "MESHNET_APP_ID": "app", "MESHNET_ENDPOINT_ID": "end",
            "MESHNET_DENY_NETWORKS": "10.0.0.0/8", "MESHNET_ALLOW_INTERFACES": "eth*", "MESHNET_DISCOVERY_POLICY": "offer",
        ])
        #expect(found.modes == [.dns, .gossip])
        #expect(found.dnsServices == ["mesh.local:4001", "_p2p._tcp.mesh"])
        #expect(found.interval == .milliseconds(2_500))
        #expect(found.mdnsBackend == .embedded)
        #expect(found.serviceTag == "_x._udp" && found.appID == "app" && found.endpointID == "end")
        #expect(found.deniedNetworks == ["10.0.0.0/8"] && found.allowedInterfaces == ["eth*"])
        #expect(found.policy == .offer)
    }

    @Test func messagesHaveTheirVariables() throws {
        let variables = [
            "MESHNET_STATE_DIR": "/var/lib/x", "MESHNET_QUEUE_MESSAGES": "200", "MESHNET_QUEUE_BYTES": "1000", "MESHNET_RECEIVE_BYTES": "2000",
            "MESHNET_MAXIMUM_MESSAGE_SIZE": "3000", "MESHNET_RECONNECT_ATTEMPTS": "4",
        ]
        var found = Configuration(identity: .generate(), bootstrapPeers: [], listenPort: 0)
        found.messages.queueBytes = 5
        try found.apply(Settings { variables[$0] })
        #expect(found.messages.stateDirectory == "/var/lib/x" && found.messages.queueMessages == 200 && found.messages.queueBytes == 5)
        #expect(found.messages.receiveBytes == 2_000 && found.messages.maximumMessageSize == 3_000 && found.messages.reconnect.maximumAttempts == 4)
        for text in ["0", "-1", "many", "9223372036854775807"] {
            var refused = Configuration(identity: .generate(), bootstrapPeers: [], listenPort: 0)
            #expect(throws: CallError.self, "\(text)") { try refused.apply(Settings { $0 == "MESHNET_QUEUE_MESSAGES" ? text : nil }) }
        }
    }

    @Test func whatTheProgramChoseStands() throws {
        var chosen = DiscoveryConfiguration()
        chosen.modes = []
        chosen.serviceTag = "_mine._udp"
        let found = try applied(["MESHNET_DISCOVERY_MODE": "mdns", "MESHNET_SERVICE_TAG": "_theirs._udp", "MESHNET_APP_ID": ""], chosen)
        #expect(found.modes == [] && found.serviceTag == "_mine._udp" && found.appID == nil)
    }

    @Test func anOptionWinsOverAVariable() throws {
        var settings = Settings { $0 == "MESHNET_DISCOVERY_MODE" ? "mdns" : nil }
        settings.set(.discoveryMode, "none")
        var configuration = DiscoveryConfiguration()
        try configuration.apply(settings)
        #expect(configuration.modes == [])
    }

    @Test func anOptionOfAListMayComeSeveralTimes() throws {
        var settings = Settings { $0 == "MESHNET_DISCOVERY_SERVICE" ? "left.out:1" : nil }
        settings.set(.discoveryService, "a:1")
        settings.set(.discoveryService, "b:2,c:3")
        var configuration = DiscoveryConfiguration()
        try configuration.apply(settings)
        #expect(configuration.dnsServices == ["a:1", "b:2", "c:3"])
    }

    @Test func mistakesNameTheVariableAndWhatItTakes() {
        #expect(problem(["MESHNET_DISCOVERY_MODE": "multicast"]).contains("MESHNET_DISCOVERY_MODE: \"multicast\""))
        #expect(problem(["MESHNET_DISCOVERY_INTERVAL": "0"]).contains("from 1 to 3600"))
        #expect(problem(["MESHNET_MDNS": "yes"]).contains("auto, embedded, avahi"))
        #expect(problem(["MESHNET_ALLOW_PEERS": "nobody"]).contains("nobody"))
        #expect(problem(["MESHNET_HEADSCALE_API_URL": "https://h"]).contains("MESHNET_HEADSCALE_API_KEY"))
        #expect(problem(["MESHNET_HEADSCALE_API_URL": "https://h", "MESHNET_HEADSCALE_API_KEY_FILE": "/nonexistent/key"]).contains("/nonexistent/key"))
    }

    @Test func headscaleComesFromVariablesAndItsKeyIsShownNowhere() throws {
        let path = try file(" tskey-from-file \n")
        defer { unlink(path) }
        let found = try applied([
            "MESHNET_HEADSCALE_API_URL": "https://h", "MESHNET_HEADSCALE_API_KEY_FILE": path, "MESHNET_HEADSCALE_PORT": "4001",
            "MESHNET_HEADSCALE_POLL_INTERVAL": "5", "MESHNET_HEADSCALE_TAG": "tag:mesh", "MESHNET_HEADSCALE_TAG_SELF": "1",
        ])
        let headscale = try #require(found.headscale)
        #expect(headscale.apiKey.text == "tskey-from-file" && headscale.port == 4_001 && headscale.pollInterval == .seconds(5))
        #expect(headscale.requiredTag == "tag:mesh" && headscale.tagsItself)
        #expect(!"\(found)".contains("tskey"))
        let wrong = problem(["MESHNET_HEADSCALE_API_URL": "https://h", "MESHNET_HEADSCALE_API_KEY": "secret-key", "MESHNET_HEADSCALE_PORT": "x"])
        #expect(wrong.contains("MESHNET_HEADSCALE_PORT") && !wrong.contains("secret-key"))
    }

    @Test func aSecretFileIsASwarmKeyOrAPassphrase() throws {
        let words = try file("open sesame\n"), key = try file("/key/swarm/psk/1.0.0/\n/base16/\n\(String(repeating: "7", count: 64))\n")
        let broken = try file("/key/swarm/psk/1.0.0/\n/base16/\n77\n"), long = try file(String(repeating: "x", count: SecretFile.maximumByteCount + 1))
        defer { for path in [words, key, broken, long] { unlink(path) } }
        func applied(_ path: String) throws -> Configuration {
            var configuration = Configuration(identity: .generate(), bootstrapPeers: [], listenPort: 0)
            try configuration.apply(Settings { $0 == "MESHNET_SECRET_FILE" ? path : nil })
            return configuration
        }
        #expect(try applied(words).secret == APIKey("open sesame"))
        #expect(try applied(key).preSharedKey == PreSharedKey(bytes: [UInt8](repeating: 0x77, count: 32)))
        #expect(throws: CallError.self) { try applied(broken) }
        #expect(throws: CallError.self) { try applied(long) }
    }

    @Test func whatCanNeverWorkIsRefusedAtTheStart() throws {
        func refused(_ change: (inout DiscoveryConfiguration) -> Void) -> Bool {
            do {
                _ = try TestNode { configuration in
                    configuration.listens = false
                    change(&configuration.discovery)
                }
                return false
            } catch CallError.invalidSetting { return true } catch { return false }
        }
        #expect(!refused { _ in })
        #expect(refused { $0.modes = .dns })
        #expect(refused { $0.modes = .headscale })
        #expect(refused { $0.appID = String(repeating: "a", count: 65) })
        #expect(refused { $0.interval = .milliseconds(999) })
        #expect(refused { $0.offerQueue = 0 })
        #expect(refused { $0.dnsServices = (0...DiscoveryRules.maximumDNSServices).map { "host\($0):1" } })
    }
}
