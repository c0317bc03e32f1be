import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Addresses that lead nowhere, to too many places, to strangers, or to ourselves.
@Suite struct HostileDialTests {
    /// Fails every attempt, also those that begin in place of a failed one. Returns how many.
    @discardableResult
    private func refuseAll(_ siege: Siege, errno: Int32 = 111) -> Int {
        var count = 0
        while !siege.connects.isEmpty {
            count += 1
            let (id, _) = siege.connects.removeFirst()
            siege.swarm.connectFailed(id, errno: errno, now: siege.now)
            siege.settle()
        }
        return count
    }

    @Test func dialStormsAreBoundedAndEachEndsOnce() throws {
        let siege = Siege()
        let tickets = try (0..<1_000).map { siege.perform(.connect(try Multiaddr("/ip4/9.9.\($0 / 250).\($0 % 250)/tcp/1"))) }
        #expect(siege.swarm.outboundAttempts == 160)
        #expect(siege.connects.count == 160)
        siege.pass(.seconds(100))
        for ticket in tickets { #expect(siege.completions[ticket]?.count == 1) }
        #expect(siege.remains == [])
    }

    @Test func dialsThatSucceedLetTheQueuedOnesGo() throws {
        let siege = Siege { $0.limits.pendingOutboundConnections = 1 }
        let tickets = try (0..<5).map { siege.perform(.connect(try Multiaddr("/ip4/9.9.9.\($0)/tcp/1"))) }
        for _ in 0..<5 { #expect(try #require(SiegePeer(answering: siege)).isEstablished) }
        for ticket in tickets { #expect(siege.completions[ticket]?.count == 1) }
        #expect(siege.connected.count == 5)
    }

    @Test func dialsOfAFullNodeWaitAndGoOnWithoutSpinning() throws {
        let siege = Siege { $0.limits.connections = 8; $0.limits.inboundConnectionsPerAddress = 100 }
        let peers = (0..<6).compactMap { SiegePeer(dialling: siege, from: [1, 1, 1, UInt8($0)]) }
        #expect(peers.count == 6)
        let tickets = try (0..<6).map { siege.perform(.connect(try Multiaddr("/ip4/9.9.9.\($0)/tcp/1"))) }
        #expect(siege.connects.count == 2)
        // An attempt ends: the next one starts, the others wait.
        siege.swarm.connectFailed(siege.connects.removeFirst().id, errno: 111, now: siege.now)
        siege.settle()
        #expect(siege.connects.count == 2)
        // An inbound connection ends: its place is used.
        siege.end(peers[0].connection)
        #expect(siege.connects.count == 3)
        siege.pass(.seconds(100))
        for ticket in tickets { #expect(siege.completions[ticket]?.count == 1) }
    }

    @Test func tenThousandDeadBootstrapAddressesAreDialledInTurn() {
        let addresses = (0..<10_000).map { "/ip4/9.\($0 / 62_500).\($0 / 250 % 250).\($0 % 250)/tcp/1" }
        let siege = Siege(bootstrap: addresses)
        #expect(siege.swarm.outboundAttempts == 160)
        #expect(refuseAll(siege) == 10_000)
        #expect(siege.dialFailures.count == 10_000)
        #expect(siege.swarm.outboundAttempts == 0)
        #expect(siege.swarm.timers.count < 30_000)
        siege.keepsHistory = false
        siege.connects = []
        siege.pass(.milliseconds(600))
        #expect(siege.swarm.outboundAttempts == 160)
        #expect(siege.swarm.dials.count <= 10_000)
    }

    /// A bootstrap peer that comes and goes all the time must not leave a timer for each of its visits.
    @Test func aFlappingBootstrapPeerIsDialledNoMoreOftenThanADeadOne() throws {
        let siege = Siege(bootstrap: ["/ip4/9.9.9.9/tcp/1"])
        let identity = KeyPair(random: &siege.random)
        let first = try #require(SiegePeer(answering: siege, identity: identity))
        siege.end(first.connection)
        for _ in 0..<200 {
            let peer = try #require(SiegePeer(dialling: siege, identity: identity))
            siege.end(peer.connection)
        }
        var dials = 0
        for _ in 0..<600 {
            siege.pass(.milliseconds(100))
            dials += refuseAll(siege)
        }
        #expect(dials < 20, "\(dials) dials in a minute")
        #expect(dials > 1)
    }

    @Test func answersWithThousandsOfAddressesAreCut() throws {
        let siege = Siege()
        let ticket = siege.perform(.connect(try Multiaddr("/dns/example.org/tcp/1")))
        let query = try #require(siege.queries.first).query
        let found = (0..<5_000).map { SocketAddress(ip: [9, 9, UInt8($0 / 250), UInt8($0 % 250)], port: 0) }
        siege.swarm.resolved(query: query, .success(found), now: siege.now)
        siege.settle()
        var dialled = 0
        for _ in 0..<1_000 {
            dialled += refuseAll(siege)
            siege.pass(.milliseconds(300))
        }
        #expect(dialled == 64)
        #expect(siege.completions[ticket]?.count == 1)
        #expect(siege.remains == [])
    }

    @Test func namesThatResolveToNothingFailWithTheirReason() throws {
        let siege = Siege()
        let ticket = siege.perform(.connect(try Multiaddr("/dns4/example.org/tcp/1")))
        siege.swarm.resolved(query: try #require(siege.queries.first).query, .success([]), now: siege.now)
        siege.settle()
        guard case .failure(.dial(.unresolved, _))? = siege.completions[ticket]?.first else {
            Issue.record("\(String(describing: siege.completions[ticket]))")
            return
        }
        #expect(siege.remains == [])
    }

    @Test func oneNameIsLookedUpOnceHoweverManyWait() throws {
        let siege = Siege()
        let tickets = try (0..<100).map { _ in siege.perform(.connect(try Multiaddr("/dns4/example.org/tcp/1"))) }
        #expect(siege.queries.count == 1)
        siege.swarm.resolved(query: siege.queries[0].query, .failure(ResolveFailure(reason: "none")), now: siege.now)
        siege.settle()
        for ticket in tickets { #expect(siege.completions[ticket]?.count == 1) }
        #expect(siege.remains == [])
    }

    // MARK: Ourselves

    /// Connects the next attempt of the victim with the victim itself.
    private func connectToOurselves(_ siege: Siege) throws {
        let (outbound, _) = siege.connects.removeFirst()
        siege.swarm.connected(outbound, local: siege.address, now: siege.now)
        siege.settle()
        let inbound = try #require(siege.accept(from: [127, 0, 0, 1]))
        for _ in 0..<10 {
            siege.feed(inbound, siege.take(outbound))
            siege.feed(outbound, siege.take(inbound))
        }
        siege.end(outbound)
        siege.end(inbound)
    }

    @Test func aNameThatLeadsToUsAndToOthersReachesTheOthers() throws {
        let siege = Siege(bootstrap: ["/dns4/all.example.org/tcp/1"])
        let found = [siege.address, SocketAddress(ip: [9, 9, 9, 9], port: 0), SocketAddress(ip: [9, 9, 9, 8], port: 0)]
        siege.swarm.resolved(query: try #require(siege.queries.first).query, .success(found), now: siege.now)
        siege.settle()
        try connectToOurselves(siege)
        siege.pass(.milliseconds(300))
        let other = try #require(SiegePeer(answering: siege))
        #expect(siege.connected == [other.peer])
        #expect(siege.dialFailures.isEmpty)
    }

    /// A peer that announces an address of ours (every node with the usual port does, by its loopback address) must stay reachable.
    @Test func anAddressOfOursInAPeersListDoesNotEndItsDials() throws {
        let identity = KeyPair(secret: [UInt8](repeating: 3, count: 32))!
        let siege = Siege(bootstrap: ["/ip4/9.9.9.9/tcp/1/p2p/\(identity.peerID)"])
        let first = try #require(SiegePeer(answering: siege, identity: identity))
        var message = IdentifyMessage()
        message.listenAddresses = [siege.address.multiaddr, try Multiaddr("/ip4/9.9.9.9/tcp/1")]
        first.open("/ipfs/id/push/1.0.0", message.frames, ends: true)
        #expect(siege.swarm.addressBook.addresses(of: identity.peerID).contains(siege.address.multiaddr))
        siege.end(first.connection)
        siege.pass(.seconds(1))
        #expect(siege.connects.count == 3 || siege.connects.count == 2)
        // The announced address leads to ourselves, the others to nobody for now.
        for _ in 0..<20 {
            while let next = siege.connects.first {
                if next.to == siege.address {
                    try connectToOurselves(siege)
                } else {
                    siege.swarm.connectFailed(siege.connects.removeFirst().id, errno: 111, now: siege.now)
                    siege.settle()
                }
            }
            siege.pass(.milliseconds(250))
        }
        siege.connects.removeAll()
        siege.pass(.seconds(31))
        #expect(!siege.connects.isEmpty, "the peer is still dialled")
    }

    @Test func ourOwnPeerIDIsNeverDialled() throws {
        let siege = Siege()
        let ourselves = siege.address.multiaddr.appending(siege.swarm.localPeer)
        let ticket = siege.perform(.connect(ourselves))
        #expect(siege.connects.isEmpty)
        guard case .failure(.dial(.selfDial, _))? = siege.completions[ticket]?.first else {
            Issue.record("\(String(describing: siege.completions[ticket]))")
            return
        }
    }

    @Test func ourOwnPeerIDAmongTheBootstrapPeersIsReportedOnce() {
        var random = RandomSource(testSeed: 1)
        let own = KeyPair(random: &random).peerID
        let siege = Siege(seed: 1, bootstrap: ["/ip4/9.9.9.9/tcp/1/p2p/\(own)"])
        #expect(siege.swarm.localPeer == own)
        siege.pass(.seconds(120))
        #expect(siege.dialFailures.map(\.cause) == [.selfDial])
        // Once, to see whether another node lives there with our identity.
        #expect(siege.connects.count <= 1)
    }

    // MARK: Strangers (py-libp2p #429: the id was not checked after the handshake)

    @Test func aStrangerAtAPeersAddressIsNotTakenForIt() throws {
        let siege = Siege()
        let wanted = KeyPair(random: &siege.random).peerID
        let ticket = siege.perform(.connect(try Multiaddr("/ip4/9.9.9.9/tcp/1/p2p/\(wanted)")))
        let stranger = try #require(SiegePeer(answering: siege))
        guard case .failure(.dial(.wrongPeer(expected: wanted, actual: stranger.peer), _))? = siege.completions[ticket]?.first else {
            Issue.record("\(String(describing: siege.completions[ticket]))")
            return
        }
        #expect(siege.connected == [])
        #expect(siege.remains == [])
    }
}
