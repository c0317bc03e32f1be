package import MeshNetProtocol

/// A call that waits for others to follow a topic.
struct TopicWait {
    /// Calls that wait at once, in all.
    static let maximum = 1_024

    let ticket: Ticket
    let topic: String
    let count: Int
}

// Who follows a topic.
extension Swarm {
    /// A topic that neither we nor a connected peer follows is most likely a mistake, and told as one.
    mutating func topicPeers(_ topic: String, ticket: Ticket) {
        let followers = gossip.peers(topic: topic)
        guard !followers.isEmpty || gossip.isSubscribed(topic: topic) else { return complete(ticket, .failure(.notSubscribed(topic: topic))) }
        complete(ticket, .success(.topicPeers(followers)))
    }

    mutating func waitForPeers(_ count: Int, topic: String, ticket: Ticket) {
        let followers = gossip.peers(topic: topic)
        if followers.count >= count { return complete(ticket, .success(.topicPeers(followers))) }
        guard topicWaits.count < TopicWait.maximum else {
            return complete(ticket, .failure(.limitReached("calls that wait for peers of a topic: \(TopicWait.maximum)")))
        }
        topicWaits.append(TopicWait(ticket: ticket, topic: topic, count: count))
    }

    /// Nobody waits for the answer any more. Of calls that do not wait for others nothing happens.
    package mutating func cancelWait(_ ticket: Ticket, now: Instant) {
        self.now = now
        guard let index = topicWaits.firstIndex(where: { $0.ticket == ticket }) else { return }
        topicWaits.remove(at: index)
        complete(ticket, .failure(.cancelled))
    }

    mutating func answerTopicWaits(_ topic: String) {
        guard topicWaits.contains(where: { $0.topic == topic }) else { return }
        let followers = gossip.peers(topic: topic)
        let answered = topicWaits.filter { $0.topic == topic && $0.count <= followers.count }
        topicWaits.removeAll { $0.topic == topic && $0.count <= followers.count }
        for wait in answered { complete(wait.ticket, .success(.topicPeers(followers))) }
    }

    mutating func endTopicWaits() {
        for wait in topicWaits { complete(wait.ticket, .failure(.closed)) }
        topicWaits = []
    }
}
