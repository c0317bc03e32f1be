import MeshNetProtocol

private let identity: KeyPair = {
    var random = RandomSource(testSeed: 1)
    return KeyPair(random: &random)
}()

let handshakeTargets: [FuzzTarget] = [
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
