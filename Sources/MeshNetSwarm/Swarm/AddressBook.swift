import MeshNetProtocol

/// Addresses by peer, learned from dials and identify, bounded in both directions; the oldest entry makes room.
struct AddressBook {
    private let addressesPerPeer: Int
    private let maximumPeers: Int
    private var entries: [PeerID: [Multiaddr]] = [:]
    private var order = Fifo<PeerID>()

    init(limits: Limits) {
        addressesPerPeer = max(1, limits.addressesPerPeer)
        maximumPeers = max(1, limits.addressBookPeers)
    }

    var peerCount: Int { entries.count }

    /// Newest knowledge first.
    func addresses(of peer: PeerID) -> [Multiaddr] { entries[peer] ?? [] }

    /// Puts an address, without its peer id, in front.
    mutating func add(_ address: Multiaddr, for peer: PeerID) {
        guard let plain = address.withoutPeerID else { return }
        if entries[peer] == nil {
            if entries.count >= maximumPeers, let oldest = order.popFirst() { entries[oldest] = nil }
            entries[peer] = []
            order.append(peer)
        }
        entries[peer]?.removeAll { $0 == plain }
        entries[peer]?.insert(plain, at: 0)
        if let count = entries[peer]?.count, count > addressesPerPeer { entries[peer]?.removeLast() }
    }

    /// Identify's list replaces what the peer said before, behind the address that is known to work.
    mutating func replace(_ addresses: [Multiaddr], for peer: PeerID, keeping working: Multiaddr?) {
        entries[peer]?.removeAll()
        for address in addresses.prefix(addressesPerPeer).reversed() { add(address, for: peer) }
        if let working { add(working, for: peer) }
    }
}
