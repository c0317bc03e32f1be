package import MeshNetProtocol

extension Swarm {
    /// Packets leave the interface with this index again, after some that did not: mDNS asks and announces there as at its start.
    package mutating func restartMulticast(interface: UInt32, now: Instant) {
        self.now = now
        mdns?.restart(interface: interface, now: now)
        pumpDiscovery()
    }
}
