/// Collects the messages of one identify stream, however its bytes are cut, until the peer closes it.
///
/// Holds at most one message of `IdentifyMessage.maximumAcceptedByteCount` and what the merged messages say.
package struct IdentifyReader: Sendable {
    private var frames = LengthPrefixedFrames(limit: IdentifyMessage.maximumAcceptedByteCount)
    private var message = IdentifyMessage()
    private var counts = IdentifyMessage.Counts()
    private var messages = 0

    package init() {}

    /// Takes bytes of the stream. After an error the exchange is over.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(IdentifyError) {
        var rest = bytes
        while let frame = try nextFrame(&rest) {
            messages += 1
            guard messages <= IdentifyMessage.maximumMessages else { throw .tooManyMessages(limit: IdentifyMessage.maximumMessages) }
            try frame.withView { view throws(IdentifyError) in try message.merge(view, counting: &counts) }
        }
    }

    /// Call it at the end of the stream: what all messages say together.
    package func finish() throws(IdentifyError) -> IdentifyMessage {
        guard messages > 0, frames.isBetweenFrames else { throw .endedEarly }
        return message
    }

    private mutating func nextFrame(_ bytes: inout UnsafeRawBufferPointer) throws(IdentifyError) -> [UInt8]? {
        do { return try frames.next(&bytes) } catch { throw .wire(error) }
    }
}
