import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct PreSharedKeyTests {
    private let hex = "dffb7e3135399a8b1612b2aaca1c36a3a8ac2cd0cca51ceeb2ced87d308cac6d"

    @Test func fileRoundTrip() throws {
        let key = try PreSharedKey(keyFile: Array("/key/swarm/psk/1.0.0/\n/base16/\n\(hex)\n".utf8))
        #expect(key.bytes.hex == hex)
        #expect(String(decoding: key.keyFile, as: UTF8.self) == "/key/swarm/psk/1.0.0/\n/base16/\n\(hex)\n")
        #expect(try PreSharedKey(keyFile: key.keyFile) == key)
        #expect(key.fingerprint == "b0e010a0aabd8fcfa4b1cdf9280dc513")
        #expect(PreSharedKey(bytes: [1, 2, 3]) == nil)
        #expect(PreSharedKey(bytes: [UInt8](repeating: 0, count: 32)) != key)
    }

    @Test func fingerprintOfRust() throws {
        let key = try #require(PreSharedKey(bytes: [UInt8](hex: "6189c5cf0b87fb800c1a9feeda73c6ab5e998db48fb9e6a978575c770ceef683")!))
        #expect(key.fingerprint == "45fc986bbc9388a11d939df26f730f0c")
    }

    @Test func errorsSayWhatIsWrong() {
        func error(_ text: String) -> PreSharedKeyError? {
            do throws(PreSharedKeyError) {
                _ = try PreSharedKey(keyFile: Array(text.utf8))
                return nil
            } catch {
                return error
            }
        }
        #expect(error("") == .notAKeyFile)
        #expect(error("/key/swarm/psk/1.0.0/\n/base32/\nabc") == .unknownEncoding("/base32/"))
        #expect(error("/key/swarm/psk/1.0.0/\n/base16/\nxy") == .malformedKey(encoding: "/base16/"))
        #expect(error("/key/swarm/psk/1.0.0/\n/base16/\nabcd") == .wrongLength(count: 2))
        #expect(error("/key/swarm/psk/1.0.0/\n/base16/\n\(hex)\nmore") == .malformedKey(encoding: "/base16/"))
        let long = String(repeating: "\n", count: PreSharedKey.maximumFileByteCount + 1)
        #expect(error(long) == .tooLong(count: long.utf8.count, limit: PreSharedKey.maximumFileByteCount))
    }

    @Test func generatedKeysDiffer() {
        var random = RandomSource(testSeed: 3)
        #expect(PreSharedKey(random: &random) != PreSharedKey(random: &random))
    }
}

@Suite(.enabled(if: Vectors.present, "vectors are beside the checkout")) struct PreSharedKeyVectorTests {
    @Test func fingerprints() throws {
        for row in try Vectors.cases("pnet.json", "fingerprint") {
            #expect(try #require(PreSharedKey(bytes: row.bytes("psk"))).fingerprint == row.text("fingerprint"))
        }
    }

    /// Spaces behind the key are taken, 33 bytes are refused, where implementations differ.
    @Test func keyFiles() throws {
        let rows = try Vectors.cases("pnet.json", "key_files")
        #expect(rows.count >= 39)
        for row in rows {
            let file = row["file"] == nil ? Array(row.text("text").utf8) : row.bytes("file")
            if ["accept", "optional"].contains(row.text("expect")) {
                #expect(try PreSharedKey(keyFile: file).bytes.hex == row.text("psk"), "\(row.text("name"))")
            } else {
                #expect(throws: PreSharedKeyError.self, "\(row.text("name"))") { try PreSharedKey(keyFile: file) }
            }
        }
    }
}
