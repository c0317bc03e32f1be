import MeshNetProtocol

/// The channels that were closed on purpose. Those that peers closed are bounded, the oldest goes: then that peer is as one never heard of.
struct Closings {
    /// Bytes of a reason, cut at a character.
    static let maximumReason = 256

    private let maximum: Int
    private var closings: [PeerID: Closing] = [:]
    private var order = Fifo<PeerID>()

    init(maximum: Int) { self.maximum = max(1, maximum) }

    var count: Int { closings.count }
    var isFull: Bool { closings.count >= maximum }

    subscript(peer: PeerID) -> Closing? { closings[peer] }

    /// False: there is no room, and nothing that may go.
    mutating func set(_ closing: Closing, of peer: PeerID) -> Bool {
        if closings[peer] == nil {
            guard !isFull || forgetOldest() else { return false }
            order.append(peer)
        }
        closings[peer] = closing
        return true
    }

    @discardableResult
    mutating func remove(_ peer: PeerID) -> Closing? {
        guard let closing = closings.removeValue(forKey: peer) else { return nil }
        order.removeAll { $0 == peer }
        return closing
    }

    /// Of those that a peer closed.
    private mutating func forgetOldest() -> Bool {
        for _ in 0..<order.count {
            guard let peer = order.popFirst() else { return false }
            if closings[peer]?.byUs == false {
                closings[peer] = nil
                return true
            }
            order.append(peer)
        }
        return false
    }

    static func cut(_ reason: String) -> String {
        guard reason.utf8.count > maximumReason else { return reason }
        var text = ""
        var count = 0
        for scalar in reason.unicodeScalars {
            count += UTF8.width(scalar)
            if count > maximumReason { break }
            text.unicodeScalars.append(scalar)
        }
        return text
    }
}
