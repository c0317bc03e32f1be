import MeshNetProtocol

let peerExchangeTargets: [FuzzTarget] = [
    FuzzTarget(name: "peer-exchange-message") { bytes in
        guard let message = try? PeerExchangeMessage(decoding: bytes) else { return }
        precondition(message.records.count <= PeerExchangeMessage.maximumRecords)
        precondition(message.encoded.withView { view in (try? PeerExchangeMessage(decoding: view)) == message })
    },
    FuzzTarget(name: "peer-exchange") { bytes in exchange(bytes) },
]

private let cast: (own: PeerID, others: [(peer: PeerID, record: PeerRecord, envelope: [UInt8])]) = {
    var random = RandomSource(testSeed: 9)
    let own = KeyPair(random: &random).peerID
    let others = (0..<4).map { index in
        let keys = KeyPair(random: &random)
        let addresses = Multiaddr(ip: [10, 0, 0, UInt8(index + 1)], tcpPort: 4001).map { [$0] } ?? []
        let record = PeerRecord(peer: keys.peerID, sequence: 1, addresses: addresses)
        return (keys.peerID, record, PeerRecord.sealed(by: keys, sequence: 1, addresses: addresses))
    }
    return (own, others)
}()

/// A sequence: a byte that says who and what; for messages their length in two bytes, then the message.
private func exchange(_ bytes: UnsafeRawBufferPointer) {
    var limits = PeerExchangeLimits()
    limits.entries = 3
    limits.triedAtOnce = 1
    var now = Instant.zero
    var machine = PeerExchange(localPeer: cast.own, limits: limits, random: RandomSource(testSeed: 3), now: now)
    var reader = ByteReader(bytes)
    while let step = try? reader.readByte() {
        let (peer, record, envelope) = cast.others[Int(step & 3)]
        switch step >> 2 & 7 {
        case 0:
            now = now + .seconds(Int(step >> 5) * 100 + 1)
            machine.handleTimeout(now: now)
        case 1: machine.connected(peer, isOnThisHost: step & 0x80 != 0, now: now)
        case 2: machine.disconnected(peer, now: now)
        case 3: machine.learned(record, envelope: envelope, now: now)
        case 4: machine.opened(peer, now: now)
        case 5: machine.dialFailed(peer, now: now)
        case 6: machine.written(peer, now: now)
        default:
            let length = Int((try? reader.readBigEndian(UInt16.self)) ?? 0)
            machine.receive((try? reader.readView(length)) ?? reader.readRest(), from: peer, now: now)
        }
        drain(&machine, limits)
    }
}

private func drain(_ machine: inout PeerExchange, _ limits: PeerExchangeLimits) {
    while let action = machine.poll() {
        switch action {
        case .send(_, let frame):
            frame.withUnsafeBytes { bytes in
                var reader = ByteReader(bytes)
                let length = try? reader.readLength(limit: PeerExchangeMessage.maximumSentByteCount)
                precondition(length == reader.remaining, "a frame with a wrong length")
                precondition((try? PeerExchangeMessage(decoding: reader.readRest())) != nil, "a frame that we would not take")
            }
        case .found(let found):
            precondition(!found.addresses.isEmpty && found.addresses.count <= limits.addressesPerEntry && found.peer != cast.own)
            precondition(found.lifetime <= limits.expiry)
        case .lost, .dropped, .malformed, .silenced: break
        }
    }
    precondition(machine.entryCount <= limits.entries)
}
