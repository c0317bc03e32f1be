/// One message of `/meshnet/retained/1.0.0` (docs/protocols/retained.md).
package struct RetainedMessage: Sendable, Equatable {
    /// Names a value.
    package struct Name: Sendable, Hashable {
        package var topic: String
        package var hash: [UInt8]

        package init(topic: String, hash: [UInt8]) {
            self.topic = topic
            self.hash = hash
        }
    }

    package struct Part: Sendable, Equatable {
        package var name: Name
        package var offset: Int
        package var bytes: [UInt8]

        package init(name: Name, offset: Int, bytes: [UInt8]) {
            self.name = name
            self.offset = offset
            self.bytes = bytes
        }
    }

    package static let protocolID = "/meshnet/retained/1.0.0"

    /// Bytes of a message that is accepted, without its length prefix.
    package static let maximumAcceptedByteCount = 131_072
    /// Headers, names asked for, and names told to be gone, of one message.
    package static let maximumEntries = 64
    /// Bytes of headers that are sent in one message.
    static let maximumSentHeaderBytes = 65_536
    /// Bytes of a value that are sent in one message: small beside a stream's window, so that announcements overtake values.
    package static let partByteCount = 32_768

    /// What the sender holds.
    package var have: [RetainedHeader] = []
    /// What it asks for.
    package var want: [Name] = []
    /// What it was asked for and does not hold.
    package var gone: [Name] = []
    package var part: Part?
    /// The values of `have` were published this moment, and gossip brings them.
    package var isFresh = false

    package init() {}

    var isEmpty: Bool { have.isEmpty && want.isEmpty && gone.isEmpty && part == nil }

    /// A message without its length prefix. Unknown fields are skipped.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: have.append(try RetainedHeader(decoding: try field.bytes()))
            case 2: want.append(try Name(decoding: try field.bytes()))
            case 3: gone.append(try Name(decoding: try field.bytes()))
            case 4: part = try Part(decoding: try field.bytes())
            case 5: isFresh = try field.boolean()
            default: break
            }
            let count = have.count + want.count + gone.count
            guard count <= Self.maximumEntries else { throw .tooLarge(announced: UInt64(count), limit: Self.maximumEntries) }
        }
    }

    package var encoded: [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: (part?.bytes.count ?? 0) + 256)
        for header in have { writer.message(1) { header.write(to: &$0) } }
        for name in want { writer.message(2) { name.write(to: &$0) } }
        for name in gone { writer.message(3) { name.write(to: &$0) } }
        if let part { writer.message(4) { part.write(to: &$0) } }
        if isFresh { writer.boolean(5, true) }
        return writer.bytes
    }

    /// As it goes on the stream, with its length in front.
    package var frame: [UInt8] {
        let message = encoded
        return Varint.encoded(UInt64(message.count)) + message
    }
}

extension RetainedMessage.Name {
    fileprivate init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var topic = "", hash: [UInt8] = []
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: topic = try field.text()
            case 2: hash = [UInt8](try field.bytes())
            default: break
            }
        }
        guard hash.count == RetainedHeader.hashByteCount else { throw .missingField(2) }
        self.init(topic: topic, hash: hash)
    }

    fileprivate func write(to writer: inout ProtobufWriter) {
        writer.text(1, topic)
        writer.bytes(2, hash)
    }
}

extension RetainedMessage.Part {
    fileprivate init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var name: RetainedMessage.Name?, offset: UInt64 = 0, data: [UInt8] = []
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: name = try RetainedMessage.Name(decoding: try field.bytes())
            case 2: offset = try field.integer()
            case 3: data = [UInt8](try field.bytes())
            default: break
            }
        }
        guard let name else { throw .missingField(1) }
        guard let offset = Int(exactly: offset) else { throw .tooLarge(announced: offset, limit: .max) }
        self.init(name: name, offset: offset, bytes: data)
    }

    fileprivate func write(to writer: inout ProtobufWriter) {
        writer.message(1) { name.write(to: &$0) }
        if offset != 0 { writer.integer(2, UInt64(offset)) }
        writer.bytes(3, bytes)
    }
}
