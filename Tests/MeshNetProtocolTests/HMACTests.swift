import TestSupport
import Testing
@testable import MeshNetProtocol

/// RFC 4231, sections 4.2 to 4.5: those of its cases whose keys fit a block of SHA-256 and whose codes are given whole.
@Suite struct HMACTests {
    @Test(arguments: [
        ([UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (Array("Jefe".utf8), Array("what do ya want for nothing?".utf8), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ([UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (Array(1...25), [UInt8](repeating: 0xcd, count: 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    ])
    func publishedVectors(key: [UInt8], message: [UInt8], code: String) {
        #expect(Self.code(of: message, key: key).hex == code)
    }

    /// As HKDF uses it: what is computed lies where the message or the key was.
    @Test func theOutputMayLieInTheKeyOrTheMessage() {
        let key = [UInt8](repeating: 7, count: 32), message = [UInt8](repeating: 9, count: 32), code = Self.code(of: message, key: key)
        let context = SHA256Context()
        var inMessage = message, inKey = key
        inMessage.withUnsafeMutableBytes { context.authenticate(UnsafeRawBufferPointer($0), key: key, into: $0) }
        inKey.withUnsafeMutableBytes { bytes in
            message.withUnsafeBytes { context.authenticate($0, key: UnsafeRawBufferPointer(bytes), into: bytes) }
        }
        #expect(inMessage == code && inKey == code)
    }

    private static func code(of message: [UInt8], key: [UInt8]) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 32)
        code.withUnsafeMutableBytes { code in message.withUnsafeBytes { SHA256Context().authenticate($0, key: key, into: code) } }
        return code
    }
}
