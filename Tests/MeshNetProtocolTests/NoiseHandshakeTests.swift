import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct NoiseHandshakeTests {
    private let alice = KeyPair(secret: [UInt8](repeating: 1, count: 32))!
    private let bob = KeyPair(secret: [UInt8](repeating: 2, count: 32))!

    /// One side of a handshake with fixed randomness.
    private func side(
        _ role: NoiseHandshake.Role, seed: UInt64? = nil, muxers: [String] = ["/yamux/1.0.0"], expecting: PeerID? = nil
    ) -> NoiseHandshake {
        var random = RandomSource(testSeed: seed ?? (role == .initiator ? 1 : 2))
        return NoiseHandshake(
            role: role, identity: role == .initiator ? alice : bob, muxers: muxers, expectedPeer: expecting, random: &random)
    }

    /// Runs both sides to the end; `change` may alter a message (without its length) on the way.
    private func run(
        _ initiator: inout NoiseHandshake, _ responder: inout NoiseHandshake, change: (Int, inout [UInt8]) -> Void = { _, _ in }
    ) throws -> [[UInt8]] {
        var transcript: [[UInt8]] = []
        for index in 0..<3 {
            let polled = index % 2 == 0 ? initiator.poll() : responder.poll()
            let frame = try #require(polled)
            #expect(Int(frame[0]) << 8 | Int(frame[1]) == frame.count - 2)
            transcript.append(frame)
            var message = Array(frame[2...])
            change(index, &message)
            try message.withUnsafeBytes { try index % 2 == 0 ? responder.receive($0) : initiator.receive($0) }
        }
        return transcript
    }

    @Test func bothSidesFinishAndAgree() throws {
        var initiator = side(.initiator, expecting: bob.peerID), responder = side(.responder)
        _ = try run(&initiator, &responder)
        let finished = (initiator.finish(), responder.finish())
        var a = try #require(finished.0), b = try #require(finished.1)
        #expect(a.remotePeer == bob.peerID && a.remoteKey == bob.publicKey)
        #expect(b.remotePeer == alice.peerID && b.remoteKey == alice.publicKey)
        #expect(a.handshakeHash == b.handshakeHash)
        #expect(a.remoteMuxers == ["/yamux/1.0.0"] && b.remoteMuxers == ["/yamux/1.0.0"])
        #expect(a.agreedMuxer == "/yamux/1.0.0" && b.agreedMuxer == "/yamux/1.0.0")
        #expect(try b.receiving.opened(try a.sending.sealed([1, 2])) == [1, 2])
        #expect(try a.receiving.opened(try b.sending.sealed([3])) == [3])
        #expect(initiator.finish() == nil && responder.finish() == nil && initiator.poll() == nil && responder.poll() == nil)
    }

    /// Nobody publishes a transcript of the libp2p handshake with its identity payload: this one is ours, from fixed seeds.
    @Test func goldenTranscript() throws {
        var initiator = side(.initiator), responder = side(.responder)
        let transcript = try run(&initiator, &responder)
        #expect(transcript.map(\.hex) == Self.golden)
        #expect(initiator.finish()?.handshakeHash.hex == Self.goldenHash)
    }

    @Test func anyChangedBitFailsAtTheRightMessage() throws {
        for index in 0..<3 {
            for bit in 0..<(Self.golden[index].count / 2 - 2) * 8 {
                var initiator = side(.initiator), responder = side(.responder)
                #expect(throws: NoiseError.handshakeNotAuthentic(message: max(index, 1)), "bit \(bit) of message \(index)") {
                    try run(&initiator, &responder) { if $0 == index { $1[bit / 8] ^= 1 << UInt8(bit % 8) } }
                }
            }
        }
    }

    @Test func anotherPeerThanTheOneDialledIsRefusedBeforeWeShowWhoWeAre() throws {
        var initiator = side(.initiator, expecting: alice.peerID), responder = side(.responder)
        #expect(throws: NoiseError.wrongPeer(expected: alice.peerID, actual: bob.peerID)) { try run(&initiator, &responder) }
        #expect(initiator.poll() == nil && initiator.finish() == nil)
    }

    @Test func aProofIsVerifiedOnceAndNothingButTheSameIsSpared() throws {
        let proven = ProvenSignatures()
        var verified = 0
        func check(_ key: [UInt8], _ signature: [UInt8], _ message: [UInt8], _ outcome: Bool = true) -> Bool {
            proven.check(signature, of: message, by: key) {
                verified += 1
                return outcome
            }
        }
        // A failure is not remembered; a success is.
        #expect(!check([1, 2], [3], [4], false) && verified == 1)
        #expect(check([1, 2], [3], [4]) && verified == 2)
        #expect(check([1, 2], [3], [4], false) && verified == 2)
        for (identity, signature, key) in [([1], [2, 3], [4]), ([1, 2], [3, 4], []), ([1, 2], [4], [4]), ([1, 2], [3], [5])] as [([UInt8], [UInt8], [UInt8])] {
            #expect(!check(identity, signature, key, false), "\(identity), \(signature), \(key)")
        }
        #expect(verified == 6)
        // The oldest makes room.
        for number in 0..<UInt16(ProvenSignatures.maximum) { #expect(check([9], [UInt8(number >> 8), UInt8(number & 255)], [4])) }
        #expect(proven.count == ProvenSignatures.maximum)
        #expect(!check([1, 2], [3], [4], false))
    }

    @Test func aPeerThatComesBackIsKnownByItsProof() throws {
        let proven = ProvenSignatures()
        var random = RandomSource(testSeed: 5)
        let keys = (NoiseKey(identity: alice, random: &random), NoiseKey(identity: bob, random: &random))
        for _ in 0..<2 {
            var initiator = NoiseHandshake(
                role: .initiator, identity: alice, key: keys.0, muxers: [], expectedPeer: bob.peerID, proven: proven, random: &random)
            var responder = NoiseHandshake(role: .responder, identity: bob, key: keys.1, muxers: [], expectedPeer: nil, proven: proven, random: &random)
            _ = try run(&initiator, &responder)
            #expect(initiator.finish()?.remotePeer == bob.peerID && responder.finish()?.remotePeer == alice.peerID)
            #expect(proven.count == 2)
        }
        // Who claims a known identity for a key that another signed fails as before.
        let stolen = NoiseKey(identity: bob, random: &random)
        var initiator = NoiseHandshake(role: .initiator, identity: alice, key: keys.0, muxers: [], expectedPeer: bob.peerID, proven: proven, random: &random)
        var responder = NoiseHandshake(role: .responder, identity: alice, key: stolen, muxers: [], expectedPeer: nil, proven: proven, random: &random)
        #expect(throws: NoiseError.invalidSignature(claimed: alice.peerID)) { try run(&initiator, &responder) }
        #expect(proven.count == 2)
    }

    @Test func theInitiatorsOrderOfMuxersDecides() throws {
        var initiator = side(.initiator, muxers: ["/c", "/b", "/a"]), responder = side(.responder, muxers: ["/a", "/b"])
        _ = try run(&initiator, &responder)
        #expect(initiator.finish()?.agreedMuxer == "/b" && responder.finish()?.agreedMuxer == "/b")
    }

    @Test func withoutMuxersMultistreamDecides() throws {
        var initiator = side(.initiator), responder = side(.responder, muxers: [])
        _ = try run(&initiator, &responder)
        let sessions = (initiator.finish(), responder.finish())
        #expect(sessions.0?.remoteMuxers == [] && sessions.1?.remoteMuxers == ["/yamux/1.0.0"])
        #expect(sessions.0?.agreedMuxer == nil && sessions.1?.agreedMuxer == nil)
    }

    @Test func aFailedHandshakeStaysFailed() throws {
        var responder = side(.responder)
        #expect(throws: NoiseError.messageTooShort(message: 0, needed: 32, available: 0)) { try responder.receive(empty) }
        var initiator = side(.initiator)
        let first = (initiator.poll() ?? []).dropFirst(2).map { $0 }
        #expect(throws: NoiseError.unexpectedMessage) { try first.withUnsafeBytes { try responder.receive($0) } }
        #expect(responder.poll() == nil && responder.finish() == nil)
    }

    @Test func aMessageBehindTheEndIsRefused() throws {
        var initiator = side(.initiator), responder = side(.responder)
        _ = try run(&initiator, &responder)
        #expect(throws: NoiseError.unexpectedMessage) { try responder.receive(empty) }
    }

    private let empty = UnsafeRawBufferPointer(start: nil, count: 0)

    private static let golden = [
        "00206c31e6a53517026cfabad6eaa8eb120714861ab4d082c5607c3ea07350709a51",
        "00d836a3a5516d0519d1e3c856c54ab851b64d9cc56a44daaf9843a0a1a5d56c923429f475586f0c93737cf108ae6639ace2b053344266d7"
            + "82579cbec3073178e377e0b68e8d72b054e091ba61deca62fe6744a2afbc4cafb2e1b5486a77264e355728c8212d60e8560ee2a984d2145e"
            + "78f1a65398e1125ffdb5e98cc7c9169533b104c4ce3253112e747ceab6182225d4efd574fc7b44aee141d2850458aed50605c13da712d30f"
            + "ebb26b45b002a810228d3072c6a6ad236e62d2eb03f15eb6d4a2c3b579de32e59694dc34820f9c94224177c267a6d84c744e",
        "00b8640f566758b7bc6db8ff9f25d815034644d5e43587a443cffeb3e307a47678a2478950f1ef5e98e08a7d31dcf5f82109b17718a5d657"
            + "0407e9f11c6bc0aad374a96a4f116994b7478d9c9771cd5a535ba7f3bf58145608b0a3b444ae33309b60bf8eaac343d5ec49c5799d28750e"
            + "076de0ae4bb2d8b0ca577070d20e9a85475b6871ff3fb6858f91611a3cfd38ddfebdaa96268e167751b6f34e9302c2b7133f68c1161e42c4"
            + "f87ee14b75f1ba8741a61cda07e1a27a62a1",
    ]
    private static let goldenHash = "c49dfb3b58321f1f50e9fc3fcf0ff8c75963faff01656da593055d68c58c90ad"
}

/// A responder that proves its Noise key but says what it likes in the payload.
@Suite struct NoisePayloadTests {
    private let alice = KeyPair(secret: [UInt8](repeating: 1, count: 32))!
    private let bob = KeyPair(secret: [UInt8](repeating: 2, count: 32))!

    /// What the initiator makes of a payload that is well sealed.
    private func answer(_ payload: (_ staticKey: [UInt8]) -> [UInt8]) throws -> NoiseError? {
        var random = RandomSource(testSeed: 5)
        var initiator = NoiseHandshake(role: .initiator, identity: alice, muxers: [], expectedPeer: nil, random: &random)
        let secret = random.bytes(32)
        var responder = NoiseXX(
            role: .responder, staticSecret: secret, staticKey: NoiseSuite.publicKey(of: secret), ephemeralSecret: random.bytes(32))
        _ = try responder.read((initiator.poll() ?? []).dropFirst(2).map { $0 })
        let message = try responder.write(payload: payload(responder.staticKey))
        do { try message.withUnsafeBytes { try initiator.receive($0) } } catch let error as NoiseError { return error }
        return nil
    }

    private func payload(_ staticKey: [UInt8], muxers: [String] = []) -> NoisePayload {
        NoisePayload(
            identityKey: bob.publicKey.protobuf, identitySignature: bob.sign(NoisePayload.signedBytes(of: staticKey)), muxers: muxers)
    }

    @Test func anHonestPayloadPasses() throws {
        #expect(try answer { payload($0).encoded } == nil)
    }

    @Test func unknownFieldsAreSkipped() throws {
        #expect(try answer { payload($0).encoded + [0x1a, 2, 1, 2, 0x78, 5, 0x22, 3, 0x0a, 1, 7] } == nil)
    }

    @Test func aSignatureOverAnotherKeyIsRefused() throws {
        #expect(try answer { _ in payload([UInt8](repeating: 9, count: 32)).encoded } == .invalidSignature(claimed: bob.peerID))
    }

    @Test func aSignatureWithoutThePrefixIsRefused() throws {
        #expect(try answer { key in
            var forged = payload(key)
            forged.identitySignature = bob.sign(key)
            return forged.encoded
        } == .invalidSignature(claimed: bob.peerID))
    }

    @Test func theKeyOfAnotherPeerIsRefused() throws {
        #expect(try answer { key in
            var forged = payload(key)
            forged.identityKey = alice.publicKey.protobuf
            return forged.encoded
        } == .invalidSignature(claimed: alice.peerID))
    }

    @Test(arguments: [0, 1, 63, 65]) func signaturesOfOtherLengthsAreRefused(count: Int) throws {
        let expected: NoiseError = count == 0 ? .invalidPayload(.missingField(2)) : .invalidSignature(claimed: bob.peerID)
        #expect(try answer { key in
            var forged = payload(key)
            forged.identitySignature = Array((forged.identitySignature + [0]).prefix(count))
            return forged.encoded
        } == expected)
    }

    @Test func anEmptyPayloadIsRefused() throws {
        #expect(try answer { _ in [] } == .invalidPayload(.missingField(1)))
    }

    @Test func garbageIsRefused() throws {
        #expect(try answer { _ in [0x0a, 0x7f, 1] } == .invalidPayload(.truncated(needed: 127, available: 1)))
        #expect(try answer { _ in [0x08, 1] } == .invalidPayload(.unexpectedWireType(field: 1, wireType: 0)))
    }

    @Test func anUnreadableKeyIsRefused() throws {
        let error = try answer { key in
            var forged = payload(key)
            forged.identityKey = [1, 2, 3]
            return forged.encoded
        }
        guard case .invalidIdentityKey = error else { return #expect(Bool(false), "\(String(describing: error))") }
    }

    @Test func muxersAreBounded() throws {
        let limit = NoisePayload.maximumMuxerCount, longest = NoisePayload.maximumMuxerByteCount
        #expect(try answer { payload($0, muxers: Array(repeating: "/m", count: limit)).encoded } == nil)
        #expect(try answer { payload($0, muxers: Array(repeating: "/m", count: limit + 1)).encoded } == .tooManyMuxers(limit: limit))
        #expect(try answer { payload($0, muxers: Array(repeating: "", count: 20_000)).encoded } == .tooManyMuxers(limit: limit))
        #expect(try answer { payload($0, muxers: [String(repeating: "m", count: longest)]).encoded } == nil)
        #expect(try answer { payload($0, muxers: [String(repeating: "m", count: longest + 1)]).encoded }
            == .muxerNameTooLong(count: longest + 1, limit: longest))
    }
}
