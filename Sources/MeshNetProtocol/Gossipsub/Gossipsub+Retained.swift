// What the keeping of last values needs of gossip.
extension Gossipsub {
    /// Publishes a message whose number is at least this, and says which it got. A topic that nobody follows yet is no error here.
    package mutating func publish(topic: String, data: [UInt8], sequenceAtLeast: UInt64, now: Instant) throws(GossipsubError) -> UInt64 {
        sequence = max(sequence, sequenceAtLeast)
        let number = sequence
        do throws(GossipsubError) {
            try publish(topic: topic, data: data, now: now)
        } catch {
            guard case .noPeersSubscribed = error else { throw error }
            sequence &+= 1
        }
        return number
    }

    /// When a message with this id was first seen, as far as it is remembered.
    package func firstSeen(_ id: [UInt8]) -> Instant? { seen.firstSeen(keyMaker.key(id)) }

    /// A message that came another way: gossip will not deliver it any more.
    package mutating func markSeen(_ id: [UInt8], now: Instant) { _ = seen.insert(keyMaker.key(id), now: now) }

    /// The payload of a message of the last heartbeats.
    package func cachedData(_ id: [UInt8]) -> [UInt8]? {
        guard let number = seen.number(keyMaker.key(id)), let frame = cache.frame(number) else { return nil }
        return frame.withBytes { view in
            var reader = ByteReader(view)
            guard (try? reader.readVarint()) != nil else { return nil }
            var rpc = ProtobufReader(reader.readRest())
            guard let field = try? rpc.next(), let message = try? GossipsubWireMessage(field.bytes()) else { return nil }
            return message.data.map { [UInt8]($0) } ?? []
        }
    }

    /// Whether a connected peer follows the topic.
    package func follows(_ peer: PeerID, topic: String) -> Bool {
        guard let slot = slots[peer] else { return false }
        return peers[slot]?.topics.contains(topic) == true
    }

    /// Ids are hashes of the payload.
    package var namesByContent: Bool { usesContentHash }
}
