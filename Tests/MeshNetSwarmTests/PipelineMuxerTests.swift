import Testing
@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Peers that negotiate the muxer by multistream inside Noise, or have another one.
@Suite struct PipelineMuxerTests {
    private var random = RandomSource(testSeed: 4)
    private static let header = RawPeer.line("/multistream/1.0.0")
    private static let yamux = RawPeer.line("/yamux/1.0.0")
    private static let ping = YamuxHeader(.ping, .syn, stream: 0, length: 77).bytes
    private static let pong = YamuxHeader(.ping, .ack, stream: 0, length: 77).bytes

    private mutating func end(_ role: Direction) -> PipelineEnd {
        PipelineEnd(ConnectionPipeline(
            role: role, configuration: PipelineConfiguration(identity: KeyPair(random: &random)), expectedPeer: nil, protocols: ["/echo"],
            pool: BufferPool(), random: &random, now: .zero))
    }

    private func exchange(_ end: inout PipelineEnd, _ peer: inout RawPeer) {
        for _ in 0..<10 {
            end.finishTurn(now: .zero)
            peer.receive(end.transmit(limit: .max, now: .zero))
            let answer = peer.takeOutput()
            if !answer.isEmpty { _ = end.receive(answer[...], now: .zero) }
        }
        end.finishTurn(now: .zero)
    }

    @Test mutating func aDiallerProposesYamuxAndGoesOnAtOnce() throws {
        var us = end(.outbound), peer = RawPeer(role: .inbound, muxers: [], random: &random)
        exchange(&us, &peer)
        #expect(peer.plaintext == Self.header + Self.yamux)
        #expect(us.log == ["established"])
        let deadline = us.pipeline.deadline
        #expect(deadline == .zero + .seconds(15), "not confirmed yet")
        _ = try us.pipeline.openStream(["/echo"], now: .zero)
        peer.send(Self.header + Self.yamux + Self.ping)
        exchange(&us, &peer)
        #expect(peer.plaintext.suffix(12) == Self.pong[...])
        #expect(us.cause == nil && us.pipeline.muxer == nil && us.pipeline.handshakeDeadline == nil)
    }

    @Test mutating func aConfirmationInPiecesIsTheSame() {
        var us = end(.outbound), peer = RawPeer(role: .inbound, muxers: [], random: &random)
        exchange(&us, &peer)
        for byte in Self.header + Self.yamux + Self.ping { peer.send([byte]) }
        exchange(&us, &peer)
        #expect(peer.plaintext.suffix(12) == Self.pong[...])
    }

    @Test mutating func aRefusedMuxerEndsTheConnection() {
        var us = end(.outbound), peer = RawPeer(role: .inbound, muxers: [], random: &random)
        exchange(&us, &peer)
        peer.send(Self.header + RawPeer.line("na"))
        exchange(&us, &peer)
        guard case .protocolViolation(let text)? = us.cause else {
            Issue.record("\(String(describing: us.cause))")
            return
        }
        #expect(text.contains("/yamux/1.0.0"))
    }

    @Test mutating func anUnconfirmedMuxerTimesOut() {
        var us = end(.outbound), peer = RawPeer(role: .inbound, muxers: [], random: &random)
        exchange(&us, &peer)
        us.pipeline.handleTimeout(now: .zero + .seconds(15))
        us.drain(now: .zero)
        #expect(us.cause == .timedOut)
    }

    @Test(arguments: [Direction.inbound, .outbound]) mutating func peersWithOtherMuxersAreToldApart(role: Direction) {
        var us = end(role)
        var peer = RawPeer(role: role == .inbound ? .outbound : .inbound, muxers: ["/mplex/6.7.0"], random: &random)
        exchange(&us, &peer)
        #expect(us.failure == .noCommonProtocol(.muxer))
    }

    @Test mutating func aListenerAgreesAndReadsWhatCameWithTheProposal() {
        var us = end(.inbound), peer = RawPeer(role: .outbound, muxers: [], random: &random)
        exchange(&us, &peer)
        #expect(peer.isSecure && us.log.isEmpty)
        peer.send(Self.header + Self.yamux + Self.ping)
        exchange(&us, &peer)
        #expect(us.log == ["established"])
        #expect(peer.plaintext == Self.header + Self.yamux + Self.pong)
    }

    @Test mutating func aListenerRefusesOtherMuxers() {
        var us = end(.inbound), peer = RawPeer(role: .outbound, muxers: [], random: &random)
        exchange(&us, &peer)
        peer.send(Self.header + RawPeer.line("/mplex/6.7.0"))
        exchange(&us, &peer)
        #expect(peer.plaintext == Self.header + RawPeer.line("na"))
        us.pipeline.receiveEnd(.endOfStream, now: .zero)
        us.drain(now: .zero)
        #expect(us.failure == .closedDuring(.muxer))
    }

    @Test mutating func garbageInsteadOfAMuxerFails() {
        var us = end(.inbound), peer = RawPeer(role: .outbound, muxers: [], random: &random)
        exchange(&us, &peer)
        peer.send([3, 1, 2, 10])
        exchange(&us, &peer)
        guard case .malformed(.muxer, _)? = us.failure else {
            Issue.record("\(String(describing: us.failure))")
            return
        }
    }

    @Test(arguments: [Direction.inbound, .outbound]) mutating func peersWithOtherSecurityAreToldApart(role: Direction) {
        var us = end(role)
        var peer = RawPeer(role: role == .inbound ? .outbound : .inbound, muxers: [], security: "/tls/1.0.0", random: &random)
        exchange(&us, &peer)
        if role == .outbound {
            #expect(us.failure == .noCommonProtocol(.security))
        } else {
            us.pipeline.receiveEnd(.endOfStream, now: .zero)
            us.drain(now: .zero)
            #expect(us.failure != nil)
        }
    }

    /// Some dialers (py-libp2p) wait for the listener's greeting before they propose.
    @Test mutating func aStreamThatWaitsForOurGreetingGetsIt() {
        var us = end(.inbound), peer = RawPeer(role: .outbound, muxers: ["/yamux/1.0.0"], random: &random)
        exchange(&us, &peer)
        peer.send(YamuxHeader(.windowUpdate, .syn, stream: 1, length: 0).bytes)
        exchange(&us, &peer)
        #expect(peer.plaintext == YamuxHeader(.data, .ack, stream: 1, length: 20).bytes + Self.header)
        peer.send(YamuxHeader(.data, [], stream: 1, length: 27).bytes + Self.header + RawPeer.line("/echo"))
        exchange(&us, &peer)
        #expect(us.log == ["established", "opened 1 /echo"])
        #expect(peer.plaintext.suffix(19) == (YamuxHeader(.data, [], stream: 1, length: 7).bytes + RawPeer.line("/echo"))[...])
    }
}
