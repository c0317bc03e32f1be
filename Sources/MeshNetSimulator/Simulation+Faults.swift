import MeshNetProtocol
import MeshNetSwarm

// What happens to connections while their nodes live.
extension Simulation {
    /// How a connection is lost.
    package enum Loss {
        /// Both sides learn it at once.
        case reset
        /// Nothing arrives any more, and nobody says so: a cable, or a NAT that forgot the mapping.
        case silent
    }

    /// Loses every connection between two nodes.
    package func cut(_ a: Int, _ b: Int, _ loss: Loss) {
        for index in links.indices where links[index].isOpen && links[index].joins(a) && links[index].joins(b) {
            switch loss {
            case .silent: links[index].isSilent = true
            case .reset:
                links[index].isOpen = false
                for end in 0..<2 { tellEnd(of: index, to: end, .failed(errno: 104)) }
            }
        }
    }

    /// The node has another address from now on; nothing of its old connections arrives any more.
    package func move(_ index: Int, to ip: [UInt8]) {
        for other in nodes.indices where other != index { cut(index, other, .silent) }
        nodes[index].address.ip = ip
        tellAddresses(index)
        with(index) { $0.networkChanged(now: $1) }
    }

    /// Names the node's own addresses to it, as a driver does when they change.
    func tellAddresses(_ index: Int) {
        let address = nodes[index].address
        with(index) { swarm, now in
            if let prefix = NetworkPrefix(ip: address.ip, length: 16) {
                swarm.setInterfaces([NetworkInterface(name: "eth0", addresses: [prefix])], now: now)
            }
            swarm.listening(on: [address.multiaddr], now: now)
        }
    }
}
