@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// An attacker with hands of its own: it does the handshake, and then seals whatever yamux frames it likes.
final class SiegePeer {
    unowned let siege: Siege
    let connection: ConnectionID
    let identity: KeyPair
    /// Takes what the victim sends. One that does not read holds the victim's output back.
    var reads = true
    /// Streams of the victim that were seen to be pings.
    var pingStreams: Set<UInt32> = []
    /// Decrypted and not yet parsed.
    private(set) var plaintext: [UInt8] = []
    /// What the victim sent since the last look, headers with their bodies.
    var frames: [(header: YamuxHeader, body: [UInt8])] = []

    let dials: Bool
    private var noise: NoiseHandshake
    private var sending: NoiseCipher?
    private var receiving: NoiseCipher?
    private var inbox: [UInt8] = []
    private var linesToSkip: Int
    private var nextID: UInt32

    var peer: PeerID { identity.peerID }
    var isEstablished: Bool { sending != nil }
    var isCutOff: Bool { siege.swarm.connections[connection] == nil }

    /// Dials the victim, from an address of its own unless told otherwise. nil: refused at the door.
    convenience init?(dialling siege: Siege, from ip: [UInt8]? = nil, identity: KeyPair? = nil) {
        let ip = ip ?? [172, 16] + siege.random.bytes(2)
        guard let connection = siege.accept(from: ip) else { return nil }
        self.init(siege, connection, identity, dials: true)
        send(line("/multistream/1.0.0") + line("/noise") + (noise.poll() ?? []))
        pump()
    }

    /// Answers the first connection that the victim asked for.
    convenience init?(answering siege: Siege, identity: KeyPair? = nil) {
        guard !siege.connects.isEmpty else { return nil }
        let (connection, _) = siege.connects.removeFirst()
        siege.swarm.connected(connection, local: siege.address, now: siege.now)
        siege.settle()
        self.init(siege, connection, identity, dials: false)
        send(line("/multistream/1.0.0") + line("/noise"))
        pump()
    }

    private init(_ siege: Siege, _ connection: ConnectionID, _ identity: KeyPair?, dials: Bool) {
        self.siege = siege
        self.connection = connection
        self.identity = identity ?? KeyPair(random: &siege.random)
        self.dials = dials
        noise = NoiseHandshake(
            role: dials ? .initiator : .responder, identity: self.identity, muxers: ["/yamux/1.0.0"], expectedPeer: nil, random: &siege.random)
        linesToSkip = 2
        nextID = dials ? 1 : 2
        siege.join(self)
    }

    /// Handshake: until nothing moves.
    private func pump() {
        for _ in 0..<4 { read() }
    }

    // MARK: Bytes

    func send(_ bytes: [UInt8]) { siege.feed(connection, bytes) }

    /// Seals plaintext as Noise frames of at most `frame` bytes.
    func seal(_ plaintext: [UInt8], frame: Int = NoiseFrame.maximumPlaintext) {
        var wire: [UInt8] = []
        for start in stride(from: 0, to: plaintext.count, by: frame) {
            let piece = plaintext[start..<min(plaintext.count, start + frame)]
            var sealed = Array(piece) + [UInt8](repeating: 0, count: NoiseFrame.tag)
            sealed.withUnsafeMutableBytes { buffer in try? sending?.seal(buffer, count: piece.count) }
            wire.appendBigEndian(UInt16(sealed.count))
            wire += sealed
        }
        send(wire)
    }

    /// Takes what the victim has sent.
    func read(limit: Int = .max) {
        inbox += siege.take(connection, limit: limit)
        while linesToSkip > 0, let length = inbox.first, inbox.count > Int(length) {
            inbox.removeFirst(Int(length) + 1)
            linesToSkip -= 1
        }
        guard linesToSkip == 0 else { return }
        while inbox.count >= 2, inbox.count >= 2 + Int(inbox[0]) << 8 + Int(inbox[1]) {
            let length = Int(inbox[0]) << 8 + Int(inbox[1])
            var message = Array(inbox[2..<2 + length])
            inbox.removeFirst(2 + length)
            take(&message)
        }
        parse()
    }

    private func take(_ message: inout [UInt8]) {
        if receiving != nil {
            let count = message.withUnsafeMutableBytes { (try? receiving?.open($0)) ?? 0 }
            plaintext += message[..<count]
            return
        }
        try? message.withUnsafeBytes { try noise.receive($0) }
        if let answer = noise.poll() { send(answer) }
        if let session = noise.finish() { (sending, receiving) = (session.sending, session.receiving) }
    }

    private func parse() {
        while plaintext.count >= YamuxHeader.byteCount {
            guard let header = try? plaintext.withUnsafeBytes({ try YamuxHeader(decoding: $0) }) else { return }
            let size = YamuxHeader.byteCount + (header.type == .data ? Int(header.length) : 0)
            guard plaintext.count >= size else { return }
            frames.append((header, Array(plaintext[YamuxHeader.byteCount..<size])))
            plaintext.removeFirst(size)
        }
    }

    // MARK: Yamux

    static func encode(_ header: YamuxHeader, _ body: [UInt8] = []) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: YamuxHeader.byteCount)
        bytes.withUnsafeMutableBytes { header.encode(into: $0) }
        return bytes + body
    }

    static func data(_ stream: UInt32, _ body: [UInt8], _ flags: YamuxHeader.Flags = []) -> [UInt8] {
        encode(YamuxHeader(.data, flags, stream: stream, length: UInt32(body.count)), body)
    }

    /// The frames of a stream that is opened, negotiated without waiting, and given bytes.
    func opening(_ protocolID: String, _ payload: [UInt8] = [], ends: Bool = false) -> [UInt8] {
        Self.data(newStream(), line("/multistream/1.0.0") + line(protocolID) + payload, ends ? [.syn, .fin] : .syn)
    }

    /// Opens a stream and returns its id.
    @discardableResult
    func open(_ protocolID: String, _ payload: [UInt8] = [], ends: Bool = false) -> UInt32 {
        let id = nextID
        seal(opening(protocolID, payload, ends: ends))
        return id
    }

    func newStream() -> UInt32 {
        defer { nextID += 2 }
        return nextID
    }

    func line(_ text: String) -> [UInt8] { Varint.encoded(UInt64(text.utf8.count + 1)) + Array(text.utf8) + [10] }

    /// Streams that the victim reset since the frames were last cleared.
    var resets: [UInt32] { frames.filter { $0.header.flags.contains(.rst) }.map(\.header.streamID) }

    /// All data of one stream.
    func bytes(_ stream: UInt32) -> [UInt8] { frames.filter { $0.header.streamID == stream }.flatMap(\.body) }
}
