/// Why a text or bytes are no multiaddr.
public enum MultiaddrError: Error, Equatable, Sendable {
    case empty
    case tooLong(count: Int, limit: Int)
    /// The text does not begin with `/`.
    case missingLeadingSlash(String)
    /// No protocol of this name is known here; names are case-sensitive.
    case unknownProtocol(String)
    /// No protocol of this code is known here.
    case unknownCode(UInt64)
    /// The text ends where the protocol needs a value.
    case missingValue(protocolName: String)
    case invalidValue(protocolName: String, value: String, problem: Problem)
    /// The bytes of a value are not what its protocol allows.
    case invalidBytes(protocolName: String, problem: Problem)
    /// A component behind a unix path, which takes the rest of a text.
    case behindUnixPath
    case wire(WireError)

    /// What is wrong with the value of a component.
    public enum Problem: Error, Equatable, Sendable {
        case notAnIPv4Address
        case notAnIPv6Address
        /// Not a decimal number, or above the limit.
        case notANumber(limit: UInt64)
        case empty
        /// A slash, a NUL or bytes that are not UTF-8.
        case forbiddenCharacter
        case notAbsolute
        case peerID(PeerIDError)
        /// Not the text encoding that the protocol prescribes.
        case encoding
        /// A decoded value of the wrong length.
        case length(Int)
        case multihash(MultihashError)
    }
}

extension MultiaddrError: CustomStringConvertible {
    /// One clause that names the value and what is wrong with it.
    public var description: String {
        switch self {
        case .empty: "the address is empty"
        case .tooLong(let count, let limit): "the address has \(count) bytes, more than \(limit)"
        case .missingLeadingSlash(let text): "\(text.quoted) does not begin with a slash"
        case .unknownProtocol(let name): "\(name.quoted) is not a protocol of addresses"
        case .unknownCode(let code): "\(code) is not the code of a protocol of addresses"
        case .missingValue(let name): "/\(name) needs a value behind it"
        case .invalidValue(let name, let value, let problem): "\(value.quoted) cannot stand behind /\(name): \(problem)"
        case .invalidBytes(let name, let problem): "the value of /\(name) is malformed: \(problem)"
        case .behindUnixPath: "nothing can stand behind /unix"
        case .wire(let error): "the bytes of the address are malformed: \(error)"
        }
    }
}

extension MultiaddrError.Problem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notAnIPv4Address: "it is no IPv4 address"
        case .notAnIPv6Address: "it is no IPv6 address"
        case .notANumber(let limit): "it is no decimal number up to \(limit)"
        case .empty: "it is empty"
        case .forbiddenCharacter: "it has a character that is not allowed"
        case .notAbsolute: "it is no absolute path"
        case .peerID: "it is no peer id"
        case .encoding: "it is not in the encoding that the protocol uses"
        case .length(let count): "\(count) bytes are not a length it can have"
        case .multihash: "it is no multihash"
        }
    }
}
