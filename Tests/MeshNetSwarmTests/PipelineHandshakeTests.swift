import Testing
@testable import MeshNetProtocol
@testable import MeshNetSwarm

@Suite struct PipelineHandshakeTests {
    static let key = PreSharedKey(bytes: [UInt8](repeating: 7, count: 32))!
    static let otherKey = PreSharedKey(bytes: [UInt8](repeating: 8, count: 32))!

    @Test(arguments: [nil, key], 0..<6) func bothSidesLearnWhoTheOtherIs(key: PreSharedKey?, seed: UInt64) {
        var pair = PipelinePair(seed: seed, clientKey: key, serverKey: key)
        #expect(pair.handshake(cut: [1, 2, 7, 40, 300, .max][Int(seed)]) == true, "seed \(seed)")
        #expect(pair.client.peer?.peer == pair.serverIdentity.peerID)
        #expect(pair.server.peer?.peer == pair.clientIdentity.peerID)
        #expect(pair.server.peer?.key == pair.clientIdentity.publicKey)
        #expect(pair.client.peer?.handshakeHash == pair.server.peer?.handshakeHash)
        #expect(pair.client.log == ["established"] && pair.server.log == ["established"])
        pair.run()
        #expect(pair.pool.outstanding == 0)
        let clientDeadline = pair.client.pipeline.deadline
        let serverDeadline = pair.server.pipeline.deadline
        #expect(clientDeadline == nil && serverDeadline == nil)
    }

    /// TCP connect is one round trip; then nonce, proposal and message A / answer and message B; then message C, stream and data / the answer: three in all.
    @Test(arguments: [nil, key]) func theFirstAnswerComesAfterThreeRoundTrips(key: PreSharedKey?) throws {
        var pair = PipelinePair(clientKey: key, serverKey: key)
        pair.server.echoes = true
        var flights = 0
        var stream: PipelineStream?
        while pair.client.receivedCount.isEmpty, flights < 20 {
            for _ in 0..<3 {
                if stream == nil, pair.client.peer != nil {
                    stream = try pair.open("/echo")
                    pair.client.outgoing.append((stream!, [42], 0, false))
                }
                pair.client.finishTurn(now: pair.now)
                pair.server.finishTurn(now: pair.now)
            }
            // One flight: all that either side has to say, delivered at once.
            let up = pair.client.transmit(limit: .max, now: pair.now), down = pair.server.transmit(limit: .max, now: pair.now)
            flights += 1
            if !up.isEmpty { _ = pair.server.receive(up[...], now: pair.now) }
            if !down.isEmpty { _ = pair.client.receive(down[...], now: pair.now) }
            pair.client.drain(now: pair.now)
            pair.server.drain(now: pair.now)
        }
        #expect(flights == 4)
        #expect(pair.client.received[try #require(stream)] == [42])
    }

    /// One packet less, and one awakening of the dialler. Of whatever network the dialler is, its first byte brings it our first ones.
    @Test(arguments: [nil, key]) func aListenerSaysNothingBeforeTheDialler(key: PreSharedKey?) {
        var pair = PipelinePair(clientKey: key, serverKey: key)
        pair.client.finishTurn(now: pair.now)
        pair.server.finishTurn(now: pair.now)
        let first = pair.client.transmit(limit: .max, now: pair.now)
        #expect(!first.isEmpty && pair.server.transmit(limit: .max, now: pair.now).isEmpty)
        #expect(pair.server.receive(first[..<1], now: pair.now) == 1)
        pair.server.finishTurn(now: pair.now)
        let nonce = key == nil ? 0 : 24, greeting = 20
        #expect(pair.server.transmit(limit: .max, now: pair.now).count == nonce + greeting)
    }

    /// Without waiting for anything: the first bytes of either side tell, however they are cut.
    @Test(arguments: 0..<40) func anotherPrivateNetworkKeyIsRecognisedAtOnce(seed: UInt64) {
        var pair = PipelinePair(seed: seed, clientKey: Self.key, serverKey: Self.otherKey)
        pair.run(cut: [1, 7, 24, 25, .max][Int(seed % 5)])
        #expect(pair.server.failure == .otherNetwork(.otherKey), "seed \(seed)")
        #expect(pair.client.failure == .otherNetwork(.otherKey), "seed \(seed)")
    }

    @Test(arguments: 0..<40) func aKeyOnOneSideOnlyIsRecognisedAtOnce(seed: UInt64) {
        let isClientPrivate = seed % 2 == 0
        var pair = isClientPrivate ? PipelinePair(seed: seed, clientKey: Self.key) : PipelinePair(seed: seed, serverKey: Self.key)
        pair.run(cut: [1, 7, 24, 25, .max][Int(seed % 5)])
        #expect(pair.client.failure == .otherNetwork(isClientPrivate ? .peerInNone : .peerInPrivate), "seed \(seed)")
        #expect(pair.server.failure == .otherNetwork(isClientPrivate ? .peerInPrivate : .peerInNone), "seed \(seed)")
    }

    /// What else listens on a port is not taken for a private network.
    @Test(arguments: [
        Array("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".utf8), Array("HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n".utf8),
        [0x15, 3, 1, 0, 2, 2, 70] + [UInt8](repeating: 0, count: 40), [UInt8](repeating: 0xff, count: 40),
        Array("\u{4a}\0\0\0\n8.0.36\0\u{10}\0\0\0abcdefgh\0".utf8) + [0xff, 0xf7, 0x2d, 2, 0],
    ])
    func anotherProtocolIsNoOtherNetwork(greeting: [UInt8]) {
        // Less than a nonce, and no text: more may come.
        let isDecided = greeting.count >= 24 || greeting.last == UInt8(ascii: "\n")
        var pair = PipelinePair()
        _ = pair.client.receive(greeting[...], now: pair.now)
        pair.client.drain(now: pair.now)
        if case .malformed(.security, let words)? = pair.client.failure { #expect(words.hasPrefix("it begins with")) } else { #expect(!isDecided) }
    }

    /// The banner of another program is no nonce, and no sign of another key.
    @Test func aBannerIsNoPrivateNetwork() {
        var pair = PipelinePair(clientKey: Self.key)
        _ = pair.client.receive(Array("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".utf8)[...], now: pair.now)
        pair.client.drain(now: pair.now)
        #expect(pair.client.failure == .malformed(.privateNetwork, "it begins with \"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\""))
    }

    @Test func anotherPeerThanExpectedIsRefused() {
        var random = RandomSource(testSeed: 99)
        let stranger = KeyPair(random: &random).peerID
        var pair = PipelinePair(expected: stranger)
        pair.run()
        #expect(pair.client.failure == .wrongPeer(expected: stranger, actual: pair.serverIdentity.peerID))
        pair.server.pipeline.receiveEnd(.endOfStream, now: pair.now)
        pair.server.drain(now: pair.now)
        #expect(pair.server.failure == .closedDuring(.noise))
    }

    @Test func silenceTimesOutWhereItFellSilent() {
        for (key, stage) in [(nil, HandshakeStage.security), (Self.key, .privateNetwork)] {
            var pair = PipelinePair(clientKey: key, serverKey: key)
            let serverDeadline = pair.server.pipeline.deadline
            #expect(serverDeadline == pair.now + .seconds(15))
            pair.server.pipeline.handleTimeout(now: pair.now + .milliseconds(14_999))
            pair.server.drain(now: pair.now)
            #expect(pair.server.failure == nil)
            pair.server.pipeline.handleTimeout(now: pair.now + .seconds(15))
            pair.server.drain(now: pair.now)
            #expect(pair.server.failure == .timedOut(stage))
            #expect(pair.server.pipeline.poll() == nil)
        }
    }

    /// Garbage from the first byte, from the second flight, and so on: always one terminal action, never a trap.
    @Test(arguments: 0..<60) func garbageAtEachStageEndsTheHandshake(seed: UInt64) {
        var pair = PipelinePair(seed: seed, clientKey: seed % 3 == 0 ? Self.key : nil, serverKey: seed % 3 == 0 ? Self.key : nil)
        var garbage = RandomSource(testSeed: seed + 1_000)
        let start = Int.random(in: 0..<500, using: &garbage)
        var seen = 0
        let towardsServer = seed % 2 == 0
        pair.tamper = { direction, bytes in
            guard direction == towardsServer else { return }
            for index in bytes.indices where seen + index >= start { bytes[index] = UInt8(truncatingIfNeeded: garbage.next()) }
            seen += bytes.count
        }
        pair.run(cut: 64)
        let ends = [pair.client, pair.server]
        for end in ends where end.peer == nil && end.failure == nil {
            var end = end
            end.pipeline.receiveEnd(.endOfStream, now: pair.now)
            end.drain(now: pair.now)
            #expect(end.failure != nil || end.cause != nil, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<30) func aSingleFlippedBitIsNoticed(seed: UInt64) {
        var pair = PipelinePair(seed: seed)
        var random = RandomSource(testSeed: seed + 5_000)
        // Behind the security negotiation, within the first Noise messages.
        var left = Int.random(in: 30..<110, using: &random)
        pair.tamper = { towardsServer, bytes in
            guard !towardsServer, left >= 0 else { return }
            if left < bytes.count { bytes[left] ^= 1 << UInt8.random(in: 0..<8, using: &random) }
            left -= bytes.count
        }
        pair.run()
        pair.client.pipeline.handleTimeout(now: pair.now + .seconds(20))
        pair.client.drain(now: pair.now)
        #expect(pair.client.failure != nil && pair.client.peer == nil, "seed \(seed)")
    }

    @Test func aPeerThatClosesIsReportedWithItsStage() {
        var pair = PipelinePair()
        pair.client.pipeline.receiveEnd(.failed(errno: 104), now: pair.now)
        pair.client.drain(now: pair.now)
        #expect(pair.client.failure == .closedDuring(.security))
    }

    @Test func closingBeforeTheEndOfTheHandshakeReportsTheCause() {
        var pair = PipelinePair()
        pair.client.pipeline.close(cause: .duplicate, now: pair.now)
        pair.client.drain(now: pair.now)
        #expect(pair.client.cause == .duplicate)
        pair.client.pipeline.close(now: pair.now)
        pair.client.drain(now: pair.now)
        #expect(!pair.client.pipeline.hasOutput && pair.client.pipeline.isOver)
    }
}
