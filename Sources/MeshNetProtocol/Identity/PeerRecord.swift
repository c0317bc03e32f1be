/// Why a signed peer record is not accepted.
public enum PeerRecordError: Error, Equatable, Sendable {
    case envelope(EnvelopeError)
    case wire(WireError)
    case peerID(PeerIDError)
    /// Signed by one peer, about another (RUSTSEC-2022-0009).
    case notAboutSigner(signer: PeerID, subject: PeerID)
    /// Signed by, and about, another peer than the one asked for (CVE-2023-40583).
    case wrongPeer(expected: PeerID, actual: PeerID)
    case tooManyAddresses(limit: Int)
}

/// Where a peer says it listens (libp2p specs, RFC 0003).
///
/// Sealed as go, js, py and nim do: domain `libp2p-peer-record`, payload type 0x03 0x01. The written rules and rust's default differ.
package struct PeerRecord: Sendable, Equatable {
    package let peer: PeerID
    /// Newer records of a peer have larger numbers; any value is possible, so only compare.
    package let sequence: UInt64
    package let addresses: [Multiaddr]

    /// Addresses of one record at most; go's bound for identify.
    package static let maximumAddresses = 500
    package static let domain = "libp2p-peer-record"
    package static let payloadType: [UInt8] = [0x03, 0x01]

    package init(peer: PeerID, sequence: UInt64, addresses: [Multiaddr]) {
        self.peer = peer
        self.sequence = sequence
        self.addresses = addresses
    }

    /// Reads a sealed record: good signature, and about the peer that signed it.
    package init(envelope bytes: [UInt8], proven: ProvenSignatures? = nil) throws(PeerRecordError) {
        let envelope: SignedEnvelope
        do {
            envelope = try SignedEnvelope(decoding: bytes, domain: Self.domain, payloadType: Self.payloadType, proven: proven)
        } catch {
            throw .envelope(error)
        }
        try self.init(payload: envelope.payload)
        let signer = envelope.publicKey.peerID
        guard signer == peer else { throw .notAboutSigner(signer: signer, subject: peer) }
    }

    /// Reads a sealed record that a peer sent about itself.
    package init(envelope bytes: [UInt8], from sender: PeerID, proven: ProvenSignatures? = nil) throws(PeerRecordError) {
        try self.init(envelope: bytes, proven: proven)
        guard peer == sender else { throw .wrongPeer(expected: sender, actual: peer) }
    }

    /// Reads the bare record. Addresses that do not parse are left out, as go does: other peers know protocols that we do not.
    package init(payload: [UInt8]) throws(PeerRecordError) {
        var id: [UInt8]?, sequence: UInt64 = 0, addresses: [Multiaddr] = [], count = 0
        do {
            try payload.withView { view throws(WireError) in
                var reader = ProtobufReader(view)
                while let field = try reader.next() {
                    switch field.number {
                    case 1: id = [UInt8](try field.bytes())
                    case 2: sequence = try field.integer()
                    case 3:
                        count += 1
                        guard count <= Self.maximumAddresses else { return }
                        if let address = try Self.address(in: try field.bytes()) { addresses.append(address) }
                    default: break
                    }
                }
            }
        } catch {
            throw .wire(error)
        }
        guard count <= Self.maximumAddresses else { throw .tooManyAddresses(limit: Self.maximumAddresses) }
        guard let id else { throw .wire(.missingField(1)) }
        do { peer = try PeerID(multihash: id) } catch { throw .peerID(error) }
        self.sequence = sequence
        self.addresses = addresses
    }

    /// The bare record. At most `maximumAddresses` are written.
    package var payload: [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: 64 + addresses.count * 16)
        writer.bytes(1, peer.multihash)
        if sequence != 0 { writer.integer(2, sequence) }
        for address in addresses.prefix(Self.maximumAddresses) {
            writer.message(3) { $0.bytes(1, address.bytes) }
        }
        return writer.bytes
    }

    /// The record of a node itself, sealed and encoded.
    package static func sealed(by identity: KeyPair, sequence: UInt64, addresses: [Multiaddr]) -> [UInt8] {
        let record = PeerRecord(peer: identity.peerID, sequence: sequence, addresses: addresses)
        return SignedEnvelope.seal(record.payload, domain: domain, payloadType: payloadType, with: identity).encoded
    }

    private static func address(in info: UnsafeRawBufferPointer) throws(WireError) -> Multiaddr? {
        var reader = ProtobufReader(info), address: Multiaddr?
        while let field = try reader.next() {
            guard field.number == 1 else { continue }
            let bytes = try field.bytes()
            address = try? Multiaddr(bytes: bytes)
        }
        return address
    }
}
