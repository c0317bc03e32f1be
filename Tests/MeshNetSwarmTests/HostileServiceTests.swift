import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Abuse of streams and of what the node answers by itself: identify, ping, perf.
@Suite struct HostileServiceTests {
    private func attacked(_ seed: UInt64 = 1, configure: (inout Configuration) -> Void = { _ in }) throws -> (Siege, SiegePeer) {
        let siege = Siege(seed: seed, configure: configure)
        let peer = try #require(SiegePeer(dialling: siege))
        siege.pass(.milliseconds(10))
        peer.frames.removeAll()
        return (siege, peer)
    }

    private func uses(_ siege: Siege, _ peer: SiegePeer, _ use: StreamUse) -> Int {
        siege.swarm.connections[peer.connection]?.streams.values.filter { $0 == use }.count ?? 0
    }

    // MARK: Streams

    @Test func streamsBeyondTheLimitAreReset() throws {
        let (siege, peer) = try attacked { $0.limits.streamsPerConnection = 50 }
        siege.perform(.accept("/app"))
        for _ in 0..<400 { peer.open("/app") }
        siege.pass(.milliseconds(10))
        #expect(siege.swarm.streams.count == 50)
        #expect(peer.resets.count == 350)
        siege.end(peer.connection)
        #expect(siege.remains == [])
    }

    @Test func streamsThatAreNeverNegotiatedAreBoundedAndReset() throws {
        let (siege, peer) = try attacked()
        for _ in 0..<200 { peer.seal(SiegePeer.data(peer.newStream(), [], .syn)) }
        siege.pass(.milliseconds(10))
        #expect(peer.resets.count == 200 - ConnectionPipeline.maximumNegotiatingStreams)
        siege.pass(.seconds(11))
        #expect(peer.resets.filter { $0 % 2 == 1 }.count == 200)
        #expect(!peer.isCutOff)
    }

    /// The like of HTTP/2's rapid reset: opened and torn down at once, over and over.
    @Test func streamsOpenedAndResetAtOnceLeaveNothing() throws {
        let (siege, peer) = try attacked()
        siege.perform(.accept("/app"))
        for protocolID in ["/app", "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/perf/1.0.0", "/meshsub/1.1.0", "/none"] {
            for _ in 0..<500 {
                let id = peer.open(protocolID, [0, 0, 0, 0, 0, 0, 0, 9])
                peer.seal(SiegePeer.data(id, [], .rst))
            }
        }
        siege.pass(.milliseconds(10))
        #expect(!peer.isCutOff)
        #expect(siege.swarm.streams.isEmpty)
        let connection = try #require(siege.swarm.connections[peer.connection])
        #expect(connection.streams.count < 8 && connection.perf.isEmpty && connection.unwritten.isEmpty && connection.pubsubInput == nil)
        #expect(connection.identifyInputs.count <= 1)
    }

    @Test func answersThatAreNotReadEndTheConnection() throws {
        let (siege, peer) = try attacked { $0.limits.streamsPerConnection = 8 }
        peer.reads = false
        peer.fillControlQueue()
        #expect(!peer.isCutOff)
        peer.seal(SiegePeer.encode(YamuxHeader(.ping, .syn, stream: 0, length: 0)))
        siege.pass(.seconds(2))
        #expect(peer.isCutOff)
        #expect(siege.remains == [])
    }

    // MARK: Identify (go #3501, CVE-2023-40583)

    @Test func endlessIdentifyMessagesAreReset() throws {
        let (siege, peer) = try attacked()
        var message = IdentifyMessage()
        message.agentVersion = String(repeating: "a", count: 3_000)
        let bomb = (0..<11).flatMap { _ in message.frames }
        let id = peer.open("/ipfs/id/push/1.0.0", bomb)
        siege.pass(.milliseconds(10))
        #expect(peer.resets == [id])
        #expect(siege.swarm.connections[peer.connection]?.identifyInputs.count == 1, "our own query")
    }

    @Test func identifyCannotFillTheAddressBookOrTheProtocolList() throws {
        let (siege, peer) = try attacked()
        for round in 0..<50 {
            var frames: [UInt8] = []
            for part in 0..<8 {
                var message = IdentifyMessage()
                message.listenAddresses = try (0..<60).map { try Multiaddr("/ip4/\(round + 1).\(part).\($0).1/tcp/\(round + 1)") }
                message.protocols = (0..<100).map { "/p/\(round)/\(part)/\($0)" }
                frames += message.frames
            }
            peer.open("/ipfs/id/push/1.0.0", frames, ends: true)
            siege.pass(.milliseconds(1))
        }
        #expect(siege.swarm.addressBook.addresses(of: peer.peer).count == 64)
        #expect(siege.swarm.addressBook.peerCount == 1)
        let identity = try #require(siege.swarm.peers[peer.peer]?.identity)
        #expect(identity.protocols.count <= 1_024 && identity.listenAddresses.count <= 500)
    }

    @Test func recordsOfOtherPeersAreNotStored_CVE_2023_40583() throws {
        let (siege, peer) = try attacked()
        for _ in 0..<100 {
            let other = KeyPair(random: &siege.random)
            var message = IdentifyMessage()
            message.signedPeerRecord = PeerRecord.sealed(by: other, sequence: 1, addresses: [siege.address.multiaddr])
            peer.open("/ipfs/id/push/1.0.0", message.frames, ends: true)
            siege.pass(.milliseconds(1))
        }
        #expect(siege.swarm.addressBook.peerCount <= 1)
        #expect(siege.swarm.addressBook.addresses(of: peer.peer).isEmpty)
    }

    @Test func theAddressBookForgetsTheOldestOfTooManyPeers() throws {
        let siege = Siege { $0.limits.addressBookPeers = 10 }
        for index in 0..<40 {
            let peer = try #require(SiegePeer(dialling: siege))
            var message = IdentifyMessage()
            message.listenAddresses = [try Multiaddr("/ip4/1.1.1.\(index)/tcp/1")]
            peer.open("/ipfs/id/push/1.0.0", message.frames, ends: true)
            siege.end(peer.connection)
        }
        #expect(siege.swarm.addressBook.peerCount == 10)
    }

    @Test func identifyStreamsOfOnePeerAreBounded() throws {
        let (siege, peer) = try attacked()
        for _ in 0..<60 { peer.open("/ipfs/id/push/1.0.0", [200, 1, 0]) }
        #expect(uses(siege, peer, .identifyPushIn) == Swarm.inboundLimit(of: IdentifyMessage.pushProtocol))
        for _ in 0..<60 { peer.open("/ipfs/id/1.0.0") }
        #expect(uses(siege, peer, .identifyAnswer) == Swarm.inboundLimit(of: IdentifyMessage.identifyProtocol))
        #expect(!peer.isCutOff)
    }

    // MARK: Ping

    @Test func aPeerHasTwoPingStreams() throws {
        let (siege, peer) = try attacked()
        let second = try #require(SiegePeer(dialling: siege, identity: peer.identity))
        let ids = (0..<5).map { _ in peer.open("/ipfs/ping/1.0.0", [UInt8](repeating: 5, count: 32)) }
        siege.pass(.milliseconds(10))
        #expect(uses(siege, peer, .pingIn) == 2)
        #expect(peer.resets == Array(ids[2...]))
        #expect(peer.bytes(ids[0]).suffix(32) == [UInt8](repeating: 5, count: 32)[...])
        // Another connection of the same peer does not double them.
        second.open("/ipfs/ping/1.0.0")
        #expect(uses(siege, second, .pingIn) == 0)
        // A stream that ended makes room.
        peer.seal(SiegePeer.data(ids[0], [], .fin))
        peer.open("/ipfs/ping/1.0.0")
        #expect(uses(siege, peer, .pingIn) == 2)
    }

    @Test func echoesNobodyReadsAreNotKept() throws {
        let (siege, peer) = try attacked()
        peer.reads = false
        let flood = [UInt8](repeating: 7, count: 200_000)
        for _ in 0..<100 where !peer.isCutOff { peer.open("/ipfs/ping/1.0.0", flood) }
        let connection = try #require(siege.swarm.connections[peer.connection])
        #expect(connection.unwritten.values.allSatisfy { $0.bytes.count <= 32 })
        #expect(siege.swarm.pool.outstanding < 16)
        siege.pass(.seconds(60))
        #expect(peer.isCutOff)
        #expect(siege.remains == [])
    }

    /// One that answers our pings with nonsense, or too much, or by resetting the stream.
    @Test(arguments: 0..<3) func badEchoesFailTheCallAndTheNextPingWorks(kind: Int) throws {
        let (siege, peer) = try attacked()
        let ticket = siege.perform(.ping(peer.peer))
        siege.pass(.milliseconds(1))
        let ping = try #require(peer.frames.last { $0.body.count >= 32 })
        let hello = peer.line("/multistream/1.0.0") + peer.line("/ipfs/ping/1.0.0"), id = ping.header.streamID
        switch kind {
        case 0: peer.seal(SiegePeer.data(id, hello + [UInt8](repeating: 0, count: 32)))
        case 1: peer.seal(SiegePeer.data(id, hello + ping.body.suffix(32) + [0]))
        default: peer.seal(SiegePeer.data(id, hello) + SiegePeer.data(id, [], .rst))
        }
        #expect(siege.completions[ticket]?.count == 1)
        peer.frames.removeAll()
        let next = siege.perform(.ping(peer.peer))
        siege.pass(.milliseconds(1))
        peer.echoPings()
        guard case .success(.roundTrip)? = siege.completions[next]?.first else {
            Issue.record("\(String(describing: siege.completions[next])) \(kind)")
            return
        }
    }

    // MARK: Perf

    @Test func perfOfEndlessBytesTakesNoMemory() throws {
        let (siege, peer) = try attacked()
        peer.reads = false
        peer.open("/perf/1.0.0", [UInt8](repeating: 0xff, count: 8), ends: true)
        #expect(siege.swarm.pool.outstanding <= 8)
        siege.pass(.seconds(60))
        #expect(peer.isCutOff)
        #expect(siege.remains == [])
    }

    @Test func perfStreamsOfOnePeerAreBounded() throws {
        let (siege, peer) = try attacked()
        for _ in 0..<50 { peer.open("/perf/1.0.0", [0, 0, 0]) }
        #expect(uses(siege, peer, .perfServer) == Swarm.inboundLimit(of: PerfTransfer.protocolID))
        #expect(siege.swarm.connections[peer.connection]?.perf.count == Swarm.inboundLimit(of: PerfTransfer.protocolID))
        siege.end(peer.connection)
        #expect(siege.remains == [])
    }

    @Test(arguments: 0..<8) func perfHeadersThatEndEarlyAreReset(length: Int) throws {
        let (siege, peer) = try attacked()
        let id = peer.open("/perf/1.0.0", [UInt8](repeating: 0xff, count: length), ends: true)
        siege.pass(.milliseconds(1))
        #expect(peer.resets == [id])
        #expect(siege.swarm.connections[peer.connection]?.perf.isEmpty == true)
    }

    @Test func aPerfServerThatSendsTooMuchOrTooLittleFailsTheCall() throws {
        for extra in [true, false] {
            let (siege, peer) = try attacked()
            let ticket = siege.perform(.perf(peer.peer, upload: 10, download: 10))
            siege.pass(.milliseconds(1))
            let id = try #require(peer.frames.last { $0.body.count >= 8 && $0.header.streamID % 2 == 0 }).header.streamID
            let hello = peer.line("/multistream/1.0.0") + peer.line("/perf/1.0.0")
            peer.seal(SiegePeer.data(id, hello + [UInt8](repeating: 0, count: extra ? 11 : 9), .fin))
            guard case .failure(.streamReset)? = siege.completions[ticket]?.first else {
                Issue.record("\(String(describing: siege.completions[ticket]))")
                return
            }
        }
    }

    // MARK: Closing from inside (go #3504, nim #2751)

    @Test func disconnectingInAnswerToAnyEventWorks() throws {
        let siege = Siege()
        siege.perform(.accept("/app"))
        for round in 0..<50 {
            let peer = try #require(SiegePeer(dialling: siege))
            for protocolID in ["/app", "/ipfs/id/1.0.0", "/meshsub/1.1.0", "/perf/1.0.0"] { peer.open(protocolID, [0], ends: round % 2 == 0) }
            let commands: [Command] = [.ping(peer.peer), .perf(peer.peer, upload: 1, download: 1), .disconnect(peer.peer)]
            let tickets = commands.map { siege.perform($0) }
            peer.open("/app")
            siege.pass(.milliseconds(1))
            #expect(tickets.allSatisfy { siege.completions[$0]?.count == 1 })
        }
        siege.pass(.seconds(2))
        #expect(siege.remains == [])
        #expect(siege.connected == [])
    }

    @Test func shutdownInTheMiddleOfEverythingEndsEverything() throws {
        let siege = Siege(bootstrap: ["/ip4/9.9.9.9/tcp/1", "/dns4/example.org/tcp/1"])
        let peers = (0..<10).compactMap { _ in SiegePeer(dialling: siege) }
        _ = siege.accept(from: [1, 1, 1, 1])
        let tickets = peers.flatMap { [siege.perform(.ping($0.peer)), siege.perform(.openStream($0.peer, protocols: ["/a", "/b"]))] }
            + [siege.perform(.connect(try Multiaddr("/ip4/8.8.8.8/tcp/1")))]
        for peer in peers.dropFirst(5) { peer.reads = false }
        siege.swarm.shutdown(now: siege.now)
        siege.settle()
        siege.pass(.seconds(2))
        #expect(siege.remains == [])
        for ticket in tickets { #expect(siege.completions[ticket]?.count == 1) }
        #expect(siege.accept(from: [1, 1, 1, 1]) == nil)
    }
}
