import Glibc
import MeshNetSwarm

extension DiscoveryConfiguration {
    /// Where the program leaves the modes open, the environment decides; an empty variable counts as absent. Throws `.invalidAddress` for a word that is no mode.
    mutating func resolveModes() throws(CallError) {
        guard modes == nil else { return }
        guard let value = getenv(DiscoveryModes.variable).map({ String(cString: $0) }), !value.isEmpty else {
            modes = .standard
            return
        }
        modes = try DiscoveryModes(parsing: value)
    }
}
