import MeshNetProtocol
import MeshNetSwarm

// What goes wrong.
extension Simulation {
    /// Ends the node without a word; its connections go silent. Its disk keeps what was committed.
    package func kill(_ index: Int) {
        nodes[index].swarm = nil
        nodes[index].isAsleep = false
        nodes[index].missed = []
        nodes[index].crash = nil
        nodes[index].heldTransmits = []
        nodes[index].spoolAnswers = []
        nodes[index].discards = []
        nodes[index].store?.abandon()
        for link in links.indices where links[link].isOpen && links[link].joins(index) { links[link].isSilent = true }
    }

    /// Starts the node again with the same identity and address, or another port; old connections are refused. What it knew is gone, but for what is on its
    /// disk, if that is kept.
    package func restart(_ index: Int, port: UInt16? = nil, keepsStore: Bool = false) {
        if let port { nodes[index].address.port = port }
        if nodes[index].swarm != nil { kill(index) }
        for link in links.indices where links[link].isOpen && links[link].joins(index) {
            links[link].isOpen = false
            tellEnd(of: link, to: links[link].other(than: index), .failed(errno: 104))
        }
        if !keepsStore {
            if nodes[index].store != nil { nodes[index].store = SimulatedStore() }
            nodes[index].spools = [:]
        }
        start(index)
    }

    /// Nodes hear only nodes with the same number. TCP data that crosses waits.
    package func partition(_ sides: [Int]) { side = sides }

    package func heal() {
        side = side.map { _ in 0 }
        for link in links.indices where links[link].isOpen { resume(link) }
    }

    /// Both ends of every connection between the two learn that it is gone; what was under way is lost.
    package func resetConnections(_ a: Int, _ b: Int) {
        for link in links.indices where links[link].isOpen && links[link].joins(a) && links[link].joins(b) {
            links[link].isOpen = false
            links[link].isSilent = true
            for end in 0..<2 { tellEnd(of: link, to: end, .failed(errno: 104)) }
        }
    }

    /// The connections between the two carry nothing any more, as when a middlebox forgot them. The kernels notice after this time; nil: never.
    package func silenceConnections(_ a: Int, _ b: Int, noticedAfter patience: Duration?) {
        for link in links.indices where links[link].isOpen && !links[link].isSilent && links[link].joins(a) && links[link].joins(b) {
            links[link].isSilent = true
            guard let patience else { continue }
            for end in 0..<2 { arrivals.set(.ended(link: link, to: end, .failed(errno: 110)), at: now + patience) }
        }
    }

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

    /// Who would have to be awake for it.
    func receiver(of arrival: Arrival) -> Int? {
        switch arrival {
        case .dialled(_, _, let target): target
        case .connectFailed(let node, _, _), .resolved(let node, _, _), .multicast(let node, _), .settle(let node, _, _, _): node
        case .bytes(let link, let from, _): links[link].ends[1 - from].node
        case .ended(let link, let to, _): links[link].ends[to].node
        case .call: nil
        }
    }
}
