import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// Structs of C that claim to be larger than this are not looked at.
let largestStruct = 65_536

/// Runs the body of an exported function: a failure is recorded for `meshnet_last_error` and becomes the code.
func answer(_ body: () throws(Failure) -> Void) -> Int32 {
    do {
        try body()
        return MESHNET_OK.rawValue
    } catch {
        return refuse(error)
    }
}

func refuse(_ failure: Failure) -> Int32 {
    let account = failure.account
    LastError.record(account)
    return account.code.rawValue
}

/// The same for a function of a node.
func answer(_ node: OpaquePointer?, _ body: (NodeBox) throws(Failure) -> Void) -> Int32 {
    answer { () throws(Failure) in try body(try liveNode(node)) }
}

/// The node behind a handle, in the process that made it.
func liveNode(_ handle: OpaquePointer?) throws(Failure) -> NodeBox {
    guard let handle else { throw .argument("node", "is NULL") }
    guard case .node(let node) = HandleTable.find(handle) else { throw .handle(.node) }
    if node.isInherited { throw .call(.closed) }
    return node
}

func keyPair(_ handle: OpaquePointer?, _ name: StaticString = "keypair") throws(Failure) -> KeyPair {
    guard let handle else { throw .argument(name, "is NULL") }
    guard case .keyPair(let keyPair) = HandleTable.find(handle) else { throw .handle(.keyPair) }
    return keyPair
}

/// A required result.
func result<T>(_ pointer: UnsafeMutablePointer<T>?, _ name: StaticString) throws(Failure) -> UnsafeMutablePointer<T> {
    guard let pointer else { throw .argument(name, "is NULL") }
    return pointer
}

/// nil: without limit.
func waitingTime(_ milliseconds: Int32) throws(Failure) -> Duration? {
    if milliseconds == MESHNET_FOREVER { return nil }
    guard milliseconds >= 0 else { throw .argument("timeout_ms", "is \(milliseconds); only MESHNET_FOREVER is negative") }
    return .milliseconds(milliseconds)
}

/// A text argument; `code` is what text that is not UTF-8 is answered with.
func text(_ pointer: UnsafePointer<CChar>?, _ name: StaticString, _ code: meshnet_error = MESHNET_ERROR_INVALID_ARGUMENT) throws(Failure) -> String {
    guard let pointer else { throw .argument(name, "is NULL") }
    guard let text = String(validatingCString: pointer) else { throw .text(code, name, "not UTF-8") }
    return text
}

func texts(_ pointer: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int, _ name: StaticString,
           _ code: meshnet_error = MESHNET_ERROR_INVALID_ARGUMENT) throws(Failure) -> [String] {
    if count == 0 { return [] }
    guard let pointer else { throw .argument(name, "is NULL with a count of \(count)") }
    guard count > 0, count <= largestTextCount else {
        throw .argument(name, "has a count of \(UInt(bitPattern: count)); at most \(largestTextCount) are taken")
    }
    var texts: [String] = []
    for index in 0..<count { texts.append(try text(pointer[index], name, code)) }
    return texts
}

/// Texts in one argument: far above any use, far below a count that was never set.
let largestTextCount = 65_536

/// An address to dial. As forgiving as the list of bootstrap peers: a host name under /ip4 is read as /dns4.
func multiaddr(_ pointer: UnsafePointer<CChar>?) throws(Failure) -> Multiaddr {
    let words = try text(pointer, "address", MESHNET_ERROR_INVALID_ADDRESS)
    // What the bootstrap list calls unusable may be a good address of a transport that we lack: the dial tells so.
    if let address = try? Multiaddr(words) { return address }
    return try bootstrapAddress(pointer)
}

/// An address to be dialled for ever: one that never can be is refused here.
func bootstrapAddress(_ pointer: UnsafePointer<CChar>?) throws(Failure) -> Multiaddr {
    switch BootstrapAddress(parsing: try text(pointer, "address", MESHNET_ERROR_INVALID_ADDRESS)) {
    case .address(let address), .reinterpreted(let address, _): return address
    case .unusable(let reason): throw .text(MESHNET_ERROR_INVALID_ADDRESS, "address", reason)
    }
}

func peerID(_ pointer: UnsafePointer<CChar>?) throws(Failure) -> PeerID {
    let words = try text(pointer, "peer_id", MESHNET_ERROR_INVALID_PEER_ID)
    do { return try PeerID(words) } catch { throw .text(MESHNET_ERROR_INVALID_PEER_ID, "peer_id", "\"\(words)\": \(error)") }
}

/// Bytes that are only looked at during the call. NULL goes with length 0 alone.
func bytes(_ pointer: UnsafePointer<UInt8>?, _ length: Int, _ name: StaticString) throws(Failure) -> UnsafeRawBufferPointer {
    guard length >= 0 else { throw .argument(name, "has a length of \(UInt(bitPattern: length))") }
    if length > 0, pointer == nil { throw .argument(name, "is NULL with a length of \(length)") }
    return UnsafeRawBufferPointer(start: length == 0 ? nil : UnsafeRawPointer(pointer), count: length)
}

/// Writes text with its NUL into a caller's buffer.
func write(_ text: String, to buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ name: StaticString) throws(Failure) {
    guard let buffer else { throw .argument(name, "is NULL") }
    let count = text.utf8.count
    guard capacity > count else { throw .bufferTooSmall(needed: count + 1, capacity: max(capacity, 0)) }
    copyText(text, to: UnsafeMutableRawBufferPointer(start: buffer, count: count + 1))
}
