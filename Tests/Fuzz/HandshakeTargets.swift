import MeshNetProtocol

private let identity: KeyPair = {
    var random = RandomSource(testSeed: 1)
    return KeyPair(random: &random)
}()

let handshakeTargets: [FuzzTarget] = [
    FuzzTarget(name: "multistream-listener") { bytes in
        negotiate(bytes) { MultistreamNegotiation(listenerFor: ["/noise", "/yamux/1.0.0", "/meshsub/1.2.0"]) }
    },
    FuzzTarget(name: "multistream-dialer") { bytes in
        negotiate(bytes) { MultistreamNegotiation(dialerFor: ["/noise", "/tls/1.0.0"], lazy: false) }
    },
    FuzzTarget(name: "multistream-lazy-dialer") { bytes in
        negotiate(bytes) { MultistreamNegotiation(dialerFor: ["/noise"], lazy: true) }
    },
    FuzzTarget(name: "noise-responder") { bytes in
        handshake(bytes, role: .responder)
    },
    FuzzTarget(name: "noise-initiator") { bytes in
        handshake(bytes, role: .initiator)
    },
    FuzzTarget(name: "noise-forged-payload") { bytes in
        // An honest handshake up to the responder's payload, with bytes of the input in place of the message.
        var random = RandomSource(testSeed: 2)
        var initiator = NoiseHandshake(role: .initiator, identity: identity, muxers: ["/yamux/1.0.0"], expectedPeer: nil, random: &random)
        var responder = NoiseHandshake(role: .responder, identity: identity, muxers: ["/yamux/1.0.0"], expectedPeer: nil, random: &random)
        deliver(initiator.poll(), to: &responder)
        guard var answer = responder.poll(), !bytes.isEmpty else { return }
        // One byte of it changed, or nothing at all: then the handshake must go on.
        let place = 2 + Int(bytes[0]) % (answer.count - 2)
        let change = bytes.count > 1 ? bytes[1] : 0
        answer[place] ^= change
        let accepted = deliver(answer, to: &initiator)
        precondition(accepted == (change == 0), "a changed message was taken, or an honest one refused")
    },
]

private func negotiate(_ bytes: UnsafeRawBufferPointer, _ make: () -> MultistreamNegotiation) {
    guard let cut = bytes.first.map({ Int($0) + 1 }) else { return }
    let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
    precondition(outcome(of: rest, cut: cut, make()) == outcome(of: rest, cut: max(1, rest.count), make()), "the outcome depends on the cut")
}

private struct NegotiationSeen: Equatable {
    var actions: [MultistreamAction] = []
    var taken = 0
    var failed = false
}

private func outcome(of bytes: UnsafeRawBufferPointer, cut: Int, _ machine: MultistreamNegotiation) -> NegotiationSeen {
    var machine = machine
    var seen = NegotiationSeen()
    var sent: [UInt8] = []
    func drain() {
        while let action = machine.poll() {
            // How answers are joined may depend on the cut; what is said may not.
            if case .send(let piece) = action { sent += piece } else { seen.actions.append(action) }
        }
    }
    drain()
    while seen.taken < bytes.count, !machine.isFinished {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[seen.taken..<min(seen.taken + cut, bytes.count)])
        do {
            let taken = try machine.receive(piece)
            precondition(taken <= piece.count)
            seen.taken += taken
            drain()
            if taken < piece.count { break }
        } catch {
            // Where in a piece it failed is not told, and what was said before the failure need not be sent any more.
            seen.failed = true
            seen.taken = 0
            seen.actions = []
            return seen
        }
    }
    seen.actions.append(.send(sent))
    return seen
}

/// The input is a sequence of messages: a length byte, then the message.
private func handshake(_ bytes: UnsafeRawBufferPointer, role: NoiseHandshake.Role) {
    var random = RandomSource(testSeed: 3)
    var machine = NoiseHandshake(role: role, identity: identity, muxers: ["/yamux/1.0.0"], expectedPeer: nil, random: &random)
    var reader = ByteReader(bytes)
    while let length = try? reader.readByte() {
        _ = machine.poll()
        let message = (try? reader.readView(Int(length))) ?? reader.readRest()
        do { try machine.receive(message) } catch { break }
    }
    _ = machine.poll()
    precondition(machine.finish() == nil, "nobody can finish a handshake without the keys")
}

@discardableResult
private func deliver(_ message: [UInt8]?, to machine: inout NoiseHandshake) -> Bool {
    guard let message else { return false }
    return message.withUnsafeBytes { framed in
        do {
            try machine.receive(UnsafeRawBufferPointer(rebasing: framed.dropFirst(2)))
            return true
        } catch {
            return false
        }
    }
}
