package enum MultistreamAction: Equatable, Sendable {
    case send([UInt8])
    /// The protocol that speaks from here on. A lazy dialer gets it at once and may write; `receive` has still to read the confirmation.
    case agreed(String)
    /// Dialer only: the listener has none of the protocols. After a lazy agreement too.
    case refused
}

/// One side of multistream-select 1.0.0, for connections and for streams alike.
///
/// Drain `poll` after `init` and after every `receive`. Hand all incoming bytes to `receive` first, until `isFinished`;
/// what it does not take belongs to the protocol.
package struct MultistreamNegotiation: Sendable {
    /// Bytes of a protocol id: a line of 1,024 without its newline.
    package static let maximumProtocolByteCount = MultistreamLineReader.maximumByteCount - 1
    /// Proposals that a listener refuses before it gives up. rust: 1,000.
    package static let maximumProposalCount = 1_000

    private static let evidenceByteCount = 64

    private enum State {
        case dialerHeader(proposal: Int)
        case dialerAnswer(proposal: Int)
        case listenerHeader
        case listenerProposal(refused: Int)
        case finished
        case failed(MultistreamError)
    }

    private let protocols: [String]
    private let isLazy: Bool
    private var state: State
    private var lines = MultistreamLineReader()
    private var output: [UInt8] = []
    private var outcome: MultistreamAction?

    /// Proposes the protocols in this order. Precondition: there is at least one, and each is valid (`isValid`).
    ///
    /// - Parameter lazy: with one protocol, agree at once and verify the confirmation when it comes (saves a round trip);
    ///   without effect on several.
    package init(dialerFor protocols: [String], lazy: Bool) {
        precondition(!protocols.isEmpty, "a dialer proposes something")
        self.protocols = protocols
        isLazy = lazy && protocols.count == 1
        state = .dialerHeader(proposal: 0)
        MultistreamLine.append(MultistreamLine.header, to: &output)
        MultistreamLine.append(protocols[0], to: &output)
        if isLazy { outcome = .agreed(protocols[0]) }
    }

    /// Agrees to the first proposal that is among the protocols, byte for byte.
    package init(listenerFor protocols: [String]) {
        self.protocols = protocols
        isLazy = false
        state = .listenerHeader
        MultistreamLine.append(MultistreamLine.header, to: &output)
    }

    /// Whether a text can be a protocol id: not empty, at most 1,023 bytes, no newline.
    package static func isValid(_ protocolID: String) -> Bool {
        let bytes = protocolID.utf8
        return !bytes.isEmpty && bytes.count <= maximumProtocolByteCount && !bytes.contains(UInt8(ascii: "\n"))
    }

    /// Nothing more is to be read: agreed and confirmed, or refused.
    package var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Takes the negotiation's share of the bytes and returns its size; 0 once finished.
    ///
    /// After an error every call throws it again, while `poll` still gives the answers to the lines before the bad one.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(MultistreamError) -> Int {
        if case .failed(let error) = state { throw error }
        var reader = ByteReader(bytes)
        do throws(MultistreamError) {
            while !isFinished, try lines.take(from: &reader) { try handleLine() }
        } catch {
            state = .failed(error)
            throw error
        }
        return reader.offset
    }

    /// The peer ended its side of the stream. No error when nothing was awaited any more.
    package mutating func receiveEnd() throws(MultistreamError) {
        switch state {
        case .finished: return
        case .failed(let error): throw error
        default:
            state = .failed(.endOfStream)
            throw .endOfStream
        }
    }

    /// What to do next; nil when there is nothing. Lines are grouped into as few sends as the calls allow.
    package mutating func poll() -> MultistreamAction? {
        if !output.isEmpty {
            defer { output = [] }
            return .send(output)
        }
        defer { outcome = nil }
        return outcome
    }

    private mutating func handleLine() throws(MultistreamError) {
        switch state {
        case .dialerHeader(let proposal):
            try expectHeader()
            state = .dialerAnswer(proposal: proposal)
        case .dialerAnswer(let proposal): try handleAnswer(to: proposal)
        case .listenerHeader:
            try expectHeader()
            state = .listenerProposal(refused: 0)
        case .listenerProposal(let refused): try handleProposal(refused: refused)
        case .finished, .failed: break
        }
    }

    private func expectHeader() throws(MultistreamError) {
        guard matches(MultistreamLine.header) else { throw .unexpectedHeader(evidence) }
    }

    private mutating func handleAnswer(to proposal: Int) throws(MultistreamError) {
        if matches(protocols[proposal]) {
            state = .finished
            if !isLazy { outcome = .agreed(protocols[proposal]) }
        } else if matches(MultistreamLine.refusal) {
            propose(proposal + 1)
        } else {
            throw .unexpectedAnswer(proposed: protocols[proposal], got: evidence)
        }
    }

    private mutating func propose(_ proposal: Int) {
        guard proposal < protocols.count else {
            state = .finished
            outcome = .refused
            return
        }
        state = .dialerAnswer(proposal: proposal)
        MultistreamLine.append(protocols[proposal], to: &output)
    }

    /// `ls` is refused like anything unknown: listing is optional, and go answers so too.
    private mutating func handleProposal(refused: Int) throws(MultistreamError) {
        if let agreed = protocols.first(where: matches) {
            state = .finished
            outcome = .agreed(agreed)
            MultistreamLine.append(agreed, to: &output)
        } else {
            guard refused < Self.maximumProposalCount else { throw .tooManyProposals(limit: Self.maximumProposalCount) }
            state = .listenerProposal(refused: refused + 1)
            MultistreamLine.append(MultistreamLine.refusal, to: &output)
        }
    }

    private func matches(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { text in lines.line.withUnsafeBytes { $0.isEqual(to: UnsafeRawBufferPointer(text)) } }
    }

    private var evidence: [UInt8] { Array(lines.line.prefix(Self.evidenceByteCount)) }
}
