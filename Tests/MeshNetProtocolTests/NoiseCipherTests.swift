import TestSupport
import COpenSSL
import Testing
@testable import MeshNetProtocol

@Suite struct NoiseCipherTests {
    private let key = [UInt8](0..<32)

    @Test func framesOfEverySizeComeBackInOrder() throws {
        var sealing = try NoiseCipher(sealingWith: key), opening = try NoiseCipher(openingWith: key)
        for count in [0, 1, 15, 16, 17, 63, 64, 65, 1_024, 65_518, 65_519] {
            let plaintext = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let frame = try sealing.sealed(plaintext)
            #expect(frame.count == count + 16)
            #expect(try opening.opened(frame) == plaintext)
        }
    }

    /// Decision 017: what is left in use slows all other work of the thread on some processors.
    @Test(.enabled(if: meshnet_upper_halves_in_use() >= 0, "the processor tells what is in use"), arguments: [0, 16, 64, 1_000, 10_000, 65_519])
    func noUpperHalvesOfVectorRegistersStayInUse(count: Int) throws {
        var sealing = try NoiseCipher(sealingWith: key), opening = try NoiseCipher(openingWith: key)
        var frame = [UInt8](repeating: 7, count: count + NoiseFrame.tag)
        let afterSealing = try frame.withUnsafeMutableBytes { buffer in
            try sealing.seal(buffer, count: count)
            return meshnet_upper_halves_in_use()
        }
        let afterOpening = try frame.withUnsafeMutableBytes { buffer in
            _ = try opening.open(buffer)
            return meshnet_upper_halves_in_use()
        }
        #expect(afterSealing == 0 && afterOpening == 0)
    }

    /// Wherever a message is cut into what lies in the frame and what is sealed from elsewhere, the frame is the same.
    @Test func whatIsSealedFromElsewhereMakesTheSameFrame() throws {
        for total in [0, 1, 63, 64, 65, 127, 200, 65_519] {
            let plaintext = (0..<total).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            var whole = try NoiseCipher(sealingWith: key)
            let expected = try whole.sealed(plaintext)
            for count in [0, 1, 12, 51, 52, 63, 64, 65, 128, 65_507, 65_519] where count <= total {
                var cipher = try NoiseCipher(sealingWith: key)
                var frame = Array(plaintext[..<count]) + [UInt8](repeating: 0xee, count: total - count + NoiseFrame.tag)
                try plaintext.withUnsafeBytes { source in
                    let rest = UnsafeRawBufferPointer(rebasing: source[count...])
                    try frame.withUnsafeMutableBytes { try cipher.seal($0, count: count, then: rest) }
                }
                #expect(frame == expected, "\(count) of \(total) bytes in place")
            }
        }
    }

    /// The context is reused: each frame must be what a fresh one makes, told by the AEAD of the handshake.
    @Test func theHandshakeAgreesWithTheBulkCipher() throws {
        var sealing = try NoiseCipher(sealingWith: key)
        let plaintext = Array("meshnet".utf8)
        let frames = try (0..<3).map { _ in try sealing.sealed(plaintext) }
        #expect(Set(frames.map(\.hex)).count == 3)
        for (nonce, frame) in frames.enumerated() {
            var fresh = try NoiseCipher(openingWith: key, nonce: UInt64(nonce))
            #expect(try fresh.opened(frame) == plaintext)
        }
    }

    /// RUSTSEC-2024-0011: a message that is not authentic must not move the counter.
    @Test func aForgedFrameDoesNotAdvanceTheCounter() throws {
        var sealing = try NoiseCipher(sealingWith: key), opening = try NoiseCipher(openingWith: key)
        let frame = try sealing.sealed([1, 2, 3])
        for index in frame.indices {
            var forged = frame
            forged[index] ^= 0x80
            #expect(throws: NoiseError.frameNotAuthentic(nonce: 0)) { try opening.opened(forged) }
        }
        #expect(try opening.opened(frame) == [1, 2, 3])
        #expect(throws: NoiseError.frameNotAuthentic(nonce: 1)) { try opening.opened(frame) }
        #expect(try opening.opened(try sealing.sealed([4])) == [4])
    }

    @Test func aForgedFrameLeavesNoPlaintext() throws {
        var sealing = try NoiseCipher(sealingWith: key), opening = try NoiseCipher(openingWith: key)
        var frame = try sealing.sealed([UInt8](repeating: 0xaa, count: 100))
        frame[115] ^= 1
        #expect(throws: NoiseError.self) { _ = try frame.withUnsafeMutableBytes { try opening.open($0) } }
        #expect(frame == [UInt8](repeating: 0, count: 116))
    }

    @Test func framesOutOfOrderAreRefused() throws {
        var sealing = try NoiseCipher(sealingWith: key), opening = try NoiseCipher(openingWith: key)
        _ = try sealing.sealed([1])
        let second = try sealing.sealed([2])
        #expect(throws: NoiseError.frameNotAuthentic(nonce: 0)) { try opening.opened(second) }
    }

    @Test(arguments: [0, 1, 15]) func framesWithoutATagAreRefused(count: Int) throws {
        var opening = try NoiseCipher(openingWith: key)
        #expect(throws: NoiseError.frameTooShort(count: count)) { try opening.opened([UInt8](repeating: 0, count: count)) }
    }

    @Test func framesAboveTheLimitAreRefused() throws {
        var opening = try NoiseCipher(openingWith: key)
        #expect(throws: NoiseError.messageTooLong(count: 65_536, limit: 65_535)) {
            try opening.opened([UInt8](repeating: 0, count: 65_536))
        }
    }

    @Test func theLastNonceIsNeverUsed() throws {
        var sealing = try NoiseCipher(sealingWith: key, nonce: .max - 1), opening = try NoiseCipher(openingWith: key, nonce: .max - 1)
        #expect(try opening.opened(try sealing.sealed([9])) == [9])
        #expect(throws: NoiseError.nonceExhausted) { try sealing.sealed([9]) }
        #expect(throws: NoiseError.nonceExhausted) { try opening.opened([UInt8](repeating: 0, count: 17)) }
    }

    @Test func copiesShareOneCounter() throws {
        var first = try NoiseCipher(sealingWith: key), opening = try NoiseCipher(openingWith: key)
        var second = first
        #expect(try opening.opened(try first.sealed([1])) == [1])
        #expect(try opening.opened(try second.sealed([2])) == [2])
    }
}
