/// The text form of addresses, read.
enum MultiaddrText {
    /// The components of a text, at least one.
    static func components(of text: String) throws(MultiaddrError) -> [Multiaddr.Component] {
        let count = text.utf8.count
        guard count > 0 else { throw .empty }
        guard count <= Multiaddr.maximumTextByteCount else { throw .tooLong(count: count, limit: Multiaddr.maximumTextByteCount) }
        guard text.utf8.first == UInt8(ascii: "/") else { throw .missingLeadingSlash(text) }
        var parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
        while parts.last?.isEmpty == true { parts.removeLast() }
        guard !parts.isEmpty else { throw .empty }

        var components: [Multiaddr.Component] = []
        while let name = parts.popFirst() {
            guard let kind = AddressProtocol(name: String(Substring(name))) else { throw .unknownProtocol(String(Substring(name))) }
            if let component = Multiaddr.Component(valueless: kind) {
                components.append(component)
                continue
            }
            guard let value = parts.first else { throw .missingValue(protocolName: kind.name) }
            if kind == .unix {
                // The path takes the rest of the text, with the slash in front of it.
                let path = parts.map { "/" + String(Substring($0)) }.joined()
                parts.removeAll()
                components.append(try component(kind, path))
            } else {
                parts.removeFirst()
                components.append(try component(kind, String(Substring(value))))
            }
        }
        return components
    }

    private static func component(_ kind: AddressProtocol, _ value: String) throws(MultiaddrError) -> Multiaddr.Component {
        do {
            return try Multiaddr.Component(kind, text: value)
        } catch {
            throw .invalidValue(protocolName: kind.name, value: value, problem: error)
        }
    }
}

extension Multiaddr.Component {
    fileprivate init(_ kind: AddressProtocol, text: String) throws(MultiaddrError.Problem) {
        if text.isEmpty { throw .empty }
        switch kind {
        case .ip4:
            guard let bytes = IPText.ipv4(text.utf8) else { throw .notAnIPv4Address }
            self = .ip4(bytes)
        case .ip6:
            guard let bytes = IPText.ipv6(text.utf8) else { throw .notAnIPv6Address }
            self = .ip6(bytes)
        case .ipcidr: self = .ipcidr(try Self.decimal(text.utf8))
        case .tcp: self = .tcp(try Self.decimal(text.utf8))
        case .udp: self = .udp(try Self.decimal(text.utf8))
        case .dccp: self = .dccp(try Self.decimal(text.utf8))
        case .sctp: self = .sctp(try Self.decimal(text.utf8))
        case .memory: self = .memory(try Self.decimal(text.utf8))
        case .p2p:
            do { self = .p2p(try PeerID(text)) } catch { throw .peerID(error) }
        case .certhash:
            guard let bytes = Multibase.decode(text.utf8) else { throw .encoding }
            self = .certhash(try Self.checkedMultihash(bytes))
        case .onion: self = .onion(try Self.onion(text, nameLength: 10))
        case .onion3: self = .onion3(try Self.onion(text, nameLength: 35))
        case .garlic32:
            guard let bytes = BitGroups.decode(text.utf8, .base32, spareBits: .ignored) else { throw .encoding }
            self = .garlic32(try Self.checkedGarlic32(bytes))
        case .garlic64:
            guard let bytes = PaddedBase64.decode(Array(text.utf8), .base64I2P) else { throw .encoding }
            self = .garlic64(try Self.checkedGarlic64(bytes))
        case .httpPath:
            guard let path = PercentEncoding.decode(text) else { throw .encoding }
            try self.init(kind, name: path)
        default: try self.init(kind, name: text)
        }
    }

    /// ASCII digits only; leading zeros are taken, as in go and rust.
    private static func decimal<T>(_ text: some Collection<UInt8>) throws(MultiaddrError.Problem) -> T
    where T: FixedWidthInteger & UnsignedInteger {
        var value: T = 0
        guard !text.isEmpty else { throw .notANumber(limit: UInt64(T.max)) }
        for byte in text {
            guard let digit = DigitAlphabet.decimal.value(byte) else { throw .notANumber(limit: UInt64(T.max)) }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(T(digit))
            if overflow || carry { throw .notANumber(limit: UInt64(T.max)) }
            value = sum
        }
        return value
    }

    /// `name:port`, the name in base32.
    private static func onion(_ text: String, nameLength: Int) throws(MultiaddrError.Problem) -> [UInt8] {
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, let name = BitGroups.decode(parts[0], .base32) else { throw .encoding }
        guard name.count == nameLength else { throw .length(name.count) }
        var bytes = name
        bytes.appendBigEndian(try decimal(parts[1]) as UInt16)
        return try checkedOnion(bytes)
    }
}
