import TestSupport

@testable import MeshNetProtocol

/// One machine under a virtual clock, on one interface unless told otherwise.
struct MDNSHarness {
    static let identities = (0..<40).map { KeyPair(secret: [UInt8](repeating: UInt8($0 + 1), count: 32))! }
    static let lan = MDNSInterface(id: 2, name: "eth0", addresses: [.init(ip: [192, 168, 1, 2], prefixLength: 24)])

    var service: MDNSService
    var now = Instant(nanoseconds: 1_000_000_000)
    var sent: [(at: Instant, interface: UInt32, packet: [UInt8])] = []
    var discovered: [MDNSDiscovery] = []
    var expired: [PeerID] = []
    var ownIdentity: [[Multiaddr]] = []
    var ignored: [(reason: MDNSDrop, what: String)] = []

    init(
        peer: PeerID = Self.identities[0].peerID, tag: String = MDNSService.defaultTag, attributes: MDNSAttributes = MDNSAttributes(),
        limits: MDNSLimits = MDNSLimits(), seed: UInt64 = 1,
        interfaces: [MDNSInterface] = [Self.lan], listen: [String] = ["/ip4/192.168.1.2/tcp/4001"]
    ) {
        service = MDNSService(localPeer: peer, tag: tag, attributes: attributes, limits: limits, random: RandomSource(testSeed: seed))!
        service.setListenAddresses(listen.compactMap { try? Multiaddr($0) }, now: now)
        service.setInterfaces(interfaces, now: now)
        drain()
    }

    mutating func drain() {
        while let action = service.poll() {
            switch action {
            case .send(let interface, let packet): sent.append((now, interface, packet))
            case .discovered(let discovery): discovered.append(discovery)
            case .expired(let peer): expired.append(peer)
            case .ownIdentity(let addresses): ownIdentity.append(addresses)
            case .ignored(let reason, let what, _): ignored.append((reason, what))
            }
        }
    }

    mutating func receive(_ packet: [UInt8], interface: UInt32 = 2) {
        packet.withView { service.receive($0, interface: interface, now: now) }
        drain()
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        while let next = service.deadline, next <= end {
            now = max(now, next)
            service.handleTimeout(now: now)
            drain()
        }
        now = end
    }

    mutating func with(_ body: (inout MDNSService, Instant) -> Void) {
        body(&service, now)
        drain()
    }

    var queries: [(at: Instant, interface: UInt32, packet: [UInt8])] { sent.filter { message($0.packet)?.isResponse == false } }
    var answers: [(at: Instant, interface: UInt32, packet: [UInt8])] { sent.filter { message($0.packet)?.isResponse == true } }

    var answerMessages: [DNSMessage] { answers.compactMap { message($0.packet) } }

    func message(_ packet: [UInt8]) -> DNSMessage? { try? packet.withView { view throws(DNSError) in try DNSMessage(decoding: view) } }

    static let query: [UInt8] = {
        var message = DNSMessage(isResponse: false)
        message.questions = [DNSQuestion(name: DNSName(MDNSService.defaultTag)!, type: DNSType.pointer)]
        return message.encoded()
    }()

    /// An announcement of another peer.
    static func announcement(
        _ peer: PeerID, _ addresses: [String], name: String = "another", ttl: UInt32 = 120, isComplete: Bool = true, tag: String = MDNSService.defaultTag,
        texts extra: [String] = []
    ) -> [UInt8] {
        let service = DNSName(tag)!, instance = DNSName(label: name, in: service)!
        var message = DNSMessage(isResponse: true)
        let texts = addresses.map { Array("dnsaddr=\($0)/p2p/\(peer)".utf8) } + extra.map { Array($0.utf8) }
        message.answers = [DNSRecord(name: service, timeToLive: ttl, flushesCache: false, content: .pointer(instance))]
        message.additionals = [DNSRecord(name: instance, timeToLive: ttl, flushesCache: isComplete, content: .text(texts))]
        return message.encoded()
    }
}
