/// Why a message of the peer exchange is not accepted.
package enum PeerExchangeError: Error, Equatable, Sendable {
    case wire(WireError)
    case tooManyRecords(limit: Int)
    case recordTooLong(count: Int, limit: Int)
}

/// What one message of `/meshnet/peer-exchange/1.0.0` carries: signed peer records, each with its age (docs/protocols/peer-exchange.md).
package struct PeerExchangeMessage: Sendable, Equatable {
    package struct Record: Sendable, Equatable {
        /// The sealed `PeerRecord` as its peer signed it; not looked at here.
        package var envelope: [UInt8]
        /// Seconds since somebody was last connected to the peer.
        package var age: UInt64

        package init(envelope: [UInt8], age: UInt64) {
            self.envelope = envelope
            self.age = age
        }
    }

    package static let protocolID = "/meshnet/peer-exchange/1.0.0"

    /// Records of a message. A node with all its 1,024 sends four messages.
    package static let maximumRecords = 256
    /// Bytes of a sealed record: one with an Ed25519 key and 64 addresses has 1.3 KiB, one with an RSA key of 4,096 bit and 20 addresses 1.6 KiB.
    package static let maximumRecordByteCount = 2_048
    /// Bytes of a message that is accepted.
    package static let maximumAcceptedByteCount = 262_144
    /// Bytes of a message that is sent: half the first window of a stream, so that it never waits for the reader alone.
    package static let maximumSentByteCount = 65_536
    /// What a record needs in a message beside its envelope, at most: two tags, two lengths, the age.
    static let recordOverhead = 24

    package var records: [Record] = []

    package init() {}

    /// A message without its length prefix. Unknown fields are skipped; a record without an envelope is malformed.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(PeerExchangeError) {
        var views: [UnsafeRawBufferPointer] = []
        do throws(WireError) {
            var reader = ProtobufReader(bytes)
            while views.count <= Self.maximumRecords, let field = try reader.next() {
                if field.number == 1 { views.append(try field.bytes()) }
            }
        } catch {
            throw .wire(error)
        }
        guard views.count <= Self.maximumRecords else { throw .tooManyRecords(limit: Self.maximumRecords) }
        records.reserveCapacity(views.count)
        for view in views { records.append(try Record(decoding: view)) }
    }

    /// The message without a length prefix.
    package var encoded: [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: records.reduce(0) { $0 + $1.envelope.count + Self.recordOverhead })
        for record in records {
            writer.message(1) { inner in
                inner.bytes(1, record.envelope)
                if record.age != 0 { inner.integer(2, record.age) }
            }
        }
        return writer.bytes
    }

    /// As it goes on the stream, with its length in front.
    package var frame: [UInt8] {
        let message = encoded
        return Varint.encoded(UInt64(message.count)) + message
    }
}

extension PeerExchangeMessage.Record {
    fileprivate init(decoding bytes: UnsafeRawBufferPointer) throws(PeerExchangeError) {
        var envelope: UnsafeRawBufferPointer?, age: UInt64 = 0
        do throws(WireError) {
            var reader = ProtobufReader(bytes)
            while let field = try reader.next() {
                switch field.number {
                case 1: envelope = try field.bytes()
                case 2: age = try field.integer()
                default: break
                }
            }
        } catch {
            throw .wire(error)
        }
        guard let envelope else { throw .wire(.missingField(1)) }
        let limit = PeerExchangeMessage.maximumRecordByteCount
        guard envelope.count <= limit else { throw .recordTooLong(count: envelope.count, limit: limit) }
        self.init(envelope: [UInt8](envelope), age: age)
    }
}
