/// A network interface on which the driver can send to, and hear, the mDNS groups.
package struct MDNSInterface: Equatable, Sendable {
    package struct Address: Equatable, Sendable {
        /// 4 or 16 bytes in network order.
        package var ip: [UInt8]
        /// Bits of the subnet.
        package var prefixLength: Int

        package init(ip: [UInt8], prefixLength: Int) {
            self.ip = ip
            self.prefixLength = prefixLength
        }

        func isSameSubnet(as other: [UInt8]) -> Bool {
            guard ip.count == other.count else { return false }
            let bits = min(max(0, prefixLength), 8 * ip.count)
            guard ip.prefix(bits / 8) == other.prefix(bits / 8) else { return false }
            let rest = bits % 8
            return rest == 0 || (ip[bits / 8] ^ other[bits / 8]) >> (8 - rest) == 0
        }
    }

    /// The kernel's index; never 0.
    package var id: UInt32
    /// The zone of link-local IPv6 addresses that are heard there.
    package var name: String
    package var addresses: [Address]
    /// Where the node can be reached on this link alone, without a zone.
    package var linkLocalAddresses: [Multiaddr] = []

    /// Only nodes of this host are heard there.
    var isLoopback: Bool { addresses.contains { $0.ip.count == 4 && $0.ip[0] == 127 } }

    package init(id: UInt32, name: String, addresses: [Address]) {
        self.id = id
        self.name = name
        self.addresses = addresses
    }
}

/// What the driver does for the machine.
package enum MDNSAction: Equatable, Sendable {
    /// To port 5353 of 224.0.0.251 and of ff02::fb, as far as the interface has the family.
    case send(interface: UInt32, [UInt8])
    /// Said at every announcement, also of what is known already.
    case discovered(MDNSDiscovery)
    /// No interface knows the peer any longer: it said goodbye, or its time ran out.
    case expired(PeerID)
    /// Our own peer id under another name than ours: an older announcement of ours, another program that speaks for us, or a clone.
    case ownIdentity([Multiaddr])
    /// An announcement of a peer that is not taken, by `otherApp`, `otherTag` or `noAddress`; `what` names it.
    case ignored(MDNSDrop, what: String, interface: UInt32)
}

package struct MDNSDiscovery: Equatable, Sendable {
    package var peer: PeerID
    /// With the peer id at the end; those in a subnet of the interface first, then newest first. Never empty.
    package var addresses: [Multiaddr]
    package var interface: UInt32
    /// From now on.
    package var timeToLive: Duration
    /// As the peer says, in at most 64 bytes; anybody can say anything.
    package var appID: String?
    package var endpointID: String?

    package init(peer: PeerID, addresses: [Multiaddr], interface: UInt32, timeToLive: Duration) {
        self.peer = peer
        self.addresses = addresses
        self.interface = interface
        self.timeToLive = timeToLive
    }
}

/// The bounds of the machine.
package struct MDNSLimits: Sendable, Equatable {
    /// Interfaces used. A host of containers has a pair for each; further ones are left out, in the order of their indexes.
    package var interfaces = 256
    /// Peers remembered, counted once for each interface. At the bound the one that was found first goes: if it lives, its next announcement
    /// brings it back.
    package var entries = 1_024
    /// Addresses of one peer on one interface. Hosts have few; more only help those who lie.
    package var addressesPerEntry = 16
    /// Addresses that we tell on one interface: with their A and AAAA records they fit into one unfragmented packet.
    package var addressesAnnounced = 8
    /// Packets read from one interface in a second; a storm or a loop in the network must not take the processor.
    package var packetsPerSecond = 300
    /// No announcement is believed for longer (RFC 6762, 10: 75 minutes for records that name no host).
    package var longestTimeToLive: Duration = .seconds(4_500)

    package init() {}
}

/// Why a packet, or an announcement in one, had no effect.
package enum MDNSDrop: Int, CaseIterable, Sendable {
    /// Not a DNS message within bounds.
    case malformed
    /// More packets than `MDNSLimits.packetsPerSecond`.
    case rateLimited
    /// From an interface that the driver did not name.
    case unknownInterface
    /// Another operation than a query, or an error code.
    case unsupported
    /// Nothing about our service.
    case otherService
    /// Said by ourselves.
    case own
    /// An announcement without an address that leads to a named peer.
    case noAddress
    /// An entry went to make room for another.
    case evicted
    /// Of another application than ours.
    case otherApp
    /// Peers under another service tag.
    case otherTag
}

package struct MDNSCounters: Equatable, Sendable {
    package internal(set) var packetsHeard = 0
    package internal(set) var queriesSent = 0
    package internal(set) var answersSent = 0
    private var drops = [Int](repeating: 0, count: MDNSDrop.allCases.count)
    /// The last packet that could not be read.
    package internal(set) var lastError: DNSError?

    package func dropped(_ reason: MDNSDrop) -> Int { drops[reason.rawValue] }
    mutating func drop(_ reason: MDNSDrop) { drops[reason.rawValue] += 1 }
}
