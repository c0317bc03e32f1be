/// How a peer is in another network than we are, told by the first bytes that it sent.
public enum OtherNetwork: UInt8, CaseIterable, Sendable, Hashable {
    /// Both are in private networks, with different keys.
    case otherKey = 1
    /// We are in a private network, and the peer is in none.
    case peerInNone = 2
    /// The peer is in a private network, and we are in none.
    case peerInPrivate = 3
}

/// What the first bytes of a peer are. Both sides of a connection begin with the multistream header, whatever they propose or wait for, so that
/// the first line is enough to know whether the two are in one network (libp2p specs, pnet and multistream-select).
package enum PeerGreeting: Equatable, Sendable {
    /// More bytes are needed.
    case incomplete
    case multistream
    case otherNetwork(OtherNetwork)
    /// Another protocol; with its first bytes in words.
    case unknown(String)

    private static let header: [UInt8] = {
        var line: [UInt8] = []
        MultistreamLine.append(MultistreamLine.header, to: &line)
        return line
    }()

    /// The first bytes as they came, where the peer should have sent a nonce: a public peer says its header instead.
    package static func isPublic(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: header) }

    /// The first bytes as they came, where the peer should have sent a nonce, in words; nil when they are no line of text.
    package static func banner(_ bytes: UnsafeRawBufferPointer) -> String? {
        isLineOfText(bytes.prefix(PrivateNetworkCipher.nonceByteCount)) ? words(bytes) : nil
    }

    /// - Parameters:
    ///   - bytes: what the peer sent, its nonce taken off and the rest decrypted in a private network.
    ///   - isPrivate: whether we are in a private network.
    package init(_ bytes: UnsafeRawBufferPointer, isPrivate: Bool) {
        let head = bytes.prefix(Self.header.count)
        if Self.header.starts(with: head) {
            self = head.count == Self.header.count ? .multistream : .incomplete
        } else if isPrivate {
            self = .otherNetwork(.otherKey)
        } else if Self.isLineOfText(bytes.prefix(PrivateNetworkCipher.nonceByteCount)) {
            self = .unknown(Self.words(bytes))
        } else if bytes.count < PrivateNetworkCipher.nonceByteCount {
            self = .incomplete
        } else {
            self = Self.looksRandom(bytes.prefix(PrivateNetworkCipher.nonceByteCount)) ? .otherNetwork(.peerInPrivate) : .unknown(Self.words(bytes))
        }
    }

    /// The first line of a text, or the first 16 bytes in hex.
    private static func words(_ bytes: UnsafeRawBufferPointer) -> String {
        if isLineOfText(bytes.prefix(PrivateNetworkCipher.nonceByteCount)) {
            let line = bytes.prefix(64).prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
            return "it begins with \(String(decoding: line, as: UTF8.self).quoted)"
        }
        return "it begins with the bytes \(String(decoding: BitGroups.encode(Array(bytes.prefix(16)), .base16), as: UTF8.self))"
    }

    /// The banner of another program: ended by a newline, or long enough to be no chance.
    private static func isLineOfText(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
        let newline = UInt8(ascii: "\n")
        guard bytes.count == PrivateNetworkCipher.nonceByteCount || bytes.count >= 8 && bytes.contains(newline) else { return false }
        return bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7f || $0 == newline || $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\t") }
    }

    /// Of 24 random bytes, fewer than 16 differ in one of 10^7 cases, and none has its high bit set in one of 10^7; the binary protocols that one meets
    /// begin with small numbers, repeat zeros, or are text.
    private static func looksRandom(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
        var seen = [Bool](repeating: false, count: 256)
        var different = 0
        for byte in bytes where !seen[Int(byte)] {
            seen[Int(byte)] = true
            different += 1
        }
        return different >= 16 && bytes.contains { $0 >= 0x80 }
    }
}
