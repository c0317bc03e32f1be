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
        if count > nodes[from].configuration.messages.spoolThreshold { return sendSpooled(body, from: from, to: to, kind: kind, options: options) }
        return send(body, from: from, to: to, kind: kind, options: options)
    }

    /// Numbers of the messages that arrived, in order.
    func numbers(at node: Int) -> [Int] {
        nodes[node].inbox.deliveries.filter { $0.body.count >= 8 }.map { $0.body.prefix(8).reduce(0) { $0 << 8 | Int($1) } }
    }

    func isDelivered(_ ticket: Ticket, at node: Int) -> Bool {
        if case .success = nodes[node].completions[ticket] { true } else { false }
    }

    func ending(of ticket: Ticket, at node: Int) -> CallError? {
        if case .failure(let error) = nodes[node].completions[ticket] { error } else { nil }
    }

    func areDelivered(_ tickets: [Ticket], at node: Int) -> Bool { tickets.allSatisfy { isDelivered($0, at: node) } }

    func channels(at node: Int) -> [ChannelStatus] {
        guard nodes[node].swarm != nil, !nodes[node].isAsleep else { return [] }
        let ticket = perform(.channels(nil), at: node)
        guard case .success(.channels(let channels)) = nodes[node].completions[ticket] else { return [] }
        return channels
    }

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
    static func pair(seed: UInt64, isStored: Bool = false, configure: (inout Configuration) -> Void = { _ in }) -> Simulation {
        let network = Simulation(seed: seed)
        network.addNode(isStored: isStored, configure: configure)
        network.addNode(bootstrap: [network.nodes[0].multiaddr], isStored: isStored, configure: configure)
        network.run(for: .seconds(2))
        return network
    }
}
