import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Each constant of ocap-kernel that means something here is an option of ours; `docs/ocap-kernel.md` has the same table for readers.
@Suite struct OcapConstantsTests {
    /// A constant of theirs, and how a configuration takes its value on.
    struct Constant: Sendable, CustomTestStringConvertible {
        let name: String
        let apply: @Sendable (inout Configuration, inout SendOptions) -> Void
        /// Whether our default is the same already.
        var isDefault = false
        var testDescription: String { name }
    }

    static let constants = [
        Constant(name: "ACK delay 50 ms", apply: { c, _ in c.messages.acknowledgementDelay = .milliseconds(50) }, isDefault: true),
        Constant(name: "pending 200, the next one rejected", apply: { c, o in (c.messages.queueMessages, o.whenFull) = (200, .fail) }),
        Constant(name: "given up after 40 s", apply: { _, o in o.deadline = .seconds(40) }),
        Constant(name: "redemption 40 s", apply: { c, _ in c.messages.requestTimeout = .seconds(40) }),
        Constant(name: "backoff 500 ms", apply: { c, _ in c.messages.reconnect.first = .milliseconds(500) }, isDefault: true),
        Constant(name: "backoff factor 2", apply: { c, _ in c.messages.reconnect.factor = 2 }, isDefault: true),
        Constant(name: "backoff cap 10 s", apply: { c, _ in c.messages.reconnect.cap = .seconds(10) }, isDefault: true),
        Constant(name: "attempts without end", apply: { c, _ in c.messages.reconnect.maximumAttempts = 0 }, isDefault: true),
        Constant(name: "permanent after 5", apply: { c, _ in c.messages.reconnect.permanentAfter = 5 }, isDefault: true),
        Constant(name: "10 dials a minute", apply: { c, _ in c.messages.reconnect.dialsPerMinute = 10 }),
        Constant(name: "100 connections", apply: { c, _ in c.limits.connections = 100 }),
        Constant(name: "message of 1 MiB", apply: { c, _ in c.messages.maximumMessageSize = 1_048_576 }),
        Constant(name: "100 messages a second", apply: { c, _ in c.messages.sendRate.messagesPerSecond = 100 }),
        Constant(name: "handshake 10 s", apply: { c, _ in c.limits.handshakeTimeout = .seconds(10) }),
        Constant(name: "dial 30 s", apply: { c, _ in c.dialTimeout = .seconds(30) }),
        Constant(name: "dial 10 s (js-libp2p)", apply: { c, _ in c.dialTimeout = .seconds(10) }, isDefault: true),
        Constant(name: "negotiation 10 s (js-libp2p)", apply: { c, _ in c.limits.streamNegotiationTimeout = .seconds(10) }, isDefault: true),
        Constant(name: "10 pending inbound (js-libp2p)", apply: { c, _ in c.limits.pendingInboundConnections = 10 }),
        Constant(name: "25 addresses of a peer (js-libp2p)", apply: { c, _ in c.limits.addressesPerPeer = 25 }),
        Constant(name: "ping 10 s (js-libp2p)", apply: { c, _ in c.pingInterval = .seconds(10) }),
        Constant(name: "read buffer 4 MiB (js-libp2p)", apply: { c, _ in c.messages.receiveBytes = 4_194_304 }, isDefault: true),
        Constant(name: "redial of the entry 5 s", apply: { c, _ in c.backoffFirst = .seconds(5) }),
        Constant(name: "redial of the entry, cap 60 s", apply: { c, _ in c.backoffCap = .seconds(60) }),
        Constant(name: "known entries 20", apply: { c, _ in c.limits.addressBookPeers = 20 }),
        Constant(name: "wake interval 15 s", apply: { c, _ in c.messages.wake.interval = .seconds(15) }, isDefault: true),
        Constant(name: "wake jump 30 s", apply: { c, _ in c.messages.wake.jump = .seconds(30) }, isDefault: true),
        Constant(name: "wake after 1 h stored", apply: { c, _ in c.messages.wake.storedGap = .seconds(3_600) }, isDefault: true),
    ]

    @Test(arguments: constants) func eachConstantIsAnOption(constant: Constant) throws {
        let keys = try #require(KeyPair(secret: [UInt8](repeating: 7, count: 32)))
        let plain = Configuration(identity: keys, bootstrapPeers: [], listenPort: 0)
        var configuration = plain, options = SendOptions()
        constant.apply(&configuration, &options)
        let isSame = configuration.messages == plain.messages && configuration.limits == plain.limits && configuration.pingInterval == plain.pingInterval
            && configuration.dialTimeout == plain.dialTimeout && configuration.backoffFirst == plain.backoffFirst
            && configuration.backoffCap == plain.backoffCap && options == SendOptions()
        #expect(isSame == constant.isDefault)
    }
}
