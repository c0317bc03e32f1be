import MeshNetProtocol

/// What a diagnosis is about: a peer, somebody at an address, or, for an empty text, the node as a whole.
struct DiagnosisTarget: Equatable {
    /// As it was given, cut to `maximumTextByteCount`.
    var text: String
    var peer: PeerID?
    /// Without the peer id.
    var address: Multiaddr?
    /// Why the text is neither.
    var problem: String?

    /// Bytes of a text that are kept: a multiaddr of a name and a peer id has less than 400.
    static let maximumTextByteCount = 1_024

    init(_ text: String) {
        self.text = text.utf8.count <= Self.maximumTextByteCount ? text : String(decoding: text.utf8.prefix(Self.maximumTextByteCount), as: UTF8.self)
        if self.text.isEmpty { return }
        if let peer = try? PeerID(self.text) {
            self.peer = peer
            return
        }
        switch BootstrapAddress(parsing: self.text) {
        case .address(let address), .reinterpreted(let address, _):
            peer = address.peerID
            if address.components.count > 1 || peer == nil { self.address = address.withoutPeerID }
        case .unusable(let reason):
            // `/p2p/…` alone names a peer.
            if let address = try? Multiaddr(self.text), case .peerOnly = DialTarget(address) { peer = address.peerID } else { problem = reason }
        }
    }

    var isWholeNode: Bool { peer == nil && address == nil && problem == nil }
}
