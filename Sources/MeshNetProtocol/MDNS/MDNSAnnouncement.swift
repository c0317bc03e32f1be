/// What one interface is told of us.
struct MDNSAnnouncement: Equatable {
    /// A string has its length in one byte.
    private static let maximumTextByteCount = 255

    private var addresses: [Multiaddr] = []
    private var ips: [[UInt8]] = []
    private var port: UInt16 = 0

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

    /// PTR as the answer, the rest behind it: the layout that go-libp2p, rust-libp2p, js-libp2p and zeroconf all read. go needs SRV and an
    /// address record.
    func message(_ service: MDNSService, timeToLive: UInt32) -> DNSMessage {
        func record(_ name: DNSName, flushing: Bool, _ content: DNSRecord.Content) -> DNSRecord {
            DNSRecord(name: name, timeToLive: timeToLive, flushesCache: flushing, content: content)
        }
        let strings = addresses.map { MDNSTexts.Key.address.string($0.appending(service.localPeer).description) } + service.attributes.strings
        var message = DNSMessage(isResponse: true)
        // The PTR name is shared with other peers: it must not flush theirs.
        message.answers = [record(service.service, flushing: false, .pointer(service.instance))]
        message.additionals = [
            record(service.instance, flushing: true, .text(strings.filter { $0.count <= Self.maximumTextByteCount })),
            record(service.instance, flushing: true, .service(port: port, target: service.host)),
        ]
        message.additionals += ips.map { record(service.host, flushing: true, $0.count == 4 ? .ipv4($0) : .ipv6($0)) }
        return message
    }
}
