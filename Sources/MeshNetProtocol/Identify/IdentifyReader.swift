/// Collects the messages of one identify stream, however its bytes are cut, until the peer closes it.
///
/// Holds at most one message of `IdentifyMessage.maximumAcceptedByteCount` and what the merged messages say.
package struct IdentifyReader: Sendable {
    private var message = IdentifyMessage()
    private var counts = IdentifyMessage.Counts()
    private var messages = 0
    private var header: [UInt8] = []
    private var body: [UInt8] = []
    private var bodyLength: Int?

    package init() {}

    /// Takes bytes of the stream. After an error the exchange is over.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(IdentifyError) {
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            do {
                if let bodyLength {
                    body.append(contentsOf: try reader.readView(min(bodyLength - body.count, reader.remaining)))
                } else {
                    header.append(try reader.readByte())
                    bodyLength = try Self.length(in: header)
                }
            } catch {
                throw .wire(error)
            }
            if body.count == bodyLength { try endMessage() }
        }
    }

    /// Call it at the end of the stream: what all messages say together.
    package func finish() throws(IdentifyError) -> IdentifyMessage {
        guard messages > 0, header.isEmpty else { throw .endedEarly }
        return message
    }

    private mutating func endMessage() throws(IdentifyError) {
        messages += 1
        guard messages <= IdentifyMessage.maximumMessages else { throw .tooManyMessages(limit: IdentifyMessage.maximumMessages) }
        let complete = body
        try complete.withView { view throws(IdentifyError) in try message.merge(view, counting: &counts) }
        header.removeAll()
        body.removeAll()
        bodyLength = nil
    }

    /// nil while the varint goes on.
    private static func length(in header: [UInt8]) throws(WireError) -> Int? {
        if let last = header.last, last & 0x80 != 0, header.count < Varint.maximumByteCount { return nil }
        return try header.withView { view throws(WireError) in
            var reader = ByteReader(view)
            return try reader.readLength(limit: IdentifyMessage.maximumAcceptedByteCount)
        }
    }
}
