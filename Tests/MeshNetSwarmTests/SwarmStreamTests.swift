import MeshNetProtocol
import MeshNetSimulator
import Testing

@testable import MeshNetSwarm

@Suite struct SwarmStreamTests {
    private func pair(_ seed: UInt64) -> Simulation {
        let network = Simulation(seed: seed)
        network.addNode()
        network.addNode(bootstrap: [network.nodes[0].multiaddr])
        network.perform(.accept("/echo/1.0.0"), at: 0)
        network.run(for: .seconds(3))
        return network
    }

    private func open(_ protocols: [String], in network: Simulation) -> Result<Outcome, CallError>? {
        let ticket = network.perform(.openStream(network.nodes[0].peer, protocols: protocols), at: 1)
        network.run(for: .seconds(1))
        return network.nodes[1].completions[ticket]
    }

    private func openedStream(_ network: Simulation) -> (StreamID, StreamID)? {
        guard case .success(.stream(let ours, protocolID: "/echo/1.0.0")) = open(["/echo/1.0.0"], in: network) else { return nil }
        for (_, event) in network.nodes[0].events.reversed() {
            if case .streamOpened(let theirs, _, protocolID: "/echo/1.0.0") = event { return (ours, theirs) }
        }
        return nil
    }

    @Test func bytesGoBothWaysAndEndInOrder() throws {
        let network = pair(1)
        let (ours, theirs) = try #require(openedStream(network))
        network.with(1) { swarm, now in
            _ = [1, 2, 3].withUnsafeBytes { try! swarm.write(ours, UnsafeRawBufferPointer(rebasing: $0[..<3])) }
            swarm.closeWrite(ours, now: now)
        }
        network.run(for: .seconds(1))
        #expect(network.nodes[0].received[theirs]?.count == 3)
        #expect(network.nodes[0].ended == [theirs])
        network.with(0) { swarm, now in
            _ = [UInt8](repeating: 7, count: 5).withUnsafeBytes { try! swarm.write(theirs, $0) }
            swarm.closeWrite(theirs, now: now)
        }
        network.run(for: .seconds(1))
        #expect(network.nodes[1].received[ours] == [UInt8](repeating: 7, count: 5))
        #expect(network.nodes[1].closed[ours] == .some(.none))
        #expect(network.nodes[0].closed[theirs] == .some(.none))
    }

    @Test func aProtocolNobodySpeaksIsRefused() {
        let network = pair(2)
        guard case .failure(.protocolNotSupported(let protocols)) = open(["/nothing/1.0.0", "/void/1.0.0"], in: network) else {
            Issue.record("not refused")
            return
        }
        #expect(protocols == ["/nothing/1.0.0", "/void/1.0.0"])
    }

    @Test func ofSeveralProtocolsTheFirstCommonOneIsAgreed() {
        let network = pair(3)
        guard case .success(.stream(_, protocolID: let agreed)) = open(["/nothing/1.0.0", "/echo/1.0.0"], in: network) else {
            Issue.record("not agreed")
            return
        }
        #expect(agreed == "/echo/1.0.0")
    }

    @Test func aResetReachesTheOtherSide() throws {
        let network = pair(4)
        let (ours, theirs) = try #require(openedStream(network))
        network.with(1) { swarm, now in swarm.resetStream(ours, now: now) }
        network.run(for: .seconds(1))
        #expect(network.nodes[0].closed[theirs] == .some(.streamReset))
    }

    @Test func streamsEndWithTheirConnection() throws {
        let network = pair(5)
        let (ours, theirs) = try #require(openedStream(network))
        network.perform(.disconnect(network.nodes[0].peer), at: 1)
        network.run(for: .seconds(2))
        #expect(network.nodes[1].closed[ours] == .some(.streamReset))
        #expect(network.nodes[0].closed[theirs] == .some(.streamReset))
    }

    @Test(arguments: [(0, 0), (1, 0), (0, 1), (5_000_000, 3_000_000)] as [(UInt64, UInt64)])
    func perfMovesTheBytesAskedFor(upload: UInt64, download: UInt64) {
        let network = pair(6)
        let ticket = network.perform(.perf(network.nodes[0].peer, upload: upload, download: download), at: 1)
        network.run(for: .seconds(60))
        guard case .success(.perf) = network.nodes[1].completions[ticket] else {
            Issue.record("\(String(describing: network.nodes[1].completions[ticket]))")
            return
        }
    }

    @Test func buffersAreGivenBackWhenIdle() {
        let network = pair(7)
        network.perform(.perf(network.nodes[0].peer, upload: 5_000_000, download: 5_000_000), at: 1)
        network.run(for: .seconds(60))
        #expect(network.nodes.map { $0.swarm?.pool.outstanding } == [0, 0])
    }

    @Test func thousandsOfStreamsLeaveNothingBehind() {
        let network = pair(8)
        for _ in 0..<2_000 {
            guard let (ours, _) = openedStream(network) else {
                Issue.record("a stream was not opened")
                return
            }
            network.with(1) { swarm, now in swarm.closeStream(ours, now: now) }
            network.nodes[0].events.removeAll()
            network.with(0) { swarm, now in for stream in swarm.streams.keys { swarm.closeStream(stream, now: now) } }
        }
        network.run(for: .seconds(1))
        for node in network.nodes {
            #expect(node.swarm?.streams.isEmpty == true)
            #expect((node.swarm?.connections.ids.compactMap { node.swarm?.connections[$0]?.streams.count }.max() ?? 0) < 8)
        }
    }
}
