/// What names a topic's last value and proves its author, without the bytes of the value (docs/protocols/retained.md).
///
/// Of two values of a topic the one with the larger sequence number is the last, at every holder; then the author's id and the hash decide.
package struct RetainedHeader: Sendable, Equatable {
    package static let hashByteCount = 32
    /// Numbers of the author's earlier values that a header names.
    package static let maximumOlder = 8
    /// Bytes of a header: the longest topic with the largest RSA key and signature fit.
    package static let maximumByteCount = 4_096
    private static let prefix = Array("meshnet-retained:".utf8)

    package var topic: String
    /// nil under StrictNoSign.
    package var author: PeerID?
    /// Of the author's pubsub message; of StrictNoSign values the number that it would have had.
    package var sequence: UInt64
    /// SHA-256 of the value.
    package var hash: [UInt8]
    package var size: Int
    /// What the author kept in this topic before, newest last: whoever gets this value needs none of them.
    package var older: [UInt64] = []
    /// Over the canonical form of all of the above, behind `prefix`: a plain message of the author cannot be passed off as a kept one.
    package var signature: [UInt8] = []
    /// Empty where the author's id contains the key.
    package var key: [UInt8] = []

    init(topic: String, author: PeerID?, sequence: UInt64, data: [UInt8], older: [UInt64]) {
        self.topic = topic
        self.author = author
        self.sequence = sequence
        self.older = older
        hash = SHA256.digest(data)
        size = data.count
    }

    /// Bounds are checked, the signature is not.
    init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count <= Self.maximumByteCount else { throw .tooLarge(announced: UInt64(bytes.count), limit: Self.maximumByteCount) }
        var topic = "", size: UInt64 = 0
        sequence = 0
        hash = []
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: topic = try field.text()
            case 2:
                guard let author = try? PeerID(multihash: try field.bytes()) else { throw .invalidText(field: 2) }
                self.author = author
            case 3: sequence = try field.integer()
            case 4: hash = [UInt8](try field.bytes())
            case 5: size = try field.integer()
            case 6: older = try Self.numbers(try field.bytes())
            case 7: signature = [UInt8](try field.bytes())
            case 8: key = [UInt8](try field.bytes())
            default: break
            }
        }
        guard !topic.isEmpty else { throw .missingField(1) }
        guard hash.count == Self.hashByteCount else { throw .missingField(4) }
        guard let size = Int(exactly: size) else { throw .tooLarge(announced: size, limit: .max) }
        self.topic = topic
        self.size = size
    }

    private static func numbers(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> [UInt64] {
        guard bytes.count <= 8 * maximumOlder else { throw .tooLarge(announced: UInt64(bytes.count), limit: 8 * maximumOlder) }
        var reader = ByteReader(bytes), numbers: [UInt64] = []
        while !reader.isAtEnd { numbers.append(try reader.readBigEndian(UInt64.self)) }
        return numbers
    }

    func isNewer(than other: RetainedHeader) -> Bool {
        if sequence != other.sequence { return sequence > other.sequence }
        let mine = author?.multihash ?? [], others = other.author?.multihash ?? []
        if mine != others { return others.lexicographicallyPrecedes(mine) }
        return other.hash.lexicographicallyPrecedes(hash)
    }

    func isSameValue(as other: RetainedHeader) -> Bool { sequence == other.sequence && hash == other.hash && author == other.author }

    /// The id of the author's pubsub message with this number.
    package func messageID(sequence: UInt64) -> [UInt8] {
        var id = author?.multihash ?? []
        id.appendBigEndian(sequence)
        return id
    }

    // MARK: - Signing

    mutating func sign(with identity: KeyPair) { signature = identity.sign(signedBytes) }

    /// Whether the fields are those that the policy asks for, and the signature holds.
    func isGenuine(_ policy: GossipsubSignaturePolicy) -> Bool {
        guard policy == .strictSign else { return author == nil && signature.isEmpty && key.isEmpty }
        guard let author, !signature.isEmpty else { return false }
        guard let key = key.isEmpty ? author.publicKey : try? PublicKey(protobuf: key), key.peerID == author else { return false }
        return key.verify(signature: signature, of: signedBytes)
    }

    private var signedBytes: [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: 256)
        writeSigned(to: &writer)
        return Self.prefix + writer.bytes
    }

    private func writeSigned(to writer: inout ProtobufWriter) {
        writer.text(1, topic)
        if let author { writer.bytes(2, author.multihash) }
        writer.integer(3, sequence)
        writer.bytes(4, hash)
        writer.integer(5, UInt64(size))
        if older.isEmpty { return }
        var numbers: [UInt8] = []
        for number in older { numbers.appendBigEndian(number) }
        writer.bytes(6, numbers)
    }

    func write(to writer: inout ProtobufWriter) {
        writeSigned(to: &writer)
        if !signature.isEmpty { writer.bytes(7, signature) }
        if !key.isEmpty { writer.bytes(8, key) }
    }
}
