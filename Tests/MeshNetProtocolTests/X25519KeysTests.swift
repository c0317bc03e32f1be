import TestSupport
import Testing
@testable import MeshNetProtocol

/// Public keys made together are those that libsodium makes one by one.
@Suite struct X25519KeysTests {
    /// RFC 7748, section 6.1.
    @Test func publishedKeys() {
        let secrets = ["77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"]
        #expect(X25519Keys.publicKeys(of: secrets.compactMap { [UInt8](hex: $0) }).map(\.hex) == [
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        ])
    }

    @Test func anyNumberOfThem() {
        var random = RandomSource(testSeed: 11)
        for count in 0..<20 {
            let secrets = (0..<count).map { _ in random.bytes(32) }
            #expect(X25519Keys.publicKeys(of: secrets) == secrets.map(NoiseSuite.publicKey), "\(count) keys")
        }
    }

    /// What is clamped away, and the same secret twice.
    @Test func secretsOfAllKinds() {
        let secrets = [[UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xff, count: 32), [7] + [UInt8](repeating: 0, count: 31),
                       [UInt8](repeating: 0xff, count: 32), [UInt8](repeating: 0, count: 31) + [0x80]]
        #expect(X25519Keys.publicKeys(of: secrets) == secrets.map(NoiseSuite.publicKey))
    }
}
