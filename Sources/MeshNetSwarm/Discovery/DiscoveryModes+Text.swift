// The modes as a user writes them: in `MESHNET_DISCOVERY_MODE`, and on the command line.
extension DiscoveryModes {
    /// The variable that decides where a program leaves the modes open.
    package static let variable = "MESHNET_DISCOVERY_MODE"

    private static let names: [(name: String, mode: DiscoveryModes)] = [
        ("mdns", .mdns), ("dns", .dns), ("gossip", .gossip), ("headscale", .headscale), ("tailscale", .tailscale),
    ]

    /// `none`, or names with commas between them, such as `mdns,gossip`; blanks and upper case do not matter.
    /// Throws `.invalidAddress` with the text for anything else.
    package init(parsing text: String) throws(CallError) {
        self = []
        let words = text.lowercased().split(separator: ",", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
        if words == ["none"] { return }
        for word in words {
            guard let mode = Self.names.first(where: { $0.name == word })?.mode else {
                let known = Self.names.map(\.name).joined(separator: ", ")
                throw .invalidAddress(text: text, reason: "a discovery mode is none, or any of \(known) with commas between them")
            }
            insert(mode)
        }
    }

    /// The names of what is on, in the form that `init(parsing:)` reads.
    package var text: String {
        let on = Self.names.filter { contains($0.mode) }.map(\.name)
        return on.isEmpty ? "none" : on.joined(separator: ",")
    }
}
