import TestSupport
import Testing
@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// What a swarm tells its driver for quick handshakes: that an answer comes soon, and that idle time is of use.
@Suite struct HandshakeHasteTests {
    private let siege = Siege(seed: 21)
    /// Read here: the macros of tests want nothing that changes what it asks.
    private var tookFlight: Bool { siege.swarm.tookFlight() }
    private var hasUseForIdleTime: Bool { siege.swarm.hasUseForIdleTime }

    /// After each message of a peer that dials from there, whether an answer is soon there; the last one ends the handshake.
    private func flights(from ip: [UInt8]) throws -> [Bool] {
        var peer = RawPeer(role: .outbound, muxers: ["/yamux/1.0.0"], random: &siege.random)
        let id = try #require(siege.accept(from: ip))
        var told = [tookFlight]
        for _ in 0..<2 {
            siege.feed(id, peer.takeOutput())
            told.append(tookFlight)
            peer.receive(siege.take(id))
        }
        #expect(siege.swarm.connections[id]?.phase == .established)
        return told
    }

    @Test func theNextMessageOfAHandshakeWithinThisHostComesSoon() throws {
        #expect(try flights(from: siege.address.ip) == [true, true, false])
        #expect(!tookFlight)
    }

    @Test func thatOfAnotherHostDoesNot() throws {
        #expect(try flights(from: [10, 0, 0, 2]) == [false, false, false])
    }

    /// Each message is good for one look: a connection that stays silent is not waited for again.
    @Test func silenceIsNotAwaitedTwice() throws {
        let id = try #require(siege.accept(from: siege.address.ip))
        #expect(tookFlight)
        siege.settle()
        #expect(!tookFlight)
        #expect(siege.swarm.connections[id]?.phase == .handshaking)
    }

    /// A handshake had to make its own key: for the next ones several are made at once, and again when they are used up.
    @Test func idleTimeIsUsedForKeysAfterAHandshake() throws {
        #expect(!hasUseForIdleTime)
        _ = try flights(from: [10, 0, 0, 2])
        for (expected, kept) in [(1, 4), (0, 3), (0, 2), (0, 1), (1, 4)] {
            var steps = 0
            while hasUseForIdleTime, steps < 2 * EphemeralKeys.maximum {
                siege.swarm.useIdleTime()
                steps += 1
            }
            #expect(steps == expected && siege.swarm.ephemeralKeys.count == kept)
            _ = try flights(from: [10, 0, 0, 2])
        }
    }
}
