import MeshNetProtocol
import MeshNetSwarm

extension DiscoveryConfiguration {
    /// DNS services looked up at most: each costs a lookup an interval.
    static let maximumServiceCount = 32
    /// Entries of one list at most: each address that is found is compared with all.
    static let maximumListCount = 1_024
    /// Bytes of `app_id` and `endpoint_id`: a string of TXT has 255.
    static let maximumIDByteCount = 64
    /// Discovered peers that wait for the application at most.
    static let maximumOfferQueue = 65_536

    /// Throws `.invalidSetting` for what can never work, before anything starts.
    func check() throws(CallError) {
        try Self.check(id: appID, "app_id")
        try Self.check(id: endpointID, "endpoint_id")
        try Self.check(interval, "discovery interval")
        guard (1...Self.maximumOfferQueue).contains(offerQueue) else {
            throw .invalidSetting(name: "offer_queue", reason: "\(offerQueue) is not from 1 to \(Self.maximumOfferQueue)")
        }
        guard dnsServices.count <= Self.maximumServiceCount else {
            throw .invalidSetting(name: "dns_services", reason: "\(dnsServices.count) names; at most \(Self.maximumServiceCount) are looked up")
        }
        for count in [allowedNetworks.count, deniedNetworks.count, allowedInterfaces.count, deniedInterfaces.count, allowedPeers.count]
        where count > Self.maximumListCount {
            throw .invalidSetting(name: "allow and deny lists", reason: "\(count) entries; at most \(Self.maximumListCount) are taken")
        }
        if modes?.contains(.dns) == true, dnsServices.isEmpty {
            throw .invalidSetting(name: "discovery mode dns", reason: "names no service: give one by \(Setting.discoveryService.variable)")
        }
        if modes?.contains(.headscale) == true, headscale == nil {
            throw .invalidSetting(
                name: "discovery mode headscale",
                reason: "needs a server and an API key: \(Setting.headscaleAPIURL.variable) and \(Setting.headscaleAPIKeyFile.variable)")
        }
        if let headscale { try Self.check(headscale.pollInterval, "headscale poll interval") }
        try Self.check(tailscale.pollInterval, "tailscale poll interval")
    }

    private static func check(id: String?, _ name: String) throws(CallError) {
        guard let id, !(1...maximumIDByteCount).contains(id.utf8.count) else { return }
        throw .invalidSetting(name: name, reason: "has \(id.utf8.count) bytes; 1 to \(maximumIDByteCount) are taken")
    }

    private static func check(_ interval: Duration, _ name: String) throws(CallError) {
        guard interval >= .seconds(1), interval <= .seconds(3_600) else {
            throw .invalidSetting(name: name, reason: "\(interval) is not from 1 s to 1 h")
        }
    }
}
