import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// What tests of messages say often.
extension Simulation {
    /// A message of so many bytes, its number in front.
    @discardableResult
    func send(
        _ number: Int, count: Int = 8, from: Int, to: Int, lane: Lane = .normal, deadline: Duration? = nil, whenFull: WhenFull = .wait,
        kind: MessageKind = .message
    ) -> Ticket {
        let options = SendOptions(lane: lane, deadline: deadline, whenFull: whenFull)
        let body = MessageChecker.body(number: number, count: count)
        return send(body, from: from, OutboundMessage(peer: nodes[to].peer, kind: kind, options: options)) ?? Ticket(rawValue: 0)
    }

    /// Numbers of the messages that arrived, in order; of bodies in memory.
    func numbers(at node: Int) -> [Int] {
        nodes[node].inbox.compactMap { arrived in
            guard case .bytes(let bytes) = arrived.body, bytes.count >= 8 else { return nil }
            return bytes.prefix(8).reduce(0) { $0 << 8 | Int($1) }
        }
    }

    func isDelivered(_ ticket: Ticket, at node: Int) -> Bool {
        if case .success = nodes[node].completions[ticket] { true } else { false }
    }

    func failure(_ ticket: Ticket, at node: Int) -> CallError? {
        if case .failure(let error) = nodes[node].completions[ticket] { error } else { nil }
    }

    func areDelivered(_ tickets: [Ticket], at node: Int) -> Bool { tickets.allSatisfy { isDelivered($0, at: node) } }

    func channel(_ node: Int, to other: Int) -> ChannelStatus? { channels(at: node).first { $0.peer == nodes[other].peer } }

    func changes(_ node: Int) -> [ChannelChange] {
        nodes[node].events.compactMap { if case .channel(_, let change) = $0.event { change } else { nil } }
    }

    /// When node `node` was last told that somebody is connected.
    func lastConnected(_ node: Int) -> Instant? {
        nodes[node].events.last { if case .connected = $0.event { true } else { false } }?.at
    }

    func failedDials(_ node: Int) -> [Instant] {
        nodes[node].events.compactMap { if case .dialFailed = $0.event { $0.at } else { nil } }
    }

    /// Two nodes; the second knows where the first is, and both are connected.
    static func pair(seed: UInt64, configure: (inout Configuration) -> Void = { _ in }) -> Simulation {
        let network = Simulation(seed: seed)
        network.addNode(configure: configure)
        network.addNode(bootstrap: [network.nodes[0].multiaddr], configure: configure)
        network.run(for: .seconds(2))
        return network
    }
}
