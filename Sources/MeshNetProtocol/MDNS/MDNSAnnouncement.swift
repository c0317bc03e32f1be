/// What one interface is told of us.
struct MDNSAnnouncement: Equatable {
    /// A string has its length in one byte.
    private static let maximumTextByteCount = 255

    private var addresses: [Multiaddr] = []
    private var ips: [[UInt8]] = []
    private(set) var port: UInt16 = 0

    init() {}

    /// The listen addresses that belong to the interface. Link-local ones only where there is no other: who hears them knows the link, but go-libp2p
    /// dials them without it, in vain.
    init(_ listenAddresses: [Multiaddr], on interface: MDNSInterface, limit: Int) {
        add(listenAddresses, on: interface, limit: limit)
        if isEmpty { add(interface.linkLocalAddresses, on: interface, limit: limit) }
    }

    private mutating func add(_ listenAddresses: [Multiaddr], on interface: MDNSInterface, limit: Int) {
        for address in listenAddresses where addresses.count < limit {
            let components = address.components
            guard components.count == 2, case .tcp(let tcpPort) = components[1] else { continue }
            switch components[0] {
            case .ip4(let ip), .ip6(let ip):
                guard interface.addresses.contains(where: { $0.ip == ip }) else { continue }
                addresses.append(address)
                if ips.isEmpty { port = tcpPort }
                if !ips.contains(ip) { ips.append(ip) }
            default: continue
            }
        }
    }

    var isEmpty: Bool { addresses.isEmpty }

    func texts(of peer: PeerID, _ attributes: MDNSAttributes) -> [[UInt8]] {
        let all = addresses.map { MDNSTexts.Key.address.string($0.appending(peer).description) } + attributes.strings
        return all.filter { $0.count <= Self.maximumTextByteCount }
    }

    /// PTR as the answer, the rest behind it: the layout that go-libp2p, rust-libp2p, js-libp2p and zeroconf all read. go needs SRV and an
    /// address record.
    func message(_ service: MDNSService, timeToLive: UInt32) -> DNSMessage {
        func record(_ name: DNSName, flushing: Bool, _ content: DNSRecord.Content) -> DNSRecord {
            DNSRecord(name: name, timeToLive: timeToLive, flushesCache: flushing, content: content)
        }
        let strings = texts(of: service.localPeer, service.attributes)
        var message = DNSMessage(isResponse: true)
        // The PTR name is shared with other peers: it must not flush theirs.
        message.answers = [record(service.service, flushing: false, .pointer(service.instance))]
        message.additionals = [
            record(service.instance, flushing: true, .text(strings)),
            record(service.instance, flushing: true, .service(port: port, target: service.host)),
        ]
        message.additionals += ips.map { record(service.host, flushing: true, $0.count == 4 ? .ipv4($0) : .ipv6($0)) }
        return message
    }
}

extension MDNSService {
    /// What another responder shall tell of a peer on an interface; nil: nothing of it belongs there.
    package static func announcement(
        of peer: PeerID, _ attributes: MDNSAttributes, _ listenAddresses: [Multiaddr], on interface: MDNSInterface
    ) -> (port: UInt16, texts: [[UInt8]])? {
        let announcement = MDNSAnnouncement(listenAddresses, on: interface, limit: MDNSLimits().addressesAnnounced)
        return announcement.isEmpty ? nil : (announcement.port, announcement.texts(of: peer, attributes))
    }
}
