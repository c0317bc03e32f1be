@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// A peer whose Noise handshake is real and whose choice of muxers is the test's: what it says after the handshake is written out by hand.
struct RawPeer {
    private var security: MultistreamNegotiation
    private var noise: NoiseHandshake
    private var channel: NoiseSession?
    private var input: [UInt8] = []
    /// Bytes for the other side.
    private(set) var output: [UInt8] = []
    /// Decrypted bytes of the other side.
    var plaintext: [UInt8] = []

    init(role: Direction, muxers: [String], security: String = "/noise", random: inout RandomSource) {
        self.security = role == .outbound
            ? MultistreamNegotiation(dialerFor: [security], lazy: true) : MultistreamNegotiation(listenerFor: [security])
        noise = NoiseHandshake(
            role: role == .outbound ? .initiator : .responder, identity: KeyPair(random: &random), muxers: muxers, expectedPeer: nil, random: &random)
        advance()
    }

    var isSecure: Bool { channel != nil }

    mutating func receive(_ bytes: [UInt8]) {
        input += bytes
        if !security.isFinished {
            let taken = (try? input.withUnsafeBytes { try security.receive($0) }) ?? input.count
            input.removeFirst(taken)
            advance()
        }
        while security.isFinished, input.count >= 2, input.count >= 2 + Int(input[0]) << 8 + Int(input[1]) {
            var message = Array(input[2..<2 + Int(input[0]) << 8 + Int(input[1])])
            input.removeFirst(2 + message.count)
            if channel == nil {
                try? message.withUnsafeBytes { try noise.receive($0) }
                advance()
                channel = noise.finish()
            } else {
                let count = (try? message.withUnsafeMutableBytes { try channel?.receiving.open($0) }) ?? 0
                plaintext += message[..<count]
            }
        }
    }

    private mutating func advance() {
        while let action = security.poll() {
            if case .send(let bytes) = action { output += bytes }
        }
        while let message = noise.poll() { output += message }
    }

    /// One Noise frame.
    mutating func send(_ plaintext: [UInt8]) {
        var frame = plaintext + [UInt8](repeating: 0, count: 16)
        try? frame.withUnsafeMutableBytes { try channel?.sending.seal($0, count: plaintext.count) }
        output += [UInt8(frame.count >> 8), UInt8(frame.count & 255)] + frame
    }

    mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    static func line(_ text: String) -> [UInt8] { [UInt8(text.utf8.count + 1)] + Array(text.utf8) + [10] }
}
