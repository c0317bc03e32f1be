import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite(.timeLimit(.minutes(1))) struct SocketTests {
        func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
            var value: Int32 = -1, length = socklen_t(4)
            getsockopt(descriptor, level, name, &value, &length)
            return value
        }

        /// IPv6 sockets can be bound here.
        static let hasIPv6: Bool = {
            let loopback = SocketAddress(ip: [UInt8](repeating: 0, count: 15) + [1], port: 0)
            return if case .success = Listener.open(loopback, system: .kernel) { true } else { false }
        }()

        @Test func addressesSurviveTheKernelsForm() {
            let six = [UInt8](0..<16)
            for address in [SocketAddress(ip: [1, 2, 3, 4], port: 5), SocketAddress(ip: six, port: 65_535)] {
                #expect(NativeAddress(address)?.address == address)
            }
            let linkLocal = SocketAddress(ip: [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1], port: 1, zone: "lo")
            #expect(NativeAddress(linkLocal)?.address == linkLocal)
            #expect(NativeAddress(SocketAddress(ip: [1, 2, 3], port: 1)) == nil)
            #expect(NativeAddress(SocketAddress(ip: six, port: 1, zone: "no-such-interface")) == nil)
        }

        @Test func socketsHaveTheirOptions() throws {
            let listener = try Listener.open(SocketAddress(ip: [127, 0, 0, 1], port: 0), system: .kernel).get()
            let opening = Socket.connect(to: listener.address, system: .kernel)
            guard case .underWay(let out) = opening else { return #expect(Bool(false), "\(opening)") }
            defer { Socket.close(out) }
            var entry = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
            #expect(poll(&entry, 1, 5_000) == 1)
            guard case .connection(let inbound, let from) = listener.accept(now: .now()) else { return #expect(Bool(false)) }
            defer { Socket.close(inbound) }
            #expect(from == Socket.localAddress(out))
            #expect(Socket.pendingError(out) == 0)
            for descriptor in [out, inbound] {
                #expect(option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY) == 1)
                #expect(option(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT) == Socket.unsentLimit)
                #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0)
            }
            for descriptor in [out, inbound, listener.descriptor] { #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0) }
            #expect(listener.accept(now: .now()) == .none)
        }

        static func congestionControl(_ descriptor: Int32) -> String {
            var name = [UInt8](repeating: 0, count: 16), length = socklen_t(16)
            getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, &name, &length)
            return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
        }

        static var isRenoUsual: Bool {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            return congestionControl(descriptor) == "reno"
        }

        /// BBR would set a timer for each segment of a connection that never leaves the host.
        @Test(.disabled(if: isRenoUsual, "reno is this machine's own choice for every connection"))
        func connectionsWithinTheHostAreNotPaced() throws {
            let own = Interfaces.addresses().map(\.ip).filter { $0.count == 4 }
            #expect(own.contains([127, 0, 0, 1]))
            for ip in own {
                let listener = try Listener.open(SocketAddress(ip: ip, port: 0), system: .kernel).get()
                guard case .underWay(let out) = Socket.connect(to: listener.address, system: .kernel) else { return #expect(Bool(false)) }
                defer { Socket.close(out) }
                var entry = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
                #expect(poll(&entry, 1, 5_000) == 1)
                guard case .connection(let inbound, _) = listener.accept(now: .now()) else { return #expect(Bool(false)) }
                defer { Socket.close(inbound) }
                for descriptor in [out, inbound] { #expect(Self.congestionControl(descriptor) == "reno", "\(ip)") }
            }
        }

        @Test func wildcardsShareOnePort() throws {
            let listeners = try Listeners.open(Configuration(identity: .generate(), bootstrapPeers: [], listenPort: 0), system: .kernel)
            #expect(listeners.count == (Self.hasIPv6 ? 2 : 1))
            #expect(Set(listeners.map(\.address.port)).count == 1)
            let port = listeners[0].address.port
            #expect(port != 0)
            // A port in use is reported for the family that has it.
            _ = withExtendedLifetime(listeners) {
                #expect(throws: CallError.listenFailed(address: "/ip4/0.0.0.0/tcp/\(port)", errno: EADDRINUSE)) {
                    try Listeners.open(Configuration(identity: .generate(), bootstrapPeers: [], listenPort: port), system: .kernel)
                }
            }
        }

        @Test func aPortTakenInOneFamilyIsAnErrorWhenItWasChosen() throws {
            guard Self.hasIPv6 else { return }
            let six = try Listener.open(SocketAddress(ip: [UInt8](repeating: 0, count: 16), port: 0), system: .kernel).get()
            let port = six.address.port
            _ = withExtendedLifetime(six) {
                #expect(throws: CallError.listenFailed(address: "/ip6/::/tcp/\(port)", errno: EADDRINUSE)) {
                    try Listeners.open(Configuration(identity: .generate(), bootstrapPeers: [], listenPort: port), system: .kernel)
                }
            }
        }

        @Test func nodesWorkWithoutIPv6() throws {
            var system = SystemCalls.kernel
            let kernel = SystemCalls.kernel
            system.socket = { $0 == AF_INET6 ? -Int(EAFNOSUPPORT) : kernel.socket($0) }
            let configuration = Configuration(identity: .generate(), bootstrapPeers: [], listenPort: 0)
            let listeners = try Listeners.open(configuration, system: system)
            #expect(listeners.map(\.address.ip.count) == [4])
            system.socket = { _ in -Int(EAFNOSUPPORT) }
            #expect(throws: CallError.self) { try Listeners.open(configuration, system: system) }
        }

        @Test func wildcardsExpandWithTheLoopbackLast() throws {
            let interfaces = Interfaces.addresses()
            #expect(interfaces.last.map { $0.ip == [127, 0, 0, 1] || $0.ip == [UInt8](repeating: 0, count: 15) + [1] } == true)
            #expect(Set(interfaces).count == interfaces.count)
            let outward = SocketAddress(ip: [192, 0, 2, 1], port: 0), loopback = SocketAddress(ip: [127, 0, 0, 1], port: 0)
            let six = SocketAddress(ip: [0x20] + [UInt8](repeating: 1, count: 15), port: 0)
            let wildcard = SocketAddress(ip: [0, 0, 0, 0], port: 7)
            #expect(Interfaces.expand(wildcard, over: [outward, six, loopback]).map(\.ip) == [outward.ip, loopback.ip])
            #expect(Interfaces.expand(wildcard, over: [outward]).map(\.port) == [7])
            #expect(Interfaces.expand(SocketAddress(ip: [10, 0, 0, 1], port: 7), over: [outward]).map(\.ip) == [[10, 0, 0, 1]])
        }

        @Test func freedPortsCanBeListenedOnAtOnce() throws {
            let first = try Listener.open(SocketAddress(ip: [127, 0, 0, 1], port: 0), system: .kernel).get()
            first.close()
            let second = try Listener.open(first.address, system: .kernel).get()
            #expect(second.address == first.address)
        }
    }

    @Suite struct ReadinessTests {
        @Test func timeoutsRoundUp() {
            let now = Instant(nanoseconds: 5_000_000)
            func milliseconds(_ nanoseconds: Int64) -> Int32 { Readiness.milliseconds(until: Instant(nanoseconds: nanoseconds), now: now) }
            #expect(Readiness.milliseconds(until: nil, now: now) == -1)
            #expect(milliseconds(0) == 0)
            #expect(milliseconds(5_000_000) == 0)
            #expect(milliseconds(5_000_001) == 1)
            #expect(milliseconds(6_000_000) == 1)
            #expect(milliseconds(6_000_001) == 2)
            #expect(milliseconds(.max) == .max)
        }

        @Test func manySignalsAreOneWake() throws {
            let wakeup = try Wakeup(), readiness = try Readiness(system: .kernel)
            try readiness.add(wakeup.descriptor, token: 9, .readable)
            var ready: [Ready] = []
            readiness.wait(until: .zero, into: &ready)
            #expect(ready.isEmpty)
            for _ in 0..<100 { wakeup.signal() }
            readiness.wait(until: .zero, into: &ready)
            #expect(ready == [Ready(token: 9, readable: true, writable: false, failed: false)])
            wakeup.clear()
            readiness.wait(until: .zero, into: &ready)
            #expect(ready.isEmpty)
            wakeup.signal()
            readiness.wait(until: .zero, into: &ready)
            #expect(ready.count == 1)
        }
    }
}
