import MeshNetProtocol

let retainedTargets: [FuzzTarget] = [
    FuzzTarget(name: "retained-message") { bytes in
        guard let message = try? RetainedMessage(decoding: bytes) else { return }
        precondition(message.have.count + message.want.count + message.gone.count <= RetainedMessage.maximumEntries)
        precondition(message.encoded.withView { view in (try? RetainedMessage(decoding: view)) == message })
    },
    FuzzTarget(name: "retained") { bytes in retain(bytes) },
]

private let cast: [KeyPair] = {
    var random = RandomSource(testSeed: 11)
    return (0..<3).map { _ in KeyPair(random: &random) }
}()

/// A sequence: a byte that says who and what; for messages their length in two bytes, then the message. Without signatures, so that values get in.
private func retain(_ bytes: UnsafeRawBufferPointer) {
    var limits = RetainedLimits()
    limits.totalBytes = 64
    limits.fetches = 2
    var now = Instant.zero
    var machine = Retained(identity: cast[0], policy: .strictNoSign, limits: limits, clock: nil, now: now)
    let topics = ["a", "b"]
    var reader = ByteReader(bytes)
    while let step = try? reader.readByte() {
        let peer = cast[1 + Int(step & 1)].peerID, topic = topics[Int(step >> 1 & 1)]
        switch step >> 2 & 7 {
        case 0:
            now = now + .milliseconds(Int(step >> 5) * 700 + 1)
            machine.handleTimeout(now: now)
        case 1: machine.connected(peer, now: now)
        case 2: machine.disconnected(peer, now: now)
        case 3: machine.subscribed(topic, now: now)
        case 4: machine.unsubscribed(topic, now: now)
        case 5:
            let data = [UInt8](repeating: step, count: Int(step >> 5) * 9)
            if (try? machine.prepare(topic, byteCount: data.count)) != nil {
                machine.publish(topic, data, sequence: machine.nextSequence(topic, now: now), now: now)
            }
        case 6: machine.written(peer, now: now)
        default:
            let length = Int((try? reader.readBigEndian(UInt16.self)) ?? 0)
            machine.receive((try? reader.readView(length)) ?? reader.readRest(), from: peer, now: now)
        }
        drain(&machine, limits, now)
    }
}

private func drain(_ machine: inout Retained, _ limits: RetainedLimits, _ now: Instant) {
    while let action = machine.poll() {
        switch action {
        case .send(_, let frame):
            precondition(frame.count <= RetainedMessage.maximumAcceptedByteCount, "a frame that we would not take")
        case .look(let header): machine.looked(header, nil, now: now)
        case .announce(let topic, _): machine.announce(topic, to: cast.map(\.peerID), isFresh: true, now: now)
        case .deliver(let header, let data, _): precondition(header.size == data.count)
        case .dropped, .malformed, .silenced: break
        }
    }
    precondition(machine.byteCount >= 0 && machine.byteCount <= limits.totalBytes, "more is kept than the bound allows")
}
