import CSystem
import Glibc
import MeshNetSwarm

/// A socket address in the kernel's form.
struct NativeAddress {
    private var storage = sockaddr_storage()
    private(set) var length: socklen_t = 0

    var family: Int32 { Int32(storage.ss_family) }

    init() {}

    /// nil when the ip has neither 4 nor 16 bytes, or when no interface has the name of the zone.
    init?(_ address: SocketAddress) {
        switch address.ip.count {
        case 4:
            var native = sockaddr_in()
            native.sin_family = sa_family_t(AF_INET)
            native.sin_port = address.port.bigEndian
            withUnsafeMutableBytes(of: &native.sin_addr) { $0.copyBytes(from: address.ip) }
            store(native)
        case 16:
            var native = sockaddr_in6()
            native.sin6_family = sa_family_t(AF_INET6)
            native.sin6_port = address.port.bigEndian
            withUnsafeMutableBytes(of: &native.sin6_addr) { $0.copyBytes(from: address.ip) }
            if let zone = address.zone {
                native.sin6_scope_id = UInt32(zone) ?? if_nametoindex(zone)
                guard native.sin6_scope_id != 0 else { return nil }
            }
            store(native)
        default:
            return nil
        }
    }

    /// nil for a pointer that is null or to another family.
    init?(copying pointer: UnsafePointer<sockaddr>?) {
        guard let pointer else { return nil }
        let raw = UnsafeRawPointer(pointer)
        switch Int32(pointer.pointee.sa_family) {
        case AF_INET: store(raw.loadUnaligned(as: sockaddr_in.self))
        case AF_INET6: store(raw.loadUnaligned(as: sockaddr_in6.self))
        default: return nil
        }
    }

    /// nil for another family than IPv4 or IPv6.
    var address: SocketAddress? {
        withUnsafeBytes(of: storage) { raw in
            switch family {
            case AF_INET:
                let native = raw.loadUnaligned(as: sockaddr_in.self)
                return SocketAddress(ip: withUnsafeBytes(of: native.sin_addr) { Array($0) }, port: UInt16(bigEndian: native.sin_port))
            case AF_INET6:
                let native = raw.loadUnaligned(as: sockaddr_in6.self)
                let zone = native.sin6_scope_id == 0 ? nil : Self.interfaceName(native.sin6_scope_id)
                return SocketAddress(
                    ip: withUnsafeBytes(of: native.sin6_addr) { Array($0) }, port: UInt16(bigEndian: native.sin6_port), zone: zone)
            default:
                return nil
            }
        }
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafeBytes(of: storage) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length) }
    }

    /// Lets a system call fill the address in.
    static func filled(_ call: (UnsafeMutablePointer<sockaddr_storage>) -> Int) -> (result: Int, address: SocketAddress?) {
        var native = NativeAddress()
        let result = withUnsafeMutablePointer(to: &native.storage, call)
        return (result, result < 0 ? nil : native.address)
    }

    private mutating func store<Native>(_ native: Native) {
        withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: native, as: Native.self) }
        length = socklen_t(MemoryLayout<Native>.size)
    }

    /// The index itself when the interface went away meanwhile.
    private static func interfaceName(_ index: UInt32) -> String {
        var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard if_indextoname(index, &name) != nil else { return String(index) }
        return name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}
