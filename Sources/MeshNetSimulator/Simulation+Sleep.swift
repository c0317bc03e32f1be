import MeshNetProtocol
import MeshNetSwarm

// Nodes that stand still.
extension Simulation {
    /// The node does nothing for so long; what arrives waits. With `tells` it then learns that it slept, as a machine does; else it is as after SIGSTOP.
    package func sleep(_ index: Int, for pause: Duration, tells: Bool) {
        guard nodes[index].swarm != nil, !nodes[index].isAsleep else { return }
        nodes[index].isAsleep = true
        let life = nodes[index].life
        at(now + pause) { [self] in
            guard nodes[index].isAsleep, nodes[index].life == life else { return }
            nodes[index].isAsleep = false
            if tells { with(index) { $0.woke(after: pause, now: $1) } }
            let missed = nodes[index].missed
            nodes[index].missed = []
            for arrival in missed { deliver(arrival) }
        }
    }

    /// The kernels notice that connections between the two carry nothing any more: after this time both ends learn it.
    package func noticeSilence(_ a: Int, _ b: Int, after patience: Duration) {
        for link in links.indices where links[link].isOpen && links[link].isSilent && links[link].joins(a) && links[link].joins(b) {
            for end in 0..<2 { arrivals.set(.ended(link: link, to: end, .failed(errno: 110)), at: now + patience) }
        }
    }

    /// Who would have to be awake for it.
    func receiver(of arrival: Arrival) -> Int? {
        switch arrival {
        case .dialled(_, _, let target): target
        case .connectFailed(let node, _, _), .resolved(let node, _, _), .multicast(let node, _), .settle(let node): node
        case .bytes(let link, let from, _): links[link].ends[1 - from].node
        case .ended(let link, let to, _): links[link].ends[to].node
        case .call: nil
        }
    }
}
