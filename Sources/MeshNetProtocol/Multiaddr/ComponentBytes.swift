extension Multiaddr.Component {
    /// Appends the code and the value.
    func append(to output: inout [UInt8]) {
        Varint.append(addressProtocol.rawValue, to: &output)
        let value = valueBytes
        if addressProtocol.valueSize == .prefixed { Varint.append(UInt64(value.count), to: &output) }
        output.append(contentsOf: value)
    }

    private var valueBytes: [UInt8] {
        switch self {
        case .ip4(let bytes), .ip6(let bytes), .certhash(let bytes), .onion(let bytes), .onion3(let bytes), .garlic64(let bytes),
            .garlic32(let bytes):
            return bytes
        case .ip6zone(let text), .dns(let text), .dns4(let text), .dns6(let text), .dnsaddr(let text), .sni(let text), .httpPath(let text),
            .unix(let text):
            return Array(text.utf8)
        case .tcp(let port), .udp(let port), .dccp(let port), .sctp(let port):
            return [UInt8(port >> 8), UInt8(port & 0xff)]
        case .ipcidr(let bits): return [bits]
        case .p2p(let peer): return peer.multihash
        case .memory(let number):
            var bytes: [UInt8] = []
            bytes.appendBigEndian(number)
            return bytes
        default: return []
        }
    }

    /// Reads one component and checks its value as strictly as the text form does, so that both forms say the same.
    init(reading reader: inout ByteReader) throws(MultiaddrError) {
        let (kind, value) = try Self.next(in: &reader)
        do {
            try self.init(kind, value)
        } catch {
            throw .invalidBytes(protocolName: kind.name, problem: error)
        }
    }

    /// The protocol of the next component and the bytes of its value, which are not looked at.
    static func next(in reader: inout ByteReader) throws(MultiaddrError) -> (kind: AddressProtocol, value: UnsafeRawBufferPointer) {
        let code: UInt64
        do { code = try reader.readVarint() } catch { throw .wire(error) }
        guard let kind = AddressProtocol(rawValue: code) else { throw .unknownCode(code) }
        do {
            switch kind.valueSize {
            case .fixed(let count): return (kind, try reader.readView(count))
            case .prefixed: return (kind, try reader.readView(try reader.readLength(limit: reader.remaining)))
            }
        } catch {
            throw .wire(error)
        }
    }

    private init(_ kind: AddressProtocol, _ value: UnsafeRawBufferPointer) throws(MultiaddrError.Problem) {
        if let component = Self(valueless: kind) {
            self = component
            return
        }
        switch kind {
        case .ip4: self = .ip4([UInt8](value))
        case .ip6: self = .ip6([UInt8](value))
        case .ipcidr: self = .ipcidr(value[0])
        case .tcp: self = .tcp(Self.number(value))
        case .udp: self = .udp(Self.number(value))
        case .dccp: self = .dccp(Self.number(value))
        case .sctp: self = .sctp(Self.number(value))
        case .memory: self = .memory(Self.number(value))
        case .certhash: self = .certhash(try Self.checkedMultihash([UInt8](value)))
        case .onion: self = .onion(try Self.checkedOnion([UInt8](value)))
        case .onion3: self = .onion3(try Self.checkedOnion([UInt8](value)))
        case .garlic64: self = .garlic64(try Self.checkedGarlic64([UInt8](value)))
        case .garlic32: self = .garlic32(try Self.checkedGarlic32([UInt8](value)))
        case .p2p:
            do { self = .p2p(try PeerID(multihash: value)) } catch { throw .peerID(error) }
        default:
            guard let text = String(validating: value, as: UTF8.self) else { throw .forbiddenCharacter }
            try self.init(kind, name: text)
        }
    }

    /// The components whose value is a text, checked.
    init(_ kind: AddressProtocol, name text: String) throws(MultiaddrError.Problem) {
        if text.isEmpty { throw .empty }
        guard !text.utf8.contains(0) else { throw .forbiddenCharacter }
        if kind == .unix {
            // Neither "/" nor a slash at the end survives in a text.
            guard text.utf8.first == UInt8(ascii: "/"), text.utf8.last != UInt8(ascii: "/") else { throw .notAbsolute }
            self = .unix(text)
            return
        }
        if kind == .httpPath {
            self = .httpPath(text)
            return
        }
        guard !text.utf8.contains(UInt8(ascii: "/")) else { throw .forbiddenCharacter }
        switch kind {
        case .ip6zone: self = .ip6zone(text)
        case .dns: self = .dns(text)
        case .dns4: self = .dns4(text)
        case .dns6: self = .dns6(text)
        case .dnsaddr: self = .dnsaddr(text)
        case .sni: self = .sni(text)
        default: throw .encoding
        }
    }

    static func checkedMultihash(_ bytes: [UInt8]) throws(MultiaddrError.Problem) -> [UInt8] {
        guard bytes.count <= Positional.maximumBytes else { throw .length(bytes.count) }
        do {
            _ = try bytes.withView { view throws(MultihashError) in try Multihash(parsing: view).digestLength }
        } catch {
            throw .multihash(error)
        }
        return bytes
    }

    /// Port 0 does not exist here.
    static func checkedOnion(_ bytes: [UInt8]) throws(MultiaddrError.Problem) -> [UInt8] {
        guard bytes.suffix(2) != [0, 0] else { throw .notANumber(limit: UInt64(UInt16.max)) }
        return bytes
    }

    static func checkedGarlic64(_ bytes: [UInt8]) throws(MultiaddrError.Problem) -> [UInt8] {
        guard bytes.count >= 386 else { throw .length(bytes.count) }
        return bytes
    }

    static func checkedGarlic32(_ bytes: [UInt8]) throws(MultiaddrError.Problem) -> [UInt8] {
        guard bytes.count == 32 || bytes.count >= 35 else { throw .length(bytes.count) }
        return bytes
    }

    /// Precondition: as many bytes as the type has, which `valueSize` sees to.
    private static func number<T: FixedWidthInteger & UnsignedInteger>(_ value: UnsafeRawBufferPointer) -> T {
        value.reduce(0) { $0 << 8 | T($1) }
    }
}
