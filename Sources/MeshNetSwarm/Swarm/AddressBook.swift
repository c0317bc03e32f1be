import MeshNetProtocol

/// Addresses by peer, learned from dials and identify, bounded in both directions; the oldest entry makes room.
struct AddressBook {
    private let addressesPerPeer: Int
    private let maximumPeers: Int
    private var entries: [PeerID: [Known]] = [:]
    private var order = Fifo<PeerID>()

    private struct Known {
        let address: Multiaddr
        /// In a row, since it was told or worked last.
        var failures = 0
    }

    /// So often in a row an address may fail before only calls of the application try it: ports change with a restart.
    static let toleratedFailures = 3

    init(limits: Limits) {
        addressesPerPeer = max(1, limits.addressesPerPeer)
        maximumPeers = max(1, limits.addressBookPeers)
    }

    var peerCount: Int { entries.count }

    /// Newest knowledge first. Without `withFailing` only those that did not fail again and again.
    func addresses(of peer: PeerID, withFailing: Bool = true) -> [Multiaddr] {
        (entries[peer] ?? []).filter { withFailing || $0.failures < Self.toleratedFailures }.map(\.address)
    }

    mutating func failed(_ address: Multiaddr, of peer: PeerID) {
        guard let index = entries[peer]?.firstIndex(where: { $0.address == address }) else { return }
        entries[peer]?[index].failures += 1
    }

    /// Puts an address, without its peer id, in front.
    mutating func add(_ address: Multiaddr, for peer: PeerID) {
        guard let plain = address.withoutPeerID else { return }
        if entries[peer] == nil {
            if entries.count >= maximumPeers, let oldest = order.popFirst() { entries[oldest] = nil }
            entries[peer] = []
            order.append(peer)
        }
        entries[peer]?.removeAll { $0.address == plain }
        entries[peer]?.insert(Known(address: plain), at: 0)
        if let count = entries[peer]?.count, count > addressesPerPeer { entries[peer]?.removeLast() }
    }

    /// Identify's list replaces what the peer said before, behind the address that is known to work.
    mutating func replace(_ addresses: [Multiaddr], for peer: PeerID, keeping working: Multiaddr?) {
        entries[peer]?.removeAll()
        for address in addresses.prefix(addressesPerPeer).reversed() { add(address, for: peer) }
        if let working { add(working, for: peer) }
    }
}
