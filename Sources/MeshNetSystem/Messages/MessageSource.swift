import Glibc
package import MeshNetProtocol

/// Whose messages they are: one life of one peer. Shared by its messages, with the texts that the faces show made once.
package final class MessageSource: @unchecked Sendable {
    package let peer: PeerID
    package let incarnation: Incarnation
    /// End with NUL; as long as this lives.
    package let peerText: UnsafePointer<CChar>
    package let incarnationText: UnsafePointer<CChar>

    package init(peer: PeerID, incarnation: Incarnation) {
        self.peer = peer
        self.incarnation = incarnation
        peerText = Self.copy(peer.description)
        incarnationText = Self.copy(incarnation.description)
    }

    deinit {
        peerText.deallocate()
        incarnationText.deallocate()
    }

    private static func copy(_ text: String) -> UnsafePointer<CChar> {
        let bytes = text.utf8
        let place = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
        for (index, byte) in bytes.enumerated() { place[index] = CChar(bitPattern: byte) }
        place[bytes.count] = 0
        return UnsafePointer(place)
    }
}
