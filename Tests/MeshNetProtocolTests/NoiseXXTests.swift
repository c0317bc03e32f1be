import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct NoiseXXTests {
    /// RFC 5869, appendix A.3: HKDF-SHA256 without salt and info, of which Noise uses the first two blocks.
    @Test func deriveTwoKeysIsHKDF() {
        var first = [UInt8](repeating: 0, count: 32), second = first
        [UInt8](repeating: 0x0b, count: 22).withUnsafeBytes {
            NoiseSuite.deriveTwoKeys(chainingKey: &first, input: $0, key: &second, by: SHA256Context())
        }
        #expect((first + second).hex.hasPrefix(
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"))
    }

    /// The one vector of this suite that cacophony publishes, so that a clone alone proves the handshake.
    @Test func cacophonyVector() throws {
        try NoiseVector.cacophony.replay()
    }

    @Test(.enabled(if: Vectors.present, "vectors are beside the checkout")) func publishedVectors() throws {
        let vectors = try Vectors.cases("noise_xx.json", "vectors")
        #expect(vectors.count == 6)
        for vector in vectors { try NoiseVector(vector).replay() }
    }

    @Test func anyChangedBitFailsAtThatMessageOrTheNext() throws {
        let vector = NoiseVector.cacophony
        for index in 0..<3 {
            for bit in stride(from: 0, to: vector.messages[index].ciphertext.count * 8, by: 1) {
                #expect(try vector.failureAfterFlip(ofBit: bit, in: index) == .handshakeNotAuthentic(message: max(index, 1)),
                        "bit \(bit) of message \(index)")
            }
        }
    }

    @Test(arguments: [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]) func pointsOfLowOrderAreRefused(point: String) throws {
        var responder = NoiseVector.cacophony.side(.responder)
        _ = try responder.read([UInt8](hex: point)!)
        #expect(throws: NoiseError.weakKey(message: 1)) { try responder.write(payload: []) }
    }

    @Test func shortMessagesNameWhatIsMissing() throws {
        var responder = NoiseVector.cacophony.side(.responder)
        #expect(throws: NoiseError.messageTooShort(message: 0, needed: 32, available: 31)) {
            try responder.read([UInt8](repeating: 9, count: 31))
        }
        var initiator = NoiseVector.cacophony.side(.initiator)
        _ = try initiator.write(payload: [])
        #expect(throws: NoiseError.messageTooShort(message: 1, needed: 32, available: 0)) { try initiator.read([]) }
    }

    @Test func messagesAboveAFrameAreRefused() {
        var responder = NoiseVector.cacophony.side(.responder)
        #expect(throws: NoiseError.messageTooLong(count: 65_536, limit: 65_535)) {
            try responder.read([UInt8](repeating: 9, count: 65_536))
        }
    }

    @Test func readingOutOfTurnIsRefused() {
        var initiator = NoiseVector.cacophony.side(.initiator)
        #expect(throws: NoiseError.unexpectedMessage) { try initiator.read([UInt8](repeating: 9, count: 32)) }
    }
}

/// A Noise vector of the common JSON form.
private struct NoiseVector {
    struct Message {
        var fromInitiator: Bool
        var payload: [UInt8]
        var ciphertext: [UInt8]
    }

    var name: String
    var prologue: [UInt8], handshakeHash: [UInt8]
    var statics: [NoiseXX.Role: [UInt8]], ephemerals: [NoiseXX.Role: [UInt8]]
    var initiatorKey: [UInt8], responderKey: [UInt8]
    var messages: [Message]

    init(_ json: [String: Any]) {
        name = json.text("name")
        prologue = json.bytes("prologue")
        handshakeHash = json.bytes("handshake_hash")
        statics = [.initiator: json.bytes("init_static_private"), .responder: json.bytes("resp_static_private")]
        ephemerals = [.initiator: json.bytes("init_ephemeral_private"), .responder: json.bytes("resp_ephemeral_private")]
        initiatorKey = json.bytes("init_to_resp_key")
        responderKey = json.bytes("resp_to_init_key")
        messages = (json["messages"] as? [[String: Any]] ?? []).map {
            Message(fromInitiator: $0.text("sender") == "init", payload: $0.bytes("payload"), ciphertext: $0.bytes("ciphertext"))
        }
    }

    func side(_ role: NoiseXX.Role) -> NoiseXX {
        NoiseXX(
            role: role, staticSecret: statics[role]!, staticKey: NoiseSuite.publicKey(of: statics[role]!), ephemeralSecret: ephemerals[role]!,
            prologue: prologue)
    }

    /// Both sides write and read every message as published, handshake and transport.
    func replay() throws {
        var sides: [NoiseXX.Role: NoiseXX] = [.initiator: side(.initiator), .responder: side(.responder)]
        for message in messages[..<3] {
            let (writer, reader): (NoiseXX.Role, NoiseXX.Role) =
                message.fromInitiator ? (.initiator, .responder) : (.responder, .initiator)
            #expect(try sides[writer]!.write(payload: message.payload) == message.ciphertext, "\(name)")
            #expect(try sides[reader]!.read(message.ciphertext) == message.payload, "\(name)")
        }
        for role in [NoiseXX.Role.initiator, .responder] {
            #expect(sides[role]!.handshakeHash == handshakeHash, "\(name)")
            let keys = sides[role]!.split()
            #expect(keys.initiator == initiatorKey && keys.responder == responderKey, "\(name)")
        }
        var sealers = [true: try NoiseCipher(sealingWith: initiatorKey), false: try NoiseCipher(sealingWith: responderKey)]
        var openers = [true: try NoiseCipher(openingWith: initiatorKey), false: try NoiseCipher(openingWith: responderKey)]
        for message in messages[3...] {
            #expect(try sealers[message.fromInitiator]!.sealed(message.payload) == message.ciphertext, "\(name)")
            #expect(try openers[message.fromInitiator]!.opened(message.ciphertext) == message.payload, "\(name)")
        }
    }

    /// The error that the handshake ends with when one bit is changed on the way.
    func failureAfterFlip(ofBit bit: Int, in changed: Int) throws -> NoiseError? {
        var sides: [NoiseXX.Role: NoiseXX] = [.initiator: side(.initiator), .responder: side(.responder)]
        for (index, message) in messages[..<3].enumerated() {
            let (writer, reader): (NoiseXX.Role, NoiseXX.Role) =
                message.fromInitiator ? (.initiator, .responder) : (.responder, .initiator)
            var bytes = try sides[writer]!.write(payload: message.payload)
            if index == changed { bytes[bit / 8] ^= 1 << UInt8(bit % 8) }
            do { _ = try sides[reader]!.read(bytes) } catch let error as NoiseError { return error }
        }
        return nil
    }

    static let cacophony = NoiseVector([
        "name": "cacophony", "prologue": "4a6f686e2047616c74",
        "init_static_private": "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
        "init_ephemeral_private": "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        "resp_static_private": "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
        "resp_ephemeral_private": "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
        "handshake_hash": "c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e",
        "init_to_resp_key": "3062fff068d0abd171b4b4603c5b7633bf5ee4e79da311370c2eba7f1ed6c69a",
        "resp_to_init_key": "cbabb3f5e4529fc0e93efda9b4b70169270c04b05c5be25f71e9c55f7955c86a",
        "messages": [
            ["sender": "init", "payload": "4c756477696720766f6e204d69736573",
             "ciphertext": "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69736573"],
            ["sender": "resp", "payload": "4d757272617920526f746862617264",
             "ciphertext": "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1f276e038c48378ffce2b65285"
                + "e08d6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be9b5c412f8a0db50f"
                + "8814c7194e83f23dbd8d162c9326ad"],
            ["sender": "init", "payload": "462e20412e20486179656b",
             "ciphertext": "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0f169ae80a89be0865b57f"
                + "58c9fea0d4ec82a286427402f113e4b6ae769a1d95941d49b25030"],
            ["sender": "resp", "payload": "4361726c204d656e676572", "ciphertext": "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df"],
            ["sender": "init", "payload": "4a65616e2d426170746973746520536179",
             "ciphertext": "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5"],
            ["sender": "resp", "payload": "457567656e2042f6686d20766f6e2042617765726b",
             "ciphertext": "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f"],
        ] as [[String: Any]],
    ])
}

extension NoiseXX {
    mutating func write(payload: [UInt8]) throws(NoiseError) -> [UInt8] {
        var message: [UInt8] = []
        try write(payload: payload, into: &message)
        return message
    }

    mutating func read(_ bytes: [UInt8]) throws -> [UInt8] { try bytes.withUnsafeBytes { try read($0) } }
}

extension NoiseCipher {
    mutating func sealed(_ plaintext: [UInt8]) throws -> [UInt8] {
        var bytes = plaintext + [UInt8](repeating: 0, count: NoiseFrame.tag)
        try bytes.withUnsafeMutableBytes { try seal($0, count: plaintext.count) }
        return bytes
    }

    mutating func opened(_ frame: [UInt8]) throws -> [UInt8] {
        var bytes = frame
        let count = try bytes.withUnsafeMutableBytes { try open($0) }
        return Array(bytes[..<count])
    }
}
