public import CMeshNet
import Glibc

/// The account of the last failure of each thread, until `meshnet_last_error` copies it out.
enum LastError {
    private final class Slot {
        var account: ErrorAccount
        init(_ account: ErrorAccount) { self.account = account }
    }

    private static let key: pthread_key_t? = {
        var key = pthread_key_t()
        let status = pthread_key_create(&key) { Unmanaged<Slot>.fromOpaque($0!).release() }
        return status == 0 ? key : nil
    }()

    static func record(_ account: ErrorAccount) {
        guard let key else { return }
        if let known = pthread_getspecific(key) {
            Unmanaged<Slot>.fromOpaque(known).takeUnretainedValue().account = account
            return
        }
        let slot = Unmanaged.passRetained(Slot(account))
        if pthread_setspecific(key, slot.toOpaque()) != 0 { slot.release() }
    }

    static var current: ErrorAccount? {
        guard let key, let known = pthread_getspecific(key) else { return nil }
        return Unmanaged<Slot>.fromOpaque(known).takeUnretainedValue().account
    }
}

/// Copies text with its NUL, cut between characters where it does not fit; for a field of at least one byte.
func copyText(_ text: some StringProtocol, to field: UnsafeMutableRawBufferPointer) {
    let bytes = text.utf8
    var count = min(bytes.count, field.count - 1)
    if count < bytes.count {
        // A continuation byte at the cut belongs to a character that began before it.
        while count > 0, bytes[bytes.index(bytes.startIndex, offsetBy: count)] & 0xC0 == 0x80 { count -= 1 }
    }
    field.copyBytes(from: bytes.prefix(count))
    field[count] = 0
}

@c @implementation public func meshnet_last_error(_ info: UnsafeMutablePointer<meshnet_error_info_t>?, _ structSize: Int) -> Int32 {
    guard let info else { return MESHNET_ERROR_INVALID_ARGUMENT.rawValue }
    let whole = MemoryLayout<meshnet_error_info_t>.size
    let smallest = MemoryLayout<meshnet_error_info_t>.offset(of: \.system_errno)! + MemoryLayout<Int32>.size
    guard structSize >= smallest, structSize <= largestStruct else { return MESHNET_ERROR_STRUCT_SIZE.rawValue }
    var filled = meshnet_error_info_t()
    filled.struct_size = UInt32(min(structSize, whole))
    if let account = LastError.current {
        filled.code = account.code.rawValue
        filled.system_errno = account.systemErrno
        withUnsafeMutableBytes(of: &filled.detail) { copyText(account.detail, to: $0) }
        withUnsafeMutableBytes(of: &filled.hint) { copyText(account.hint.description, to: $0) }
    }
    // A caller with a smaller struct gets what fits; a text that is cut there must still end.
    withUnsafeBytes(of: filled) { UnsafeMutableRawPointer(info).copyMemory(from: $0.baseAddress!, byteCount: min(structSize, whole)) }
    if structSize > smallest, structSize < whole { UnsafeMutableRawPointer(info).storeBytes(of: 0, toByteOffset: structSize - 1, as: UInt8.self) }
    return MESHNET_OK.rawValue
}

@c @implementation public func meshnet_strerror(_ code: Int32) -> UnsafePointer<CChar>? {
    (ErrorRow.find(code)?.meaning ?? ErrorRow.unknownMeaning).cString
}

@c @implementation public func meshnet_error_hint(_ code: Int32) -> UnsafePointer<CChar>? {
    (ErrorRow.find(code)?.hint ?? ErrorRow.none).cString
}

@c @implementation public func meshnet_error_name(_ code: Int32) -> UnsafePointer<CChar>? {
    ErrorRow.find(code)?.name.cString
}
