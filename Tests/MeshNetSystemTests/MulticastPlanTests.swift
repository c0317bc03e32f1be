import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// A plan with a kernel that fails as told.
private struct PlanHarness {
    var plan = MulticastPlan()
    var now = Instant(nanoseconds: 1_000_000_000)
    /// What opening gives, by channel; absent: it works.
    var refusals: [MulticastChannel: Int32] = [:]
    var opened: [MulticastChannel] = [], closed: [MulticastChannel] = [], restarts: [UInt32] = []
    var named: [MDNSInterface] = []
    var reports: [SourceReport] = []

    mutating func drain() {
        while let action = plan.poll() {
            switch action {
            case .open(let channel):
                opened.append(channel)
                plan.opened(channel, refusals[channel].map { MulticastError(call: "bind", errno: $0) }, now: now)
            case .close(let channel): closed.append(channel)
            case .name(let interfaces): named = interfaces
            case .restart(let interface): restarts.append(interface)
            case .report(let report): reports.append(report)
            }
        }
    }

    mutating func set(_ interfaces: [HostInterface], leftOut: [String] = []) {
        plan.setInterfaces(interfaces, leftOut: leftOut)
        drain()
    }

    mutating func wait(_ duration: Duration) {
        let end = now + duration
        while let next = plan.deadline, next <= end {
            now = max(now, next)
            plan.handleTimeout(now: now)
            drain()
        }
        now = end
    }

    mutating func send(_ packet: [UInt8] = [1], on channel: MulticastChannel, _ code: Int32? = nil) {
        plan.sent(packet, on: channel, code.map { MulticastError(call: "sendto", errno: $0) }, now: now)
        drain()
    }

    mutating func expectHeard(_ expected: Bool, _ packet: [UInt8], on channel: MulticastChannel, at location: SourceLocation = #_sourceLocation) {
        let taken = packet.withUnsafeBytes { plan.heard($0, on: channel, now: now) }
        drain()
        #expect(taken == expected, sourceLocation: location)
    }

    var lastState: SourceReport? {
        reports.last {
            switch $0 {
            case .running, .failed: true
            default: false
            }
        }
    }

    var lastFailureKind: SourceFailureKind? { if case .failed(let failure, _)? = lastState { failure.kind } else { nil } }
}

private func card(
    _ index: UInt32, _ name: String, _ ips: [[UInt8]] = [[192, 0, 2, 1]], flags: Int = Int(IFF_UP | IFF_RUNNING | IFF_MULTICAST)
) -> HostInterface {
    HostInterface(index: index, name: name, flags: UInt32(flags), addresses: ips.map { .init(ip: $0, prefixLength: $0.count == 4 ? 24 : 64) })
}

private let linkLocal: [UInt8] = [0xfe, 0x80] + [UInt8](repeating: 1, count: 14)
private let loopback = card(1, "lo", [[127, 0, 0, 1], [UInt8](repeating: 0, count: 15) + [1]], flags: Int(IFF_UP | IFF_RUNNING | IFF_LOOPBACK))

private func channel(_ interface: UInt32, _ family: MulticastFamily = .ipv4) -> MulticastChannel {
    MulticastChannel(interface: interface, family: family, isLoopback: interface == 1)
}

extension SystemTests {
    @Suite struct MulticastPlanTests {
        @Test func oneSocketForEachFamilyOfAnInterface() {
            var harness = PlanHarness()
            harness.set([loopback, card(2, "eth0", [[192, 0, 2, 1], linkLocal]), card(3, "wlan0", [linkLocal])])
            #expect(harness.opened == [channel(1), channel(2), channel(2, .ipv6), channel(3, .ipv6)])
            #expect(harness.named.map(\.name) == ["lo", "eth0", "wlan0"])
            #expect(harness.lastState == .running)
        }

        @Test func whoListensOnEveryIPv6AddressListensOnThoseOfTheLinkToo() {
            var harness = PlanHarness()
            harness.plan.setInterfaces([card(2, "eth0", [[192, 0, 2, 1], linkLocal])], leftOut: [], linkLocalPort: 4001)
            harness.drain()
            #expect(harness.named.first?.linkLocalAddresses.map(\.components) == [[.ip6(linkLocal), .tcp(4001)]])
        }

        @Test func interfacesComeAndGo() {
            var harness = PlanHarness()
            harness.set([card(2, "eth0")])
            harness.set([card(2, "eth0"), card(3, "usb0")])
            #expect(harness.opened == [channel(2), channel(3)])
            harness.set([card(3, "usb0", [[198, 51, 100, 7]])])
            #expect(harness.closed == [channel(2)])
            #expect(harness.named.map(\.addresses.first?.ip) == [[198, 51, 100, 7]])
            // The last IPv4 address goes, the first IPv6 one comes.
            harness.set([card(3, "usb0", [linkLocal])])
            #expect(harness.closed == [channel(2), channel(3)] && harness.opened.last == channel(3, .ipv6))
        }

        @Test func anInterfaceThatCannotBeOpenedDisturbsNoOtherAndIsTriedForEver() {
            var harness = PlanHarness()
            harness.refusals[channel(2)] = ENOBUFS
            harness.set([card(2, "eth0"), card(3, "usb0")])
            #expect(harness.named.map(\.name) == ["usb0"])
            #expect(harness.lastState == .running)
            guard case .traffic("eth0", 0, 0, let failure?)? = harness.reports.first(where: { if case .traffic = $0 { true } else { false } }) else {
                Issue.record("\(harness.reports)")
                return
            }
            #expect(failure.kind == .limitReached)
            harness.wait(.seconds(3_600))
            // 1, 2, 4, 8, 16 s, and then every 30 s.
            #expect((119...125).contains(harness.opened.count(where: { $0 == channel(2) })))
            harness.refusals = [:]
            harness.wait(MulticastPlan.longestRetry)
            #expect(harness.named.map(\.name) == ["eth0", "usb0"])
            #expect(harness.reports.contains(.traffic(interface: "eth0", sent: 0, heard: 0, failure: nil)))
        }

        @Test func aChangeOfTheNetworkIsATryAtOnce() {
            var harness = PlanHarness()
            harness.refusals[channel(2)] = ENODEV
            harness.set([card(2, "eth0")])
            #expect(harness.lastFailureKind == .noInterface)
            harness.refusals = [:]
            harness.set([card(2, "eth0")])
            #expect(harness.named.map(\.name) == ["eth0"])
            #expect(harness.lastState == .running)
        }

        @Test func onePacketThatCannotBeSentDropsNothingForGood() {
            var harness = PlanHarness()
            harness.set([card(2, "eth0"), card(3, "usb0")])
            harness.send(on: channel(2), EHOSTUNREACH)
            #expect(harness.named.count == 2 && harness.closed.isEmpty)
            #expect(harness.lastState == .running)
            harness.send(on: channel(2))
            #expect(harness.restarts == [2])
            // However often it changes, the asking starts again once in a while only.
            for _ in 0..<100 {
                harness.send(on: channel(2), ENETUNREACH)
                harness.send(on: channel(2))
            }
            #expect(harness.restarts == [2])
            harness.wait(MulticastPlan.restartInterval)
            harness.send(on: channel(2), ENETUNREACH)
            harness.send(on: channel(2))
            #expect(harness.restarts == [2, 2])
        }

        @Test func oneFamilyThatWorksIsEnough() {
            var harness = PlanHarness()
            harness.refusals[channel(2, .ipv6)] = EADDRNOTAVAIL
            harness.set([card(2, "eth0", [[192, 0, 2, 1], linkLocal])])
            #expect(harness.named.map(\.name) == ["eth0"] && harness.lastState == .running)
        }

        @Test(arguments: [
            (EADDRINUSE, SourceFailureKind.portInUse), (EACCES, .permission), (EPERM, .permission), (EMFILE, .limitReached), (EINVAL, .system),
            (ENETUNREACH, .unreachable),
        ])
        func theSourceSaysWhyNothingWorks(_ code: Int32, _ kind: SourceFailureKind) {
            var harness = PlanHarness()
            harness.refusals[channel(2)] = code
            harness.set([loopback, card(2, "eth0")])
            #expect(harness.lastFailureKind == kind)
            harness = PlanHarness()
            harness.set([loopback, card(2, "eth0")])
            harness.send(on: channel(2), code)
            #expect(harness.lastFailureKind == kind)
            harness.send(on: channel(2))
            #expect(harness.lastState == .running)
        }

        @Test func withoutANetworkTheLoopbackWorksAndTheSourceSaysSo() {
            var harness = PlanHarness()
            harness.set([])
            #expect(harness.lastFailureKind == .noInterface)
            harness.set([loopback])
            #expect(harness.named.map(\.name) == ["lo"])
            guard case .failed(let failure, _)? = harness.lastState else {
                Issue.record("\(harness.reports)")
                return
            }
            #expect(failure.kind == .noInterface && failure.detail.contains("only nodes on this machine"))
        }

        @Test func aSocketThatBreaksIsOpenedAgain() {
            var harness = PlanHarness()
            harness.set([card(2, "eth0")])
            harness.plan.broke(channel(2), MulticastError(call: "recv", errno: ENETDOWN), now: harness.now)
            harness.drain()
            #expect(harness.named.isEmpty && harness.lastFailureKind == .unreachable)
            harness.wait(MulticastPlan.firstRetry)
            #expect(harness.named.count == 1 && harness.lastState == .running)
        }

        @Test func countsAreToldOnceASecond() {
            var harness = PlanHarness()
            harness.set([card(2, "eth0")])
            harness.reports = []
            for number in UInt8(0)..<100 { harness.send([number], on: channel(2)) }
            for number in UInt8(100)..<150 { harness.expectHeard(true, [number], on: channel(2)) }
            #expect(harness.reports.isEmpty)
            harness.wait(.seconds(10))
            #expect(harness.reports == [.traffic(interface: "eth0", sent: 100, heard: 50, failure: nil)])
        }

        @Test func ourOwnPacketsThatComeBackAreNotHeard() {
            var harness = PlanHarness()
            harness.set([card(2, "eth0"), card(3, "usb0")])
            harness.send([7, 7], on: channel(2))
            harness.expectHeard(false, [7, 7], on: channel(2))
            // The same from another node.
            harness.expectHeard(true, [7, 7], on: channel(2))
            harness.send([8], on: channel(2))
            harness.expectHeard(true, [8], on: channel(3))
            harness.wait(.seconds(2))
            harness.expectHeard(true, [8], on: channel(2))
            // No more are remembered than could be under way.
            for number in 0...UInt8(MulticastEchoes.limit) { harness.send([number], on: channel(2)) }
            harness.expectHeard(true, [0], on: channel(2))
            harness.expectHeard(false, [1], on: channel(2))
        }

        @Test func whatThereIsNoRoomForIsNamed() {
            let many = (1...200).map { card(UInt32($0), $0 % 2 == 0 ? "veth\($0)" : "eth\($0)") }
            let (used, leftOut) = MulticastInterfaces.usable(many, allowed: [], denied: [])
            #expect(used.count == MulticastInterfaces.maximum && leftOut.count == 200 - MulticastInterfaces.maximum)
            #expect(used.allSatisfy { $0.name.hasPrefix("eth") })
            var harness = PlanHarness()
            for _ in 0..<2 { harness.set(used, leftOut: leftOut.map(\.name)) }
            #expect(harness.reports.count { if case .filtered(.limit, _, _) = $0 { true } else { false } } == leftOut.count)
        }

        @Test func onlyInterfacesThatCanAreUsed() {
            func names(_ interfaces: [HostInterface], allowed: [String] = [], denied: [String] = []) -> [String] {
                MulticastInterfaces.usable(interfaces, allowed: allowed, denied: denied).used.map(\.name)
            }
            let all = [
                loopback, card(2, "eth0"), card(3, "eth1", flags: Int(IFF_UP | IFF_MULTICAST)),
                card(4, "eth2", flags: Int(IFF_RUNNING | IFF_MULTICAST)), card(5, "wg0", flags: Int(IFF_UP | IFF_RUNNING)),
                card(6, "eth3", []), card(7, "docker0"), card(8, "wlan0", [linkLocal]), card(9, "usb0"),
            ]
            #expect(names(all) == ["lo", "eth0", "usb0", "wlan0", "docker0"])
            #expect(names(all, allowed: ["eth*"]) == ["eth0"])
            #expect(names(all, denied: ["docker*", "lo"]) == ["eth0", "usb0", "wlan0"])
            #expect(names(all, allowed: ["eth0", "usb0"], denied: ["eth0"]) == ["usb0"])
        }

        @Test func theKernelTellsOfTheLoopback() {
            let loopback = MulticastInterfaces.all().first { $0.isLoopback }
            #expect(loopback?.addresses.contains { $0.ip == [127, 0, 0, 1] && $0.prefixLength == 8 } == true)
        }
    }
}
