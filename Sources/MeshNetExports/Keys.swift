import CMeshNet
import MeshNetProtocol
import MeshNetSystem

@c @implementation public func meshnet_keypair_generate(_ keypair: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
    produce(keypair) { () throws(Failure) in KeyPair.generate() }
}

@c @implementation public func meshnet_keypair_from_secret(_ secret: UnsafePointer<UInt8>?, _ length: Int,
                                                           _ keypair: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
    produce(keypair) { () throws(Failure) in
        guard let secret else { throw .argument("secret", "is NULL") }
        guard length == KeyPair.secretByteCount else {
            throw .key("a secret has \(KeyPair.secretByteCount) bytes and not \(UInt(bitPattern: length))")
        }
        let made = KeyPair(secret: [UInt8](try bytes(secret, length, "secret")))
        guard let made else { throw .key("the secret is refused") }
        return made
    }
}

@c @implementation public func meshnet_keypair_load(_ path: UnsafePointer<CChar>?, _ keypair: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
    produce(keypair) { () throws(Failure) in
        let path = try text(path, "path")
        do throws(KeyFileError) { return try KeyFile.load(path) } catch { throw error.failure(path) }
    }
}

@c @implementation public func meshnet_keypair_save(_ keypair: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> Int32 {
    answer { () throws(Failure) in
        let path = try text(path, "path")
        let keyPair = try keyPair(keypair)
        do throws(KeyFileError) { try KeyFile.save(keyPair, path) } catch { throw error.failure(path) }
    }
}

@c @implementation public func meshnet_keypair_secret(_ keypair: OpaquePointer?, _ secret: UnsafeMutablePointer<UInt8>?, _ capacity: Int) -> Int32 {
    answer { () throws(Failure) in
        let keyPair = try keyPair(keypair)
        let place = try result(secret, "secret")
        guard capacity >= KeyPair.secretByteCount else { throw .bufferTooSmall(needed: KeyPair.secretByteCount, capacity: max(capacity, 0)) }
        keyPair.secretBytes.withUnsafeBufferPointer { place.update(from: $0.baseAddress!, count: $0.count) }
    }
}

@c @implementation public func meshnet_keypair_peer_id(_ keypair: OpaquePointer?, _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int32 {
    answer { () throws(Failure) in try write(try keyPair(keypair).peerID.description, to: text, capacity, "text") }
}

@c @implementation public func meshnet_keypair_free(_ keypair: OpaquePointer?) {
    if let keypair { _ = HandleTable.removeKeyPair(keypair) }
}

private func produce(_ place: UnsafeMutablePointer<OpaquePointer?>?, _ make: () throws(Failure) -> KeyPair) -> Int32 {
    place?.pointee = nil
    return answer { () throws(Failure) in
        let place = try result(place, "keypair")
        place.pointee = HandleTable.insert(.keyPair(try make()))
    }
}

private extension KeyFileError {
    func failure(_ path: String) -> Failure {
        switch self {
        case .failed(let call, let errno): return .keyFile(path: path, reason: "\(call): \(describe(errno: errno))", errno: errno)
        case .tooLarge(let limit): return .keyFile(path: path, reason: "has more than \(limit) bytes: no key file", errno: 0)
        case .malformed(let problem): return .keyFile(path: path, reason: "no key file of an Ed25519 key: \(problem)", errno: 0)
        }
    }
}
