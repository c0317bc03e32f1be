import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Rates: what passes at once, what passes in a minute, and what is kept for it.
@Suite struct RateTests {
    private func gate(messages: Int = 0, bytes: Int = 0) -> RateGate {
        var limit = RateLimit()
        limit.messagesPerSecond = messages
        limit.bytesPerSecond = bytes
        return RateGate(limit)
    }

    private func passed(_ gate: inout RateGate, bytes: Int = 1, at now: Instant) -> Int {
        var count = 0
        while count < 1_000_000, gate.admit(bytes: bytes, now: now) { count += 1 }
        return count
    }

    /// ocap-kernel's 100 messages a second.
    @Test func aSecondsWorthPassesAtOnce() {
        var gate = gate(messages: 100), now = Instant(nanoseconds: 5_000_000_000)
        #expect(passed(&gate, at: now) == 100)
        #expect(gate.reason(now: now) == "100 messages per second")
        var total = 100
        for _ in 0..<60_000 {
            now = now + .milliseconds(1)
            total += passed(&gate, at: now)
        }
        #expect((6_099...6_101).contains(total), "\(total)")
    }

    @Test func nextAtIsWhenItOpens() throws {
        var gate = gate(messages: 3, bytes: 1_000)
        var now = Instant(nanoseconds: 1)
        for _ in 0..<1_000 where !gate.admit(bytes: 100, now: now) {
            let next = try #require(gate.nextAt(now: now))
            #expect(next > now)
            now = next
            #expect(gate.nextAt(now: now) == nil)
        }
        #expect(now.nanoseconds > 100_000_000_000)
    }

    @Test func aMessageAboveTheRateIsPaidForLater() throws {
        var gate = gate(bytes: 1_000)
        let now = Instant(nanoseconds: 7)
        let first = gate.admit(bytes: 10_000, now: now), second = gate.admit(bytes: 1, now: now)
        #expect(first && !second)
        let next = try #require(gate.nextAt(now: now))
        #expect(next - now == .seconds(9) + .nanoseconds(1))
    }

    @Test func nothingTraps() {
        var gate = gate(messages: 1, bytes: 1)
        let first = gate.admit(messages: .max, bytes: .max, now: Instant(nanoseconds: .max - 5))
        let second = gate.admit(messages: .max, bytes: .max, now: Instant(nanoseconds: .min))
        #expect(first && !second)
        var open = RateGate(RateLimit())
        #expect(open.isUnlimited)
        #expect(passed(&open, at: .zero) == 1_000_000)
    }

    // MARK: - Inbound connections

    private func admitted(_ gate: inout InboundGate, _ ip: [UInt8], at now: Instant, tries: Int) -> Int {
        var count = 0
        for _ in 0..<tries {
            let address = SocketAddress(ip: ip, port: 1)
            guard gate.admit(address, now: now) == nil else { continue }
            gate.handshakeEnded()
            gate.closed(address)
            count += 1
        }
        return count
    }

    /// go-libp2p's figures: 16 at once, then one in 5 s, for one IPv4 address.
    @Test func oneAddressConnectsSoOften() {
        var gate = InboundGate(limits: Limits()), now = Instant(nanoseconds: 1)
        #expect(admitted(&gate, [10, 0, 0, 1], at: now, tries: 100) == 16)
        #expect(gate.refused == 84)
        #expect(gate.lastRefusal == .ratePerAddress)
        #expect(admitted(&gate, [10, 0, 0, 2], at: now, tries: 1) == 1, "another one is not held back")
        var later = 0
        for _ in 0..<300 {
            now = now + .seconds(1)
            later += admitted(&gate, [10, 0, 0, 1], at: now, tries: 10)
        }
        #expect((59...61).contains(later), "\(later)")
        now = now + .seconds(80)
        #expect(admitted(&gate, [10, 0, 0, 1], at: now, tries: 100) == 16)
        #expect(admitted(&gate, [127, 0, 0, 1], at: now, tries: 10_000) == 10_000)
        // The same IPv4 address, mapped.
        #expect(admitted(&gate, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1], at: now, tries: 10) == 0)
    }

    @Test func oneNetworkOfIPv6ConnectsSoOften() {
        var gate = InboundGate(limits: Limits())
        let now = Instant(nanoseconds: 1)
        func ip(_ network: UInt8, _ subnet: UInt8, _ host: UInt8) -> [UInt8] { [0x20, 1, 0xd, 0xb8, 0, network, subnet, 0, 0, 0, 0, 0, 0, 0, 0, host] }
        var first = 0
        for host in 0..<100 as Range<UInt8> { first += admitted(&gate, ip(1, 1, host), at: now, tries: 1) }
        #expect(first == 16, "one /56")
        var all = first
        for subnet in 2..<30 as Range<UInt8> { all += admitted(&gate, ip(1, subnet, 1), at: now, tries: 100) }
        #expect(all == 80, "one /48")
        #expect(admitted(&gate, ip(2, 1, 1), at: now, tries: 1) == 1)
    }

    @Test func theMemoryOfRatesIsBounded() {
        var rate = InboundRate()
        for number in 0..<20_000 {
            let source: [UInt8] = [1, UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number), 0]
            let admitted = rate.admit([(source, 0.2, 16)], now: Instant(nanoseconds: 1))
            #expect(admitted)
        }
        #expect(rate.count <= InboundRate.maximumSources)
    }

    @Test func noConfigurationTraps() {
        for (perSecond, burst) in [(0.0, 0), (-1, -1), (.nan, .max), (.infinity, .max), (1e-300, .max), (1e300, .min), (0.2, .max)] {
            var rate = InboundRate()
            for _ in 0..<100 { _ = rate.admit([([1, 2, 3, 4], perSecond, burst)], now: Instant(nanoseconds: .max - 1)) }
        }
    }

    @Test func halfOpenHandshakesAreBounded() {
        var gate = InboundGate(limits: Limits()), count = 0
        for host in 0..<200 as Range<UInt8> where gate.admit(SocketAddress(ip: [10, 0, 0, host], port: 1), now: .zero) == nil { count += 1 }
        #expect(count == 64)
        #expect(gate.lastRefusal == .handshakes)
    }
}
