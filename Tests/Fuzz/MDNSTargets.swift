import MeshNetProtocol

let mdnsTargets: [FuzzTarget] = [
    FuzzTarget(name: "mdns-message") { bytes in
        guard let message = try? DNSMessage(decoding: bytes) else { return }
        let encoded = message.encoded()
        // What was read is written so that it is read alike; written anew it may be longer than a packet can be.
        guard encoded.count <= DNSMessage.maximumByteCount else { return }
        precondition(encoded.withView { view in (try? DNSMessage(decoding: view)) == message })
    },
    FuzzTarget(name: "mdns-service") { bytes in
        guard var service = fuzzedService else { return }
        var now = Instant(nanoseconds: 0)
        var rest = bytes[...]
        // Each packet has its length in front; the top bit of the first byte lets time pass.
        while rest.count > 1 {
            let step = rest.removeFirst()
            let count = min(rest.count, Int(step & 0x7f) << 8 | Int(rest.removeFirst()))
            service.receive(UnsafeRawBufferPointer(rebasing: rest.prefix(count)), interface: 1, now: now)
            rest = rest.dropFirst(count)
            if step & 0x80 != 0 { now = now + .seconds(70) }
            service.handleTimeout(now: now)
            drain(&service)
        }
        service.close()
        drain(&service)
    },
]

private let fuzzedService: MDNSService? = {
    let peer = KeyPair(secret: [UInt8](repeating: 7, count: 32))?.peerID
    guard let peer, var service = MDNSService(localPeer: peer, random: RandomSource(testSeed: 1)) else { return nil }
    service.setListenAddresses(Multiaddr(ip: [10, 0, 0, 1], tcpPort: 4001).map { [$0] } ?? [], now: .zero)
    service.setInterfaces([MDNSInterface(id: 1, name: "eth0", addresses: [.init(ip: [10, 0, 0, 1], prefixLength: 24)])], now: .zero)
    return service
}()

private func drain(_ service: inout MDNSService) {
    let limits = MDNSLimits()
    while let action = service.poll() {
        switch action {
        case .send(_, let packet): precondition(packet.withView { view in (try? DNSMessage(decoding: view)) != nil })
        case .discovered(let discovery):
            precondition(!discovery.addresses.isEmpty && discovery.addresses.count <= limits.addressesPerEntry)
            precondition(discovery.addresses.allSatisfy { $0.peerID == discovery.peer })
            precondition(discovery.timeToLive <= limits.longestTimeToLive)
        case .expired, .ownIdentity, .ignored: break
        }
    }
    precondition(service.entryCount <= limits.entries)
}
