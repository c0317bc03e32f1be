import MeshNetProtocol

/// The lists and bounds of a `DiscoveryConfiguration`, read once.
///
/// An allow list in which nothing can be read allows nothing: a typing error must not open what was to be closed.
package struct DiscoveryRules {
    private let allowedNetworks: [NetworkPrefix]?
    private let deniedNetworks: [NetworkPrefix]
    private let allowedInterfaces: [InterfacePattern]?
    private let deniedInterfaces: [InterfacePattern]
    private let allowedPeers: Set<PeerID>
    /// What cannot be used, with what to write instead; empty when all is well.
    let problems: [AddressProblem]

    static let interval: ClosedRange<Duration> = .seconds(1)...(.seconds(3_600))
    /// Of `appID` and `endpointID`: they travel in every announcement.
    static let maximumIDLength = 64
    /// Each is looked up every interval.
    static let maximumDNSServices = 32
    /// Of each allow and deny list: each is compared with each address found.
    static let maximumListLength = 1_024
    static let maximumOfferQueue = 65_536

    init(_ configuration: DiscoveryConfiguration) {
        var problems: [AddressProblem] = []
        func read<Rule>(_ texts: [String], _ field: String, _ advice: String, _ parse: (String) -> Rule?) -> [Rule] {
            if texts.count > Self.maximumListLength {
                problems.append(AddressProblem(text: "\(field): \(texts.count) entries", reason: "at most \(Self.maximumListLength)", usedInstead: nil))
            }
            return texts.prefix(Self.maximumListLength).compactMap { text in
                if let rule = parse(text) { return rule }
                problems.append(AddressProblem(text: text, reason: "\(field): \(advice)", usedInstead: nil))
                return nil
            }
        }
        let cidr = "no network: write it as 10.0.0.0/8 or fd00::/8"
        let allowed = read(configuration.allowedNetworks, "allowed networks", cidr) { NetworkPrefix(parsing: $0) }
        allowedNetworks = configuration.allowedNetworks.isEmpty ? nil : allowed
        deniedNetworks = read(configuration.deniedNetworks, "denied networks", cidr) { NetworkPrefix(parsing: $0) }
        let pattern = "no interface name: write it as eth0, or docker* for any ending"
        let allowedNames = read(configuration.allowedInterfaces, "allowed interfaces", pattern) { InterfacePattern($0) }
        allowedInterfaces = configuration.allowedInterfaces.isEmpty ? nil : allowedNames
        deniedInterfaces = read(configuration.deniedInterfaces, "denied interfaces", pattern) { InterfacePattern($0) }
        allowedPeers = Set(configuration.allowedPeers)
        self.problems = problems + Self.boundProblems(configuration)
    }

    /// Numbers and lengths that cannot be.
    package static func boundProblems(_ configuration: DiscoveryConfiguration) -> [AddressProblem] {
        var problems: [AddressProblem] = []
        func check(_ holds: Bool, _ text: @autoclosure () -> String, _ reason: String) {
            if !holds { problems.append(AddressProblem(text: text(), reason: reason, usedInstead: nil)) }
        }
        check(interval.contains(configuration.interval), "interval: \(configuration.interval)", "from 1 s to 1 h")
        for (name, id) in [("app id", configuration.appID), ("endpoint id", configuration.endpointID)] {
            guard let id else { continue }
            check((1...maximumIDLength).contains(id.utf8.count), "\(name): \(id.utf8.count) bytes", "1 to \(maximumIDLength) bytes")
        }
        let services = configuration.dnsServices.count
        check(services <= maximumDNSServices, "DNS services: \(services)", "at most \(maximumDNSServices)")
        check((1...maximumOfferQueue).contains(configuration.offerQueue), "offer queue: \(configuration.offerQueue)", "from 1 to \(maximumOfferQueue)")
        return problems
    }

    // MARK: - Asked for everything that is found

    func allows(peer: PeerID) -> Bool { allowedPeers.isEmpty || allowedPeers.contains(peer) }

    func allows(interface: String) -> Bool {
        !deniedInterfaces.contains { $0.matches(interface) } && (allowedInterfaces?.contains { $0.matches(interface) } ?? true)
    }

    func allows(ip: [UInt8]) -> Bool {
        !deniedNetworks.contains { $0.contains(ip) } && (allowedNetworks?.contains { $0.contains(ip) } ?? true)
    }
}
