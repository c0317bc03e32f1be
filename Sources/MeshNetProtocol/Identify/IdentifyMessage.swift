/// Why an identify exchange is not accepted.
public enum IdentifyError: Error, Equatable, Sendable {
    /// The stream ended before a message was complete, or without any.
    case endedEarly
    case wire(WireError)
    case tooManyMessages(limit: Int)
    case tooManyProtocols(limit: Int)
    case tooManyAddresses(limit: Int)
    case publicKey(PublicKeyError)
}

/// What a peer says about itself, or about a change (libp2p specs, identify). All fields are optional on the wire.
package struct IdentifyMessage: Sendable, Equatable {
    package var protocolVersion: String?
    package var agentVersion: String?
    package var publicKey: PublicKey?
    /// Where the peer listens; unsigned, so only a hint.
    package var listenAddresses: [Multiaddr] = []
    /// The receiver's address as the sender sees it.
    package var observedAddress: Multiaddr?
    package var protocols: [String] = []
    /// The bytes of a sealed `PeerRecord`, not looked at here: see `peerRecord(from:)`.
    package var signedPeerRecord: [UInt8]?

    package static let identifyProtocol = "/ipfs/id/1.0.0"
    package static let pushProtocol = "/ipfs/id/push/1.0.0"

    /// Bytes of a message that is accepted. go: 8 KiB.
    package static let maximumAcceptedByteCount = 8_192
    /// Bytes of a message that is sent. rust accepts no more than 4 KiB.
    package static let maximumSentByteCount = 4_096
    /// A larger message with a signed record is sent in two, for readers that stop at 2 KiB (go's limit for the unsigned part).
    package static let splitByteCount = 2_048
    /// Messages of one exchange, merged. go: 10.
    package static let maximumMessages = 10
    /// Protocols in all messages of one exchange. go: 1,024.
    package static let maximumProtocols = 1_024
    /// Addresses in all messages of one exchange. go: 500.
    package static let maximumAddresses = 500

    package init() {}

    /// One message without its length prefix.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(IdentifyError) {
        var counts = Counts()
        try merge(bytes, counting: &counts)
    }

    /// The signed record, when there is one, verified and checked to be of and about this peer.
    package func peerRecord(from peer: PeerID, proven: ProvenSignatures? = nil) throws(PeerRecordError) -> PeerRecord? {
        guard let signedPeerRecord else { return nil }
        return try PeerRecord(envelope: signedPeerRecord, from: peer, proven: proven)
    }
}

extension IdentifyMessage {
    /// What the messages of one exchange contained so far. Addresses of unknown protocols count too: a limit is a limit on work.
    struct Counts: Sendable {
        var protocols = 0, addresses = 0

        func check() throws(IdentifyError) {
            guard addresses <= maximumAddresses else { throw .tooManyAddresses(limit: maximumAddresses) }
            guard protocols <= maximumProtocols else { throw .tooManyProtocols(limit: maximumProtocols) }
        }

        fileprivate var areWithinLimits: Bool { addresses <= maximumAddresses && protocols <= maximumProtocols }
    }

    /// Takes over what another message of the same exchange says: lists grow, other fields are replaced.
    mutating func merge(_ bytes: UnsafeRawBufferPointer, counting counts: inout Counts) throws(IdentifyError) {
        var key: UnsafeRawBufferPointer?
        do {
            var reader = ProtobufReader(bytes)
            while counts.areWithinLimits, let field = try reader.next() {
                if field.number == 1 { key = try field.bytes() } else { try take(field, counting: &counts) }
            }
        } catch {
            throw .wire(error)
        }
        try counts.check()
        guard let key else { return }
        do { publicKey = try PublicKey(protobuf: key) } catch { throw .publicKey(error) }
    }

    private mutating func take(_ field: ProtobufReader.Field, counting counts: inout Counts) throws(WireError) {
        switch field.number {
        case 2:
            counts.addresses += 1
            let bytes = try field.bytes()
            if let address = try? Multiaddr(bytes: bytes) { listenAddresses.append(address) }
        case 3:
            counts.protocols += 1
            protocols.append(try field.text())
        case 4:
            let bytes = try field.bytes()
            observedAddress = try? Multiaddr(bytes: bytes)
        case 5: protocolVersion = try field.text()
        case 6: agentVersion = try field.text()
        case 8: signedPeerRecord = [UInt8](try field.bytes())
        default: break
        }
    }
}

extension IdentifyMessage {
    /// The message as it goes on the stream: one frame with its length in front, or two when the signed record makes it long.
    ///
    /// What does not fit into `maximumSentByteCount` is left out: the last addresses, then the last protocols; a longer record as a whole.
    package var frames: [UInt8] {
        let whole = encoded
        if whole.count <= Self.splitByteCount { return Self.frame(whole) }
        var unsigned = self, record = IdentifyMessage()
        unsigned.signedPeerRecord = nil
        record.signedPeerRecord = signedPeerRecord
        let frame = Self.frame(unsigned.fitting()), recordBytes = record.encoded
        guard signedPeerRecord != nil, recordBytes.count <= Self.maximumSentByteCount else { return frame }
        return frame + Self.frame(recordBytes)
    }

    /// The message without a length prefix, however long.
    var encoded: [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: 1_024)
        if let publicKey { writer.bytes(1, publicKey.protobuf) }
        for address in listenAddresses { writer.bytes(2, address.bytes) }
        for name in protocols { writer.text(3, name) }
        if let observedAddress { writer.bytes(4, observedAddress.bytes) }
        if let protocolVersion { writer.text(5, protocolVersion) }
        if let agentVersion { writer.text(6, agentVersion) }
        if let signedPeerRecord { writer.bytes(8, signedPeerRecord) }
        return writer.bytes
    }

    /// Key, versions and observed address alone always fit: ours are short.
    private func fitting() -> [UInt8] {
        var message = self, bytes = message.encoded
        while bytes.count > Self.maximumSentByteCount {
            if message.listenAddresses.popLast() == nil, message.protocols.popLast() == nil { break }
            bytes = message.encoded
        }
        return bytes
    }

    private static func frame(_ bytes: [UInt8]) -> [UInt8] { Varint.encoded(UInt64(bytes.count)) + bytes }
}
