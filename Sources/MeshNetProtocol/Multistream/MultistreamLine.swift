/// Why a negotiation failed. The stream (or the connection) is closed; a refusal is no error but `MultistreamAction.refused`.
public enum MultistreamError: Error, Equatable, Sendable {
    /// The first line is not `/multistream/1.0.0`. At most the first 64 bytes of it.
    case unexpectedHeader([UInt8])
    /// The answer is neither what was proposed nor `na`. At most the first 64 bytes of it.
    case unexpectedAnswer(proposed: String, got: [UInt8])
    /// A line announced as longer than is read.
    case lineTooLong(limit: Int)
    /// A length in more bytes than it needs.
    case lengthNotMinimal
    /// A line of length zero: not even its newline.
    case emptyLine
    /// A line that does not end in a newline.
    case missingNewline
    /// The peer went on proposing after this many refusals.
    case tooManyProposals(limit: Int)
    /// The peer ended the stream before there was an agreement.
    case endOfStream
}

/// Reads lines: an unsigned varint, then as many bytes, of which the last is a newline (multistream-select specification).
struct MultistreamLineReader {
    /// With the newline. go and js: 1,024; rust: 16,383.
    static let maximumByteCount = 1_024

    /// The bytes of the length, then of the line, that have come so far.
    private var length: Int?
    private var lengthByteCount = 0
    private var partialLength = 0
    private(set) var line: [UInt8] = []

    /// Takes bytes until a line is complete, which `line` holds then without its newline; false means that all bytes are used up.
    mutating func take(from reader: inout ByteReader) throws(MultistreamError) -> Bool {
        while length == nil {
            guard let byte = try? reader.readByte() else { return false }
            try takeLength(byte)
        }
        guard let length else { return false }
        let count = min(length - line.count, reader.remaining)
        if count > 0, let view = try? reader.readView(count) { line.append(contentsOf: view) }
        guard line.count == length else { return false }
        guard line.removeLast() == UInt8(ascii: "\n") else { throw .missingNewline }
        self.length = nil
        return true
    }

    /// Refuses as soon as the length is known to be too large: nothing is waited for or kept.
    private mutating func takeLength(_ byte: UInt8) throws(MultistreamError) {
        if lengthByteCount == 0 { line.removeAll(keepingCapacity: true) }
        partialLength |= Int(byte & 0x7f) << (7 * lengthByteCount)
        guard partialLength <= Self.maximumByteCount else { throw .lineTooLong(limit: Self.maximumByteCount) }
        lengthByteCount += 1
        guard byte & 0x80 == 0 else {
            if lengthByteCount == 2 { throw .lineTooLong(limit: Self.maximumByteCount) }
            return
        }
        if byte == 0 { throw lengthByteCount == 1 ? .emptyLine : .lengthNotMinimal }
        length = partialLength
        (lengthByteCount, partialLength) = (0, 0)
    }
}

enum MultistreamLine {
    static let header = "/multistream/1.0.0"
    static let refusal = "na"

    /// Precondition: the text fits a line.
    static func append(_ text: String, to output: inout [UInt8]) {
        precondition(text.utf8.count < MultistreamLineReader.maximumByteCount, "a multistream line has at most 1,024 bytes")
        Varint.append(UInt64(text.utf8.count + 1), to: &output)
        output.append(contentsOf: text.utf8)
        output.append(UInt8(ascii: "\n"))
    }
}
