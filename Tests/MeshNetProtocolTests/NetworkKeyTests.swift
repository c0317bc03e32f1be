import TestSupport
import Testing
@testable import MeshNetProtocol

/// The known answers were computed with argon2-cffi and hashlib of Python.
@Suite struct NetworkKeyTests {
    private let passphrase = "correct horse battery staple"

    @Test func aPassphraseGivesTheKeyOfArgon2id() throws {
        let named = try PreSharedKey(secret: passphrase, network: "kitchen")
        #expect(named.bytes.hex == "6d52348f5947c84fcf1185c7b933458c16f07a7ff8a645c32649f4d65afee82e")
        let nameless = try PreSharedKey(secret: passphrase + "\r\n\n", network: nil)
        #expect(nameless.bytes.hex == "9a58e1c092e00af292b7558d9e353005d140ddc66368ea82bc3901bf78dcb51f")
        let umlauts = try PreSharedKey(secret: "größer", network: "kitchen")
        #expect(umlauts.bytes.hex == "81a54df62a4b5bc62759d2dc5b1b740c42d38d685de8a5943788c26a7253d501")
    }

    @Test func aNameAloneGivesItsHash() throws {
        #expect(try PreSharedKey(network: "kitchen").bytes.hex == "f5f1eb242485f1b0867d7c9eb347764abf45928d594841ae4536f321464bdce3")
        #expect(try PreSharedKey(network: "Kitchen") != PreSharedKey(network: "kitchen"))
    }

    @Test func theTextOfAKeyFileIsItsKey() throws {
        let key = try #require(PreSharedKey(bytes: [UInt8](1...32)))
        let file = String(decoding: key.keyFile, as: UTF8.self)
        #expect(try PreSharedKey(secret: file, network: nil) == key)
        #expect(throws: NetworkKeyError.nameBesideKey) { try PreSharedKey(secret: file, network: "kitchen") }
        #expect(throws: NetworkKeyError.keyFile(.wrongLength(count: 1))) {
            try PreSharedKey(secret: "/key/swarm/psk/1.0.0/\n/base16/\nab", network: nil)
        }
    }

    @Test func namesAndSecretsAreBounded() throws {
        let longName = String(repeating: "n", count: PreSharedKey.maximumNameByteCount + 1)
        #expect(throws: NetworkKeyError.nameLength(0)) { try PreSharedKey(network: "") }
        #expect(throws: NetworkKeyError.nameLength(longName.utf8.count)) { try PreSharedKey(network: longName) }
        #expect(throws: NetworkKeyError.nameLength(0)) { try PreSharedKey(secret: passphrase, network: "") }
        #expect(throws: NetworkKeyError.secretLength(0)) { try PreSharedKey(secret: "\n", network: nil) }
        let longSecret = String(repeating: "s", count: PreSharedKey.maximumFileByteCount + 1)
        #expect(throws: NetworkKeyError.secretLength(longSecret.utf8.count)) { try PreSharedKey(secret: longSecret, network: nil) }
        _ = try PreSharedKey(network: String(longName.dropLast()))
    }

    /// A file without its second line has the key there.
    @Test func anErrorShowsNothingOfAKey() {
        let digits = String(repeating: "a1", count: 32)
        #expect(throws: NetworkKeyError.keyFile(.unknownEncoding(""))) {
            try PreSharedKey(secret: "/key/swarm/psk/1.0.0/\n\(digits)\n", network: nil)
        }
    }
}
