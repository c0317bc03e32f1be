import Glibc

/// What a node can be told by a text: each has an environment variable, and an option of the command line of the same words.
public enum Setting: String, CaseIterable, Sendable {
    case discoveryMode = "discovery-mode"
    case discoveryService = "discovery-service"
    case discoveryInterval = "discovery-interval"
    case discoveryPolicy = "discovery-policy"
    case mdns = "mdns"
    case serviceTag = "service-tag"
    case appID = "app-id"
    case endpointID = "endpoint-id"
    case network = "network"
    case secretFile = "secret-file"
    case allowNetworks = "allow-networks"
    case denyNetworks = "deny-networks"
    case allowInterfaces = "allow-interfaces"
    case denyInterfaces = "deny-interfaces"
    case allowPeers = "allow-peers"
    case headscaleAPIURL = "headscale-api-url"
    case headscaleAPIKey = "headscale-api-key"
    case headscaleAPIKeyFile = "headscale-api-key-file"
    case headscalePollInterval = "headscale-poll-interval"
    case headscalePort = "headscale-port"
    case headscaleTag = "headscale-tag"
    case headscaleTagSelf = "headscale-tag-self"
    case headscaleCAFile = "headscale-ca-file"
    case tailscaleSocket = "tailscale-socket"
    case tailscaleAPIURL = "tailscale-api-url"
    case tailscaleAPIKey = "tailscale-api-key"
    case tailscaleAPIKeyFile = "tailscale-api-key-file"
    case tailscaleClientID = "tailscale-client-id"
    case tailscaleClientSecretFile = "tailscale-client-secret-file"
    case tailscalePollInterval = "tailscale-poll-interval"
    case tailscalePort = "tailscale-port"
    case tailscaleTag = "tailscale-tag"
    case stateDirectory = "state-dir"
    case queueMessages = "queue-messages"
    case queueBytes = "queue-bytes"
    case receiveBytes = "receive-bytes"
    case maximumMessageSize = "maximum-message-size"
    case reconnectAttempts = "reconnect-attempts"

    /// Of the environment.
    public var variable: String { "MESHNET_" + String(rawValue.uppercased().map { $0 == "-" ? "_" : $0 }) }
    /// Of the command line.
    public var option: String { "--" + rawValue }

    /// A key itself: taken from the environment, never from a command line, which every user of the machine can read.
    public var isSecret: Bool { self == .headscaleAPIKey || self == .tailscaleAPIKey }
    /// Entries between commas; the option may come several times.
    public var isList: Bool {
        switch self {
        case .discoveryService, .allowNetworks, .denyNetworks, .allowInterfaces, .denyInterfaces, .allowPeers: true
        default: false
        }
    }

    /// Says yes by being there; in the environment by `1`.
    public var isSwitch: Bool { self == .headscaleTagSelf }
}

/// Settings that were given, and where.
public struct Settings: Sendable {
    struct Value: Sendable {
        let text: String
        /// The variable or the option, for messages.
        let name: String
    }

    private var values: [Setting: Value] = [:]

    public init() {}

    /// What the environment of this process has; an empty variable counts as none.
    public static func environment() -> Settings {
        Settings { name in getenv(name).map { String(cString: $0) } }
    }

    init(variable: (String) -> String?) {
        for setting in Setting.allCases {
            guard let text = variable(setting.variable), !text.isEmpty else { continue }
            values[setting] = Value(text: text, name: setting.variable)
        }
    }

    /// From a command line: in place of what the environment has, and behind what the command line has of a list.
    public mutating func set(_ setting: Setting, _ text: String) {
        var text = text
        if setting.isList, let before = values[setting], before.name == setting.option { text = "\(before.text),\(text)" }
        values[setting] = Value(text: text, name: setting.option)
    }

    subscript(_ setting: Setting) -> Value? { values[setting] }

    /// As it was given.
    public func text(_ setting: Setting) -> String? { values[setting]?.text }
}
