// Modes as text: `none`, or names between commas. The same words in variables, options and Python.
extension DiscoveryModes {
    /// In the order in which they are written.
    public static let names: [(name: String, mode: DiscoveryModes)] = [
        ("mdns", .mdns), ("dns", .dns), ("gossip", .gossip), ("headscale", .headscale), ("tailscale", .tailscale),
    ]

    /// nil for the empty text, an unknown name, or `none` beside others. Spaces and upper case do not matter.
    public init?(parsing text: String) {
        var modes: DiscoveryModes = []
        let words = text.lowercased().split(separator: ",", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
        if words == ["none"] {
            self = []
            return
        }
        for word in words {
            guard let known = Self.names.first(where: { $0.name == word }) else { return nil }
            modes.insert(known.mode)
        }
        self = modes
    }
}

extension DiscoveryModes: CustomStringConvertible {
    public var description: String {
        let words = Self.names.filter { contains($0.mode) }.map(\.name)
        return words.isEmpty ? "none" : words.joined(separator: ",")
    }
}
