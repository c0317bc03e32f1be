import MeshNetProtocol
public import MeshNetSwarm

// Settings fill in what a configuration leaves at its default: what a program chose itself stands.
extension Configuration {
    /// Throws `.invalidSetting` with the name of the variable or option and what it takes.
    public mutating func apply(_ settings: Settings) throws(CallError) {
        try discovery.apply(settings)
        try messages.apply(settings)
        if network == nil, preSharedKey == nil { network = settings[.network]?.text }
        if secret == nil, preSharedKey == nil, let file = settings[.secretFile] {
            switch try SecretFile.read(file) {
            case .key(let key): preSharedKey = key
            case .passphrase(let passphrase): secret = passphrase
            }
        }
    }
}

extension DiscoveryConfiguration {
    public mutating func apply(_ settings: Settings) throws(CallError) {
        let plain = DiscoveryConfiguration()
        if modes == nil, let value = settings[.discoveryMode] { modes = try value.modes() }
        if mdnsBackend == plain.mdnsBackend, let value = settings[.mdns] {
            mdnsBackend = try value.choice([("auto", .auto), ("embedded", .embedded), ("avahi", .avahi)])
        }
        if policy == plain.policy, let value = settings[.discoveryPolicy] { policy = try value.choice([("dial", .dial), ("offer", .offer)]) }
        if interval == plain.interval, let value = settings[.discoveryInterval] { interval = try value.seconds() }
        if serviceTag == nil { serviceTag = settings[.serviceTag]?.text }
        if appID == nil { appID = settings[.appID]?.text }
        if endpointID == nil { endpointID = settings[.endpointID]?.text }
        if dnsServices.isEmpty { dnsServices = settings[.discoveryService]?.list ?? [] }
        if allowedNetworks.isEmpty { allowedNetworks = settings[.allowNetworks]?.list ?? [] }
        if deniedNetworks.isEmpty { deniedNetworks = settings[.denyNetworks]?.list ?? [] }
        if allowedInterfaces.isEmpty { allowedInterfaces = settings[.allowInterfaces]?.list ?? [] }
        if deniedInterfaces.isEmpty { deniedInterfaces = settings[.denyInterfaces]?.list ?? [] }
        if allowedPeers.isEmpty, let value = settings[.allowPeers] { allowedPeers = try value.peers() }
        if headscale == nil { headscale = try HeadscaleConfiguration(settings) }
        try tailscale.apply(settings)
    }
}

extension MessageConfiguration {
    fileprivate mutating func apply(_ settings: Settings) throws(CallError) {
        let plain = MessageConfiguration()
        if stateDirectory == nil { stateDirectory = settings[.stateDirectory]?.text }
        if queueMessages == plain.queueMessages, let value = settings[.queueMessages] { queueMessages = try value.number(from: 1) }
        if queueBytes == plain.queueBytes, let value = settings[.queueBytes] { queueBytes = try value.number(from: 1) }
        if receiveBytes == plain.receiveBytes, let value = settings[.receiveBytes] { receiveBytes = try value.number(from: 1) }
        if maximumMessageSize == plain.maximumMessageSize, let value = settings[.maximumMessageSize] { maximumMessageSize = try value.number(from: 1) }
        if reconnect.maximumAttempts == plain.reconnect.maximumAttempts, let value = settings[.reconnectAttempts] {
            reconnect.maximumAttempts = try value.number(from: 0)
        }
    }
}

extension HeadscaleConfiguration {
    /// nil without a URL.
    fileprivate init?(_ settings: Settings) throws(CallError) {
        guard let url = settings[.headscaleAPIURL] else { return nil }
        guard let key = try settings.key(.headscaleAPIKey, file: .headscaleAPIKeyFile) else {
            throw .invalidSetting(
                name: url.name,
                reason: "needs an API key: set \(Setting.headscaleAPIKey.variable), or name a file that holds it by \(Setting.headscaleAPIKeyFile.variable)")
        }
        self.init(apiBaseURL: url.text, apiKey: key, port: try settings[.headscalePort]?.port() ?? 0)
        if let value = settings[.headscalePollInterval] { pollInterval = try value.seconds() }
        requiredTag = settings[.headscaleTag]?.text
        tagsItself = try settings[.headscaleTagSelf]?.choice([("1", true), ("0", false)]) ?? false
        certificateAuthorityFile = settings[.headscaleCAFile]?.text
    }
}

extension TailscaleConfiguration {
    fileprivate mutating func apply(_ settings: Settings) throws(CallError) {
        let plain = TailscaleConfiguration()
        if socketPath == nil { socketPath = settings[.tailscaleSocket]?.text }
        if apiBaseURL == plain.apiBaseURL, let value = settings[.tailscaleAPIURL] { apiBaseURL = value.text }
        if apiKey == nil { apiKey = try settings.key(.tailscaleAPIKey, file: .tailscaleAPIKeyFile) }
        if clientID == nil { clientID = settings[.tailscaleClientID]?.text }
        if clientSecret == nil, let file = settings[.tailscaleClientSecretFile] { clientSecret = try SecretFile.key(file) }
        if pollInterval == plain.pollInterval, let value = settings[.tailscalePollInterval] { pollInterval = try value.seconds() }
        if port == plain.port, let value = settings[.tailscalePort] { port = try value.port() }
        if requiredTag == nil { requiredTag = settings[.tailscaleTag]?.text }
    }
}

extension Settings {
    /// The key itself, or what a file holds; a file named on the command line wins over a key in the environment.
    fileprivate func key(_ setting: Setting, file: Setting) throws(CallError) -> APIKey? {
        if let named = self[file], named.name == file.option || self[setting] == nil { return try SecretFile.key(named) }
        return self[setting].map { APIKey($0.text) }
    }
}

extension Settings.Value {
    fileprivate func modes() throws(CallError) -> DiscoveryModes {
        guard let modes = DiscoveryModes(parsing: text) else {
            let known = DiscoveryModes.names.map(\.name).joined(separator: ", ")
            throw .invalidSetting(name: name, reason: "\(text.quoted) is no set of modes: write none, or some of \(known) between commas")
        }
        return modes
    }

    fileprivate func choice<Choice>(_ choices: [(word: String, choice: Choice)]) throws(CallError) -> Choice {
        guard let found = choices.first(where: { $0.word == text }) else {
            throw .invalidSetting(name: name, reason: "\(text.quoted) is none of \(choices.map(\.word).joined(separator: ", "))")
        }
        return found.choice
    }

    fileprivate func seconds() throws(CallError) -> Duration {
        guard let seconds = Double(text), seconds >= 1, seconds <= 3_600 else {
            throw .invalidSetting(name: name, reason: "\(text.quoted) is no number of seconds from 1 to 3600")
        }
        return .milliseconds(Int64((seconds * 1_000).rounded()))
    }

    /// Up to what a sum of two can still hold.
    fileprivate func number(from low: Int) throws(CallError) -> Int {
        guard let number = Int(text), number >= low, number <= 1 << 62 else {
            throw .invalidSetting(name: name, reason: "\(text.quoted) is no whole number from \(low) on")
        }
        return number
    }

    fileprivate func port() throws(CallError) -> UInt16 {
        guard let port = UInt16(text) else { throw .invalidSetting(name: name, reason: "\(text.quoted) is no port: a whole number from 0 to 65535") }
        return port
    }

    /// Between commas, without spaces around them.
    fileprivate var list: [String] {
        text.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    }

    fileprivate func peers() throws(CallError) -> [PeerID] {
        var peers: [PeerID] = []
        for word in list {
            guard let peer = try? PeerID(word) else { throw .invalidSetting(name: name, reason: "\(word.quoted) is no peer id") }
            peers.append(peer)
        }
        return peers
    }
}
