import CSodium

public enum PublicKeyError: Error, Equatable, Sendable { case notEd25519 }

extension PublicKey {
    package init(protobuf bytes: UnsafeRawBufferPointer) throws(PublicKeyError) {
        guard bytes.count == 36, bytes[0] == 8, bytes[1] == 1, bytes[2] == 18, bytes[3] == 32 else { throw .notEd25519 }
        self.init(type: .ed25519, data: [UInt8](bytes[4...]))
    }

    package func verify(signature: [UInt8], of message: [UInt8]) -> Bool {
        signature.count == 64 && crypto_sign_verify_detached(signature, message, UInt64(message.count), data) == 0
    }
}
