import TestSupport
import Testing
@testable import MeshNetProtocol

/// Keys that are made before their handshake.
@Suite struct EphemeralKeysTests {
    private var random = RandomSource(testSeed: 9)

    /// As somebody does who has nothing else to do; how many that made.
    private mutating func fill(_ keys: EphemeralKeys) -> Int {
        let before = keys.count
        for _ in 0..<2 * EphemeralKeys.maximum where keys.isShort { keys.prepare(random: &random) }
        #expect(!keys.isShort)
        return keys.count - before
    }

    @Test mutating func noneIsMadeBeforeOneWasMissed() {
        let keys = EphemeralKeys()
        #expect(!keys.isShort && fill(keys) == 0)
        keys.prepare(random: &random)
        #expect(keys.count == 0)
        #expect(keys.take() == nil && keys.isShort && fill(keys) == EphemeralKeys.batch)
    }

    @Test mutating func asManyAreKeptAsWereMissedWithinABound() {
        let keys = EphemeralKeys()
        var kept: [Int] = []
        for _ in 0..<6 {
            while keys.take() != nil {}
            _ = fill(keys)
            kept.append(keys.count)
        }
        #expect(kept == [4, 8, 8, 8, 8, 8])
    }

    @Test mutating func eachIsTakenOnceAndFitsItsSecret() throws {
        let keys = EphemeralKeys()
        var seen: Set<[UInt8]> = []
        for _ in 0..<4 {
            while let key = keys.take() {
                #expect(NoiseSuite.publicKey(of: key.secret) == key.publicKey)
                #expect(seen.insert(key.secret).inserted && seen.insert(key.publicKey).inserted)
            }
            _ = fill(keys)
        }
        #expect(seen.count == 2 * (4 + 8 + 8))
    }

    /// Both sides take theirs, send it, and agree; a handshake that finds none makes its own.
    @Test mutating func aHandshakeSendsTheKeyThatItTook() throws {
        let identity = KeyPair(secret: [UInt8](repeating: 1, count: 32))!, keys = EphemeralKeys(), twins = EphemeralKeys()
        var twin = random
        #expect(keys.take() == nil && twins.take() == nil)
        keys.prepare(random: &random)
        twins.prepare(random: &twin)
        let expected = try #require(twins.take()).publicKey
        var initiator = NoiseHandshake(role: .initiator, identity: identity, muxers: [], expectedPeer: nil, ephemerals: keys, random: &random)
        var responder = NoiseHandshake(role: .responder, identity: identity, muxers: [], expectedPeer: nil, ephemerals: keys, random: &random)
        #expect(keys.count == EphemeralKeys.batch)
        let first = initiator.poll() ?? []
        #expect(first.dropFirst(2) == expected[...] && keys.count == EphemeralKeys.batch - 1)
        while keys.take() != nil {}
        try first.dropFirst(2).map { $0 }.withUnsafeBytes { try responder.receive($0) }
        #expect(keys.isShort)
        let second = responder.poll() ?? []
        try second.dropFirst(2).map { $0 }.withUnsafeBytes { try initiator.receive($0) }
        let third = initiator.poll() ?? []
        try third.dropFirst(2).map { $0 }.withUnsafeBytes { try responder.receive($0) }
        let ends = (initiator.finish(), responder.finish())
        #expect(ends.0 != nil && ends.0?.handshakeHash == ends.1?.handshakeHash)
    }

    /// As a listener whose port is scanned: a connection that says nothing costs no key.
    @Test mutating func whoNeverSpeaksUsesUpNone() throws {
        let identity = KeyPair(secret: [UInt8](repeating: 1, count: 32))!, keys = EphemeralKeys()
        #expect(keys.take() == nil)
        keys.prepare(random: &random)
        var responder = NoiseHandshake(role: .responder, identity: identity, muxers: [], expectedPeer: nil, ephemerals: keys, random: &random)
        #expect(responder.poll() == nil && keys.count == EphemeralKeys.batch)
    }
}
