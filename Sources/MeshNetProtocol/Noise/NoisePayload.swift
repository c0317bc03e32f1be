/// The identity payload of libp2p inside the second and third handshake message (libp2p specs, noise, "The libp2p Handshake Payload").
struct NoisePayload: Equatable {
    /// The public key in its protobuf form.
    var identityKey: [UInt8]
    /// Over `signedBytes(of:)` of the sender's Noise key.
    var identitySignature: [UInt8]
    /// `NoiseExtensions.stream_muxers`, in the sender's order of preference.
    var muxers: [String]

    /// Muxers read from a peer. The specification has no figure; nobody offers more than a few.
    static let maximumMuxerCount = 16
    /// Bytes of one muxer name, far below the 1,024 of a multistream line.
    static let maximumMuxerByteCount = 256

    private enum FieldNumber {
        static let identityKey: UInt64 = 1, identitySignature: UInt64 = 2, extensions: UInt64 = 4
        static let muxers: UInt64 = 2
    }

    init(identityKey: [UInt8], identitySignature: [UInt8], muxers: [String]) {
        self.identityKey = identityKey
        self.identitySignature = identitySignature
        self.muxers = muxers
    }

    static func signedBytes(of staticKey: [UInt8]) -> [UInt8] { Array("noise-libp2p-static-key:".utf8) + staticKey }

    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        writer.bytes(FieldNumber.identityKey, identityKey)
        writer.bytes(FieldNumber.identitySignature, identitySignature)
        if !muxers.isEmpty {
            writer.message(FieldNumber.extensions) { extensions in
                for muxer in muxers { extensions.text(FieldNumber.muxers, muxer) }
            }
        }
        return writer.bytes
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(NoiseError) {
        (identityKey, identitySignature, muxers) = ([], [], [])
        do throws(WireError) { try read(bytes) } catch { throw .invalidPayload(error) }
        if identityKey.isEmpty { throw .invalidPayload(.missingField(FieldNumber.identityKey)) }
        if identitySignature.isEmpty { throw .invalidPayload(.missingField(FieldNumber.identitySignature)) }
        if muxers.count > Self.maximumMuxerCount { throw .tooManyMuxers(limit: Self.maximumMuxerCount) }
        for muxer in muxers where muxer.utf8.count > Self.maximumMuxerByteCount {
            throw .muxerNameTooLong(count: muxer.utf8.count, limit: Self.maximumMuxerByteCount)
        }
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case FieldNumber.identityKey: identityKey = [UInt8](try field.bytes())
            case FieldNumber.identitySignature: identitySignature = [UInt8](try field.bytes())
            case FieldNumber.extensions: try readExtensions(try field.bytes())
            default: break
            }
        }
    }

    /// Reads one muxer more than is allowed and no further, so that the caller sees the excess and memory stays bounded.
    private mutating func readExtensions(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = ProtobufReader(bytes)
        while muxers.count <= Self.maximumMuxerCount, let field = try reader.next() {
            if field.number == FieldNumber.muxers { muxers.append(try field.text()) }
        }
    }
}
