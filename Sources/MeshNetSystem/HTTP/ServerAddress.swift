import MeshNetProtocol

/// The base address of an HTTP service: `https://host[:port][/path]`, as people write it.
struct ServerAddress: Sendable, Equatable {
    /// Bytes of the text at most; what libcurl takes is longer, what anybody needs is shorter.
    static let maximumByteCount = 2_048

    enum Problem: Error, Equatable {
        case empty
        case tooLong(limit: Int)
        /// A space, a control character, or a letter outside ASCII: a name of such letters is written in its `xn--` form.
        case badCharacter
        case noScheme
        case scheme(String)
        case userInfo
        case host
        case port(String)
        /// A query or a fragment has no place in a base address.
        case extra
    }

    let isSecure: Bool
    /// Lower case, an IPv6 address without its brackets.
    let host: String
    let port: UInt16
    /// Empty, or with a slash at its start and none at its end.
    let path: String

    /// Spaces around the text and slashes at its end are left out.
    init(_ text: String) throws(Problem) {
        let text = text.trimmed
        if text.isEmpty { throw .empty }
        guard text.utf8.count <= Self.maximumByteCount else { throw .tooLong(limit: Self.maximumByteCount) }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") }) else { throw .badCharacter }
        guard let mark = text.firstIndex(of: ":"), text[mark...].hasPrefix("://") else { throw .noScheme }
        let scheme = text[..<mark].lowercased()
        guard scheme == "https" || scheme == "http" else { throw .scheme(scheme) }
        let rest = text[mark...].dropFirst(3)
        guard !rest.contains(where: { $0 == "?" || $0 == "#" }) else { throw .extra }
        let authority = rest.prefix { $0 != "/" }
        guard !authority.contains("@") else { throw .userInfo }
        isSecure = scheme == "https"
        (host, port) = try Self.split(authority, standardPort: scheme == "https" ? 443 : 80)
        var path = rest[authority.endIndex...]
        while path.last == "/" { path.removeLast() }
        self.path = String(path)
    }

    /// The same server under a shorter path, when the path ends with `suffix`.
    func droppingPath(_ suffix: String) -> ServerAddress {
        guard path.hasSuffix(suffix) else { return self }
        return ServerAddress(isSecure: isSecure, host: host, port: port, path: String(path.dropLast(suffix.count)))
    }

    init(isSecure: Bool, host: String, port: UInt16, path: String) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.path = path
    }

    /// The host as it stands in a URL.
    var bracketedHost: String { host.contains(":") ? "[\(host)]" : host }

    /// The address of the host when it is written as one.
    var ip: [UInt8]? { IPText.ipv4(host.utf8) ?? IPText.ipv6(host.utf8) }

    /// Nothing that is sent there leaves this machine.
    var isLoopback: Bool {
        guard let ip else { return host == "localhost" || host.hasSuffix(".localhost") }
        return ip.count == 4 ? ip[0] == 127 : ip.dropLast().allSatisfy { $0 == 0 } && ip.last == 1
    }

    private static func split(_ authority: Substring, standardPort: UInt16) throws(Problem) -> (String, UInt16) {
        var host = authority, port: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { throw .host }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let behind = authority[authority.index(after: end)...]
            guard behind.isEmpty || behind.first == ":" else { throw .host }
            if !behind.isEmpty { port = behind.dropFirst() }
            guard IPText.ipv6(host.utf8) != nil else { throw .host }
        } else {
            if let colon = authority.firstIndex(of: ":") {
                host = authority[..<colon]
                port = authority[authority.index(after: colon)...]
            }
            let isName = host.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                default: byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
                }
            }
            guard !host.isEmpty, host.utf8.count <= 253, isName else { throw .host }
        }
        guard let port, !port.isEmpty else { return (host.lowercased(), standardPort) }
        guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(port), number > 0 else { throw .port(String(port)) }
        return (host.lowercased(), number)
    }
}

extension ServerAddress: CustomStringConvertible {
    var description: String {
        let standard: UInt16 = isSecure ? 443 : 80
        return "\(isSecure ? "https" : "http")://\(bracketedHost)\(port == standard ? "" : ":\(port)")\(path)"
    }
}

extension ServerAddress.Problem: CustomStringConvertible {
    var description: String {
        switch self {
        case .empty: "it is empty"
        case .tooLong(let limit): "it has more than \(limit) bytes"
        case .badCharacter: "it has a space, a control character or a letter outside ASCII"
        case .noScheme: "it does not begin with https://"
        case .scheme(let name): "\(name.quoted) is neither https nor http"
        case .userInfo: "a name or password before the host is not used"
        case .host: "the host is neither a name nor an address"
        case .port(let text): "\(text.quoted) is no port"
        case .extra: "it has a query or a fragment"
        }
    }
}

extension String {
    /// Without white space at both ends: texts are pasted, and files end with a line feed.
    var trimmed: String {
        let isSpace: (Character) -> Bool = { $0.isWhitespace || $0 == "\u{feff}" }
        let start = drop(while: isSpace)
        return String(start.dropLast(start.reversed().prefix(while: isSpace).count))
    }
}
