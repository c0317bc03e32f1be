import MeshNetSwarm

extension DiscoveryConfiguration {
    /// Throws `.invalidSetting` for what can never work, before anything starts. Entries of lists that cannot be read do not stop a node: they are
    /// address problems.
    func check() throws(CallError) {
        if let problem = DiscoveryRules.boundProblems(self).first { throw .invalidSetting(name: problem.text, reason: problem.reason) }
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

    private static func check(_ interval: Duration, _ name: String) throws(CallError) {
        guard interval < .seconds(1) || interval > .seconds(3_600) else { return }
        throw .invalidSetting(name: name, reason: "\(interval) is not from 1 s to 1 h")
    }
}
