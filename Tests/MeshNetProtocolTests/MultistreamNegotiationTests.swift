import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct MultistreamNegotiationTests {
    private static let header = [UInt8](hex: "132f6d756c746973747265616d2f312e302e300a")!
    private static let noise = [UInt8](hex: "072f6e6f6973650a")!
    private static let refusal = [UInt8](hex: "036e610a")!

    @Test func aDialerAndAListenerAgree() throws {
        var dialer = MultistreamNegotiation(dialerFor: ["/tls/1.0.0", "/noise"], lazy: true)
        var listener = MultistreamNegotiation(listenerFor: ["/noise", "/plaintext/2.0.0"])
        var agreed: [String] = []
        for _ in 0..<4 {
            while let action = dialer.poll() { try deliver(action, to: &listener, &agreed) }
            while let action = listener.poll() { try deliver(action, to: &dialer, &agreed) }
        }
        #expect(agreed == ["/noise", "/noise"] && dialer.isFinished && listener.isFinished)
    }

    private func deliver(_ action: MultistreamAction, to peer: inout MultistreamNegotiation, _ agreed: inout [String]) throws {
        switch action {
        case .send(let bytes): #expect(try peer.receive(bytes) == bytes.count)
        case .agreed(let name): agreed.append(name)
        case .refused: #expect(Bool(false), "nothing is refused here")
        }
    }

    @Test func aLazyDialerAgreesAtOnceAndVerifiesLater() throws {
        var dialer = MultistreamNegotiation(dialerFor: ["/noise"], lazy: true)
        #expect(dialer.poll() == .send(Self.header + Self.noise))
        #expect(dialer.poll() == .agreed("/noise"))
        #expect(dialer.poll() == nil && !dialer.isFinished)
        #expect(try dialer.receive(Self.header + Self.noise + [1, 2, 3]) == 28)
        #expect(dialer.isFinished && dialer.poll() == nil)
        #expect(try dialer.receive([1, 2, 3]) == 0)
        try dialer.receiveEnd()
    }

    @Test func aLazyDialerLearnsOfTheRefusal() throws {
        var dialer = MultistreamNegotiation(dialerFor: ["/noise"], lazy: true)
        while dialer.poll() != nil {}
        #expect(try dialer.receive(Self.header + Self.refusal) == 24)
        #expect(dialer.poll() == .refused && dialer.isFinished)
    }

    @Test func anEagerDialerWaitsForTheAnswer() throws {
        var dialer = MultistreamNegotiation(dialerFor: ["/noise"], lazy: false)
        #expect(dialer.poll() == .send(Self.header + Self.noise))
        #expect(dialer.poll() == nil)
        #expect(try dialer.receive(Self.header + Self.noise) == 28)
        #expect(dialer.poll() == .agreed("/noise"))
    }

    @Test func aListenerAnswersInOneSend() throws {
        var listener = MultistreamNegotiation(listenerFor: ["/noise"])
        #expect(try listener.receive(Self.header + Self.noise + [7]) == 28)
        #expect(listener.poll() == .send(Self.header + Self.noise))
        #expect(listener.poll() == .agreed("/noise"))
    }

    @Test func proposalsAreBounded() throws {
        var listener = MultistreamNegotiation(listenerFor: ["/noise"])
        _ = try listener.receive(Self.header)
        for _ in 0..<MultistreamNegotiation.maximumProposalCount { #expect(try listener.receive([3, 0x2f, 0x78, 0x0a]) == 4) }
        #expect(throws: MultistreamError.tooManyProposals(limit: 1_000)) { try listener.receive([3, 0x2f, 0x78, 0x0a]) }
        #expect(throws: MultistreamError.tooManyProposals(limit: 1_000)) { try listener.receive([]) }
    }

    @Test func longLinesAreRefusedByTheirLength() throws {
        var listener = MultistreamNegotiation(listenerFor: ["/noise"])
        #expect(throws: MultistreamError.lineTooLong(limit: 1_024)) { try listener.receive(Self.header + [0x81, 0x08]) }
    }

    @Test func theLongestProtocolIDIsAgreed() throws {
        let name = "/" + String(repeating: "a", count: MultistreamNegotiation.maximumProtocolByteCount - 1)
        #expect(MultistreamNegotiation.isValid(name) && !MultistreamNegotiation.isValid(name + "a"))
        #expect(!MultistreamNegotiation.isValid("") && !MultistreamNegotiation.isValid("/a\n"))
        var dialer = MultistreamNegotiation(dialerFor: [name], lazy: false), listener = MultistreamNegotiation(listenerFor: [name])
        guard case .send(let proposal) = dialer.poll() else { return #expect(Bool(false)) }
        #expect(try listener.receive(proposal) == proposal.count)
        _ = listener.poll()
        #expect(listener.poll() == .agreed(name))
    }

    @Test func errorsSayWhatCame() {
        var listener = MultistreamNegotiation(listenerFor: ["/noise"])
        #expect(throws: MultistreamError.unexpectedHeader(Array("/noise".utf8))) { try listener.receive(Self.noise) }
        var dialer = MultistreamNegotiation(dialerFor: ["/tls/1.0.0"], lazy: false)
        #expect(throws: MultistreamError.unexpectedAnswer(proposed: "/tls/1.0.0", got: Array("/noise".utf8))) {
            try dialer.receive(Self.header + Self.noise)
        }
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct MultistreamVectorTests {
    enum Cut: CaseIterable { case asListed, singleBytes, joined }

    @Test func lines() throws {
        for vector in try Vectors.cases("multistream.json", "lines") {
            var output: [UInt8] = []
            MultistreamLine.append(vector.text("text"), to: &output)
            #expect(output == vector.bytes("hex"), "\(vector.text("text"))")
        }
    }

    @Test(arguments: Cut.allCases) func transcripts(cut: Cut) throws {
        let vectors = try Vectors.cases("multistream.json", "transcripts")
        #expect(vectors.count == 19)
        for vector in vectors {
            let wants = vector["dialer_wants"] as? [String] ?? [], has = vector["listener_has"] as? [String] ?? []
            for lazy in [false, true] { try play(vector, "dialer", MultistreamNegotiation(dialerFor: wants, lazy: lazy), cut) }
            try play(vector, "listener", MultistreamNegotiation(listenerFor: has), cut)
        }
    }

    /// Plays one side against the bytes that the other sends, and compares all that this side sends.
    private func play(_ vector: [String: Any], _ role: String, _ machine: MultistreamNegotiation, _ cut: Cut) throws {
        let name = Comment(rawValue: "\(vector.text("name")) as \(role), \(cut)")
        let exchange = vector["exchange"] as? [[String: Any]] ?? []
        let incoming = exchange.filter { $0.text("from") != role }.map { $0.bytes("bytes") }
        let left = vector.bytes("left_for_\(role)_protocol")
        var run = Run(machine: machine)
        let error = run.feed(incoming, cut)
        switch vector.text("result") {
        case let result where result.hasPrefix("agreed "):
            #expect(error == nil && run.machine.isFinished && !run.refused, name)
            #expect(run.agreed == String(result.dropFirst("agreed ".count)) && run.left == left, name)
        case "failed: not supported":
            #expect(role == "dialer" ? run.refused && error == nil : run.agreed == nil && error == .missingNewline, name)
        default:
            #expect(role == "dialer" ? run.refused : run.agreed == nil && !run.machine.isFinished, name)
            #expect(error == nil, name)
        }
        // What a protocol would write behind its agreement is in the transcript, but not for this machine to send.
        let outgoing = exchange.filter { $0.text("from") == role }.flatMap { $0.bytes("bytes") }
        #expect(outgoing.starts(with: run.sent), name)
        let protocolBytes = vector.bytes(role == "dialer" ? "left_for_listener_protocol" : "left_for_dialer_protocol")
        let extra = vector.text("name") == "lazy-refused" && role == "dialer" ? 5 + 1 : protocolBytes.count
        #expect(run.sent.count == outgoing.count - min(extra, outgoing.count), name)
    }

    @Test func errors() throws {
        let vectors = try Vectors.cases("multistream.json", "errors")
        #expect(vectors.count == 29)
        for vector in vectors {
            for cut in Cut.allCases {
                let dialer = vector.text("our_role") == "dialer"
                var run = Run(machine: dialer
                    ? MultistreamNegotiation(dialerFor: ["/noise"], lazy: false) : MultistreamNegotiation(listenerFor: ["/noise"]))
                var error = run.feed([vector.bytes("recv")], cut)
                let then = vector["then"] as? [String: Any]
                if error == nil, then?["end_of_stream"] != nil { error = run.end() }
                let name = Comment(rawValue: "\(vector.text("name")), \(cut)")
                #expect(run.agreed == nil && run.left.isEmpty, name)
                if vector.text("expect") == "fail" { #expect(error != nil, name) }
            }
        }
    }

    @Test func recipes() throws {
        for vector in try Vectors.cases("multistream.json", "recipes") {
            var input = vector.bytes("head")
            if vector.text("name") == "line-1024" {
                input += [0x2f] + [UInt8](repeating: 0x61, count: 1_022) + [0x0a]
            } else {
                for index in 0..<1_000 {
                    let digits = String(index)
                    input += [8] + Array(("/x/" + String(repeating: "0", count: 4 - digits.count) + digits + "\n").utf8)
                }
            }
            #expect(input.count == vector["length"] as? Int)
            #expect(SHA256.digest(input) == vector.bytes("sha256"))
            for cut in Cut.allCases {
                var run = Run(machine: MultistreamNegotiation(listenerFor: ["/noise"]))
                #expect(run.feed([input], cut) == nil && run.agreed == nil)
                let refusals = vector.text("name") == "line-1024" ? 1 : 1_000
                #expect(run.sent.count == 20 + 4 * refusals)
            }
        }
    }

    /// A machine with all that came out of it.
    private struct Run {
        var machine: MultistreamNegotiation
        var sent: [UInt8] = [], left: [UInt8] = []
        var agreed: String?
        var refused = false

        init(machine: MultistreamNegotiation) {
            self.machine = machine
            drain()
        }

        mutating func feed(_ packets: [[UInt8]], _ cut: Cut) -> MultistreamError? {
            let pieces = switch cut {
            case .asListed: packets
            case .singleBytes: packets.flatMap { $0 }.map { [$0] }
            case .joined: [packets.flatMap { $0 }]
            }
            for piece in pieces {
                defer { drain() }
                do { left += piece[try machine.receive(piece)...] } catch { return error }
            }
            return nil
        }

        mutating func end() -> MultistreamError? {
            do { try machine.receiveEnd() } catch { return error }
            return nil
        }

        private mutating func drain() {
            while let action = machine.poll() {
                switch action {
                case .send(let bytes): sent += bytes
                case .agreed(let name): agreed = name
                case .refused: refused = true
                }
            }
        }
    }
}

extension MultistreamNegotiation {
    fileprivate mutating func receive(_ bytes: [UInt8]) throws(MultistreamError) -> Int {
        let result: Result<Int, MultistreamError> = bytes.withUnsafeBytes { view in
            do throws(MultistreamError) { return .success(try receive(view)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
