import MeshNetProtocol

// What helps who comes late to a topic: its last value, and waiting for others.
extension Swarm {
    mutating func waitForPeers(_ count: Int, topic: String, ticket: Ticket) { topicPeers(topic, ticket: ticket) }

    mutating func publishRetained(_ topic: String, _ data: [UInt8], ticket: Ticket) { publish(topic, data, ticket: ticket) }
}
