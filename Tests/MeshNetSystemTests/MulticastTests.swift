import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    /// Engines with mDNS on real sockets, each test in a network of its own.
    @Suite(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.reason)) struct MulticastTests {
        private static func node(_ change: (inout Configuration) -> Void = { _ in }) throws -> TestNode {
            try TestNode {
                $0.listenAddresses = []
                $0.discovery.modes = .mdns
                $0.discovery.mdnsBackend = .embedded
                change(&$0)
            }
        }

        private static func nodeOnCards() throws -> TestNode { try node { $0.discovery.deniedInterfaces = ["lo"] } }

        /// A socket in the group, as another program on this machine has it.
        private static func listener(on name: String) throws -> MulticastSocket {
            try MulticastSocket.open(MulticastChannel(interface: if_nametoindex(name), family: .ipv4, isLoopback: name == "lo")).get()
        }

        /// The next packet for which `pick` gives a value.
        private static func next<T>(_ socket: MulticastSocket, _ pick: (DNSMessage) -> T?) throws -> T {
            let limit = Instant.now() + TestNode.patience
            var memory = [UInt8](repeating: 0, count: 9_000)
            while Instant.now() < limit {
                var watch = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
                poll(&watch, 1, 1_000)
                let value = memory.withUnsafeMutableBytes { memory -> T? in
                    guard case .packet(let count) = socket.receive(into: memory) else { return nil }
                    return (try? DNSMessage(decoding: UnsafeRawBufferPointer(rebasing: memory[..<count]))).flatMap(pick)
                }
                if let value { return value }
            }
            throw CallError.timedOut
        }

        private static func isAnnouncement(_ message: DNSMessage, ttl: UInt32) -> Bool {
            message.isResponse && message.answers.contains {
                if case .pointer = $0.content { $0.name == DNSName(MDNSService.defaultTag) && $0.timeToLive == ttl } else { false }
            }
        }

        @Test func nodesOfAMachineWithoutAnyNetworkFindEachOther() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up")
                let a = try Self.node(), b = try Self.node { $0.listenAddresses = ["/ip4/127.0.0.1/tcp/0"] }
                try a.awaitConnected()
                try b.awaitConnected()
                a.engine.close()
                b.engine.close()
            }
        }

        @Test func theyFindEachOtherOverACardByIPv6Alone() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up && ip link add c0 type veth peer name c1 && ip link set c0 up && ip link set c1 up")
                try NetworkNamespace.shell("ip addr add fd00::1/64 dev c0 nodad")
                let a = try Self.nodeOnCards(), b = try Self.nodeOnCards()
                try a.awaitConnected()
                try b.awaitConnected()
                a.engine.close()
                b.engine.close()
            }
        }

        @Test func anInterfaceThatComesLaterIsUsed() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up")
                let a = try Self.nodeOnCards(), b = try Self.nodeOnCards()
                try NetworkNamespace.shell("ip link add c0 type veth peer name c1 && ip link set c0 up && ip link set c1 up")
                try NetworkNamespace.shell("ip addr add 192.0.2.7/24 dev c0")
                try a.awaitConnected()
                try b.awaitConnected()
                a.engine.close()
                b.engine.close()
            }
        }

        @Test func deniedInterfacesAreSilent() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up && ip link add c0 type veth peer name c1 && ip link set c0 up && ip link set c1 up")
                try NetworkNamespace.shell("ip addr add 192.0.2.7/24 dev c0")
                let onLoopback = try Self.listener(on: "lo"), onCard = try Self.listener(on: "c0")
                let node = try Self.node { $0.discovery.deniedInterfaces = ["c*"] }
                try Self.next(onLoopback) { Self.isAnnouncement($0, ttl: 360) ? () : nil }
                var memory = [UInt8](repeating: 0, count: 9_000)
                let heard = memory.withUnsafeMutableBytes { onCard.receive(into: $0) }
                #expect(heard == .nothing)
                node.engine.close()
            }
        }

        @Test func closingSaysGoodbyeOnTheWire() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up")
                let observer = try Self.listener(on: "lo")
                let node = try Self.node()
                try Self.next(observer) { Self.isAnnouncement($0, ttl: 360) ? () : nil }
                node.engine.close()
                try Self.next(observer) { Self.isAnnouncement($0, ttl: 0) ? () : nil }
            }
        }

        @Test func discoveryStartsAndStopsWhileTheNodeRuns() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up")
                let observer = try Self.listener(on: "lo")
                let node = try Self.node { $0.discovery.modes = [] }
                var wanted = DiscoveryConfiguration()
                wanted.mdnsBackend = .embedded
                for _ in 0..<2 {
                    wanted.modes = .mdns
                    _ = try node.engine.call(.configureDiscovery(wanted), timeout: TestNode.patience)
                    try Self.next(observer) { Self.isAnnouncement($0, ttl: 360) ? () : nil }
                    wanted.modes = []
                    _ = try node.engine.call(.configureDiscovery(wanted), timeout: TestNode.patience)
                    try Self.next(observer) { Self.isAnnouncement($0, ttl: 0) ? () : nil }
                }
                node.engine.close()
            }
        }

        /// A cable between two machines, and nobody who gives addresses.
        @Test func linkLocalAddressesAreEnough() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up && ip link add c0 type veth peer name c1")
                try NetworkNamespace.shell("for card in c0 c1; do ip link set $card addrgenmode none; ip link set $card up; done")
                try NetworkNamespace.shell("ip addr add fe80::5/64 dev c0 nodad")
                let a = try Self.nodeOnCards(), b = try Self.nodeOnCards()
                try a.awaitConnected()
                try b.awaitConnected()
                a.engine.close()
                b.engine.close()
            }
        }

        /// Others on this machine are answered by unicast (RFC 6762, 5.4): it must not end in our sockets.
        @Test func unicastGoesOnToTheOthers() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up")
                let other = Descriptor(owning: Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
                Socket.set(other.number, SOL_SOCKET, SO_REUSEADDR, 1)
                Socket.set(other.number, SOL_SOCKET, SO_REUSEPORT, 1)
                let any = try #require(NativeAddress(SocketAddress(ip: [0, 0, 0, 0], port: MulticastSocket.port)))
                #expect(any.withPointer { bind(other.number, $0, $1) } == 0)
                let ours = try Self.listener(on: "lo")
                let target = try #require(NativeAddress(SocketAddress(ip: [127, 0, 0, 1], port: MulticastSocket.port)))
                let sender = Descriptor(owning: Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
                for _ in 0..<32 { #expect(target.withPointer { sendto(sender.number, [9], 1, 0, $0, $1) } == 1) }
                var byte = [UInt8](repeating: 0, count: 1)
                for _ in 0..<32 {
                    let count = recv(other.number, &byte, 1, Int32(MSG_DONTWAIT))
                    #expect(count == 1)
                }
                let stray = byte.withUnsafeMutableBytes { ours.receive(into: $0) }
                #expect(stray == .nothing)
            }
        }

        @Test func aMachineOfManyInterfacesUsesThemAll() throws {
            try NetworkNamespace.run {
                // More than net.ipv4.igmp_max_memberships.
                for number in 1...25 {
                    try NetworkNamespace.shell(
                        "ip link add a\(number) type veth peer name b\(number) && ip addr add 10.0.\(number).1/24 dev a\(number) "
                            + "&& ip link set a\(number) up && ip link set b\(number) up")
                }
                // The kernel gives them their carrier a moment later.
                try NetworkNamespace.shell("timeout 10 sh -c 'until [ $(ip -o link | grep -c \" a[0-9]*@.* state UP\") = 25 ]; do :; done'")
                let multicast = Multicast(DiscoveryConfiguration(), readiness: try Readiness(system: .kernel), tokenBase: 0)
                multicast.refresh()
                var named: [MDNSInterface] = [], reports: [SourceReport] = []
                while let output = multicast.poll(now: .now()) {
                    switch output {
                    case .name(let interfaces): named = interfaces
                    case .restart: break
                    case .report(let report): reports.append(report)
                    }
                }
                #expect((1...25).allSatisfy { number in named.contains { $0.name == "a\(number)" } })
                #expect(reports == [.running])
            }
        }

        @Test func aFloodIsReadInTurns() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up")
                let flood = try Self.listener(on: "lo"), readiness = try Readiness(system: .kernel)
                let multicast = Multicast(DiscoveryConfiguration(), readiness: readiness, tokenBase: 0)
                multicast.refresh()
                while multicast.poll(now: .now()) != nil {}
                for number in 0..<(2 * Multicast.packetsPerTurn) { #expect(flood.send([UInt8(number)]) == nil) }
                var turns: [Int] = [], ready: [Ready] = []
                repeat {
                    readiness.wait(until: .zero, into: &ready)
                    for report in ready {
                        turns.append(0)
                        multicast.receive(Int32(report.token), now: .now()) { _, _ in turns[turns.count - 1] += 1 }
                    }
                } while !ready.isEmpty
                #expect(turns == [Multicast.packetsPerTurn, Multicast.packetsPerTurn])
            }
        }

        /// The sockets of a bound port say so: an exclusive holder is what most often keeps mDNS from working.
        @Test func anExclusiveHolderOfThePortIsNamed() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.shell("ip link set lo up")
                let other = Descriptor(owning: Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
                let any = try #require(NativeAddress(SocketAddress(ip: [0, 0, 0, 0], port: MulticastSocket.port)))
                #expect(any.withPointer { bind(other.number, $0, $1) } == 0)
                let opened = MulticastSocket.open(MulticastChannel(interface: if_nametoindex("lo"), family: .ipv4, isLoopback: true))
                guard case .failure(let error) = opened else {
                    Issue.record("the port was shared with one who does not share")
                    return
                }
                #expect(error == MulticastError(call: "bind", errno: EADDRINUSE))
            }
        }
    }
}
