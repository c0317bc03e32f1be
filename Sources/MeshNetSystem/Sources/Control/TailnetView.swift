import MeshNetProtocol
import MeshNetSwarm

/// What a list of nodes is judged by.
struct TailnetRules {
    var localPeer: PeerID
    /// Of nodes whose tags name none.
    var port: UInt16
    /// nil: all nodes.
    var requiredTag: String?
}

/// Where we are ourselves, so that we are not dialled.
struct OwnPlace: Equatable {
    var addresses: Set<[UInt8]> = []
    var ports: Set<UInt16> = []

    /// Another program of this machine has another port.
    func contains(_ node: TailnetNode, port: UInt16) -> Bool { ports.contains(port) && isHost(of: node) }
    func isHost(of node: TailnetNode) -> Bool { node.addresses.contains { addresses.contains($0) } }
}

/// Turns lists of nodes into candidates, and says once why a node is none.
struct TailnetView {
    /// Nodes of one list that are looked at.
    static let maximumNodes = 10_000

    var rules: TailnetRules
    /// What was said of each node.
    private var said: [String: DiscoveryFilter] = [:]

    init(rules: TailnetRules) { self.rules = rules }

    /// - Parameter malformed: how many entries of the list could not be read.
    /// - Parameter time: seconds since 1970, by the clock that set the expiries.
    mutating func reports(of nodes: [TailnetNode], malformed: Int, own: OwnPlace, time: Int64) -> [SourceReport] {
        var candidates: [Candidate] = [], reports: [SourceReport] = [], saying: [String: DiscoveryFilter] = [:]
        func filter(_ key: String, _ reason: DiscoveryFilter, _ what: String) {
            guard saying.updateValue(reason, forKey: key) == nil, said[key] != reason else { return }
            reports.append(.filtered(reason, what: what, interface: nil))
        }
        var keys: Set<String> = []
        for node in nodes.prefix(Self.maximumNodes) {
            guard keys.insert(node.id).inserted else { continue }
            switch judge(node, own: own, time: time) {
            case .success(let candidate): candidates.append(candidate)
            case .failure(let refusal): filter(node.id, refusal.reason, node.name)
            }
        }
        // Two keys that no node has: an id is not empty, and these are.
        if nodes.count > Self.maximumNodes { filter("", .limit, "\(nodes.count - Self.maximumNodes) nodes more than \(Self.maximumNodes)") }
        if malformed > 0 { filter(" ", .malformed, "\(malformed) entries of the list") }
        said = saying
        return [.replaced(candidates)] + reports
    }

    private struct Refusal: Error { let reason: DiscoveryFilter }

    private func judge(_ node: TailnetNode, own: OwnPlace, time: Int64) -> Result<Candidate, Refusal> {
        let port = TailnetTags.port(node.tags) ?? rules.port
        let peer = TailnetTags.peer(node.tags)
        func refused(_ reason: DiscoveryFilter) -> Result<Candidate, Refusal> { .failure(Refusal(reason: reason)) }
        if peer == rules.localPeer || own.contains(node, port: port) { return refused(.own) }
        if let wanted = rules.requiredTag, !TailnetTags.contains(node.tags, wanted) { return refused(.notTagged) }
        if node.isBarred { return refused(.notTagged) }
        if node.isExpired || node.expiry.map({ $0 <= time }) == true { return refused(.expired) }
        if !node.isOnline { return refused(.offline) }
        let addresses = port == 0 ? [] : node.addresses.compactMap { Multiaddr(ip: $0, tcpPort: port) }
        if addresses.isEmpty { return refused(.noAddress) }
        return .success(Candidate(key: node.id, peer: peer, addresses: addresses))
    }
}
